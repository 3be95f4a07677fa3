"""python -m tools.look_grid --output=docs/look_grid.jpg

One face that looks in 15 directions: yaw -20 to 20 degrees from left to right, pitch 12 to -12 from top to bottom.
"""

import os
import pathlib

# before TensorFlow is imported: its start-up chatter buries the messages
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
from absl import app, flags
from PIL import Image

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.options import LookOptions

ROOT = pathlib.Path(__file__).resolve().parents[1]
YAWS, PITCHES = (-20, -10, 0, 10, 20), (12, 0, -12)
SIZE = 300, 140  # pixels of a picture of the grid


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    editor = GazeEditor.load(flags.FLAGS.model or None)
    work = editor.prepare(flags.FLAGS.input)
    x0, y0, x1, y1 = work.reports[0].face.eyes
    middle, across = np.array([x0 + x1, y0 + y1]) / 2, x1 - x0
    half = across * np.array([1, SIZE[1] / SIZE[0]])
    box = tuple(np.concatenate([middle - half, middle + half]).round().astype(int))
    rows = []
    for pitch in PITCHES:
        edited = [editor.paint([work], look=LookOptions(look=(yaw, pitch)))[0].image for yaw in YAWS]
        crops = [Image.fromarray(image).crop(box).resize(SIZE, Image.Resampling.BICUBIC) for image in edited]
        rows.append(np.concatenate([np.asarray(crop) for crop in crops], axis=1))
    Image.fromarray(np.concatenate(rows)).save(flags.FLAGS.output, quality=90)


if __name__ == '__main__':
    flags.DEFINE_string('input', str(ROOT / 'tests/data/portrait.png'), 'A photo.')
    flags.DEFINE_string('output', None, 'The picture to write.', required=True)
    flags.DEFINE_string('model', '', 'As of gaze-tf correct.')
    app.run(main)
