"""gaze-tf animate --input=photo.jpg --output=photo.gif

Moves the eyes of a photo from where they look (alpha 0) to the camera (alpha 1) and back, as a GIF or a video (.mp4).
Alphas below 0 and above 1 extrapolate (the paper goes to 1.4).
"""

import dataclasses
import logging
import pathlib
from typing import Any

from absl import flags

from gaze_tf.cli import option_flags, photo_flags
from gaze_tf.editing.options import AnimationOptions, ModelOptions, SourceOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_lazy_detector
from gaze_tf.inference.faces import Limits
from gaze_tf.options import Options, option

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FormatOptions(Options):
    """What is written."""

    format: str = option('gif', 'With several photos: the format of the results.', choices=('gif', 'mp4'))


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, SourceOptions, AnimationOptions, Limits, DetectorOptions, ModelOptions, FormatOptions)


def run(values: flags.FlagValues) -> int | None:
    photos = photo_flags.validate_photo_flags(values)
    options = option_flags.read(values, AnimationOptions)
    from gaze_tf.editing import source_files

    if source_files.is_video(photos.input):
        raise GazeError(f'--input={photos.input} is a video: animate takes photos; `gaze-tf correct` takes videos.')
    if source_files.is_single(photos.input):
        sources = [source_files.find_one(photos, ('.gif', '.mp4'))]
    else:
        if photos.eyes:
            raise GazeError(f'--eyes goes with one photo, not with {photos.input}.')
        sources, left_out = source_files.find_several(photos, f'.{option_flags.read(values, FormatOptions).format}')
        if left_out:
            _log.warning(left_out)
    assert sources[0].output is not None
    gif = sources[0].output.suffix.lower() == '.gif'
    if not gif:
        from gaze_tf.media.ffmpeg import find_ffmpeg

        find_ffmpeg()  # a missing one should be known at once

    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import gaze_path
    from gaze_tf.media import animation

    if gif and options.fps > animation.GIF_MAX_FPS:
        _log.warning(
            f'GIF holds at most {animation.GIF_MAX_FPS} frames a second (pauses are hundredths of a second, and '
            f'browsers turn less than two of them into ten): --fps={options.fps:g} is shown that fast. '
            '.mp4 holds more.'
        )
    away = gaze_path.away(gaze_path.parse(options.path))
    editor = photo_flags.load_editor(values, make_lazy_detector(values.face_model), away)
    if len(sources) > 1:
        return photo_flags.summary(_animate_several(editor, sources, options), photos.output)
    reports = _animate(editor, sources[0], options)
    _log.info('\n'.join([f'Wrote {sources[0].output}', *photo_flags.describe(reports)]))
    return None


def _animate_several(editor: Any, sources: list, options: AnimationOptions) -> list[dict[str, Any]]:
    from tqdm import tqdm

    rows = []
    for source in tqdm(sources, unit=' photos'):
        row = {'file': str(source.path), 'status': 'animated'}
        try:
            _animate(editor, source, options)
        except GazeError as error:
            row['error'] = str(error)
            row['status'] = 'unchanged' if isinstance(error, photo_flags.NothingEdited) else 'failed'
        rows.append(row)
    return rows


def _animate(editor: Any, source: Any, options: AnimationOptions) -> list:
    """Writes one animation; returns the FaceReports of its photo."""
    import numpy as np

    from gaze_tf.editing import gaze_path
    from gaze_tf.media import animation
    from gaze_tf.media.photo import Photo

    rgb, eyes = animation.shrink(Photo.open(source.path).rgb, source.eyes, options.max_side)
    path = gaze_path.parse(options.path)
    if path:
        course = np.array(gaze_path.directions(path, options.frames, options.fps, options.easing == 'smooth'))
        animate = editor.animate_along
    else:
        first, last = options.alpha
        course = animation.compute_alphas(first, last, options.frames, options.easing, options.ping_pong)
        animate = editor.animate
    animation.check_size(source.output, len(course), rgb.shape[1::-1])
    frames, reports = animate(rgb, course, eyes, options.faces, options.blend)
    photo_flags.refuse_if_none(pathlib.Path(source.path), reports)
    animation.write(source.output, frames, options.fps, options.mark)
    return reports
