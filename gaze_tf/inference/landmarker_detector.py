"""Finds faces with mediapipe's FaceLandmarker and a file, face_landmarker.task: mediapipe 1 has no models inside.

FaceLandmarker finds and marks in one. Its vertices are those of the models inside mediapipe up to 0.10.21.
"""

import atexit
import ctypes
import pathlib
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from gaze_tf.errors import GazeError, first_line
from gaze_tf.files import reason
from gaze_tf.inference.faces import SMALLEST
from gaze_tf.inference.mediapipe_libraries import cannot_load, fetch_model, is_missing_library, quiet
from gaze_tf.inference.mesh_detector import SQUARE, Found, MeshDetector, vertices

# rgb uint8 [H, W, 3] → the meshes float64 [478, 3] of the faces in it, as `MeshDetector.mesh` describes them
Landmarker = Callable[[np.ndarray], list[np.ndarray]]
_FOUND = 0.14  # side of the smallest faces that are reliably found in a square, as a share of its side
_SEVERAL = 10  # faces that are marked in one square
_CORNERS = [[33, 133], [263, 362]]  # vertices at the outer and inner corner of each eye, the person's right one first


class LandmarkerDetector(MeshDetector):
    """A MeshDetector with a landmarker; see `load_landmarker`."""

    def __init__(self, landmarker: Landmarker, smallest: float = SMALLEST) -> None:
        """For `smallest` see `MeshDetector`."""
        super().__init__(_FOUND, smallest)
        self._landmarker = landmarker

    def find_in_square(self, square: np.ndarray) -> list[Found]:
        return [_found(mesh[:, :2] @ (1, 1j) * SQUARE) for mesh in self._landmarker(square)]

    def mesh(self, cut: np.ndarray) -> np.ndarray | None:
        # neighbors may be in the cut-out, too
        return min(
            self._landmarker(np.ascontiguousarray(cut)),
            key=lambda mesh: np.linalg.norm(mesh[:, :2].mean(axis=0) - 0.5),
            default=None,
        )


def load_landmarker(path: pathlib.Path | str, name: str) -> Landmarker:
    """The Landmarker of a face_landmarker.task file. name: what the user calls the file, for errors.

    Raises GazeError if mediapipe is missing, or the file is, or it is of another kind.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise GazeError(f'`{name}` cannot be read: {reason(error)}. {fetch_model()}.') from error
    with quiet():
        try:
            import cv2  # noqa: F401 (a missing system library should be known at once)
            from mediapipe import Image, ImageFormat
            from mediapipe.tasks.python import vision  # takes seconds
            from mediapipe.tasks.python.core.base_options import BaseOptions

            options = vision.FaceLandmarkerOptions(BaseOptions(model_asset_buffer=content), num_faces=_SEVERAL)
            task = vision.FaceLandmarker.create_from_options(options)
        except ImportError as error:
            raise cannot_load(error) from error
        except (OSError, RuntimeError, ValueError) as error:
            # mediapipe 1 loads its library, and with it those of the system, only here
            if is_missing_library(error):
                raise cannot_load(error) from error
            raise GazeError(
                f'`{name}` is no model that finds and marks faces ({first_line(error)}). {fetch_model()}.'
            ) from error

        def find(rgb: np.ndarray) -> list[np.ndarray]:
            return [vertices(points) for points in task.detect(Image(ImageFormat.SRGB, rgb)).face_landmarks]

        _keep_at_exit(task)
        # the first picture starts its threads, which write messages
        find(np.zeros((SQUARE, SQUARE, 3), np.uint8))
    return find


def _keep_at_exit(task: Any) -> None:
    """Keeps a task that is open when the program ends: mediapipe 1 can no longer close it then, and complains."""
    still = weakref.ref(task)

    def keep() -> None:
        if (task := still()) is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))

    atexit.register(keep)


def _found(points: np.ndarray) -> Found:
    """The Found of a mesh: the square around its points x + iy [478] in a square, level with the eyes."""
    right, left = points[_CORNERS].mean(axis=1)
    upright = (left - right) / abs(left - right)
    turned = points / upright
    low, high = (complex(turn(turned.real), turn(turned.imag)) for turn in (np.min, np.max))
    middle, side = (low + high) / 2 * upright, max((high - low).real, (high - low).imag)
    # at the border of a square a face may be incomplete
    border = min(middle.real, middle.imag, SQUARE - middle.real, SQUARE - middle.imag)
    return Found(min(1.0, 2 * border / side), middle, side, left - right)
