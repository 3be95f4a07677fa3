"""Measures a model on held-out faces: one row of numbers for each face, in batches, and results over all of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from gaze_tf.evaluation.metrics import calibration, frechet
from gaze_tf.evaluation.metrics.catalog import METRICS
from gaze_tf.evaluation.metrics.metric import ColumnMetric, FaceMetric, Figure, LateMetric
from gaze_tf.evaluation.painted import NO_TOOLS, Painted, Tools
from gaze_tf.evaluation.samples import Samples


class Measured:
    """The numbers of all faces.

    rows: {'x': [...], 'y': [...]}, a dict for each face in the order of the samples, {column of per_image.csv: value}.
    codes: content codes [N, c] of the inputs of domain Y, or None.
    features: {'x', 'y', 'corrected'} → {'faces': [N, 2048], 'eyes': [2N, 2048]}, or {}.
    seed: draws the subsets of KID.
    """

    def __init__(self, rows: dict, codes: np.ndarray | None, features: dict, seed: int = 0) -> None:
        self.rows: dict[str, list[dict]] = rows
        self.codes, self.features, self._seed = codes, features, seed
        self._distances: dict = {}

    def has(self, need: str) -> bool:
        """Whether there is what a metric needs: a column of domain Y, 'codes', 'features' or 'fits'."""
        if need in ('codes', 'features', 'fits'):
            found = getattr(self, need)
            return found is not None and len(found) > 0
        return need in self.rows['y'][0]

    def column(self, name: str, domain: str = 'y') -> np.ndarray:
        """A column of numbers [N]."""
        return np.array([row[name] for row in self.rows[domain]], float)

    @cached_property
    def fits(self) -> dict | None:
        """The lines by which iris offsets tell degrees, see calibration.fits."""
        return calibration.fits(self.rows['y'])

    def distance(self, kind: str, name: str) -> dict:
        """FID and KID of domain X to 'corrected' or untouched 'y', of 'faces' or 'eyes'."""
        if (kind, name) not in self._distances:
            pair = self.features[name][kind], self.features['x'][kind]
            mean, deviation = frechet.kid(*pair, self._seed)
            self._distances[kind, name] = {
                'fid': frechet.fid(*pair),
                'kid': mean,
                'kid_std': deviation,
                'pictures': [len(part) for part in pair],
            }
        return self._distances[kind, name]

    def results(self) -> dict:
        """What all METRICS say, as report.json has it; a block that was not measured is absent."""
        found: dict = {}
        for metric in METRICS:
            if not metric.result:
                continue
            if isinstance(metric, Figure):
                if all(map(self.has, metric.needs)):
                    _put(found, metric.result, metric.function(self))
            elif isinstance(metric, ColumnMetric) and metric.column in self.rows[metric.domain][0]:
                _put(found, metric.result, metric.statistics(self.column(metric.column, metric.domain)))
        return found


def measure(network: Any, samples: Samples, tools: Tools = NO_TOOLS, batch_size: int = 16, seed: int = 0) -> Measured:
    """Measures all Samples by a network as Painted takes it."""
    rows: dict[str, list] = {'x': [], 'y': []}
    codes: list = []
    features: dict = {}
    with tqdm(total=sum(map(len, samples.names.values())), unit=' faces', dynamic_ncols=True) as bar:
        for domain in 'xy':
            for part in samples.batches(domain, batch_size):
                painted = Painted(network, part, tools)
                rows[domain] += _rows(painted, domain)
                if domain == 'y' and painted.content is not None:
                    codes += list(painted.content)
                for name, kinds in painted.features().items():
                    for kind, values in kinds.items():
                        features.setdefault(name, {}).setdefault(kind, []).append(values)
                bar.update(len(part))
    whole = {name: {kind: np.concatenate(parts) for kind, parts in kinds.items()} for name, kinds in features.items()}
    measured = Measured(rows, np.stack(codes) if codes else None, whole, seed)
    for metric in METRICS:
        if isinstance(metric, LateMetric) and all(map(measured.has, metric.needs)):
            for row, value in zip(rows[metric.domain], metric.function(measured)):
                row[metric.column] = _plain(value)
    return measured


def _rows(painted, domain):
    rows = [{'domain': domain, 'name': sample.name} for sample in painted.samples]
    for metric in METRICS:
        if isinstance(metric, FaceMetric) and metric.domain == domain and all(map(painted.has, metric.needs)):
            for row, value in zip(rows, metric.function(painted)):
                row[metric.column] = _plain(value)
    return rows


def _plain(value):
    """A number of numpy as one of Python."""
    return value.item() if hasattr(value, 'item') else value


def _put(results, path, value):
    *blocks, name = path.split('/')
    for block in blocks:
        results = results.setdefault(block, {})
    results[name] = value
