"""Reflections of lamps and windows on the cornea: a layer of their own, which follows a turning eye only half way."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import EyeCanvas
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.opening import Opening
from gaze_tf.turning.shapes import Limbus
from gaze_tf.turning.unfit import Unfit

_RINGS = 14
_MOST = 0.3  # largest share of the iris that reflections may cover
_LEAST_SEEN = 0.25  # smallest share of the disc of the iris that must be visible


class Catchlights(NamedTuple):
    """Masks [H, W]. bright: bool, reflections and the pixels beside them; soft: float32, the same with soft edges; wet:
    bool, glints of the tear line, which belong to the lid."""

    bright: np.ndarray
    soft: np.ndarray
    wet: np.ndarray


def find_catchlights(eye: EyeFit, opening: Opening) -> Catchlights:
    """The Catchlights of an EyeFit with its Opening. Raises Unfit if they, or lids, cover too much of the iris."""
    canvas, limbus = eye.canvas, eye.limbus
    luminance, radius = canvas.luminance, opening.radius
    iris = (radius < 1) & (opening.visible > 0.6)
    if iris.sum() < _LEAST_SEEN * np.pi * limbus.radius**2:
        raise Unfit('an iris is covered')
    sclera = opening.beside & (opening.visible > 0.9)
    white = np.quantile(luminance[sclera], 0.7) if sclera.sum() > 40 else 0.6
    threshold = max(0.10, 0.28 * (white - np.median(luminance[iris])))
    over_ring = luminance - _ring_brightness(luminance, radius, iris)
    hot = (
        (luminance - _without_spots(canvas, limbus) > threshold)
        & (over_ring > 0.8 * threshold)
        & (radius < 0.93)
        & (opening.visible > 0.3)
    )
    # a glint has a bright core, flecks of a light iris do not; in the lower half of the iris the core must be brighter
    labels, count = ndimage.label(hot)
    if count:
        core = over_ring - 0.9 * threshold * (canvas.y > limbus.center[1] + 0.4 * limbus.radius)
        hot = np.r_[False, ndimage.maximum(core, labels, np.arange(1, count + 1)) > 1.6 * threshold][labels]
    wet = hot & (opening.above_lower < 0.9 * eye.mm + 0.4 * canvas.blur)
    hot &= ~wet
    if hot[iris].mean() > _MOST:
        raise Unfit('an iris is covered by reflections')
    reach = max(0.06 * limbus.radius, 0.9 * canvas.blur)
    bright = _grown(hot, cv2.MORPH_ELLIPSE, reach) & (radius < 1.02)
    return Catchlights(
        bright, cv2.GaussianBlur(bright.astype(np.float32), (0, 0), 0.5 * reach), _grown(wet, cv2.MORPH_RECT, reach)
    )


def _ring_brightness(luminance: np.ndarray, radius: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """The usual luminance at each pixel's distance from the center [H, W]: a light iris is a bright ring."""
    rings, usual = np.clip((radius * _RINGS).astype(int), 0, _RINGS - 1), np.full(_RINGS, np.nan)
    for n in range(_RINGS):
        some = luminance[iris & (rings == n)]
        if len(some) > 8:
            usual[n] = np.median(some)
    known = np.flatnonzero(np.isfinite(usual))
    middles = (np.arange(_RINGS) + 0.5) / _RINGS
    return np.interp(radius, middles, np.interp(np.arange(_RINGS), known, usual[known]))


def _without_spots(canvas: EyeCanvas, limbus: Limbus) -> np.ndarray:
    """Luminance [H, W] in which bright spots that are much smaller than the iris are removed around it."""
    opened, reach = canvas.luminance.copy(), 1.5 * limbus.radius
    x0, y0, x1, y1 = (max(int(value), 0) for value in (*(limbus.center - reach), *(limbus.center + reach)))
    smooth = cv2.GaussianBlur(canvas.luminance[y0:y1, x0:x1], (0, 0), 0.4 * canvas.blur)
    opened[y0:y1, x0:x1] = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, _element(cv2.MORPH_ELLIPSE, 0.36 * limbus.radius))
    return opened


def _grown(mask: np.ndarray, shape: int, reach: float) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), _element(shape, reach)) > 0


def _element(shape: int, reach: float) -> np.ndarray:
    return cv2.getStructuringElement(shape, (2 * int(reach) + 1,) * 2)
