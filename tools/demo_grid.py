"""The training demo's picture: held-out faces as they were, masked, corrected, and as the renderer draws them at the
camera."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw

from gaze_tf import config
from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.evaluation.report.eyes import EYE_MARGIN, enlarged_eye
from gaze_tf.evaluation.samples import Samples

_SCALE, _EYE_SCALE, _HEADER = 1.5, 3, 24
_COLUMNS = ('input', 'masked input', 'corrected', 'rendered at the camera')


def draw(out: pathlib.Path, count: int) -> Image.Image:
    """The picture of the last `count` faces of domain Y in the folder `out` of tools/training_demo.py."""
    model = config.load(out / 'gaze' / config.CONFIG_NAME)['model']
    samples = Samples(out / 'faces', model.img_size, {'y': count}, frame_eyes=model.eye_shares)
    rows = []
    for sample in samples.read('y', samples.names['y']):
        boxes = eye_boxes(sample.eyes[None], model)[0].numpy().astype(int)
        masked = sample.image.copy()
        for y0, x0, y1, x1 in boxes:
            masked[y0:y1, x0:x1] = 128
        with Image.open(out / 'corrected' / f'{sample.name}.png') as image:
            corrected = np.array(image.convert('RGB'))
        rows.append([_cell(picture, boxes) for picture in (sample.image, masked, corrected, sample.twin)])
    return _grid(rows)


def _grid(cells):
    """The picture with a row for each face and a column for each of _COLUMNS."""
    width, height = cells[0][0].size
    grid = Image.new('RGB', (width * len(_COLUMNS), _HEADER + height * len(cells)), 'white')
    pen = ImageDraw.Draw(grid)
    for column, name in enumerate(_COLUMNS):
        pen.text((column * width + 6, 6), name, fill='black')
        for row, line in enumerate(cells):
            grid.paste(line[column], (column * width, _HEADER + row * height))
    return grid


def _cell(picture, boxes):
    """A face and, beside it, its eyes enlarged, with a margin around their boxes."""
    face = Image.fromarray(picture)
    side = round(picture.shape[0] * _SCALE)
    cell = face.resize((side, side), Image.Resampling.LANCZOS)
    eyes = []
    for y0, x0, y1, x1 in boxes:
        width, height = (_EYE_SCALE * int(length + 2 * EYE_MARGIN) for length in (x1 - x0, y1 - y0))
        eyes.append(enlarged_eye(picture, (x0, y0, x1, y1), (width, height)))
    whole = Image.new('RGB', (side + max(eye.width for eye in eyes) + 8, side), 'white')
    whole.paste(cell, (0, 0))
    for index, eye in enumerate(eyes):
        whole.paste(eye, (side + 2, index * (side // 2) + 2))
    return whole
