"""Renders an eye with its iris turned, on its canvas, as the change from the photo."""

import cv2
import numpy as np
from scipy import ndimage

from gaze_tf.turning.canvas import smoothstep
from gaze_tf.turning.eye_fit import EyeFit
from gaze_tf.turning.eyeball import CORNEA_MM, IRIS_MM, direction, rotation
from gaze_tf.turning.layers import separate_layers

# x and y float32 [H, W]: where each pixel comes from
Places = tuple[np.ndarray, np.ndarray]

# how far the lids follow the iris, as shares of its movement
_UPPER_DOWN, _LOWER_DOWN, _UPPER_UP, _LOWER_UP = 0.95, 0.40, 0.75, 0.30
_MOST_CLOSED = 0.55  # largest share of the opening by which a lid may move
# mm of skin that is stretched above the upper and below the lower lid
_STRETCHED_ABOVE, _STRETCHED_BELOW = 6.5, 5.0
_STILL = 0.01  # smaller movements, in pixels of the canvas, count as none


class TurnableEye:
    """An EyeFit with its Layers, which can be rendered for any direction. misfit: see `remains.Remains`."""

    def __init__(self, eye: EyeFit, rng: np.random.Generator) -> None:
        """rng: for the grain. Raises Unfit if lids or reflections hide too much."""
        self.eye, self._layers = eye, separate_layers(eye, rng)
        self.misfit = self._layers.misfit
        self._missed = eye.canvas.image - self._composed(0, 0)

    def iris(self, yaw: float, pitch: float) -> np.ndarray:
        """The center [2] of the iris on the canvas for a gaze in degrees."""
        return self.eye.limbus.center + IRIS_MM * self.eye.mm * self._direction(yaw, pitch)

    def change(self, yaw: float, pitch: float) -> np.ndarray:
        """The change when the gaze turns to yaw, pitch in degrees: float32 [H, W, 3] on the canvas."""
        image, way = self._composed(yaw, pitch), self.iris(yaw, pitch) - self.eye.limbus.center
        # the part of the photo that the layers miss is added back, for small angles only
        missed = self._missed * np.exp(-((np.hypot(*way) / (0.6 * self.eye.mm)) ** 2))
        return np.clip(image + missed, 0, 1).astype(np.float32) - self.eye.canvas.image

    def _direction(self, yaw: float, pitch: float) -> np.ndarray:
        return self.eye.canvas.level @ direction(yaw, pitch)

    def _composed(self, yaw: float, pitch: float) -> np.ndarray:
        """The composed layers, float32 [H, W, 3]."""
        layers, eye = self._layers, self.eye
        way = IRIS_MM * eye.mm * self._direction(yaw, pitch)
        lids_move = abs(way[1]) > _STILL
        still = abs(way[0]) < _STILL and not lids_move
        base, visible, shade, filled = layers.base, layers.visible, layers.shade, layers.filled
        if lids_move:
            at = self._lids_followed(way[1])
            base, visible, shade, filled = (_sampled(layer, at) for layer in (base, visible, shade, filled))
        if still:
            shown = (layers.iris_mask * visible)[..., None]
            image = base * (1 - shown) + np.clip(shade * layers.iris, 0, 1) * shown
            return _screened(image, layers.glints)
        at = self._iris_turned(yaw, pitch, way)
        shown = (_sampled(layers.iris_mask, at) * visible)[..., None]
        iris = np.clip(_sampled(layers.iris, at), 0.02, 1.6)
        image = base * (1 - shown) + np.clip(shade * iris, 0, 1) * shown
        made_up = np.clip(_sampled(layers.iris_made_up, at), 0, 1)[..., None]
        image = image + layers.grain * (filled[..., None] * (1 - shown) + 0.7 * shown * made_up)
        return _screened(image, self._glints_moved(yaw, pitch, at, visible))

    def _lids_followed(self, way_down: float) -> Places:
        """The Places when the lids follow an iris that moves down by some pixels (up: negative)."""
        canvas, lids, mm = self.eye.canvas, self.eye.lids, self.eye.mm
        down = way_down > 0
        upper_share, lower_share = (_UPPER_DOWN, _LOWER_DOWN) if down else (_UPPER_UP, _LOWER_UP)
        across = np.clip((canvas.columns - canvas.left) / (canvas.right - canvas.left), 0, 1)
        bump = ndimage.gaussian_filter1d(np.sin(np.pi * across) ** 0.9, 0.04 * canvas.width)
        most = np.maximum(lids.lower - lids.upper, 1) * _MOST_CLOSED
        upper, lower = np.clip(upper_share * way_down * bump, -most, most), lower_share * way_down * bump
        if down:
            # a lowered lid becomes flat, not hollow
            upper = np.minimum(upper, 0.7 * np.maximum(0.5 * canvas.image.shape[0] - lids.upper, 0))
            upper = ndimage.gaussian_filter1d(upper, 0.03 * canvas.width)
        new_upper, new_lower, y = lids.upper + upper, lids.lower + lower, canvas.y
        between = np.clip((y - new_upper) / np.maximum(new_lower - new_upper, 1e-3), 0, 1)
        moved = np.where(
            y < new_upper,
            upper * (1 - smoothstep(new_upper - y, 0, _STRETCHED_ABOVE * mm)),
            np.where(
                y > new_lower,
                lower * (1 - smoothstep(y - new_lower, 0, _STRETCHED_BELOW * mm)),
                upper * (1 - between) + lower * between,
            ),
        )
        return canvas.x, (y - moved).astype(np.float32)

    def _iris_turned(self, yaw: float, pitch: float, way: np.ndarray) -> Places:
        """The Places of the turned, foreshortened disc."""
        canvas, (x, y) = self.eye.canvas, self.eye.limbus.center
        back = np.linalg.inv(canvas.level @ rotation(yaw, pitch)[:2, :2] @ canvas.level.T)
        across, down = canvas.x - x - way[0], canvas.y - y - way[1]
        return (
            (back[0, 0] * across + back[0, 1] * down + x).astype(np.float32),
            (back[1, 0] * across + back[1, 1] * down + y).astype(np.float32),
        )

    def _glints_moved(self, yaw: float, pitch: float, iris_at: Places, visible: np.ndarray) -> np.ndarray:
        """The glints, which move with the center of the cornea and end with the cornea and under the lids."""
        canvas, limbus = self.eye.canvas, self.eye.limbus
        way = CORNEA_MM * self.eye.mm * self._direction(yaw, pitch)
        at = (canvas.x - way[0]).astype(np.float32), (canvas.y - way[1]).astype(np.float32)
        radius = np.hypot(iris_at[0] - limbus.center[0], iris_at[1] - limbus.center[1]) / limbus.radius
        on_cornea = (1 - 0.85 * smoothstep(radius, 0.9, 1.15)) * smoothstep(visible, 0.1, 0.7)
        return np.clip(_sampled(self._layers.glints, at), 0, 1) * on_cornea[..., None]


def _screened(image: np.ndarray, glints: np.ndarray) -> np.ndarray:
    return 1 - (1 - image) * (1 - glints)


def _sampled(layer: np.ndarray, at: Places) -> np.ndarray:
    """A layer at Places: colors with cubic, masks with linear interpolation."""
    kind = cv2.INTER_CUBIC if layer.ndim == 3 else cv2.INTER_LINEAR
    return cv2.remap(layer, *at, kind, borderMode=cv2.BORDER_REPLICATE)
