"""The mesh of a face, more exact than a single detection: the median over slightly turned and scaled copies."""

import cv2
import numpy as np

from gaze_tf.inference.faces import Face
from gaze_tf.inference.mesh_detector import MeshDetector
from gaze_tf.turning.unfit import Unfit

# degrees and scales of the copies; the median scatters about half as much as a single one
_COPIES = (0, 1), (4, 0.97), (-4, 0.97), (2, 1.05), (-2, 0.92)
_LOST = 2  # number of copies in which the face may be missed
_CUT = 3.5  # side of the cut-out, in widths of the face's box
_CUT_PX = 900  # largest side of the cut-out in pixels: the mesh network sees the face in 192 pixels

# for each eye, the one on the left of the image first: vertices of the upper and of the lower lid, from the corner at
# smaller x to the other, and the vertex at the center of the iris (the next four lie on its rim)
Contours = tuple[tuple[int, ...], tuple[int, ...], int]
CONTOURS: tuple[Contours, Contours] = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 468),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 473),
)


def find_landmarks(rgb: np.ndarray, face: Face, detector: MeshDetector) -> np.ndarray:
    """The vertices of a face's mesh in a photo: float64 [478, 2], (x, y) in pixels, the middle of the first pixel is 0.

    Args:
      rgb: uint8 [H, W, 3].
      face: a Face that the detector found in it.
      detector: MeshDetector, whose mesh is used.

    Raises:
      Unfit: the face is missed in too many copies.
    """
    box, roll = np.reshape(np.array(face.box), (2, 2)), face.roll or 0.0
    side = _CUT * (box[1, 0] - box[0, 0])
    zoom = min(1.0, _CUT_PX / side)
    patch, corner = _around(rgb, box.mean(0), side)
    # averaging before resampling prevents aliasing
    shrink = max(1, int(1 / zoom))
    if shrink > 1:
        patch = cv2.resize(patch, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    middle = (box.mean(0) - corner) / shrink - 0.5
    size = int(np.ceil(side * zoom))
    found = []
    for turn, scale in _COPIES:
        matrix = cv2.getRotationMatrix2D(middle.tolist(), roll + turn, zoom * shrink * scale)
        matrix[:, 2] = matrix[:, 2] + ((size - 1) / 2 - middle)
        copy = cv2.warpAffine(patch, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(127, 127, 127))
        mesh = detector.mesh(copy)
        if mesh is not None:
            back = cv2.invertAffineTransform(matrix)
            found.append((mesh[:, :2] * size - 0.5) @ back[:, :2].T + back[:, 2])
    if len(found) < len(_COPIES) - _LOST:
        raise Unfit('its features are not found reliably')
    return (np.median(found, axis=0) + 0.5) * shrink + corner - 0.5


def _around(rgb: np.ndarray, middle: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a photo around a square with any rotation, and the first pixel (x, y) of the part."""
    reach = side * 0.8
    low = np.maximum(np.floor(middle - reach).astype(int), 0)
    high = np.minimum(np.ceil(middle + reach).astype(int), rgb.shape[1::-1])
    return rgb[low[1] : high[1], low[0] : high[0]], low
