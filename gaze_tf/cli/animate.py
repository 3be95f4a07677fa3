"""gaze-tf animate --input=photo.jpg --output=photo.gif

Moves the eyes of a photo from where they look (alpha 0) to the camera (alpha 1) and back, as a GIF or a video (.mp4).
Beyond 0 and 1 it extrapolates (the paper goes to 1.4).
"""

import sys

from absl import flags

from gaze_tf.cli import photo_flags
from gaze_tf.errors import GazeError


def define_flags(values):
    photo_flags.define_flags(values)
    photo_flags.define_mark_flag(values)
    flags.DEFINE_list(
        'alpha', ['0', '1'], 'First and last alpha: 0 is the gaze as it was, 1 at the camera.', flag_values=values
    )
    flags.DEFINE_integer(
        'frames', 11, 'Frames from the first to the last alpha.', lower_bound=2, upper_bound=10_000, flag_values=values
    )
    flags.DEFINE_float('fps', 10.0, 'Frames a second.', lower_bound=0.1, upper_bound=240, flag_values=values)
    flags.DEFINE_boolean('ping_pong', True, 'Play them forward and back.', flag_values=values)
    flags.DEFINE_enum('easing', 'smooth', ['smooth', 'linear'], 'smooth: slow at both ends.', flag_values=values)
    flags.DEFINE_enum(
        'format', 'gif', ['gif', 'mp4'], 'Of several photos: the format of the results.', flag_values=values
    )
    flags.DEFINE_integer(
        'max_side',
        1080,
        'Larger photos are reduced to so many pixels on their longer side.',
        lower_bound=16,
        flag_values=values,
    )


def run(values):
    eyes, alpha = photo_flags.validate_photo_flags(values), photo_flags.numbers(values, 'alpha')
    if len(alpha) != 2:
        raise GazeError(f'--alpha={",".join(values.alpha)} must be two numbers.')
    from gaze_tf.editing import source_files

    if source_files.is_video(values.input):
        raise GazeError(f'--input={values.input} is a video: animate takes photos; `gaze-tf correct` takes videos.')
    if source_files.is_single(values.input):
        sources = [source_files.find_one(values.input, eyes, values.output, ('.gif', '.mp4'), values.overwrite)]
    else:
        if eyes:
            raise GazeError(f'--eyes goes with one photo, not with {values.input}.')
        sources, note = source_files.find_several(
            values.input, values.output, f'.{values.format}', values.domain, values.last
        )
        if note:
            print(note, file=sys.stderr)
    gif = sources[0].output.suffix.lower() == '.gif'
    if not gif:
        from gaze_tf.media.ffmpeg import ffmpeg

        ffmpeg()  # whether it is there should be known at once

    # TensorFlow takes seconds to import: after the flags are known to be good
    from tqdm import tqdm

    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.media import animation

    if gif and values.fps > animation.GIF_MAX_FPS:
        print(
            f'GIF holds at most {animation.GIF_MAX_FPS} frames a second (pauses are hundredths of a second, and of less '
            f'than two browsers make ten): --fps={values.fps:g} is shown that fast. .mp4 holds more.',
            file=sys.stderr,
        )
    editor, rows = GazeEditor.load(values.model, photo_flags.limits(values)), []
    for source in tqdm(sources, unit=' photos', disable=len(sources) == 1):
        try:
            reports = _animate(editor, source, alpha, values)
        except GazeError as error:
            if len(sources) == 1:
                raise
            rows.append(
                {
                    'file': str(source.path),
                    'error': str(error),
                    'status': 'unchanged' if isinstance(error, photo_flags.NothingEdited) else 'failed',
                }
            )
        else:
            rows.append({'file': str(source.path), 'status': 'animated'})
    if len(sources) > 1:
        return photo_flags.summary(rows, values.output)
    print('\n'.join([f'Wrote {sources[0].output}', *photo_flags.describe(reports)]))


def _animate(editor, source, alpha, values):
    """Writes one animation; the FaceReports of its photo."""
    from gaze_tf.media import animation
    from gaze_tf.media.photo import Photo

    rgb, eyes = animation.reduced(Photo.open(source.path).rgb, source.eyes, values.max_side)
    course = animation.course(*alpha, values.frames, values.easing, values.ping_pong)
    animation.refuse_too_much(source.output, len(course), rgb.shape[1::-1])
    frames, reports = editor.animate(rgb, course, eyes, values.faces, values.blend)
    photo_flags.refuse_if_none(source.path, reports)
    animation.write(source.output, frames, values.fps, values.mark)
    return reports
