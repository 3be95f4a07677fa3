"""What the demo shows and measures: a grid of held-out faces, and where their irises are.

Positions of irises after correction are found by `iris.locate`, whose own error on real renderings, where
the renderer tells the truth, is in the report.
"""
import csv
import pathlib

import numpy as np
from PIL import Image, ImageDraw

import iris
from gaze_tf import config
from gaze_tf.data import celebagaze

ROWS = 12
_SCALE, _EYE_SCALE, _EYE_MARGIN, _HEADER = 1.5, 3, 4, 24
_COLUMNS = ('input', 'masked input', 'corrected', 'rendered at the camera')


def report(out):
    """Writes out/grid.png and returns the measurements, for out as `tools/demo.py` leaves it."""
    faces = list(_held_out(out))
    _grid(faces[:ROWS]).save(out / 'grid.png')
    return measure(faces)


def measure(faces):
    """Measurements of held-out faces, as a dictionary of plain numbers; distances are in pixels."""
    distance = {name: np.array([face[name] for face in faces]) for name in ('before', 'after')}
    nearer = (distance['after'] < distance['before']).all(axis=1)
    differences = {name: float(np.mean([np.abs(_inside(face, name) - _inside(face, 'at camera')).mean()
                                        for face in faces])) for name in ('input', 'corrected')}
    located = np.concatenate([face['locator error'] for face in faces])
    return {
        'faces': len(faces),
        'nearer': float(nearer.mean()),
        'iris_to_camera_px': {name: {'mean': float(d.mean()), 'median': float(np.median(d))}
                              for name, d in distance.items()},
        'difference_inside_boxes': {'before': differences['input'], 'after': differences['corrected'],
                                    'unit': 'grey levels of 255, mean absolute'},
        'locator_error_on_renderings_px': {'irises': len(located), 'median': float(np.median(located)),
                                           'p90': float(np.quantile(located, 0.9))},
    }


def _held_out(out):
    """The held-out Y faces with their pictures, boxes and iris distances."""
    geometry = config.load(out / 'gaze' / config.CONFIG_NAME)['model']
    with open(out / 'faces' / 'truth.csv', newline='') as file:
        truth = {row['name']: row for row in csv.DictReader(file) if row['domain'] == 'Y' and row['split'] == 'test'}
    for face in celebagaze.read_domain(out / 'faces', 'y').faces:
        if face.name in truth:
            yield _face(out, face, truth[face.name], geometry)


def _face(out, face, row, geometry):
    pictures = {'input': _read(face.path), 'corrected': _read(out / 'corrected' / f'{face.name}.png'),
                'rendered at the camera': _read(out / 'faces' / row['twin'])}
    boxes = [_box(face.eyes[:2], geometry), _box(face.eyes[2:], geometry)]
    pictures['masked input'] = pictures['input'].copy()
    for y0, x0, y1, x1 in boxes:
        pictures['masked input'][y0:y1, x0:x1] = 128

    def true(prefix):
        return np.array([[float(row[f'{prefix}{side}_iris_{axis}']) for axis in 'xy'] for side in ('left', 'right')])

    def located(name):
        return np.array([iris.locate(pictures[name], box) for box in boxes])

    def distances(a, b):
        return np.linalg.norm(a - b, axis=1)

    return {'pictures': pictures, 'boxes': boxes,
            # both found in the same way, so that doing nothing counts for nothing
            'before': distances(located('input'), true('twin_')),
            'after': distances(located('corrected'), true('twin_')),
            'locator error': np.concatenate([distances(located('input'), true('')),
                                             distances(located('rendered at the camera'), true('twin_'))])}


def _box(eye, geometry):
    """The eye box (y0, x0, y1, x1) in whole pixels, clipped to the image."""
    half = np.array([geometry.crop_h, geometry.crop_w]) / 2
    centre = np.array(eye[::-1])
    corners = np.floor([centre - half, centre + half]).astype(int)
    return np.clip(corners, 0, geometry.img_size).ravel()


def _inside(face, name):
    """The pixels inside both eye boxes, as floats."""
    picture = face['pictures']['rendered at the camera' if name == 'at camera' else name].astype(float)
    return np.concatenate([picture[y0:y1, x0:x1].ravel() for y0, x0, y1, x1 in face['boxes']])


def _read(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def _grid(faces):
    """A row for each face, a column for each of _COLUMNS: the face and, beside it, its eyes enlarged."""
    cells = [[_cell(face['pictures'][name], face['boxes']) for name in _COLUMNS] for face in faces]
    width, height = cells[0][0].size
    grid = Image.new('RGB', (width * len(_COLUMNS), _HEADER + height * len(cells)), 'white')
    draw = ImageDraw.Draw(grid)
    for column, name in enumerate(_COLUMNS):
        draw.text((column * width + 6, 6), name, fill='black')
        for row, line in enumerate(cells):
            grid.paste(line[column], (column * width, _HEADER + row * height))
    return grid


def _cell(picture, boxes):
    """A face and its two eyes, with a margin around their boxes, enlarged."""
    face = Image.fromarray(picture)
    side = round(picture.shape[0] * _SCALE)
    cell = face.resize((side, side), Image.Resampling.LANCZOS)
    eyes = []
    for y0, x0, y1, x1 in boxes:
        around = (x0 - _EYE_MARGIN, y0 - _EYE_MARGIN, x1 + _EYE_MARGIN, y1 + _EYE_MARGIN)
        size = tuple(_EYE_SCALE * length for length in (around[2] - around[0], around[3] - around[1]))
        eyes.append(face.crop(around).resize(size, Image.Resampling.BICUBIC))
    whole = Image.new('RGB', (side + max(eye.width for eye in eyes) + 8, side), 'white')
    whole.paste(cell, (0, 0))
    for index, eye in enumerate(eyes):
        whole.paste(eye, (side + 2, index * (side // 2) + 2))
    return whole
