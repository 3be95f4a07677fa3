"""A small rendered data set, and networks and an estimator of which one knows what they do to it."""

import csv
from pathlib import Path

import numpy as np

from gaze_tf.evaluation.painted import ALPHAS
from gaze_tf.evaluation.samples import Samples
from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic.draw_options import DrawOptions

OPTIONS = {'img_size': 64, 'num_x': 4, 'num_y': 3, 'test_x': 4, 'test_y': 8, 'seed': 5}
HELD_OUT = {'x': 4, 'y': 8}
FLAGS = {'test_x': 4, 'test_y': 8}


def render(folder):
    """Renders the data set: 4 + 3 faces to train on, 4 + 8 held out."""
    assert synthetic_faces.generate(folder, DrawOptions(**OPTIONS), workers=1)


def samples(folder, size=64, **changes):
    return Samples(folder, size, {**HELD_OUT, **changes})


def truth(folder):
    """{name: row} of truth.csv."""
    with open(Path(folder) / 'truth.csv', newline='') as file:
        return {row['name']: row for row in csv.DictReader(file)}


class DoNothing:
    """A network that returns what it is given. Boxes are 17 x 13 pixels."""

    img_size = 64

    def boxes(self, eyes):
        return np.array([(int(x) - 8, int(y) - 6, int(x) + 9, int(y) + 7) for x, y in np.reshape(eyes, (2, 2))])

    def correct(self, images, eyes):
        return images.copy()

    def animate(self, images, eyes, alphas):
        return np.repeat(images[:, None], len(alphas), axis=1)

    def encode(self, images, eyes):
        return {'content': np.stack([images.mean((1, 2, 3)), images[:, 0, 0, 0]], axis=1).astype(np.float32)}


class Perfect(DoNothing):
    """A network that puts the twin's eyes into the boxes, and marks animation frames so that an Oracle can read
    them."""

    def __init__(self, samples):
        self._y = samples.read('y', samples.names['y'])

    def _own(self, image):
        return next(n for n, sample in enumerate(self._y) if (sample.image == image).all())

    def correct(self, images, eyes):
        return np.stack([self._corrected(image) for image in images])

    def _corrected(self, image):
        if not any((sample.image == image).all() for sample in self._y):
            return image.copy()  # of X
        sample, corrected = self._y[self._own(image)], image.copy()
        for x0, y0, x1, y1 in self.boxes(sample.eyes):
            corrected[y0:y1, x0:x1] = sample.twin[y0:y1, x0:x1]
        return corrected

    def animate(self, images, eyes, alphas):
        frames = np.repeat(images[:, None], len(alphas), axis=1)
        for n, image in enumerate(images):
            x0, y0, _, _ = self.boxes(eyes[n])[0]
            for k in range(len(alphas)):
                frames[n, k, y0, x0] = 255, self._own(image), k
        return frames


class Oracle:
    """An estimator that reads true gazes: of inputs, of twins and of whatever has their eyes, and of Perfect's
    frames."""

    error = {'mean': 0.0, 'median': 0.0, 'p90': 0.0, 'renderings': 8}
    fingerprint = 'none'

    def __init__(self, samples):
        self._y = samples.read('y', samples.names['y'])
        self._boxes = DoNothing().boxes

    def __call__(self, images, eyes):
        return np.stack([self._read(image, self._boxes(own)) for image, own in zip(images, eyes)])

    def _read(self, image, boxes):
        x0, y0, _, _ = boxes[0]
        mark, n, k = (int(level) for level in image[y0, x0])
        if mark == 255 and n < len(self._y) and k < len(ALPHAS):
            return (1 - ALPHAS[k]) * self._y[n].truth.gaze

        def same(other):
            return all((other[y0:y1, x0:x1] == image[y0:y1, x0:x1]).all() for x0, y0, x1, y1 in boxes)

        return next(
            sample.truth.gaze if same(sample.image) else np.zeros(2)
            for sample in self._y
            if same(sample.image) or same(sample.twin)
        )
