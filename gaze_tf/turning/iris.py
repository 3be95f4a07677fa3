"""The iris as a disc that can be laid elsewhere: its colours as ratios to the sclera's shading, completed under the lids."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import blurred, luminance, smoothstep
from gaze_tf.turning.opening import medians

_NEAR = 1.5  # radii of the limbus within which there is a texture
_RINGS, _RINGS_IN_RADIUS = 31, 20
_RATIOS = 0.02, 1.6
# how much the texture mirrored left to right, top to bottom and both counts where there is none
_MIRRORED = 0.05, 0.05, 0.02


class Iris(NamedTuple):
    """ratio: float32 [H, W, 3], its colours by the shaded sclera's, 1 far from it; known: float32 [H, W], 1 where the photo
    shows them; lid_shadow: float32 [H, W], how much darker the upper lid makes it, at most 1."""

    ratio: np.ndarray
    known: np.ndarray
    lid_shadow: np.ndarray


def of_eye(eye, opening, rim, sclera, lights):
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
    # where the photo shows the iris it is used as it is
    ratio = np.clip(ratio / shadow[..., None], *_RATIOS)
    ratio = np.where(near[..., None], known[..., None] * ratio + (1 - known[..., None]) * completed, 1).astype(
        np.float32
    )
    # beside the limbus there are no lashes
    return Iris(np.maximum(ratio, 0.92 * faded).astype(np.float32), known, shadow)


def _completed(eye, opening, ratio, known, near):
    """The texture [H, W, 3] from its radial profile and from what the photo shows elsewhere on the iris, mirrored."""
    profile = _profile(opening.radius, ratio, known, near)
    relative = np.where(near[..., None], ratio / np.clip(profile, 0.02, 9), 1)
    x, y, (centre_x, centre_y) = eye.canvas.x, eye.canvas.y, eye.limbus.centre
    mirrored_x, mirrored_y = (2 * centre_x - x).astype(np.float32), (2 * centre_y - y).astype(np.float32)
    total, weight = relative * known[..., None], known.copy()
    seen = total.astype(np.float32)
    for at_x, at_y, share in zip((mirrored_x, x, mirrored_x), (y, mirrored_y, mirrored_y), _MIRRORED):
        total = total + share * cv2.remap(seen, at_x, at_y, cv2.INTER_LINEAR)
        weight = weight + share * cv2.remap(known, at_x, at_y, cv2.INTER_LINEAR)
    return profile * np.clip((total + 0.004) / (weight + 0.004)[..., None], 0.75, 1.33)


def _profile(radius, ratio, known, near):
    """The mean ratio at each pixel's distance from the centre, float32 [H, W, 3]."""
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


def _lid_shadow(eye, opening, expected, lights):
    """float32 [H, W] of the distance from the upper lid: what is darker there than the completed iris is expected to be."""
    ours = (opening.radius < 0.92) & ~lights.bright & (opening.above_lower > 0.8 * eye.mm)
    darker = np.log(np.clip(eye.canvas.luminance, 0.01, 1) / np.clip(luminance(expected), 0.01, 1))
    bins = np.arange(0, 4.2, 0.25) * eye.mm
    middles = bins[:-1] + 0.125 * eye.mm
    shadow = medians(darker, opening.below_upper, ours, bins, 20)
    known = np.isfinite(shadow) & (middles > 0.6 * opening.lashes)
    if known.sum() <= 2:
        return np.ones(darker.shape, np.float32)
    shadow = np.clip(np.interp(middles, middles[known], shadow[known]), -0.9, 0)
    # it only gets lighter away from the lid
    shadow = np.maximum.accumulate(ndimage.gaussian_filter1d(shadow, 0.7))
    return np.exp(np.interp(opening.below_upper, middles, shadow - shadow[-1])).astype(np.float32)
