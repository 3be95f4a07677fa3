"""Chooses what finds faces: mediapipe with a file of yours, or with the models inside mediapipe up to 0.10.21."""

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

from gaze_tf.inference.faces import SMALLEST, Detector, Face
from gaze_tf.options import Options, option

if TYPE_CHECKING:
    from gaze_tf.inference.mesh_detector import MeshDetector

# the environment variable that names the file where no option does
VARIABLE = 'GAZE_TF_FACE_MODEL'


@dataclasses.dataclass(frozen=True)
class DetectorOptions(Options):
    """What finds faces."""

    face_model: str = option(
        '',
        'The file face_landmarker.task, with which mediapipe finds faces; releases after 0.10.21 need it. By default '
        f'the file that the environment variable {VARIABLE} names, or else the models inside mediapipe.',
    )


def make_detector(face_model: str = '', smallest: float = SMALLEST) -> 'MeshDetector':
    """What finds faces.

    Args:
      face_model: see `DetectorOptions`.
      smallest: side of the smallest faces that are searched for, as a share of the picture's longest side; see
        `MeshDetector`.

    Raises:
      GazeError: mediapipe or the file is missing; it says what to install or to fetch.
    """
    # here: they import numpy, which takes a moment
    from gaze_tf.inference import landmarker_detector, mediapipe_detector

    path = face_model or os.environ.get(VARIABLE, '')
    if not path:
        return mediapipe_detector.MediapipeDetector(smallest)
    name = 'face_model' if face_model else VARIABLE
    return landmarker_detector.LandmarkerDetector(landmarker_detector.load_landmarker(path, f'{name}={path}'), smallest)


def make_lazy_detector(face_model: str = '') -> Detector:
    """`make_detector`, put off until a first face is searched for: eyes that are given need no mediapipe."""
    make = functools.cache(make_detector)

    def find(rgb: Any) -> list[Face]:
        return make(face_model)(rgb)

    return find
