"""What is left of an iris outside its circle when it is removed: a dark rim, and parts below the lower lid."""

from typing import NamedTuple

import cv2
import numpy as np

from gaze_tf.turning.canvas import luminance, smoothstep
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.opening import Opening
from gaze_tf.turning.sclera import Rim, Sclera, sides

# depths in mm below the lower lid's curve at which colors of the lid are sampled
_DEPTH = -0.3, 1.6


class Remains(NamedTuple):
    """rim, below: float32 [H, W], how much of the iris is left at each pixel, outside its circle and below the lower
    lid. filled: float32 [H, W, 3], the colors without it. misfit: the mean of `rim` just outside the circle, on the
    worse side of the eye; above 0.5 the circle does not match the iris."""

    rim: np.ndarray
    below: np.ndarray
    filled: np.ndarray
    misfit: float


def find_remains(eye: EyeFit, opening: Opening, rim: Rim, sclera: Sclera) -> Remains:
    """The Remains of an EyeFit's iris, with its Opening, Rim and Sclera."""
    canvas, mm = eye.canvas, eye.mm
    white = luminance(sclera.filled)
    left_over = (
        smoothstep(white - canvas.luminance, 0.06 * white, 0.2 * white)
        * (1 - smoothstep(opening.radius, rim.outer + 0.12, rim.outer + 0.42))
        * smoothstep(opening.below_upper, opening.lashes + 0.2 * mm, opening.lashes + 0.8 * mm)
    )
    lid = _lower_lid(eye, opening)
    skin = luminance(lid)
    below = (
        smoothstep(skin - canvas.luminance, 0.05 * skin, 0.2 * skin)
        * smoothstep(opening.above_lower, -(0.6 * mm + 0.9 * canvas.blur), -0.25 * mm)
        * (opening.below_upper > 2 * mm)
        * opening.corners
    )
    on_lid = smoothstep(-opening.above_lower, -0.15 * mm, 0.25 * mm)[..., None]
    filled = (sclera.filled * (1 - on_lid) + lid * on_lid).astype(np.float32)
    outside = (
        (opening.radius > rim.outer + 0.1)
        & (opening.radius < rim.outer + 0.35)
        & (opening.visible > 0.8)
        & (opening.below_upper > opening.lashes + 0.6 * mm)
    )
    halves, _ = sides(eye)
    misfit = max((left_over[outside & half].mean() for half in halves if (outside & half).sum() > 30), default=0.0)
    return Remains(left_over, below, filled, float(misfit))


def _lower_lid(eye: EyeFit, opening: Opening) -> np.ndarray:
    """Colors float32 [H, W, 3] of the lower lid, by depth below its curve, taken from both sides of the iris."""
    canvas, limbus = eye.canvas, eye.limbus
    depths = np.arange(_DEPTH[0] * eye.mm, _DEPTH[1] * eye.mm).astype(np.float32)
    x = canvas.x[0]
    strip = cv2.remap(
        canvas.image,
        np.tile(x, (len(depths), 1)),
        (eye.lids.lower + depths[:, None]).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    away = np.abs(x - limbus.center[0]) / limbus.radius
    free = (away > 1.15) & (away < 1.7) & canvas.within(0.05)[0]
    halves, right = sides(eye)
    free = [free & half[0] for half in halves]
    found = [strip[:, columns].mean(1) for columns in free if columns.sum() > 0.12 * limbus.radius] or [strip.mean(1)]
    depth = np.clip(-opening.above_lower - depths[0], 0, len(depths) - 1.01)

    def at(profile: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(depth, np.arange(len(depths)), profile[:, channel]) for channel in range(3)], -1)

    return (at(found[0]) * (1 - right) + at(found[-1]) * right).astype(np.float32)
