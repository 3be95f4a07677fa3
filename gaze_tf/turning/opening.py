"""The visible part of the globe between the lids, and the distance of each pixel from lids and iris."""

from typing import NamedTuple

import numpy as np

from gaze_tf.turning.canvas import EyeCanvas, smoothstep
from gaze_tf.turning.eye_fit import EyeFit

_LASHES_MM = 0.3, 0.6, 1.6  # thickness of the upper lashes: smallest, usual, largest
_BIN_MM = 0.25


class Opening(NamedTuple):
    """Maps [H, W] of an eye's canvas.

    below_upper, above_lower: distances from the lids (negative beyond them), in pixels of the canvas.
    radius: distance from the center of the iris, in radii of the limbus.
    visible: how much of the globe is visible, 0 to 1, float32.
    beside: bool, on the sclera away from iris, corners and lower lid.
    corners: 0 at the corners and beyond, 1 away from them.
    lashes: thickness of the upper lashes in pixels; mm: a millimeter in pixels.
    """

    below_upper: np.ndarray
    above_lower: np.ndarray
    radius: np.ndarray
    visible: np.ndarray
    beside: np.ndarray
    corners: np.ndarray
    lashes: float
    mm: float


def measure_opening(eye: EyeFit) -> Opening:
    """The Opening of an EyeFit."""
    canvas, lids, limbus = eye
    below_upper, above_lower = canvas.y - lids.upper, lids.lower - canvas.y
    radius = np.hypot(canvas.x - limbus.center[0], canvas.y - limbus.center[1]) / limbus.radius
    beside = (radius > 1.2) & canvas.within(0.12) & (above_lower > 0.25 * eye.mm)
    lashes = _lashes(canvas, below_upper, beside, eye.mm)
    soft = max(canvas.blur, 0.18 * eye.mm)
    corners = smoothstep(np.minimum(canvas.x - canvas.left, canvas.right - canvas.x), 0, 1.5 * eye.mm)
    visible = (
        smoothstep(below_upper, 0.45 * lashes - soft, 0.8 * lashes + soft)
        * smoothstep(above_lower, -0.7 * soft, 1.1 * soft)
        * corners
    )
    return Opening(below_upper, above_lower, radius, visible.astype(np.float32), beside, corners, lashes, eye.mm)


def _lashes(canvas: EyeCanvas, below_upper: np.ndarray, beside: np.ndarray, mm: float) -> float:
    """Thickness in pixels of the dark line of lashes, which begins at the upper lid's curve, in front of the sclera."""
    bins = np.arange(0, 4.01, _BIN_MM) * mm
    profile = medians(canvas.luminance, below_upper, beside, bins, 15)
    least, usual, greatest = (thickness * mm for thickness in _LASHES_MM)
    if np.isfinite(profile).sum() <= 5 or not np.isfinite(profile[:5]).any():
        return usual
    darkest = int(np.nanargmin(profile[:5]))
    half = 0.5 * (profile[darkest] + np.nanmax(profile))
    bright = np.flatnonzero(profile[darkest:] > half)
    return float(np.clip(bins[darkest + bright[0]], least, greatest)) if len(bright) else usual


def medians(values: np.ndarray, distance: np.ndarray, mask: np.ndarray, bins: np.ndarray, more_than: int) -> np.ndarray:
    """The median of values [H, W] in each bin of distance [H, W], within a mask.

    It is NaN in bins that do not have more than `more_than` pixels.
    """
    found = np.full(len(bins) - 1, np.nan)
    values, places = values[mask], np.digitize(distance[mask], bins) - 1
    for n in range(len(found)):
        some = values[places == n]
        if len(some) > more_than:
            found[n] = np.median(some)
    return found
