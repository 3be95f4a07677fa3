"""The mesh of a face, more exact than one look at it gives: the median over slightly turned and scaled copies."""

import cv2
import numpy as np

from gaze_tf.turning.unfit import Unfit

# degrees and scales of the copies: about half the scatter of a single one
_COPIES = (0, 1), (4, 0.97), (-4, 0.97), (2, 1.05), (-2, 0.92)
_LOST = 2  # copies in which the face may be missed
_CUT = 3.5  # side of the cut-out as a share of the face's box
_CUT_PX = 900  # its side in pixels, at most: the mesh sees no more than 192 of the face

# vertices of the contours, from the corner at smaller x to the other, of the upper and the lower lid, and of the iris (its
# centre; the four after it lie on its rim); the eye on the left of the image first
CONTOURS = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 468),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 473),
)


def landmarks(rgb, face, detector):
    """The mesh's vertices in a photo: float64 [478, 2], (x, y) in pixels, the middle of the first is 0.

    Args:
      rgb: uint8 [H, W, 3].
      face: the Face in it.
      detector: MediapipeDetector, whose mesh is used.

    Raises:
      Unfit: the face is missed in several copies.
    """
    box = np.reshape(face.box, (2, 2))
    side = _CUT * (box[1, 0] - box[0, 0])
    zoom = min(1.0, _CUT_PX / side)
    patch, corner = _around(rgb, box.mean(0), side)
    # what is averaged before it is resampled does not alias
    shrink = max(1, int(1 / zoom))
    if shrink > 1:
        patch = cv2.resize(patch, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    middle = (box.mean(0) - corner) / shrink - 0.5
    size = int(np.ceil(side * zoom))
    found = []
    for turn, scale in _COPIES:
        matrix = cv2.getRotationMatrix2D(middle.tolist(), face.roll + turn, zoom * shrink * scale)
        matrix[:, 2] += (size - 1) / 2 - middle
        copy = cv2.warpAffine(patch, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(127, 127, 127))
        mesh = detector.mesh(copy)
        if mesh is not None:
            back = cv2.invertAffineTransform(matrix)
            found.append((mesh[:, :2] * size - 0.5) @ back[:, :2].T + back[:, 2])
    if len(found) < len(_COPIES) - _LOST:
        raise Unfit('its features are not found reliably')
    return (np.median(found, axis=0) + 0.5) * shrink + corner - 0.5


def _around(rgb, middle, side):
    """The part of a photo that a square, turned in any way, can show, and its first pixel (x, y)."""
    reach = side * 0.8
    low = np.maximum(np.floor(middle - reach).astype(int), 0)
    high = np.minimum(np.ceil(middle + reach).astype(int), rgb.shape[1::-1])
    return rgb[low[1] : high[1], low[0] : high[0]], low
