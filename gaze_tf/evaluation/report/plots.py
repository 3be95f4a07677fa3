"""The plots of a report, as PNG files. matplotlib is imported here alone, and without pyplot, which would want a screen."""

import numpy as np
from matplotlib.figure import Figure

from gaze_tf.evaluation.evaluate import ALPHAS
from gaze_tf.evaluation.summary import column

_BLUE, _ORANGE, _GREY = '#1f6fb2', '#d9792b', '#888888'


def draw(rows, results, folder):
    """Writes what there is to plot into a folder; {file name: what it shows}."""
    x, y = ([row for row in rows if row['domain'] == domain] for domain in 'xy')
    found = {}
    for name, title, needed, plot in (
        (
            'before_after.png',
            'Estimated angle to the camera before and after correction, a dot each face',
            'gaze',
            _before_after,
        ),
        ('groups.png', 'The same by direction and by size of the true angle, mean', 'gaze', _groups),
        (
            'alphas.png',
            'Angle left along the way to the camera at each alpha, as a share of the first: intended, and '
            'achieved (mean, and 10th to 90th percentile)',
            'animation',
            _alphas,
        ),
        ('offsets.png', 'Iris offset before and after correction, a dot each face', 'iris_offset', _offsets),
        ('reconstruction.png', 'What the model gives back of what it was given', 'reconstruction', _reconstruction),
    ):
        if needed in results:
            figure = Figure(figsize=(6, 4.2), dpi=110)
            plot(figure.add_axes((0.13, 0.15, 0.84, 0.82)), x, y, results[needed])
            figure.savefig(folder / name, metadata={'Software': None})
            found[name] = title
    return found


def _scatter(axes, before, after, unit):
    axes.scatter(before, after, s=10, color=_BLUE, alpha=0.7)
    top = np.nanmax(np.concatenate([before, after, [1e-6]])) * 1.05
    axes.plot([0, top], [0, top], color=_GREY, linewidth=1, label='as before')
    axes.plot([0, top], [0, top / 4], color=_ORANGE, linewidth=1, linestyle='--', label='a quarter of before')
    axes.set(xlim=(0, top), ylim=(0, top), xlabel=f'before, {unit}', ylabel=f'after, {unit}')
    axes.legend(frameon=False)


def _before_after(axes, _, rows, __):
    _scatter(axes, column(rows, 'angle_before'), column(rows, 'angle_after'), 'degrees')


def _offsets(axes, _, rows, __):
    before, after = (column(rows, f'offset_size_{when}') for when in ('before', 'after'))
    _scatter(axes, before, after, 'eye widths')


def _groups(axes, _, __, results):
    groups = {**results['by_direction'], **{f'{name}°': group for name, group in results['by_size'].items()}}
    places = np.arange(len(groups))
    for shift, when, color in ((-0.2, 'before', _GREY), (0.2, 'after', _BLUE)):
        axes.bar(places + shift, [group[when]['mean'] for group in groups.values()], 0.38, color=color, label=when)
    axes.set_xticks(places, [f'{name}\n{group["before"]["faces"]}' for name, group in groups.items()], fontsize=8)
    axes.set(ylabel='degrees to the camera', xlabel='group and its number of faces')
    axes.legend(frameon=False)


def _alphas(axes, _, rows, __):
    left = 1 - np.stack([column(rows, f'progress@{alpha:g}') for alpha in ALPHAS])
    known = left[:, ~np.isnan(left).any(axis=0)]
    axes.plot(ALPHAS, 1 - np.array(ALPHAS), color=_GREY, linewidth=1, label='intended')
    if known.size:
        low, high = np.quantile(known, [0.1, 0.9], axis=1)
        axes.fill_between(ALPHAS, low, high, color=_BLUE, alpha=0.2)
        axes.plot(ALPHAS, known.mean(1), color=_BLUE, marker='o', markersize=4, label='achieved')
    axes.axvspan(0, 1, color=_GREY, alpha=0.08)
    axes.set(xlabel='alpha', ylabel='angle left, as a share')
    axes.legend(frameon=False)


def _reconstruction(axes, x, y, _):
    for rows, name, color in ((x, 'X corrected', _BLUE), (y, 'Y animated with alpha 0', _ORANGE)):
        values = column(rows, 'psnr_boxes')
        axes.hist(values[np.isfinite(values)], bins=20, color=color, alpha=0.6, label=name)
    axes.set(xlabel='PSNR inside the eye boxes, dB', ylabel='faces')
    axes.legend(frameon=False)
