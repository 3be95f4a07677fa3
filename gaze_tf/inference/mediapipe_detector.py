"""Finds faces with the models inside mediapipe up to 0.10.21."""

import functools
from collections.abc import Callable

import numpy as np

from gaze_tf.inference.faces import SMALLEST
from gaze_tf.inference.mediapipe_libraries import cannot_load, quiet
from gaze_tf.inference.mesh_detector import SQUARE, Found, MeshDetector, vertices

_FOUND = 0.12  # side of the smallest faces that are reliably found in a square, as a share of its side
# mediapipe's graph that fits the mesh to a part of a picture without searching for a face
_MARKER = """
input_stream: "image"
input_stream: "part"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:part"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


class MediapipeDetector(MeshDetector):
    """A MeshDetector with mediapipe's FaceDetection, which finds, and its FaceMesh, which marks."""

    def __init__(self, smallest: float = SMALLEST) -> None:
        """For `smallest` see `MeshDetector`. Raises GazeError if mediapipe is missing, or comes without models."""
        super().__init__(_FOUND, smallest)
        with quiet():
            try:
                from mediapipe.python.solutions import face_detection, face_mesh  # takes seconds
            except ImportError as error:
                raise cannot_load(error) from error
            self._finder = face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
            self._mesh = face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
            for part in (self._finder, self._mesh):
                # the first picture starts its threads, which write messages
                part.process(np.zeros((SQUARE, SQUARE, 3), np.uint8))

    def find_in_square(self, square: np.ndarray) -> list[Found]:
        found = []
        for detection in self._finder.process(square).detections or []:
            place = detection.location_data
            box = place.relative_bounding_box
            middle = complex(box.xmin + box.width / 2, box.ymin + box.height / 2) * SQUARE
            right, left = (complex(eye.x, eye.y) * SQUARE for eye in place.relative_keypoints[:2])
            found.append(Found(detection.score[0], middle, max(box.width, box.height) * SQUARE, left - right))
        return found

    def mesh(self, cut: np.ndarray) -> np.ndarray | None:
        meshes = self._mesh.process(np.ascontiguousarray(cut)).multi_face_landmarks
        return vertices(meshes[0].landmark) if meshes else None

    @functools.cached_property
    def _marker(self) -> Callable:
        """Runs mediapipe's graph for `mesh_in_middle`; made on first use, as only videos need it."""
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect
        from mediapipe.python.solution_base import SolutionBase

        whole = NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1)
        with quiet():
            graph = SolutionBase(graph_config=_MARKER, side_inputs={'with_attention': True})
            graph.process({'image': np.zeros((SQUARE, SQUARE, 3), np.uint8), 'part': whole})
        return lambda picture: graph.process({'image': picture, 'part': whole})

    def mesh_in_middle(self, cut: np.ndarray) -> np.ndarray | None:
        # without a search
        mesh = self._marker(np.ascontiguousarray(cut)).landmarks
        return vertices(mesh.landmark) if mesh else None
