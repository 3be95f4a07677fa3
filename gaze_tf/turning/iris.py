"""The iris as a disc that can be moved: its colors as ratios to the shading of the sclera, completed under the lids."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import blurred, luminance, smoothstep
from gaze_tf.turning.catchlights import Catchlights
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.opening import Opening, medians
from gaze_tf.turning.sclera import Rim, Sclera

_NEAR = 1.5  # radius of the texture, in radii of the limbus
_RINGS, _RINGS_IN_RADIUS = 31, 20
_RATIOS = 0.02, 1.6
# weights of the texture mirrored left to right, top to bottom, and both, where the photo shows none
_MIRRORED = 0.05, 0.05, 0.02


class Iris(NamedTuple):
    """ratio: float32 [H, W, 3], colors of the iris divided by those of the shaded sclera, 1 far from the iris; known:
    float32 [H, W], 1 where the photo shows them; lid_shadow: float32 [H, W], factor of the upper lid's shadow, at most
    1."""

    ratio: np.ndarray
    known: np.ndarray
    lid_shadow: np.ndarray


def extract_iris(eye: EyeFit, opening: Opening, rim: Rim, sclera: Sclera, lights: Catchlights) -> Iris:
    """The Iris of an EyeFit, with its Opening, Rim, Sclera and Catchlights."""
    ratio, near = np.clip(eye.canvas.image / sclera.shaded, *_RATIOS), opening.radius < _NEAR
    known = (
        (opening.visible > 0.9)
        & (opening.below_upper > opening.lashes + 0.5 * eye.mm)
        & (opening.above_lower > 0.65 * eye.mm + 0.3 * eye.canvas.blur)
        & ~lights.bright
        & ~lights.wet
    )
    known = blurred(known, 0.08 * eye.limbus.radius)
    known = np.where(known > 0.5, (known - 0.5) * 2, 0).astype(np.float32)
    completed = _completed(eye, opening, ratio, known, near)
    faded = smoothstep(opening.radius, rim.inner, rim.outer)[..., None]
    completed = 1 + (completed - 1) * (1 - faded)
    shadow = _lid_shadow(eye, opening, sclera.shaded * completed, lights)
    # where the photo shows the iris, it is used unchanged
    ratio = np.clip(ratio / shadow[..., None], *_RATIOS)
    ratio = np.where(near[..., None], known[..., None] * ratio + (1 - known[..., None]) * completed, 1).astype(
        np.float32
    )
    # there are no lashes beside the limbus
    return Iris(np.maximum(ratio, 0.92 * faded).astype(np.float32), known, shadow)


def _completed(eye: EyeFit, opening: Opening, ratio: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The texture [H, W, 3], from its radial profile and from mirrored parts of the iris that the photo shows."""
    profile = _profile(opening.radius, ratio, known, near)
    relative = np.where(near[..., None], ratio / np.clip(profile, 0.02, 9), 1)
    x, y, (center_x, center_y) = eye.canvas.x, eye.canvas.y, eye.limbus.center
    mirrored_x, mirrored_y = (2 * center_x - x).astype(np.float32), (2 * center_y - y).astype(np.float32)
    total, weight = relative * known[..., None], known.copy()
    seen = total.astype(np.float32)
    for at_x, at_y, share in zip((mirrored_x, x, mirrored_x), (y, mirrored_y, mirrored_y), _MIRRORED):
        total = total + share * cv2.remap(seen, at_x, at_y, cv2.INTER_LINEAR)
        weight = weight + share * cv2.remap(known, at_x, at_y, cv2.INTER_LINEAR)
    return profile * np.clip((total + 0.004) / (weight + 0.004)[..., None], 0.75, 1.33)


def _profile(radius: np.ndarray, ratio: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The mean ratio at each pixel's distance from the center, float32 [H, W, 3]."""
    rings, middles = np.clip((radius * _RINGS_IN_RADIUS).astype(int), 0, _RINGS - 1)[near], np.arange(_RINGS)
    weight = np.bincount(rings, known[near], _RINGS)
    there = weight > 1e-3
    channels = []
    for channel in range(3):
        total = np.bincount(rings, (ratio[..., channel] * known)[near], _RINGS)
        mean = np.interp(middles, middles[there], total[there] / weight[there]) if there.any() else np.ones(_RINGS)
        mean = ndimage.gaussian_filter1d(mean.astype(np.float32), 0.8)
        channels.append(np.interp(radius, (middles + 0.5) / _RINGS_IN_RADIUS, mean))
    return np.stack(channels, -1).astype(np.float32)


def _lid_shadow(eye: EyeFit, opening: Opening, expected: np.ndarray, lights: Catchlights) -> np.ndarray:
    """The shadow factor float32 [H, W], by distance from the upper lid: the photo's luminance over the expected one."""
    ours = (opening.radius < 0.92) & ~lights.bright & (opening.above_lower > 0.8 * eye.mm)
    darker = np.log(np.clip(eye.canvas.luminance, 0.01, 1) / np.clip(luminance(expected), 0.01, 1))
    bins = np.arange(0, 4.2, 0.25) * eye.mm
    middles = bins[:-1] + 0.125 * eye.mm
    shadow = medians(darker, opening.below_upper, ours, bins, 20)
    known = np.isfinite(shadow) & (middles > 0.6 * opening.lashes)
    if known.sum() <= 2:
        return np.ones(darker.shape, np.float32)
    shadow = np.clip(np.interp(middles, middles[known], shadow[known]), -0.9, 0)
    # away from the lid it can only get lighter
    shadow = np.maximum.accumulate(ndimage.gaussian_filter1d(shadow, 0.7))
    return np.exp(np.interp(opening.below_upper, middles, shadow - shadow[-1])).astype(np.float32)
