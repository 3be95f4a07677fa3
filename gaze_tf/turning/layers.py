"""The layers of an eye: the globe without its iris, the iris, the catchlights, and masks of where each is visible."""

from typing import NamedTuple

import cv2
import numpy as np

from gaze_tf.turning.canvas import EyeCanvas, smoothstep
from gaze_tf.turning.catchlights import find_catchlights
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.iris import extract_iris
from gaze_tf.turning.opening import Opening, measure_opening
from gaze_tf.turning.remains import Remains, find_remains
from gaze_tf.turning.sclera import Rim, Sclera, estimate_sclera, find_rim

_MOST_GRAIN = 0.02


class Layers(NamedTuple):
    """Layers on an eye's canvas, float32 [H, W] or [H, W, 3].

    base: the photo without the iris; filled: how much it was changed for that, 0 to 1.
    shade: colors of the sclera with all shadows, by which the ratios of the iris are multiplied.
    visible: how much of the globe is visible between the lids, 0 to 1.
    iris: ratios; iris_mask: where the iris is, 0 to 1; iris_made_up: where its texture does not come from the photo.
    glints: catchlights, to be blended with "screen".
    grain: noise like the photo's, for parts that are made up.
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


def separate_layers(eye: EyeFit, rng: np.random.Generator) -> Layers:
    """The Layers of an EyeFit; rng: for the grain. Raises Unfit if lids or reflections hide too much."""
    canvas, opening, rim = eye.canvas, measure_opening(eye), find_rim(eye)
    lights = find_catchlights(eye, opening)
    sclera = estimate_sclera(eye, opening, rim, rng)
    iris = extract_iris(eye, opening, rim, sclera, lights)
    remains = find_remains(eye, opening, rim, sclera)
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


def _filled(opening: Opening, rim: Rim, remains: Remains, blur: float) -> np.ndarray:
    """Where the iris is removed, float32 [H, W]: wider than where it is painted, because of its soft rim."""
    disc = (1 - smoothstep(opening.radius, rim.inner + 0.06, rim.outer + 0.12)).astype(np.float32)
    weight = np.maximum(disc * np.maximum(opening.visible, remains.below), remains.rim * opening.visible)
    return np.maximum(cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 0.4 * blur), disc * opening.visible)


def _glints(image: np.ndarray, without: np.ndarray, soft: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The layer that, blended over the iris without reflections, gives the photo: float32 [H, W, 3]."""
    clean = image * (1 - soft[..., None]) + np.minimum(image, np.clip(without, 0, 0.97)) * soft[..., None]
    screened = np.clip((image - clean) / (1 - np.minimum(clean, 0.97)), 0, 1)
    return (screened * (radius < 1.1)[..., None]).astype(np.float32)


def _grain(canvas: EyeCanvas, opening: Opening, sclera: Sclera, rng: np.random.Generator) -> np.ndarray:
    """Noise float32 [H, W, 3], as strong and as coarse as in the smooth parts of the photo."""
    fine = canvas.image - cv2.GaussianBlur(canvas.image, (0, 0), 1.2 * canvas.zoom)
    fine = fine[(opening.visible < 0.01) & (np.abs(opening.above_lower) < 5 * opening.mm) | sclera.joint]
    sigma = 1.48 * np.median(np.abs(fine - np.median(fine, 0)), 0) * 0.8
    noise: np.ndarray = rng.standard_normal(canvas.image.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.55 * canvas.zoom)
    noise = 0.7 * noise.mean(-1, keepdims=True) * 3**0.5 + 0.3 * noise
    return (noise / noise.std() * np.minimum(sigma, _MOST_GRAIN)).astype(np.float32)
