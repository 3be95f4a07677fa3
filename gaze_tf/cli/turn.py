"""gaze-tf turn --input=photo.jpg --output=turned.jpg --yaw=20 --pitch=-5

Turns the eyes of people who look at the camera, so that they look elsewhere: with a model of the eyeball, without a
network. --input may also be a folder or a quoted pattern of photos. Faces with closed, covered, blurred or small eyes,
faces that are turned and faces that look past the camera are left as they are, and the output says why.
"""

import dataclasses
import sys

from absl import flags

from gaze_tf.cli import option_flags, photo_flags
from gaze_tf.cli.main import require
from gaze_tf.editing.options import SourceOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_detector
from gaze_tf.options import option
from gaze_tf.turning.angles import MAX_ANGLE


@dataclasses.dataclass(frozen=True)
class TurnOptions(DetectorOptions):
    """Which eyes are turned, and where they look then."""

    input: str = option('', "A photo, a folder or a quoted pattern ('holiday/*.jpg') of photos.")
    output: str = option('', 'The file to write, or the folder if `input` is several photos.')
    yaw: float = option(
        0.0,
        "Degrees from the camera, positive towards the image's right; up to 25 looks best.",
        low=-MAX_ANGLE,
        high=MAX_ANGLE,
    )
    pitch: float = option(
        0.0, 'Degrees from the camera, positive up; up to 20 looks best.', low=-MAX_ANGLE, high=MAX_ANGLE
    )
    faces: str = option(
        'largest', 'Which faces of a photo: largest, all, or numbers by size, from 0, the largest, such as 0,2.'
    )
    overwrite: bool = option(False, 'Allow the output to be the input itself.')


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, TurnOptions)


def run(values: flags.FlagValues) -> int | None:
    options = option_flags.read(values, TurnOptions)
    require(values, 'input', 'output')
    if not values['yaw'].present and not values['pitch'].present:
        raise GazeError('--yaw and --pitch say where the eyes look: give one of them, such as --yaw=20.')
    from gaze_tf.editing import source_files

    if source_files.is_video(options.input):
        raise GazeError(f'--input={options.input} is a video: turn takes photos.')
    photos = SourceOptions(options.input, options.output, overwrite=options.overwrite)
    one, note = source_files.is_single(options.input), ''
    if one:
        sources = [source_files.find_one(photos, source_files.OUTPUTS)]
    else:
        sources, note = source_files.find_several(photos)
    if note:
        print(note, file=sys.stderr)
    detector = make_detector(options.face_model)
    if not one:
        return _turn_several(options, sources, detector)
    edited = _turn(options, sources[0], detector)
    print('\n'.join([f'Wrote {sources[0].output}', *photo_flags.describe(edited.faces), *edited.photo.notes]))
    return None


def _turn_several(options, sources, detector):
    from tqdm import tqdm

    rows = []
    for source in tqdm(sources, unit=' photos', dynamic_ncols=True):
        row = {'file': str(source.path), 'status': 'turned'}
        try:
            _turn(options, source, detector)
        except GazeError as error:
            status = 'left out' if isinstance(error, photo_flags.NothingEdited) else 'failed'
            row.update(status=status, error=str(error))
        rows.append(row)
    return photo_flags.summary(rows, options.output)


def _turn(options, source, detector):
    """Writes the photo of a Source with turned eyes; returns it as Edited."""
    from gaze_tf.turning.turn import turn_photo

    edited = turn_photo(source.path, options.yaw, options.pitch, detector, options.faces)
    if not edited.faces:
        raise photo_flags.NothingEdited(f'No face was found in {source.path}; nothing was written.')
    photo_flags.refuse_if_none(source.path, edited.faces)
    edited.save(source.output)
    return edited
