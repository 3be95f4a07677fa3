"""Which faces a report shows, and their pictures: input, corrected and twin with eyes enlarged; animations by frames."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gaze_tf.evaluation.evaluate import ALPHAS, batch_of

CASES = 6  # of each kind
STRIPS = 6
# by what faces are ranked: the first of these that was measured, with its unit
RANKED_BY = (
    ('angle_after', 'estimated degrees to the camera after correction'),
    ('l1_twin', 'mean difference to the twin inside the boxes, in grey levels'),
    ('l1_boxes', 'mean difference of the animation with alpha 0 to the input, in grey levels'),
)
EYE_MARGIN = 4  # pixels around an eye box that are shown with it
_FACE_PX, _EYE_PX, _GAP, _HEADER = 220, 150, 4, 18
_STRIP_EYE_PX = 104


class Cases(NamedTuple):
    """Names of faces of Y to show, the best and the worst first."""

    best: list
    worst: list
    random: list
    ranked_by: str


def choose(rows, seed):
    """Cases of the rows of Y; random ones by the seed."""
    rows = [row for row in rows if row['domain'] == 'y']
    key, ranked_by = next(pair for pair in RANKED_BY if pair[0] in rows[0])
    order = [row['name'] for row in sorted(rows, key=lambda row: (row[key], row['name']))]
    drawn = np.random.default_rng(seed).permutation(len(rows))[:CASES]
    return Cases(order[:CASES], order[::-1][:CASES], [rows[n]['name'] for n in drawn], ranked_by)


def draw(network, samples, cases, rows, folder, batch_size=16):
    """Writes case-NUMBER.png of every face that Cases name and strip-NUMBER.png of the random ones into a folder.

    Returns ({name: file name of its case}, {name: file name of its strip}).
    """
    rows = {row['name']: row for row in rows if row['domain'] == 'y'}
    names = list(dict.fromkeys(cases.best + cases.worst + cases.random))
    shown, strips = {}, {}
    for start in range(0, len(names), batch_size):
        part = names[start : start + batch_size]
        batch = batch_of(network, samples.read('y', part))
        corrected = network.correct(batch.images, batch.eyes)
        for n, name in enumerate(part):
            shown[name] = f'case-{len(shown):02d}.png'
            twin = None if batch.twins is None else batch.twins[n]
            _case(batch.images[n], corrected[n], twin, batch.boxes[n]).save(folder / shown[name])
    drawn = cases.random[:STRIPS]
    for start in range(0, len(drawn), batch_size):
        part = drawn[start : start + batch_size]
        batch = batch_of(network, samples.read('y', part))
        frames = network.animate(batch.images, batch.eyes, ALPHAS)
        for n, name in enumerate(part):
            strips[name] = f'strip-{len(strips):02d}.png'
            _strip(frames[n], batch.boxes[n], rows[name]).save(folder / strips[name])
    return shown, strips


def _case(before, after, twin, boxes):
    """Cells side by side: the face and, beside it, its two eyes enlarged."""
    pictures = {'input': before, 'corrected': after, **({} if twin is None else {'at the camera': twin})}
    width = _FACE_PX + _EYE_PX + 3 * _GAP
    whole = Image.new('RGB', (width * len(pictures), _HEADER + _FACE_PX + _GAP), 'white')
    pen = ImageDraw.Draw(whole)
    for column, (title, picture) in enumerate(pictures.items()):
        left = column * width
        pen.text((left, 3), title, fill='black')
        face = Image.fromarray(picture).resize((_FACE_PX, _FACE_PX), Image.Resampling.LANCZOS)
        whole.paste(face, (left, _HEADER))
        for row, box in enumerate(boxes):
            eye = enlarged_eye(picture, box, (_EYE_PX, (_FACE_PX - _GAP) // 2))
            whole.paste(eye, (left + _FACE_PX + _GAP, _HEADER + row * (_FACE_PX + _GAP) // 2))
    return whole


def _strip(frames, boxes, row):
    """The eyes in each frame, over them alpha and under them the estimated angle to the camera, if there is one."""
    eyes = [[enlarged_eye(frame, box, (_STRIP_EYE_PX, _STRIP_EYE_PX)) for box in boxes] for frame in frames]
    heights = [max(pair[k].height for pair in eyes) for k in range(2)]
    footer = _HEADER if f'angle@{ALPHAS[0]:g}' in row else 0
    whole = Image.new('RGB', ((_STRIP_EYE_PX + _GAP) * len(frames), _HEADER + sum(heights) + _GAP + footer), 'white')
    pen = ImageDraw.Draw(whole)
    for column, (alpha, pair) in enumerate(zip(ALPHAS, eyes)):
        left = column * (_STRIP_EYE_PX + _GAP)
        pen.text((left, 3), f'alpha {alpha:g}', fill='black')
        whole.paste(pair[0], (left, _HEADER))
        whole.paste(pair[1], (left, _HEADER + heights[0] + _GAP))
        if footer:
            pen.text((left, whole.height - footer + 3), f'{row[f"angle@{alpha:g}"]:.1f} degrees', fill='black')
    return whole


def enlarged_eye(picture, box, limit):
    """An eye box with a margin, enlarged to fit into limit (width, height)."""
    size = len(picture)
    x0, y0, x1, y1 = (int(edge) for edge in box)
    around = max(x0 - EYE_MARGIN, 0), max(y0 - EYE_MARGIN, 0), min(x1 + EYE_MARGIN, size), min(y1 + EYE_MARGIN, size)
    width, height = around[2] - around[0], around[3] - around[1]
    scale = min(limit[0] / width, limit[1] / height)
    return Image.fromarray(picture).resize(
        (max(int(width * scale), 1), max(int(height * scale), 1)), Image.Resampling.BICUBIC, around
    )
