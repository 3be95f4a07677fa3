"""The plots of a report, as PNG files. Only this module imports matplotlib, and not pyplot, which would need a
screen."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from gaze_tf.evaluation.measured import Measured
from gaze_tf.evaluation.metrics.catalog import column_metric
from gaze_tf.evaluation.metrics.metric import EYE_WIDTHS
from gaze_tf.evaluation.painted import ALPHAS

_BLUE, _ORANGE, _GRAY = '#1f6fb2', '#d9792b', '#888888'


class Plot(NamedTuple):
    """file: its name; title: what it shows; block: of the results that it needs; plot: (axes, Measured, results) draws
    it."""

    file: str
    title: str
    block: str
    plot: Callable


def draw(measured: Measured, results: dict, folder: pathlib.Path) -> dict[str, str]:
    """Writes the plots whose results there are into a folder; returns {file name: what it shows}."""
    found = {}
    for plot in PLOTS:
        if plot.block in results:
            figure = Figure(figsize=(6, 4.2), dpi=110)
            plot.plot(figure.add_axes((0.13, 0.15, 0.84, 0.82)), measured, results)
            figure.savefig(folder / plot.file, metadata={'Software': None})
            found[plot.file] = plot.title
    return found


def _scatter(name: str, unit: str) -> Callable:
    """A dot for each face: the columns NAME_before and NAME_after."""

    def plot(axes: Any, measured: Measured, _: dict) -> None:
        before, after = (measured.column(f'{name}_{when}') for when in ('before', 'after'))
        axes.scatter(before, after, s=10, color=_BLUE, alpha=0.7)
        top = np.nanmax(np.concatenate([before, after, [1e-6]])) * 1.05
        axes.plot([0, top], [0, top], color=_GRAY, linewidth=1, label='as before')
        axes.plot([0, top], [0, top / 4], color=_ORANGE, linewidth=1, linestyle='--', label='a quarter of before')
        axes.set(xlim=(0, top), ylim=(0, top), xlabel=f'before, {unit}', ylabel=f'after, {unit}')
        axes.legend(frameon=False)

    return plot


def _groups(axes, _, results):
    results = results['gaze']
    groups = {**results['by_direction'], **{f'{name}°': group for name, group in results['by_size'].items()}}
    places = np.arange(len(groups))
    for shift, when, color in ((-0.2, 'before', _GRAY), (0.2, 'after', _BLUE)):
        axes.bar(places + shift, [group[when]['mean'] for group in groups.values()], 0.38, color=color, label=when)
    axes.set_xticks(places, [f'{name}\n{group["before"]["faces"]}' for name, group in groups.items()], fontsize=8)
    axes.set(ylabel='degrees to the camera', xlabel='group and its number of faces')
    axes.legend(frameon=False)


def _alphas(axes, measured, _):
    left = 1 - np.stack([measured.column(f'progress@{alpha:g}') for alpha in ALPHAS])
    known = left[:, ~np.isnan(left).any(axis=0)]
    axes.plot(ALPHAS, 1 - np.array(ALPHAS), color=_GRAY, linewidth=1, label='intended')
    if known.size:
        low, high = np.quantile(known, [0.1, 0.9], axis=1)
        axes.fill_between(ALPHAS, low, high, color=_BLUE, alpha=0.2)
        axes.plot(ALPHAS, known.mean(1), color=_BLUE, marker='o', markersize=4, label='achieved')
    axes.axvspan(0, 1, color=_GRAY, alpha=0.08)
    axes.set(xlabel='alpha', ylabel='angle left, as a share')
    axes.legend(frameon=False)


def _reconstruction(axes, measured, _):
    metric = column_metric('psnr_boxes')
    for domain, name, color in (('x', 'X corrected', _BLUE), ('y', 'Y animated with alpha 0', _ORANGE)):
        values = measured.column(metric.column, domain)
        axes.hist(values[np.isfinite(values)], bins=20, color=color, alpha=0.6, label=name)
    axes.set(xlabel=f'PSNR inside the eye boxes, {metric.unit}', ylabel='faces')
    axes.legend(frameon=False)


PLOTS = (
    Plot(
        'before_after.png',
        'Estimated angle to the camera before and after correction, a dot for each face',
        'gaze',
        _scatter('angle', 'degrees'),
    ),
    Plot('groups.png', 'The same by direction and by size of the true angle, means', 'gaze', _groups),
    Plot(
        'alphas.png',
        'Angle that is left at each alpha, as a share of the first: intended, and achieved (mean, and 10th to 90th '
        'percentile)',
        'animation',
        _alphas,
    ),
    Plot(
        'offsets.png',
        'Iris offset before and after correction, a dot for each face',
        'iris_offset',
        _scatter('offset_size', EYE_WIDTHS),
    ),
    Plot('reconstruction.png', 'How well the model gives back what it was given', 'reconstruction', _reconstruction),
)
