"""The level canvas of one eye: the photo around it, enlarged and turned so that the eye's corners are level."""

from typing import NamedTuple

import cv2
import numpy as np

from gaze_tf.easing import ease
from gaze_tf.turning.unfit import Unfit

MIN_EYE_PX = 12  # smallest width of an eye in the photo, from corner to corner
_MIN_WIDTH = 240  # smallest width of an eye on the canvas
_ENLARGED = 1.3  # least enlargement of the photo: resampling twice then keeps sharpness
_LUMINANCE = np.array([0.4, 0.4, 0.2], np.float32)
_DARKEST = 0.004  # above 0, so that colors can be divided


class EyeCanvas(NamedTuple):
    """An eye on its canvas; lengths are in pixels of the canvas.

    image: float32 [H, W, 3] in (0, 1]; luminance: float32 [H, W].
    matrix: float64 [2, 3], photo (x, y, 1) → canvas, both with the middle of the first pixel at 0; level: float64
        [2, 2], its rotation; zoom: its scale.
    width: from corner to corner; left, right: x of the corners.
    x, y: float32 [H, W], of each pixel.
    blur: sigma of one pixel of the photo.
    box: (x0, y0, x1, y1), the pixels of the photo that the canvas shows.
    """

    image: np.ndarray
    luminance: np.ndarray
    matrix: np.ndarray
    level: np.ndarray
    zoom: float
    width: int
    left: float
    right: float
    x: np.ndarray
    y: np.ndarray
    blur: float
    box: tuple[int, int, int, int]

    @property
    def columns(self) -> np.ndarray:
        """x of the canvas's columns [W]."""
        return np.arange(self.image.shape[1])

    def within(self, share: float) -> np.ndarray:
        """bool [H, W]: columns further from both corners than a share of the eye's width."""
        return (self.x > self.left + share * self.width) & (self.x < self.right - share * self.width)

    def to_canvas(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] of the photo on the canvas."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] of the canvas in the photo."""
        back = cv2.invertAffineTransform(self.matrix)
        return points @ back[:, :2].T + back[:, 2]

    def add_to(self, rgb: np.ndarray, change: np.ndarray) -> None:
        """Adds a change float32 [H, W, 3] of the canvas to a photo, uint8, in place; where it is 0 no bit changes."""
        x0, y0, x1, y1 = self.box
        matrix = _moved(self.matrix, self.box[:2])
        back = cv2.warpAffine(
            change,
            matrix,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        part = rgb[y0:y1, x0:x1]
        part[:] = np.clip(part + 255 * back + 0.5, 0, 255).astype(np.uint8)


def make_canvas(rgb: np.ndarray, corners: np.ndarray) -> EyeCanvas:
    """The EyeCanvas of an eye in a photo uint8 [H, W, 3].

    corners: [2, 2] of the eye, the one at smaller x first. Raises Unfit.
    """
    across = corners[1] - corners[0]
    eye_px = float(np.linalg.norm(across))
    if eye_px < MIN_EYE_PX:
        raise Unfit(f'an eye is {eye_px:.0f} pixels wide (at least {MIN_EYE_PX})')
    width = max(_MIN_WIDTH, int(_ENLARGED * eye_px))
    zoom, size = width / eye_px, (2 * width, int(1.5 * width))
    cos, sin = across / eye_px
    level = np.array([[cos, sin], [-sin, cos]])
    matrix = np.hstack([zoom * level, (np.array(size) / 2 - zoom * level @ corners.mean(0))[:, None]])
    box = _box(matrix, size, rgb.shape[1::-1], 1)
    near = _box(matrix, size, rgb.shape[1::-1], 4)
    part = rgb[near[1] : near[3], near[0] : near[2]].astype(np.float32) / 255
    image = cv2.warpAffine(part, _moved(matrix, near[:2]), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    image = np.clip(image, _DARKEST, 1)
    left, right = (corners @ matrix[:, :2].T + matrix[:, 2])[:, 0]
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return EyeCanvas(image, luminance(image), matrix, level, zoom, width, left, right, x, y, max(0.6 * zoom, 1.0), box)


def luminance(color: np.ndarray) -> np.ndarray:
    """The luminance of colors [..., 3]."""
    return color @ _LUMINANCE


def smoothstep(x: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """0 below low, 1 above high, smooth in between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return ease(t)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Values [H, W] or [H, W, C] after a Gaussian blur, float32."""
    return cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma)


def _moved(matrix: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The matrix for a part of the photo that starts at a corner (x, y)."""
    return np.hstack([matrix[:, :2], (matrix[:, 2] + matrix[:, :2] @ np.array(corner))[:, None]])


def _box(
    matrix: np.ndarray, size: tuple[int, ...], photo_size: tuple[int, ...], margin: int
) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the photo's pixels under the canvas and a margin around them."""
    width, height = size
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ back[:, :2].T + back[:, 2]
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1 + margin, photo_size)
    return int(x0), int(y0), int(x1), int(y1)
