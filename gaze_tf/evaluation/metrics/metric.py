"""What a metric is: one object says how it is measured, where its result goes, and how a report shows it.

`catalog.METRICS` holds all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gaze_tf.evaluation.metrics.statistics import stats

if TYPE_CHECKING:
    from gaze_tf.evaluation.measured import Measured
    from gaze_tf.evaluation.painted import Painted

DELTA_E, EYE_WIDTHS = 'ΔE (CIEDE2000)', 'eye widths'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """What all metrics have in common.

    result: where its value is in `results` of report.json, keys joined by '/'; '' if it is a column of per_image.csv
    only.
    needs: what must be there for it to be measured; see the subclasses.
    title: its row in the report's table; '' if the table leaves it out.
    unit: what the table adds to the numbers; or a function of the content of report.json where it tells more, such as
    how many faces.
    digits: decimals in the table.
    scale: what the table multiplies the value by, 100 for percent.
    """

    result: str = ''
    needs: tuple[str, ...] = ()
    title: str = ''
    unit: str | Callable[[dict], str] = ''
    digits: int = 2
    scale: float = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnMetric(Metric):
    """One value for each face: a column of per_image.csv. Its result is `statistics` of all of them.

    column: its name in per_image.csv.
    domain: 'x' or 'y', the domain of the faces that it is measured on.
    higher_is_better: which tail is the worst one.
    absolute: whether statistics are of absolute values.
    caption: what it is called under a picture of a face; '' if the caption leaves it out.
    """

    column: str
    domain: str
    higher_is_better: bool = False
    absolute: bool = False
    caption: str = ''

    def statistics(self, values: np.ndarray) -> dict:
        """The result that stands for a column [N] of numbers."""
        return stats(np.abs(values) if self.absolute else values, self.higher_is_better)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceMetric(ColumnMetric):
    """A column that is measured on one batch of faces after the other. `needs` are names that `Painted.has` knows.

    function: Painted → a value for each of its faces.
    """

    function: Callable[[Painted], Sequence | np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LateMetric(ColumnMetric):
    """A column that takes the numbers of all faces. `needs` are names that `Measured.has` knows.

    function: Measured → a value for each face of the domain.
    """

    function: Callable[[Measured], Sequence | np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure(Metric):
    """One value for all faces together. `needs` are names that `Measured.has` knows.

    function: Measured → the value: a number, or statistics or groups of them as a dict.
    """

    function: Callable[[Measured], Any]


def number(value: float | None, digits: int = 2) -> str:
    """A value for the table."""
    return '—' if value is None else f'{value:.{digits}f}'
