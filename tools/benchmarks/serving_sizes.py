"""python -m tools.benchmarks.serving_sizes --model=runs/saved_model/1

Measures the memory and time that each signature of an exported version takes, to choose a server. Prints a row for each
call, in order: the peak of the process's memory so far, and the seconds of the second call (the first builds the
graph).
"""

import functools
import io
import os
import resource
import sys
import time

import numpy as np
from absl import app, flags
from PIL import Image

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# width, height, number; the last have as many pixels as a request may have
PHOTOS = (1024, 1024, 1), (1024, 1024, 8), (4000, 3000, 1), (8000, 8000, 1), (8000, 8000, 3)
FRAMES = 10


def peak():
    """Peak memory in GB (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def row(text, work=None):
    seconds = ''
    if work:
        work()
        start = time.perf_counter()
        work()
        seconds = f'{time.perf_counter() - start:.2f}'
    print(f'{text:44} {peak():6.2f} {seconds:>8}', flush=True)


def jpeg(width, height):
    """A JPEG of smooth noise."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(file, 'JPEG', quality=90)
    return file.getvalue()


def main(_):
    if not os.path.isfile(os.path.join(flags.FLAGS.model, 'saved_model.pb')):
        sys.exit(f'--model: there is no SavedModel in {flags.FLAGS.model}: name a version, such as runs/saved_model/1.')
    import tensorflow as tf

    from gaze_tf.export import checks

    print(f'{"":44} {"GB":>6} {"seconds":>8}')
    row('TensorFlow in Python')
    loaded = tf.saved_model.load(flags.FLAGS.model)
    run = loaded.signatures
    row('SavedModel loaded')
    size = run['correct'].structured_input_signature[1]['images'].shape[1]
    for count, frames in (
        (1, FRAMES),
        (8, FRAMES),
        (checks.MAX_ROWS, checks.MAX_FRAME_PIXELS // checks.MAX_ROWS // size**2),
    ):
        faces = {
            'images': tf.fill([count, size, size, 3], tf.constant(100, tf.uint8)),
            'eyes': tf.tile([[0.3 * size, 0.4 * size, 0.7 * size, 0.4 * size]], [count, 1]),
        }
        alphas = tf.tile([tf.linspace(0.0, 1.0, frames)], [count, 1])
        row(f'correct, faces: {count}', functools.partial(run['correct'], **faces))
        row(f'animate, {frames} frames, faces: {count}', functools.partial(run['animate'], alphas=alphas, **faces))
    for width, height, count in PHOTOS:
        files = tf.constant([jpeg(width, height)] * count)
        eyes = tf.tile([[0.4 * width, 0.4 * height, 0.55 * width, 0.4 * height]], [count, 1])
        row(
            f'correct_encoded, {width}x{height}, photos: {count}',
            functools.partial(run['correct_encoded'], image=files, eyes=eyes),
        )


if __name__ == '__main__':
    flags.DEFINE_string('model', None, 'A SavedModel.', required=True)
    app.run(main)
