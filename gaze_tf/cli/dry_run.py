"""What `gaze-tf correct --dry_run` does: it finds and measures, without a network, and writes only the report."""

import json
import logging
import sys
from typing import Any

from absl import flags

from gaze_tf.cli import photo_flags
from gaze_tf.editing.options import SourceOptions, VideoOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import make_detector, make_lazy_detector

_log = logging.getLogger(__name__)


def run(values: flags.FlagValues, photos: SourceOptions, options: VideoOptions, report: str) -> int | None:
    """Measures what the flags of `correct` name; returns the exit status. report: its file; '': standard output."""
    from gaze_tf.editing import source_files

    if not source_files.is_single(photos.input):
        return _measure_several(values, photos, options, report)
    if source_files.is_video(photos.input):
        _measure_video(values, photos, options, report)
    else:
        _measure_photo(values, photos, options, report)
    return None


def _measure_photo(values: flags.FlagValues, photos: SourceOptions, options: VideoOptions, report: str) -> None:
    from gaze_tf.editing import folder, source_files
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.media.photo import Photo

    source = source_files.find_one(photos, source_files.OUTPUTS)
    photo = Photo.open(source.path)
    editor = GazeEditor(None, photo_flags.limits(values), make_lazy_detector(values.face_model))
    reports = folder.measure_faces(editor, photo.rgb, source.eyes, options.faces)
    _write(report, [folder.face_row(face) for face in reports])
    _log.log(_beside(report), '\n'.join(photo_flags.describe_planned(reports) or ['No face was found.']))


def _measure_several(values: flags.FlagValues, photos: SourceOptions, options: VideoOptions, report: str) -> int:
    from gaze_tf.editing import folder, source_files
    from gaze_tf.editing.editor import GazeEditor

    sources, left_out = source_files.find_several(photos)
    if left_out:
        _log.warning(left_out)
    rows = folder.measure(
        GazeEditor(None, photo_flags.limits(values), make_lazy_detector(values.face_model)), sources, options.faces
    )
    _write(report, {'photos': rows})
    return photo_flags.summary(rows, photos.input, _beside(report))


def _measure_video(values: flags.FlagValues, photos: SourceOptions, options: VideoOptions, report: str) -> None:
    from gaze_tf.editing import source_files, video
    from gaze_tf.editing.editor import GazeEditor

    source = source_files.find_one(photos, ())
    detector = None if photos.eyes else make_detector(values.face_model, video.SMALLEST)
    editor = GazeEditor(None, photo_flags.limits(values), detector)
    summary = video.measure(editor, source, report or sys.stdout, options)
    _log.log(_beside(report), f'{photos.input}: {summary}')
    if summary.problem:
        raise GazeError(summary.problem)


def _write(report: str, rows: Any) -> None:
    if report:
        photo_flags.write_report(report, rows)
    else:
        print(json.dumps(rows, indent=1))


def _beside(report: str) -> int:
    """The level of messages: they go to stderr where the report itself goes to stdout, for programs to read."""
    return logging.INFO if report else logging.WARNING
