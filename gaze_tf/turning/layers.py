"""An eye taken apart: the globe without its iris, the iris, the catchlights, and what tells where each is seen."""

from typing import NamedTuple

import cv2
import numpy as np

from gaze_tf.turning import catchlights as catchlights_lib
from gaze_tf.turning import iris as iris_lib
from gaze_tf.turning import opening as opening_lib
from gaze_tf.turning import remains as remains_lib
from gaze_tf.turning import sclera as sclera_lib
from gaze_tf.turning.canvas import smoothstep

_MOST_GRAIN = 0.02


class Layers(NamedTuple):
    """Of an eye's canvas, float32 [H, W] or [H, W, 3].

    base: the photo with the iris taken out; filled: where it was changed for that, 0 to 1.
    shade: the sclera's colours with all shadows, which the iris's ratios are multiplied with.
    visible: how much of the globe is seen between the lids.
    iris: ratios; iris_mask: where the iris is, 0 to 1; iris_made_up: where its texture is not the photo's.
    glints: catchlights, to be screened.
    grain: noise like the photo's, for what is made up.
    misfit: see `remains.Remains`.
    """

    base: np.ndarray
    filled: np.ndarray
    shade: np.ndarray
    visible: np.ndarray
    iris: np.ndarray
    iris_mask: np.ndarray
    iris_made_up: np.ndarray
    glints: np.ndarray
    grain: np.ndarray
    misfit: float


def of_eye(eye, rng):
    """The Layers of an EyeFit; rng: for grain. Raises Unfit where lids or reflections hide too much."""
    canvas, opening, rim = eye.canvas, opening_lib.of_eye(eye), sclera_lib.rim_of(eye)
    lights = catchlights_lib.of_eye(eye, opening)
    sclera = sclera_lib.of_eye(eye, opening, rim, rng)
    iris = iris_lib.of_eye(eye, opening, rim, sclera, lights)
    remains = remains_lib.of_eye(eye, opening, rim, sclera)
    shade = (sclera.shaded * iris.lid_shadow[..., None]).astype(np.float32)
    filled = _filled(opening, rim, remains, canvas.blur)
    base = canvas.image * (1 - filled[..., None]) + remains.filled * filled[..., None]
    # the lid shadows the sclera less than the iris
    base = (base * (1 - 0.5 * filled * (1 - iris.lid_shadow))[..., None]).astype(np.float32)
    return Layers(
        base,
        filled,
        shade,
        opening.visible,
        iris.ratio,
        (1 - smoothstep(opening.radius, rim.inner, rim.outer)).astype(np.float32),
        np.where(opening.radius < rim.inner, 1 - iris.known, 0).astype(np.float32),
        _glints(canvas.image, shade * iris.ratio, lights.soft, opening.radius),
        _grain(canvas, opening, sclera, rng),
        remains.misfit,
    )


def _filled(opening, rim, remains, blur):
    """Where the iris is taken out, float32 [H, W]: wider than where it is painted, for its soft rim."""
    disc = (1 - smoothstep(opening.radius, rim.inner + 0.06, rim.outer + 0.12)).astype(np.float32)
    weight = np.maximum(disc * np.maximum(opening.visible, remains.below), remains.rim * opening.visible)
    return np.maximum(cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 0.4 * blur), disc * opening.visible)


def _glints(image, without, soft, radius):
    """The layer that, screened over the iris without reflections, gives the photo: float32 [H, W, 3]."""
    clean = image * (1 - soft[..., None]) + np.minimum(image, np.clip(without, 0, 0.97)) * soft[..., None]
    screened = np.clip((image - clean) / (1 - np.minimum(clean, 0.97)), 0, 1)
    return (screened * (radius < 1.1)[..., None]).astype(np.float32)


def _grain(canvas, opening, sclera, rng):
    """Noise [H, W, 3] as strong, and as coarse, as that of the photo's smooth parts."""
    fine = canvas.image - cv2.GaussianBlur(canvas.image, (0, 0), 1.2 * canvas.zoom)
    fine = fine[(opening.visible < 0.01) & (np.abs(opening.above_lower) < 5 * opening.mm) | sclera.joint]
    sigma = 1.48 * np.median(np.abs(fine - np.median(fine, 0)), 0) * 0.8
    noise = rng.standard_normal(canvas.image.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.55 * canvas.zoom)
    noise = 0.7 * noise.mean(-1, keepdims=True) * 3**0.5 + 0.3 * noise
    return (noise / noise.std() * np.minimum(sigma, _MOST_GRAIN)).astype(np.float32)
