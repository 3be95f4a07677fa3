"""The rim of the iris (limbus) on an eye's canvas: a circle, of which the arcs between the lids are seen."""

from typing import NamedTuple

import cv2
import numpy as np

from gaze_tf.turning.canvas import smoothstep
from gaze_tf.turning.unfit import Unfit

# points on the circle, degrees from the right, clockwise: both sides densely, the lower arc (half the weight) sparsely
_ARCS = np.radians(np.r_[-40:41:5, 140:221:5, 55:126:10])
_SLANTED = 0.75  # |sin| beyond which an arc counts half
# what is tried: radius and centre as shares of the first guess's radius
_RADII, _ASIDE, _ALONG = np.arange(0.84, 1.17, 0.04), np.arange(-0.24, 0.25, 0.06), np.arange(-0.18, 0.19, 0.06)
_MIN_POINTS = 6
_MAX_STEP = 0.35  # a step in brightness beyond this counts no more
_UNSEEN, _SEEN = 0.14, 0.28  # edges between which the first guess gives way to the fit


class Limbus(NamedTuple):
    """centre [2] and radius in pixels of the canvas; edge: step from iris to sclera as a share of the sclera's brightness."""

    centre: np.ndarray
    radius: float
    edge: float = 0.0


def fit(canvas, lids, guess, expected_radius, radius: float | None = None):
    """The circle with the strongest edge, dark inside, that both sides of the iris show.

    Args:
      canvas: Canvas; lids: Lids.
      guess: the Limbus of the landmarks.
      expected_radius: of anatomy, in pixels of the canvas.
      radius: the one to keep, if only the centre is looked for.

    Raises:
      Unfit: too little of the rim is between the lids.
    """
    bright, cap = _brightness(canvas, lids, guess)
    radii = _RADII if radius is None else np.array([radius / guess.radius])
    scale, aside, along = (values.ravel() for values in np.meshgrid(radii, _ASIDE, _ALONG, indexing='ij'))
    circles = (guess.centre + guess.radius * np.stack([aside, along], 1), guess.radius * scale)
    seen = _seen(canvas, lids, circles)
    score = _score(_steps(bright, circles), seen)
    # between the landmarks' radius and that of anatomy
    usual = 0.5 + 0.5 * expected_radius / guess.radius
    score -= 0.25 * cap * (aside**2 + 2 * along**2 + 1.5 * (scale - usual) ** 2)
    score[seen.sum(1) < _MIN_POINTS] = -np.inf
    best = score.argmax()
    if not np.isfinite(score[best]):
        raise Unfit('an iris is covered')
    edge = score[best] / max(cap, 0.05)
    trust = smoothstep(edge, _UNSEEN, _SEEN)
    return Limbus(
        trust * circles[0][best] + (1 - trust) * guess.centre,
        trust * circles[1][best] + (1 - trust) * 0.5 * (guess.radius + expected_radius),
        edge,
    )


def _brightness(canvas, lids, guess):
    """Smoothed brightness [H, W] that does not exceed the sclera's, and the sclera's."""
    bright = canvas.image[..., 0] * 0.6 + canvas.image[..., 1] * 0.4
    between = (canvas.y > lids.upper + 0.02 * canvas.width) & (canvas.y < lids.lower - 0.005 * canvas.width)
    if not between.any():
        raise Unfit('an eye is closed')
    away = np.hypot(canvas.x - guess.centre[0], canvas.y - guess.centre[1]) > 1.15 * guess.radius
    sclera = between & away & canvas.within(0.1)
    cap = np.median(bright[sclera]) if sclera.sum() > 50 else np.quantile(bright[between], 0.8)
    return cv2.GaussianBlur(np.minimum(bright, cap), (0, 0), 0.05 * guess.radius), cap


def _points(circles, share=1.0):
    """x and y [circles, arcs] on circles with a share of their radius."""
    centres, radii = circles
    return (
        centres[:, :1] + radii[:, None] * share * np.cos(_ARCS),
        centres[:, 1:] + radii[:, None] * share * np.sin(_ARCS),
    )


def _seen(canvas, lids, circles):
    """bool [circles, arcs]: what lies between the lids."""
    x, y = _points(circles)
    return (np.interp(x, canvas.columns, lids.upper) + 0.03 * canvas.width < y) & (
        y < np.interp(x, canvas.columns, lids.lower) - 0.01 * canvas.width
    )


def _steps(bright, circles):
    """How much brighter it is outside than inside [circles, arcs], near the rim and further from it."""

    def at(share):
        x, y = _points(circles, share)
        return cv2.remap(bright, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)

    return np.minimum(0.5 * (at(1.12) - at(0.88)) + 0.25 * (at(1.2) + at(1.3) - at(0.78) - at(0.68)), _MAX_STEP)


def _score(steps, seen):
    """The mean step of each circle, half of it that of its weaker side: both have to fit."""

    def mean(weight):
        return (steps * weight).sum(1) / np.maximum(weight.sum(1), 1e-6)

    both = mean(seen * np.where(np.abs(np.sin(_ARCS)) > _SLANTED, 0.5, 1.0))
    sides = [seen & (np.cos(_ARCS) < 0), seen & (np.cos(_ARCS) > 0)]
    return 0.5 * both + 0.5 * np.minimum.reduce([np.where(side.any(1), mean(side), both) for side in sides])
