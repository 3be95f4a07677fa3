"""Folders of photos, and runs over them with a detector and a network made by hand."""

import json
import os

import numpy as np
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.inference.faces import Face
from tests import tiny

EYES = (40.0, 50.0, 70.0, 50.0)
SCENE = tiny.smooth_image(np.random.default_rng(8), 120)


def detector(rgb):
    """Finds a face wherever the photo's first pixel is not black; it looks aside where that is not white."""
    if not rgb[0, 0].any():
        return []
    aside = 0 if rgb[0, 0].min() > 200 else 2
    return [Face(EYES, irises=(40.0 + aside, 50, 70 + aside, 50), eye_width=16.0, yaw=0.0, roll=0.0)]


def write(folder, name, corner=255, size=120):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = SCENE.copy()
    pixels[0, 0] = corner
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(folder / name)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def run(tmp_path, **changes):
    options = {'model': 'model', 'input': tmp_path / 'in', 'output': tmp_path / 'out', 'blend': 'hard', **changes}
    return main(['correct', *tiny.arguments(**options)])


def report(tmp_path):
    return {
        os.path.basename(row['file']): row
        for row in json.loads((tmp_path / 'out' / 'report.json').read_text())['photos']
    }
