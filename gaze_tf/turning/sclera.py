"""The white of an eye with its shading, including the part that the iris hides."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import blurred, luminance, smoothstep
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.opening import Opening
from gaze_tf.turning.unfit import Unfit

_SAMPLES = 5000
# the usual weights of the terms of `_terms`, and how strongly fitted weights are pulled towards them
_USUAL = np.array([0, 0, -0.15, -0.35, -0.45, -0.1])
_HELD = np.array([0, 0.02, 0.05, 0.01, 0.01, 0.03])
_LEAST, _MOST = 0.01, 1.0


class Rim(NamedTuple):
    """Where the iris ends, in radii of the limbus: where it begins to fade, and where it has faded."""

    inner: float
    outer: float


class Sclera(NamedTuple):
    """Colors float32 [H, W, 3]. shaded: smooth; filled: the same, with veins and blotches where the iris is removed.
    joint: bool [H, W], the pixels beside the iris to which they were fitted."""

    shaded: np.ndarray
    filled: np.ndarray
    joint: np.ndarray


def find_rim(eye: EyeFit) -> Rim:
    """The Rim of an EyeFit; it is wider in softer photos."""
    soft = eye.canvas.blur / eye.limbus.radius
    inner = 1.02 + 0.5 * soft
    return Rim(inner, inner + 0.09 + 1.2 * soft)


def estimate_sclera(eye: EyeFit, opening: Opening, rim: Rim, rng: np.random.Generator) -> Sclera:
    """The Sclera of an EyeFit with its Opening and Rim. Raises Unfit if too little of it is visible."""
    model = _model(eye, opening, rng)
    joint = (
        (opening.visible > 0.9)
        & (opening.radius > rim.outer + 0.06)
        & (opening.radius < rim.outer + 0.45)
        & (opening.below_upper > opening.lashes + 0.3 * eye.mm)
        & (opening.above_lower > 0.3 * eye.mm)
        & eye.canvas.within(0.08)
    )
    shaded = _brightened(eye, opening, rim, _joined(eye, model, joint))
    return Sclera(shaded, _with_veins(eye, opening, rim, shaded), joint)


def _model(eye: EyeFit, opening: Opening, rng: np.random.Generator) -> np.ndarray:
    """Colors [H, W, 3] fitted to the visible sclera: their logarithms are smooth in x and fall towards both lids."""
    canvas = eye.canvas
    seen = opening.beside & (opening.visible > 0.93) & (opening.radius > 1.22) & canvas.within(0.1)
    if seen.sum() < 60:
        raise Unfit('too little white of an eye is seen')
    some = np.flatnonzero(seen)
    if len(some) > _SAMPLES:
        some = rng.choice(some, _SAMPLES, replace=False)
    mask = np.zeros(seen.size, bool)
    mask[some] = True
    mask = mask.reshape(seen.shape)
    terms, logs = _terms(eye, opening, mask), np.log(np.clip(canvas.image[mask], 0.02, 1))
    held, weight = np.diag(_HELD) * len(terms), np.ones(len(terms))
    # veins, lashes and the caruncle count less, above all dark pixels
    for _ in range(4):
        weighted = (terms * weight[:, None]).T
        weights = np.linalg.solve(weighted @ terms + held, weighted @ logs + (held @ _USUAL)[:, None])
        error = logs - terms @ weights
        weight = 1 / (1 + (np.abs(error).mean(1) / 0.12) ** 2) * np.where(error.mean(1) < 0, 0.35, 1)
    everywhere = _terms(eye, opening, np.ones(seen.shape, bool)) @ weights
    return np.exp(np.clip(everywhere, -3, 0)).reshape(canvas.image.shape).astype(np.float32)


def _terms(eye: EyeFit, opening: Opening, mask: np.ndarray) -> np.ndarray:
    """Terms [n, 6] of pixels in a mask: 1, x, x², a near and a wide shadow of the upper lid, a shadow of the lower."""
    x = ((eye.canvas.x - eye.limbus.center[0]) / (3 * eye.limbus.radius))[mask]
    upper = np.maximum(opening.below_upper[mask] - 0.8 * opening.lashes, 0) / eye.mm
    lower = np.maximum(opening.above_lower[mask], 0) / eye.mm
    return np.stack([np.ones_like(upper), x, x**2, np.exp(-upper / 0.6), np.exp(-upper / 1.8), np.exp(-lower / 0.6)], 1)


def sides(eye: EyeFit) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """(left half, right half) of an eye, bool [H, W]; and the share of the right one [H, W, 1], smooth at the iris."""
    x, center, radius = eye.canvas.x, eye.limbus.center[0], eye.limbus.radius
    return (x < center, x >= center), smoothstep(x, center - 1.1 * radius, center + 1.1 * radius)[..., None]


def _joined(eye: EyeFit, model: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """The model, corrected by its misfit to the photo in each row on either side of the iris."""
    misfit = np.clip(np.log(eye.canvas.image / model), -0.25, 0.25) * joint[..., None]
    halves, right = sides(eye)
    radius, corrections = eye.limbus.radius, []
    for half in halves:
        total, count = (misfit * half[..., None]).sum(1), (joint.astype(np.float32) * half).sum(1)
        usual = total.sum(0) / (count.sum() + 100)
        total, count = (
            ndimage.gaussian_filter1d(total, 0.3 * radius, axis=0),
            ndimage.gaussian_filter1d(count, 0.3 * radius),
        )
        corrections.append(ndimage.gaussian_filter1d((total + 3 * usual) / (count + 3)[:, None], 0.1 * radius, axis=0))
    left, other = (correction[:, None] for correction in corrections)
    return np.clip(model * np.exp(left * (1 - right) + other * right), _LEAST, _MOST).astype(np.float32)


def _brightened(eye: EyeFit, opening: Opening, rim: Rim, shaded: np.ndarray) -> np.ndarray:
    """Brightened to the brighter sclera of the photo: where little of it shows, lashes and lids darken the model."""
    near = (
        (opening.visible > 0.9)
        & (opening.radius > rim.outer)
        & (opening.radius < rim.outer + 0.6)
        & (opening.below_upper > opening.lashes + 0.2 * eye.mm)
        & (opening.above_lower > 0.3 * eye.mm)
        & eye.canvas.within(0.08)
    )
    behind = (opening.radius < 1) & (opening.visible > 0.9) & (opening.below_upper > opening.lashes + eye.mm)
    if near.sum() <= 30 or behind.sum() <= 30:
        return shaded
    brighter = near & (eye.canvas.luminance >= np.quantile(eye.canvas.luminance[near], 0.65))
    photo, color = np.median(eye.canvas.image[brighter], 0), np.median(shaded[behind], 0)
    gain = np.clip(0.94 * luminance(photo) / luminance(color), 1, 1.35)
    # a strong tint of skin is reduced
    red = np.clip((color[0] - color[2]) / color[0] - 0.2, 0, 0.4) / 0.4
    paler = (color / luminance(color)) ** (-0.35 * red)
    return np.clip(shaded * (gain * paler).astype(np.float32), _LEAST, _MOST)


def _with_veins(eye: EyeFit, opening: Opening, rim: Rim, shaded: np.ndarray) -> np.ndarray:
    """The shaded sclera with the detail of the sclera beside the limbus, mirrored behind the iris and faded out."""
    x, y, limbus = eye.canvas.x, eye.canvas.y, eye.limbus
    known = (
        (opening.visible > 0.9)
        & (opening.radius > rim.outer)
        & (opening.below_upper > opening.lashes + 0.4 * eye.mm)
        & (opening.above_lower > 0.4 * eye.mm)
    )
    known = np.clip(2 * blurred(known, 0.05 * limbus.radius) - 1, 0, 1)
    own = (np.clip(np.log(eye.canvas.image / shaded), -0.10, 0.10) * known[..., None]).astype(np.float32)
    half_width = np.sqrt(np.maximum(rim.outer**2 - ((y - limbus.center[1]) / limbus.radius) ** 2, 0)) * limbus.radius
    mirrored = np.zeros_like(shaded)
    for side in (-1, 1):
        edge = limbus.center[0] + side * half_width
        copy = cv2.remap(own, (2 * edge - x).astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        mirrored = mirrored + copy * (1 - smoothstep((edge - x) * side, 0, limbus.radius))[..., None]
    return np.clip(shaded * np.exp(mirrored * (opening.radius < rim.outer)[..., None]), _LEAST, _MOST)
