"""gaze-tf correct --input=photo.jpg --output=corrected.jpg

Finds the faces in a photo and repaints their eyes so that they look at the camera. Outside the eyes every pixel stays
as it was (JPEGs are re-encoded once, with their original quantization tables). --input may also be a video, a folder or
a quoted pattern of photos. Faces that are small or turned, or whose eyes are closed or covered, are left as they are,
and the report says so. --dry_run instead of --output writes no picture: it measures where heads are turned and eyes
look, without a network, to find what is worth correcting.
"""

import dataclasses
import logging
import pathlib
from typing import Any

from absl import flags

from gaze_tf.cli import dry_run, option_flags, photo_flags
from gaze_tf.editing.options import CorrectOptions, ModelOptions, SourceOptions, VideoOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_detector, make_lazy_detector
from gaze_tf.inference.faces import Limits
from gaze_tf.options import Options, option

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ReportOptions(Options):
    """What is written: pictures, a report, or both."""

    dry_run: bool = option(
        False,
        'Write no picture: only find and measure, for `report`, which is printed if it has no name: of each face (and '
        'frame) the eyes, yaw, pitch and roll of the head in degrees, openness, where irises are in the eyes and look '
        'in degrees, and how strongly it would be corrected, or why not.',
    )
    format: str = option(
        '', "With several photos: the results' format; '': the format of each photo.", choices=('', 'png', 'jpg')
    )
    report: str = option(
        '',
        'JSON file for what was done to each face (several photos: report.json in `output`, but with `dry_run` this '
        'file; a video: CSV, with a row for each frame and face).',
        affects='files',
    )


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, SourceOptions, VideoOptions, Limits, DetectorOptions, ModelOptions, ReportOptions)


def run(values: flags.FlagValues) -> int | None:
    report = option_flags.read(values, ReportOptions)
    if report.dry_run and values.output:
        raise GazeError('--dry_run writes no picture: leave --output out; --report=FILE is where the report goes.')
    photos = photo_flags.validate_photo_flags(values, ['input'] if report.dry_run else ['input', 'output'])
    options = option_flags.read(values, VideoOptions)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import source_files

    several = not source_files.is_single(photos.input)
    if several and photos.eyes:
        raise GazeError(f'--eyes goes with one photo, not with {photos.input}.')
    if report.dry_run:
        return dry_run.run(values, photos, options, report.report)
    if several:
        return _correct_several(values, photos, report)
    if source_files.is_video(photos.input):
        _correct_video(values, photos, options, report.report)
    else:
        _correct_photo(values, photos, report)
    return None


def _correct_photo(values: flags.FlagValues, photos: SourceOptions, report: ReportOptions) -> None:
    if report.format:
        raise GazeError("--format goes with several photos; one's is the suffix of --output.")
    from gaze_tf.editing import source_files

    source = source_files.find_one(photos, source_files.OUTPUTS)
    from gaze_tf.editing.folder import face_row
    from gaze_tf.media.photo import Photo

    options, photo = option_flags.read(values, CorrectOptions), Photo.open(source.path)
    editor = photo_flags.load_editor(values, make_lazy_detector(values.face_model), options.away)
    edited = editor.correct(photo, source.eyes, options.faces, options.alpha, options.blend, options)
    photo_flags.refuse_if_none(source.path, edited.faces)
    assert source.output is not None
    edited.save(source.output, options.mark)
    if report.report:
        photo_flags.write_report(report.report, [face_row(face) for face in edited.faces])
    notes = [*photo.notes, *photo_flags.mark_notes(values, [source])]
    _log.info('\n'.join([f'Wrote {source.output}', *photo_flags.describe(edited.faces), *notes]))


def _correct_several(values: flags.FlagValues, photos: SourceOptions, report: ReportOptions) -> int:
    from gaze_tf.editing import source_files

    if report.report:
        raise GazeError(f'--report goes with one photo or video; of {photos.input} it is report.json in --output.')
    sources, left_out = source_files.find_several(photos, report.format and f'.{report.format}')
    for note in filter(None, [left_out, *photo_flags.mark_notes(values, sources)]):
        _log.warning(note)
    from gaze_tf.editing import folder

    options, limits = option_flags.read(values, CorrectOptions), photo_flags.limits(values)
    editor = photo_flags.load_editor(values, make_lazy_detector(values.face_model), options.away)
    settings = {
        'model': _identify_model(values.model, editor.network),
        **options.affecting('results'),
        **option_flags.read(values, DetectorOptions).affecting('results'),
        'limits': dataclasses.asdict(limits),
    }
    rows = folder.correct(editor, sources, photos.output, settings, options, redo=photos.overwrite)
    return photo_flags.summary(rows, photos.output)


def _identify_model(path: str, network: Any) -> str:
    """What tells the model of a run from others, for the report with which a later run continues."""
    if path:
        return str(pathlib.Path(path).resolve())
    from gaze_tf.data.records import file_sha256

    return f'{network.path.name} of gaze_tf, sha256 {file_sha256(network.path)}'


def _correct_video(values: flags.FlagValues, photos: SourceOptions, options: VideoOptions, report: str) -> None:
    from gaze_tf.editing import source_files
    from gaze_tf.media.video_files import SUFFIXES

    source = source_files.find_one(photos, SUFFIXES)
    from gaze_tf.editing import video

    detector = None if photos.eyes else make_detector(values.face_model, video.SMALLEST)
    editor = photo_flags.load_editor(values, detector, options.away)
    summary = video.correct(editor, source, report or None, options)
    _log.info('\n'.join([f'Wrote {source.output}: {summary}', *photo_flags.mark_notes(values, [source])]))
    if summary.problem:
        raise GazeError(f'{summary.problem} Only those are in {source.output}.')
