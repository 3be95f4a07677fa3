"""Photos with known faces, and helpers for tests that edit them."""

import numpy as np
from PIL import Image

from gaze_tf.inference.faces import Face
from tests import tiny
from tests.paths import DATA

EYES = (9, 12, 22, 13)
PHOTO, PHOTO_EYES = DATA / 'astronaut_128.png', (39, 44, 89, 47)
PORTRAIT, PORTRAIT_EYES = DATA / 'portrait.png', (128, 100.5, 172, 103)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def eyes_flag(eyes):
    return ','.join(map(str, eyes))


SMALL, LARGE = Face((40, 50, 70, 50), eye_width=16.0), Face((120, 60, 180, 66), eye_width=32.0)
TURNED = Face((30, 160, 60, 160), eye_width=16.0, yaw=70.0)
SCENE = tiny.smooth_image(np.random.default_rng(8), 240)


def changed_at(before, after):
    """Which of the eyes (large left and right, small, turned) are not what they were."""
    return [
        bool((before[int(y), int(x)] != after[int(y), int(x)]).any())
        for face in (LARGE, SMALL, TURNED)
        for x, y in np.reshape(face.eyes, (2, 2))
    ]


def rows_of(faces_dir, name):
    """[(name, eyes)] of a table of the raw folder."""
    lines = [line.split(' ') for line in (faces_dir / f'{name}.txt').read_text().splitlines()]
    return [(fields[0], [float(value) for value in fields[1:]]) for fields in lines]
