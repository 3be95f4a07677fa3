"""gaze-tf animate --model=runs/demo/saved_model --input=face.png --eyes=39,46,89,46 --output=face.gif

Moves the eyes of aligned faces from where they look (alpha 0) to the camera (alpha 1) and back, as a GIF.
Beyond 0 and 1 it extrapolates (the paper goes to 1.4).
"""
import math

from absl import flags
import numpy as np

from gaze_tf.cli import faces
from gaze_tf.errors import GazeError


def define_flags(values):
    faces.define_flags(values)
    flags.DEFINE_list('alpha', ['0', '1'], 'First and last alpha: 0 is the gaze as it was, 1 at the camera.',
                      flag_values=values)
    flags.DEFINE_integer('frames', 11, 'Frames from the first to the last alpha; they play forward and back.',
                         lower_bound=2, flag_values=values)
    flags.DEFINE_float('fps', 10., 'Frames a second.', lower_bound=0.1, flag_values=values)


def run(values):
    alpha = ','.join(values.alpha)
    try:
        first, last = (float(number) for number in values.alpha)
    except ValueError as error:
        raise GazeError(f'--alpha={alpha} must be two numbers.') from error
    # absl's bounds let NaN through
    for name, text, numbers in (('alpha', alpha, (first, last)), ('fps', values.fps, (values.fps,))):
        if not all(math.isfinite(number) for number in numbers):
            raise GazeError(f'--{name}={text} must be finite.')
    alphas = np.linspace(first, last, values.frames)
    for editor, sources, images, eyes in faces.each_batch(values, ('.gif',), '.gif'):
        from gaze_tf.editing.editor import write_gif
        for source, frames in zip(sources, editor.animate(images, eyes, alphas)):
            write_gif(source.output, frames, values.fps)
