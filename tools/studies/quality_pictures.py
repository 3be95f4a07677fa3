"""The pictures of the quality benchmark: what each variant makes of the same held-out faces, and how the method
animates."""

import numpy as np
from PIL import Image, ImageDraw

from gaze_tf.evaluation.painted import ALPHAS, Painted
from gaze_tf.evaluation.report.eyes import EYE_MARGIN, enlarged_eye
from gaze_tf.evaluation.samples import Samples
from gaze_tf.files import new_file
from gaze_tf.inference.network import Network

FACES, ANIMATED = 8, 4  # the first held-out ones of domain Y
_SCALE, _GAP, _HEADER = 3, 4, 30
_LINE = 22  # letters that fit over a column


def draw(results, faces, models):
    """Writes faces.png and animation.png into the folder `results`.

    faces: folder of `gaze-tf draw-dataset`. models: {what it is: folder of its SavedModel}; the first one animates.
    """
    networks = {what: Network(str(folder)) for what, folder in models.items()}
    if not networks:
        return
    network = next(iter(networks.values()))
    samples = Samples(faces, network.img_size, {'y': _held_out(faces)}, frame_eyes=network.frame_eyes)
    batch = Painted(network, samples.read('y', samples.names['y'][:FACES]))
    columns = {
        'input': batch.images,
        **{what: own.correct(batch.images, batch.eyes) for what, own in networks.items()},
        'rendered at the camera': batch.twins,
    }
    _save(_grid(columns, batch.boxes), results / 'faces.png')
    frames = network.animate(batch.images[:ANIMATED], batch.eyes[:ANIMATED], ALPHAS)
    moved = {f'alpha {alpha:g}': frames[:, k] for k, alpha in enumerate(ALPHAS)}
    _save(_grid(moved, batch.boxes), results / 'animation.png')


def _save(image, path):
    with new_file(path) as file:
        image.save(file, 'PNG')


def _held_out(faces):
    """How many rows of 0.txt are held out: those with a twin."""
    return len(list((faces / 'twins').glob('*.png')))


def _grid(columns, boxes):
    """Both eyes of each face, one below the other; columns: {title: images}."""
    cells = [[_eyes(image, own) for image, own in zip(images, boxes)] for images in columns.values()]
    width, height = cells[0][0].size
    grid = Image.new('RGB', (len(columns) * (width + _GAP), _HEADER + len(cells[0]) * (height + _GAP)), 'white')
    pen = ImageDraw.Draw(grid)
    for column, (title, line) in enumerate(zip(columns, cells)):
        pen.text((column * (width + _GAP) + 2, 2), _wrapped(title), fill='black', spacing=1)
        for row, cell in enumerate(line):
            grid.paste(cell, (column * (width + _GAP), _HEADER + row * (height + _GAP)))
    return grid


def _wrapped(title):
    words, lines = title.split(), ['']
    for word in words:
        if len(lines[-1]) + len(word) >= _LINE:
            lines.append('')
        lines[-1] = f'{lines[-1]} {word}'.strip()
    return '\n'.join(lines)


def _eyes(image, boxes):
    """The two eye boxes with a margin, enlarged."""
    width, height = (int(_SCALE * length) for length in np.max(boxes[:, 2:] - boxes[:, :2], axis=0) + 2 * EYE_MARGIN)
    cell = Image.new('RGB', (width, 2 * height + 1), 'white')
    for index, box in enumerate(boxes):
        cell.paste(enlarged_eye(image, box, (width, height)), (0, index * (height + 1)))
    return cell
