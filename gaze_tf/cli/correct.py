"""gaze-tf correct --input=photo.jpg --output=corrected.jpg

Finds the faces of a photo and repaints their eyes so that they look at the camera. Outside the eyes every pixel stays as
it was (JPEG: is encoded again as it had been). --input may also be a video, a folder or a quoted pattern of photos.
Faces that are too small, turned or with closed or covered eyes are left as they are, and the report says so. --dry_run instead
of --output only measures where heads are turned and eyes look, without a network: to find what is worth correcting.
"""

import pathlib
import sys

from absl import flags

from gaze_tf.cli import dry_run, photo_flags
from gaze_tf.errors import GazeError


def define_flags(values):
    photo_flags.define_flags(values)
    photo_flags.define_time_flags(values)
    photo_flags.define_mark_flag(values)
    flags.DEFINE_boolean(
        'dry_run',
        False,
        'Write no picture: find and measure only, for --report, which without a name is '
        'printed: of each face (and frame) the eyes, yaw, pitch and roll of the head in degrees, openness, '
        'where irises are in the eyes and look in degrees, and how strongly it would be corrected, or why '
        'not.',
        flag_values=values,
    )
    flags.DEFINE_list(
        'alpha',
        ['1'],
        'How far the gaze moves: 0 not at all, 1 to the camera; or two numbers, for the left and the right eye.',
        flag_values=values,
    )
    flags.DEFINE_enum(
        'format', '', ['', 'png', 'jpg'], "Of several photos: the results' format; '': as each was.", flag_values=values
    )
    flags.DEFINE_string(
        'report',
        '',
        'JSON file for what was done to each face (several photos: report.json in --output, '
        'but with --dry_run this file; a video: CSV, a row for each frame and face).',
        flag_values=values,
    )
    flags.DEFINE_boolean(
        'always',
        False,
        'Of a video: repaint eyes that look at the camera for a while, too, which are left alone otherwise.',
        flag_values=values,
    )
    flags.DEFINE_boolean('cuts', True, 'Of a video: look for cuts, over which nothing is smoothed.', flag_values=values)


def run(values):
    if values.dry_run and values.output:
        raise GazeError('--dry_run writes no picture: leave --output out; --report=FILE is where the report goes.')
    eyes = photo_flags.validate_photo_flags(values, ['input'] if values.dry_run else ['input', 'output'])
    alpha = photo_flags.numbers(values, 'alpha')
    if len(alpha) not in (1, 2):
        raise GazeError(f'--alpha={",".join(values.alpha)} must be one number, or one for each eye.')
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import source_files

    several = not source_files.is_single(values.input)
    if several and eyes:
        raise GazeError(f'--eyes goes with one photo, not with {values.input}.')
    if values.dry_run:
        return dry_run.run(values, eyes)
    if several:
        return _several(values, alpha)
    return (_video if source_files.is_video(values.input) else _one)(values, eyes, alpha)


def _one(values, eyes, alpha):
    if values.format:
        raise GazeError("--format goes with several photos; one's is the suffix of --output.")
    from gaze_tf.editing import source_files

    source = source_files.find_one(values.input, eyes, values.output, source_files.OUTPUTS, values.overwrite)
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.media.photo import Photo

    photo = Photo.open(source.path)
    edited = GazeEditor.load(values.model, photo_flags.limits(values)).correct(
        photo, source.eyes, values.faces, alpha, values.blend
    )
    photo_flags.refuse_if_none(source.path, edited.faces)
    edited.save(source.output, values.mark)
    if values.report:
        photo_flags.write_report(values.report, edited.faces)
    print(
        '\n'.join(
            [
                f'Wrote {source.output}',
                *photo_flags.describe(edited.faces),
                *photo.notes,
                *photo_flags.mark_notes(values, [source]),
            ]
        )
    )


def _several(values, alpha):
    from gaze_tf.editing import source_files

    if values.report:
        raise GazeError(f'--report goes with one photo or video; of {values.input} it is report.json in --output.')
    sources, note = source_files.find_several(
        values.input, values.output, values.format and f'.{values.format}', values.domain, values.last, values.overwrite
    )
    for note in [note, *photo_flags.mark_notes(values, sources)]:
        if note:
            print(note, file=sys.stderr)
    from gaze_tf.editing import folder
    from gaze_tf.editing.editor import GazeEditor

    limits = photo_flags.limits(values)
    editor = GazeEditor.load(values.model, limits)
    settings = {
        'model': _model(values.model, editor.network),
        'faces': values.faces,
        'alpha': alpha,
        'blend': values.blend,
        'limits': limits._asdict(),
        'mark': values.mark,
    }
    rows = folder.correct(
        editor,
        sources,
        values.output,
        settings,
        values.faces,
        alpha,
        values.blend,
        redo=values.overwrite,
        mark=values.mark,
    )
    return photo_flags.summary(rows, values.output)


def _model(path, network):
    """What tells the model of a run from others, for the report that a later run goes on from."""
    if path:
        return str(pathlib.Path(path).resolve())
    from gaze_tf.data.records import file_sha256

    return f'{network.path.name} of gaze_tf, sha256 {file_sha256(network.path)}'


def _video(values, eyes, alpha):
    from gaze_tf.editing import source_files
    from gaze_tf.media.video_files import SUFFIXES

    source = source_files.find_one(values.input, eyes, values.output, SUFFIXES, values.overwrite)
    from gaze_tf.editing import video
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    detector = None if eyes else MediapipeDetector(video.SMALLEST)
    editor = GazeEditor.load(values.model, photo_flags.limits(values), detector)
    summary = video.correct(
        editor,
        source,
        values.report or None,
        values.faces,
        alpha,
        values.blend,
        values.smoothing,
        values.fade,
        values.cuts,
        values.mark,
        values.look_away,
        values.always,
    )
    print('\n'.join([f'Wrote {source.output}: {summary}', *photo_flags.mark_notes(values, [source])]))
    if summary.problem:
        raise GazeError(f'{summary.problem} Only those are in {source.output}.')
