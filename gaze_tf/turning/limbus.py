"""Fits the rim of the iris (limbus) on an eye's canvas: a circle that is visible between the lids."""

import cv2
import numpy as np

from gaze_tf.turning.canvas import EyeCanvas, smoothstep
from gaze_tf.turning.shapes import Lids, Limbus
from gaze_tf.turning.unfit import Unfit

# points on the circle, degrees from the right, clockwise: dense on both sides, sparse below, where they count half
_ARCS = np.radians(np.r_[-40:41:5, 140:221:5, 55:126:10])
_SLANTED = 0.75  # |sin| above which a point counts half
# the radii and shifts of the center to try, in radii of the first guess
_RADII, _ASIDE, _ALONG = np.arange(0.84, 1.17, 0.04), np.arange(-0.24, 0.25, 0.06), np.arange(-0.18, 0.19, 0.06)
_MIN_POINTS = 6
_MAX_STEP = 0.35  # largest step in brightness that counts
_UNSEEN, _SEEN = 0.14, 0.28  # below the first edge only the guess counts, above the second only the fit


# centers [circles, 2] and radii [circles]
Circles = tuple[np.ndarray, np.ndarray]


def fit_limbus(
    canvas: EyeCanvas, lids: Lids, guess: Limbus, expected_radius: float, radius: float | None = None
) -> Limbus:
    """The circle with the strongest edge on both sides of the iris, dark inside.

    Args:
      canvas: EyeCanvas; lids: Lids.
      guess: the Limbus of the landmarks.
      expected_radius: the usual radius for this face, in pixels of the canvas.
      radius: the radius to keep, if only the center is to be found.

    Raises:
      Unfit: too little of the rim is visible between the lids.
    """
    bright, cap = _brightness(canvas, lids, guess)
    radii = _RADII if radius is None else np.array([radius / guess.radius])
    scale, aside, along = (values.ravel() for values in np.meshgrid(radii, _ASIDE, _ALONG, indexing='ij'))
    circles = (guess.center + guess.radius * np.stack([aside, along], 1), guess.radius * scale)
    seen = _seen(canvas, lids, circles)
    score = _score(_steps(bright, circles), seen)
    # halfway between the radius of the landmarks and the usual one
    usual = 0.5 + 0.5 * expected_radius / guess.radius
    score -= 0.25 * cap * (aside**2 + 2 * along**2 + 1.5 * (scale - usual) ** 2)
    score[seen.sum(1) < _MIN_POINTS] = -np.inf
    best = score.argmax()
    if not np.isfinite(score[best]):
        raise Unfit('an iris is covered')
    edge = score[best] / max(cap, 0.05)
    trust = smoothstep(edge, _UNSEEN, _SEEN)
    return Limbus(
        trust * circles[0][best] + (1 - trust) * guess.center,
        trust * circles[1][best] + (1 - trust) * 0.5 * (guess.radius + expected_radius),
        edge,
    )


def _brightness(canvas: EyeCanvas, lids: Lids, guess: Limbus) -> tuple[np.ndarray, float]:
    """Smoothed brightness [H, W], cut off at the brightness of the sclera, and that brightness."""
    bright = canvas.image[..., 0] * 0.6 + canvas.image[..., 1] * 0.4
    between = (canvas.y > lids.upper + 0.02 * canvas.width) & (canvas.y < lids.lower - 0.005 * canvas.width)
    if not between.any():
        raise Unfit('an eye is closed')
    away = np.hypot(canvas.x - guess.center[0], canvas.y - guess.center[1]) > 1.15 * guess.radius
    sclera = between & away & canvas.within(0.1)
    cap = np.median(bright[sclera]) if sclera.sum() > 50 else np.quantile(bright[between], 0.8)
    return cv2.GaussianBlur(np.minimum(bright, cap), (0, 0), 0.05 * guess.radius), cap


def _points(circles: Circles, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """x and y [circles, points] of points on the circles; share: of their radius."""
    centers, radii = circles
    return (
        centers[:, :1] + radii[:, None] * share * np.cos(_ARCS),
        centers[:, 1:] + radii[:, None] * share * np.sin(_ARCS),
    )


def _seen(canvas: EyeCanvas, lids: Lids, circles: Circles) -> np.ndarray:
    """bool [circles, points]: which points lie between the lids."""
    x, y = _points(circles)
    return (np.interp(x, canvas.columns, lids.upper) + 0.03 * canvas.width < y) & (
        y < np.interp(x, canvas.columns, lids.lower) - 0.01 * canvas.width
    )


def _steps(bright: np.ndarray, circles: Circles) -> np.ndarray:
    """How much brighter the outside is than the inside [circles, points], near the rim and further away."""

    def at(share: float) -> np.ndarray:
        x, y = _points(circles, share)
        return cv2.remap(bright, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)

    return np.minimum(0.5 * (at(1.12) - at(0.88)) + 0.25 * (at(1.2) + at(1.3) - at(0.78) - at(0.68)), _MAX_STEP)


def _score(steps: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The mean step of each circle; half of it is that of its weaker side, as both sides must fit."""

    def mean(weight: np.ndarray) -> np.ndarray:
        return (steps * weight).sum(1) / np.maximum(weight.sum(1), 1e-6)

    both = mean(seen * np.where(np.abs(np.sin(_ARCS)) > _SLANTED, 0.5, 1.0))
    sides = [seen & (np.cos(_ARCS) < 0), seen & (np.cos(_ARCS) > 0)]
    return 0.5 * both + 0.5 * np.minimum.reduce([np.where(side.any(1), mean(side), both) for side in sides])
