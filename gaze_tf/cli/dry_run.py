"""What `gaze-tf correct --dry_run` does: finds and measures, without a network, and writes nothing but the report."""

import json
import sys

from gaze_tf.cli import photo_flags
from gaze_tf.errors import GazeError


def run(values, eyes):
    """Measures what the flags of `correct` name; its exit status. eyes: --eyes or None."""
    from gaze_tf.editing import source_files

    if not source_files.is_single(values.input):
        return _several(values)
    return (_video if source_files.is_video(values.input) else _one)(values, eyes)


def _one(values, eyes):
    from gaze_tf.editing import folder, source_files
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.media.photo import Photo

    photo = Photo.open(source_files.find_one(values.input, eyes, None, source_files.OUTPUTS, values.overwrite).path)
    reports = folder.measured(GazeEditor(None, photo_flags.limits(values)), photo.rgb, eyes, values.faces)
    _write(values, [folder.face_row(report) for report in reports])
    print('\n'.join(photo_flags.describe_planned(reports) or ['No face was found.']), file=_beside(values))


def _several(values):
    from gaze_tf.editing import folder, source_files
    from gaze_tf.editing.editor import GazeEditor

    sources, note = source_files.find_several(values.input, None, domain=values.domain, last=values.last)
    if note:
        print(note, file=sys.stderr)
    rows = folder.measure(GazeEditor(None, photo_flags.limits(values)), sources, values.faces)
    _write(values, {'photos': rows})
    return photo_flags.summary(rows, values.input, _beside(values))


def _video(values, eyes):
    from gaze_tf.editing import source_files, video
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    source = source_files.find_one(values.input, eyes, None, (), values.overwrite)
    editor = GazeEditor(None, photo_flags.limits(values), None if eyes else MediapipeDetector(video.SMALLEST))
    summary = video.measure(
        editor,
        source,
        values.report or sys.stdout,
        values.faces,
        values.smoothing,
        values.fade,
        values.cuts,
        values.look_away,
    )
    print(f'{values.input}: {summary}', file=_beside(values))
    if summary.problem:
        raise GazeError(summary.problem)


def _write(values, rows):
    if values.report:
        photo_flags.write_json(values.report, rows)
    else:
        print(json.dumps(rows, indent=1))


def _beside(values):
    """Where it is said what is not the report, which programs may read from the standard output."""
    return sys.stdout if values.report else sys.stderr
