"""gaze-tf turn --input=photo.jpg --output=turned.jpg --yaw=20 --pitch=-5

Turns the eyes of people who look at the camera, so that they look elsewhere: by a model of the eyeball, without a network.
--input may also be a folder or a quoted pattern of photos. Faces with closed, covered, blurred or small eyes, turned heads and
people who look past the camera are left as they are, and the output says why.
"""

import sys

from absl import flags

from gaze_tf.cli import photo_flags
from gaze_tf.cli.main import require
from gaze_tf.editing.options import SourceOptions
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string(
        'input', '', "A photo, a folder or a quoted pattern ('holiday/*.jpg') of photos.", flag_values=values
    )
    flags.DEFINE_string(
        'output', '', 'The file to write, or the folder if --input is several photos.', flag_values=values
    )
    flags.DEFINE_float(
        'yaw',
        0,
        "Degrees from the camera, positive towards the image's right; up to 25 looks best, and 40 is the most.",
        flag_values=values,
    )
    flags.DEFINE_float('pitch', 0, 'Degrees from the camera, positive up; up to 20 looks best.', flag_values=values)
    flags.DEFINE_string(
        'faces',
        'largest',
        'Which faces of a photo: largest, all, or numbers by size, from 0, the largest, such as 0,2.',
        flag_values=values,
    )
    flags.DEFINE_boolean('overwrite', False, 'Allow the output to be the input itself.', flag_values=values)


def run(values):
    require(values, 'input', 'output')
    if not values['yaw'].present and not values['pitch'].present:
        raise GazeError('--yaw and --pitch say where the eyes are to look: give one of them, such as --yaw=20.')
    from gaze_tf.turning.eyeball import check_angles

    check_angles(values.yaw, values.pitch)
    from gaze_tf.editing import source_files

    if source_files.is_video(values.input):
        raise GazeError(f'--input={values.input} is a video: turn takes photos.')
    photos = SourceOptions(values.input, values.output, overwrite=values.overwrite)
    one, note = source_files.is_single(values.input), ''
    if one:
        sources = [source_files.find_one(photos, source_files.OUTPUTS)]
    else:
        sources, note = source_files.find_several(photos)
    if note:
        print(note, file=sys.stderr)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    detector = MediapipeDetector()
    if not one:
        return _several(values, sources, detector)
    edited = _turned(values, sources[0], detector)
    print('\n'.join([f'Wrote {sources[0].output}', *photo_flags.describe(edited.faces), *edited.photo.notes]))


def _several(values, sources, detector):
    from tqdm import tqdm

    rows = []
    for source in tqdm(sources, unit=' photos', dynamic_ncols=True):
        row = {'file': str(source.path), 'status': 'turned'}
        try:
            _turned(values, source, detector)
        except GazeError as error:
            status = 'left out' if isinstance(error, photo_flags.NothingEdited) else 'failed'
            row.update(status=status, error=str(error))
        rows.append(row)
    return photo_flags.summary(rows, values.output)


def _turned(values, source, detector):
    """Writes the photo of a Source; what was done to it, as Edited."""
    from gaze_tf.turning.turn import turn_photo

    edited = turn_photo(source.path, values.yaw, values.pitch, detector, values.faces)
    if not edited.faces:
        raise photo_flags.NothingEdited(f'No face was found in {source.path}; nothing was written.')
    photo_flags.refuse_if_none(source.path, edited.faces)
    edited.save(source.output)
    return edited
