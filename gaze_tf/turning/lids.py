"""The curves of both eyelids on an eye's canvas: where colors of the globe (iris, sclera) change to colors of skin."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import EyeCanvas, blurred, smoothstep
from gaze_tf.turning.shapes import Lids, Limbus
from gaze_tf.turning.unfit import Unfit

# in eye widths: how far a curve may be above and below that of the landmarks, and the distance within which colors vote
_UPPER, _LOWER, _VOTING = (-0.08, 0.05), (-0.06, 0.06), 0.06
_STIFFNESS = 0.25  # cost of a step of one pixel between columns that are two pixels apart
_SURE = 3.0  # largest vote of a pixel


class _Colors(NamedTuple):
    """A normal distribution in Lab."""

    mean: np.ndarray
    precision: np.ndarray
    log_volume: float

    def cost(self, lab: np.ndarray) -> np.ndarray:
        """Negative log likelihood [H, W]."""
        apart: np.ndarray = lab - self.mean.astype(np.float32)
        return (
            0.5 * np.einsum('hwi,ij,hwj->hw', apart, self.precision.astype(np.float32), apart) + 0.5 * self.log_volume
        )


def trace_lids(canvas: EyeCanvas, upper: np.ndarray, lower: np.ndarray) -> Lids:
    """The Lids through contours [9, 2] of landmarks on the canvas."""
    return Lids(
        *(
            ndimage.gaussian_filter1d(np.interp(canvas.columns, *contour.T), 0.02 * canvas.width)
            for contour in (upper, lower)
        )
    )


def fit_lids(canvas: EyeCanvas, lids: Lids, limbus: Limbus) -> Lids:
    """Lids that follow the image, close to those of the landmarks. Raises Unfit."""
    lab = cv2.cvtColor(blurred(canvas.image, max(0.008 * canvas.width, 0.35 * canvas.zoom)), cv2.COLOR_RGB2LAB)
    globe, iris = _globe(canvas, lids, limbus, lab)
    # at the upper lid, lashes belong to the eye
    lashes = _Colors(
        np.array([iris.mean[0] * 0.6, 5.0, 5.0]), np.diag([1 / 120.0, 1 / 60.0, 1 / 60.0]), np.log(120.0 * 60 * 60)
    )
    lower = _boundary(canvas, lids.lower, _votes(canvas, lids.lower, 1, lab, globe), _LOWER, 1)
    upper = _boundary(
        canvas, lids.upper, _votes(canvas, lids.upper, -1, lab, np.minimum(globe, lashes.cost(lab))), _UPPER, -1
    )
    return Lids(upper, lower)


def _globe(canvas: EyeCanvas, lids: Lids, limbus: Limbus, lab: np.ndarray) -> tuple[np.ndarray, _Colors]:
    """The cost [H, W] of each pixel as part of iris or sclera, and the _Colors of the iris."""
    away = np.hypot(canvas.x - limbus.center[0], canvas.y - limbus.center[1])
    width, below_upper, above_lower = canvas.width, canvas.y - lids.upper, lids.lower - canvas.y
    iris = _colors(
        lab, (away < 0.85 * limbus.radius) & (below_upper > 0.03 * width) & (above_lower > 0.02 * width), (16, 6, 6)
    )
    sclera = _colors(
        lab,
        canvas.within(0.08)
        & (below_upper > 0.04 * width)
        & (above_lower > 0.02 * width)
        & (away > 1.12 * limbus.radius),
        (30, 6, 8),
    )
    if iris is None:
        raise Unfit('an iris is covered')
    return np.minimum.reduce([colors.cost(lab) for colors in (iris, sclera) if colors]), iris


def _colors(lab: np.ndarray, mask: np.ndarray, least: tuple[float, float, float]) -> _Colors | None:
    """The _Colors of the pixels in a mask, without the most unusual fifth, or None; least: variances that are added."""
    values = lab[mask]
    if len(values) < 30:
        return None
    apart = np.abs(values - np.median(values, 0)).sum(1)
    values = values[apart <= np.quantile(apart, 0.8)]
    covariance = np.cov(values.T) * 1.6 + np.diag(least)
    return _Colors(values.mean(0), np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1])


def _votes(canvas: EyeCanvas, curve: np.ndarray, down: int, lab: np.ndarray, globe: np.ndarray) -> np.ndarray:
    """float [H, W]: above 0 where a pixel looks more like the globe than like the skin beyond a lid's curve."""
    beyond = (canvas.y - curve) * down
    skin = _colors(
        lab, canvas.within(0.08) & (beyond > 0.10 * canvas.width) & (beyond < 0.2 * canvas.width), (30, 6, 6)
    )
    if skin is None:
        raise Unfit('the skin around an eye is covered')
    return np.clip(skin.cost(lab) - globe, -_SURE, _SURE)


def _boundary(
    canvas: EyeCanvas, curve: np.ndarray, votes: np.ndarray, reach: tuple[float, float], down: int
) -> np.ndarray:
    """The curve [W] that best separates votes for globe and skin; down: 1 if the skin is below, -1 if above."""
    width = canvas.width
    first, last = int(canvas.left + 0.06 * width), int(canvas.right - 0.06 * width)
    columns = np.arange(first, last)
    offsets, far = np.arange(int(reach[0] * width), int(reach[1] * width) + 1), int(_VOTING * width)
    around = np.arange(offsets[0] - far, offsets[-1] + far + 1)
    rows = np.clip(np.round(curve[columns][:, None] + around).astype(int), 0, votes.shape[0] - 1)
    above = np.cumsum(np.pad(votes[rows, columns[:, None]], ((0, 0), (1, 0))), 1)
    at = np.searchsorted(around, offsets)
    away = (offsets / (0.05 * width)) ** 2
    cost = down * (above[:, -1:] - 2 * above[:, at]) / far + 1.2 * away
    # near the corners colors are unreliable
    sure = smoothstep(np.minimum(columns - first, last - columns) / width, 0, 0.15)[:, None]
    path = offsets[_cheapest((cost * sure + (1 - sure) * 2.0 * away)[::2])]
    moved = np.interp(canvas.columns, columns[::2], path, left=0, right=0)
    return curve + ndimage.gaussian_filter1d(moved, 0.035 * width)


def _cheapest(cost: np.ndarray) -> np.ndarray:
    """The cheapest path [n] through cost [n, m]; each step costs _STIFFNESS times its square."""
    count, choices = cost.shape
    price = _STIFFNESS * (np.arange(choices)[:, None] - np.arange(choices)) ** 2.0
    total, came_from = cost[0].copy(), np.zeros((count, choices), int)
    for n in range(1, count):
        sums = total + price
        came_from[n] = sums.argmin(1)
        total = sums.min(1) + cost[n]
    path = np.zeros(count, int)
    path[-1] = total.argmin()
    for n in range(count - 1, 0, -1):
        path[n - 1] = came_from[n, path[n]]
    return path
