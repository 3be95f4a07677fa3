"""The shapes that are fitted to an eye on its canvas."""

from typing import NamedTuple

import numpy as np


class Lids(NamedTuple):
    """y of the upper and of the lower eyelid in each column of the canvas, float64 [W]."""

    upper: np.ndarray
    lower: np.ndarray


class Limbus(NamedTuple):
    """The rim of the iris, a circle.

    center: [2], and radius, in pixels of the canvas; edge: step from iris to sclera as a share of the sclera's
    brightness.
    """

    center: np.ndarray
    radius: float
    edge: float = 0.0
