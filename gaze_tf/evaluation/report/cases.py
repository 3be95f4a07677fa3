"""Which faces a report shows, and their pictures: input, correction and twin with enlarged eyes; frames of
animations."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gaze_tf.evaluation.metrics.catalog import column_metric
from gaze_tf.evaluation.painted import ALPHAS, Painted
from gaze_tf.evaluation.report.eyes import enlarged_eye
from gaze_tf.evaluation.samples import Samples

CASES = 6  # of each kind
STRIPS = 6
# faces are ranked by the first of these columns that was measured
RANKED_BY = ('angle_after', 'l1_twin', 'l1_boxes')
_FACE_PX, _EYE_PX, _GAP, _HEADER = 220, 150, 4, 18
_STRIP_EYE_PX = 104


class Cases(NamedTuple):
    """Names of faces of Y to show: the best from the best on, the worst from the worst on, and random ones."""

    best: list
    worst: list
    random: list
    ranked_by: str


def choose(rows: list[dict], seed: int) -> Cases:
    """Cases of the rows of Y; `seed` draws the random ones."""
    column = next(name for name in RANKED_BY if name in rows[0])
    metric = column_metric(column)
    order = [row['name'] for row in sorted(rows, key=lambda row: (row[column], row['name']))]
    if metric.higher_is_better:
        order.reverse()
    drawn = np.random.default_rng(seed).permutation(len(rows))[:CASES]
    return Cases(order[:CASES], order[::-1][:CASES], [rows[n]['name'] for n in drawn], metric.title)


def draw(
    network: Any, samples: Samples, cases: Cases, rows: dict[str, dict], folder: pathlib.Path, batch_size: int = 16
) -> tuple[dict[str, str], dict[str, str]]:
    """Writes case-NUMBER.png of every face that Cases name and strip-NUMBER.png of the random ones into a folder.

    rows: {name: row} of Y. Returns ({name: file name of its case}, {name: file name of its strip}).
    """
    names = list(dict.fromkeys(cases.best + cases.worst + cases.random))
    shown: dict[str, str] = {}
    strips: dict[str, str] = {}
    for start in range(0, len(names), batch_size):
        part = names[start : start + batch_size]
        painted = Painted(network, samples.read('y', part))
        for n, name in enumerate(part):
            shown[name] = f'case-{len(shown):02d}.png'
            twin = None if painted.twins is None else painted.twins[n]
            _case(painted.images[n], painted.corrected[n], twin, painted.boxes[n]).save(folder / shown[name])
    drawn = cases.random[:STRIPS]
    for start in range(0, len(drawn), batch_size):
        part = drawn[start : start + batch_size]
        painted = Painted(network, samples.read('y', part))
        for n, name in enumerate(part):
            strips[name] = f'strip-{len(strips):02d}.png'
            _strip(painted.frames[n], painted.boxes[n], rows[name]).save(folder / strips[name])
    return shown, strips


def _case(before, after, twin, boxes):
    """Pictures side by side: each with the face and, to its right, both eyes enlarged."""
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
    """The eyes in each frame, with alpha above and the estimated angle to the camera, if there is one, below."""
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
