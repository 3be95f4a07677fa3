"""Faces and eyes by mediapipe: it finds them in squares of a picture, then marks each in an upright cut-out."""

import cmath
import contextlib
import functools
import math
import os
import re
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Face, same_eyes

_SQUARE = 192  # what the finder looks at, in pixels
_STEP = 128  # from one square to the next: what is too large for the overlap is seen by the level above
_FOUND = 0.12  # side of the faces it reliably finds in a square, as a share of the square's side
_CUT = 1.5  # side of the cut-out as a share of the face's
_CUT_PX = 256  # with these two, positions in a mirrored picture are those mirrored; coarser ones are shifted
_AGREE = 0.2  # of an eye's width: how far apart two views may see an eye. Faces: up to 0.08; lamps: from 0.27
# the mesh's vertices for outer and inner corner, middle of the upper and lower eyelid, and iris, of both eyes; and, the same
# for both, between the eyebrows and below the nose: the line through these is upright where a head is, and no jaw moves it
_VERTICES = np.array([[33, 133, 159, 145, 468, 9, 164], [263, 362, 386, 374, 473, 9, 164]])
# mediapipe's graph that marks the face in a part of a picture without looking for it
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
# Debian's packages with libraries that mediapipe and its OpenCV need of the system, by the start of their names
_PACKAGES = {
    'libGLES': 'libgles2',
    'libGL': 'libgl1',
    'libEGL': 'libegl1',
    'libgthread': 'libglib2.0-0',
    'libglib': 'libglib2.0-0',
    'libSM': 'libsm6',
    'libICE': 'libice6',
    'libXext': 'libxext6',
    'libXrender': 'libxrender1',
    'libX11': 'libx11-6',
}


class _Found(NamedTuple):
    """A square around a face, in pixels of the picture; a point is x + iy, so turning it is a multiplication."""

    score: float
    middle: complex
    side: float
    across: complex  # from the eye on the person's right to the one on the left


class MediapipeDetector:
    """rgb uint8 [H, W, 3] → list of Face, the largest first, for faces of any position and any roll.

    Faces that lie or are upside down are found where no other face is, and only large ones.
    """

    def __init__(self, smallest=0.015):
        """Raises GazeError without mediapipe.

        smallest: side of the smallest faces looked for, as a share of the picture's longest side. Halving it takes
        about four times as long: 0.06 is for video.
        """
        with _quiet():
            try:
                from mediapipe.python.solutions import face_detection, face_mesh  # takes seconds
            except ImportError as error:
                raise GazeError(
                    f'Finding faces needs mediapipe ({error}): {_remedy(str(error))}, or give the eyes by --eyes.'
                ) from error
            self._finder = face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
            self._mesh = face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
            for part in (self._finder, self._mesh):
                # its threads have started, and have written what they write, only after a first picture
                part.process(np.zeros((_SQUARE, _SQUARE, 3), np.uint8))
        self._levels = 1 + max(0, math.ceil(math.log2(_FOUND / smallest)))
        self._started = False

    def __call__(self, rgb):
        picture = Image.fromarray(rgb)
        # mediapipe writes about itself until it has marked a first face
        with contextlib.nullcontext() if self._started else _quiet():
            faces = self._mark_all(rgb, self._find(picture)) or self._mark_all(rgb, self._find_turned(picture))
        self._started = self._started or bool(faces)
        return sorted(faces, key=lambda face: face.box[0] - face.box[2])

    def mark(self, rgb, face):
        """The Face that is about where a Face found in a similar picture has its box, and rolled about as it; None if none is.

        Takes a fraction of the time of finding it.
        """
        low, high = np.reshape(face.box, (2, 2)) @ (1, 1j)
        place = _Found(1.0, (low + high) / 2, (high - low).real, cmath.rect(1, math.radians(face.roll)))
        return self._mark(rgb, place, self._mesh_of_whole)

    def _find(self, picture):
        """_Found of faces that are more or less upright, several of one face among them."""
        level = max(0, min(self._levels - 1, int(math.log2(max(picture.size) / _SQUARE))))
        scaled, zoom = _resized(picture, _SQUARE << level)
        found = []
        # the last one has a margin, without which a face that fills the picture is missed
        for _ in range(level + 2):
            for corner in _squares(scaled.size):
                found += _moved(self._find_in_square(scaled, corner), zoom)
            scaled, zoom = scaled.reduce(2), zoom * 2
        return found

    def _find_turned(self, picture):
        """The same for faces that lie or are upside down, in the picture as a whole."""
        scaled, zoom = _resized(picture, _SQUARE)
        found = []
        for quarters, turn in enumerate((Image.ROTATE_90, Image.ROTATE_180, Image.ROTATE_270), start=1):
            turned, back = scaled.transpose(turn), 1j**quarters
            by = zoom * (complex(*scaled.size) - back * complex(*turned.size)) / 2
            for corner in _squares(turned.size):
                found += _moved(self._find_in_square(turned, corner), zoom * back, by)
        return found

    def _find_in_square(self, scaled, corner):
        x, y = corner
        square = np.asarray(scaled.crop((x, y, x + _SQUARE, y + _SQUARE)))
        found = []
        for detection in self._finder.process(square).detections or []:
            place = detection.location_data
            box = place.relative_bounding_box
            middle = complex(box.xmin + box.width / 2, box.ymin + box.height / 2) * _SQUARE + complex(x, y)
            right, left = (complex(eye.x, eye.y) * _SQUARE for eye in place.relative_keypoints[:2])
            found.append(_Found(detection.score[0], middle, max(box.width, box.height) * _SQUARE, left - right))
        return found

    def _mark_all(self, rgb, found):
        """Faces that were found, each once."""
        found = sorted(found, key=lambda one: -one.score)
        surest = [
            one
            for n, one in enumerate(found)
            if all(abs(one.middle - other.middle) > max(one.side, other.side) / 2 for other in found[:n])
        ]
        faces = []
        for face in (self._mark(rgb, one, self.mesh) for one in surest):
            if face and not any(same_eyes(face, other) for other in faces):
                faces.append(face)
        return faces

    def _mark(self, rgb, found, mesh):
        """The Face that was found, None if it is none after all; mesh: `self.mesh`, or what does the same."""
        zoom = cmath.rect(found.side * _CUT / _CUT_PX, cmath.phase(found.across))
        cut = _cut(rgb, found.middle, zoom)
        marks, mirrored = _marks(mesh(cut)), _marks(mesh(cut[:, ::-1]))
        if marks is None or mirrored is None:
            return None
        mirrored = mirrored[::-1] * (-1, 1, 1)
        both = (marks + mirrored) / 2  # with less noise than one has, and preferring no side
        apart = np.linalg.norm((marks - mirrored)[:, :2].mean(1)[:, :2], axis=-1).max()
        return _face(both, found, zoom) if apart < _AGREE * np.mean(_widths(both)) else None

    def mesh(self, cut):
        """All 478 vertices of the face in a cut-out, rgb uint8 [h, w, 3]: float64 [478, 3], x as a share of its width, y of
        its height, z (depth) of its width; None if there is no face."""
        meshes = self._mesh.process(np.ascontiguousarray(cut)).multi_face_landmarks
        return _vertices(meshes[0]) if meshes else None

    @functools.cached_property
    def _marker(self):
        """A function of pictures for `_mesh_of_whole`; photos do without."""
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect
        from mediapipe.python.solution_base import SolutionBase

        whole = NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1)
        with _quiet():
            graph = SolutionBase(graph_config=_MARKER, side_inputs={'with_attention': True})
            graph.process({'image': np.zeros((_SQUARE, _SQUARE, 3), np.uint8), 'part': whole})
        return lambda picture: graph.process({'image': picture, 'part': whole})

    def _mesh_of_whole(self, cut):
        """As `mesh`, of a face in the middle of the cut-out with _CUT times its side, which is not looked for."""
        mesh = self._marker(np.ascontiguousarray(cut)).landmarks
        return _vertices(mesh) if mesh else None


def _remedy(why):
    """What to do about a failed import: mediapipe may be there, but libraries of the system missing that it draws with."""
    library = re.search(r'(\S+)\.so\S*: cannot open shared object file', why)
    if not library:
        return "pip install 'gaze_tf[faces]'"
    package = next((package for start, package in _PACKAGES.items() if library[1].startswith(start)), None)
    return (
        f'apt-get install {package} (Debian, Ubuntu), or the package of your system with {library[1]}'
        if package
        else f'install the package of your system with {library[1]}'
    )


def _vertices(mesh):
    return np.array([(point.x, point.y, point.z) for point in mesh.landmark])


def _marks(mesh):
    """Positions of _VERTICES [2, 7, 3] in the cut-out's pixels from its middle, or None, of a mesh or None."""
    return None if mesh is None else (mesh[_VERTICES] - (0.5, 0.5, 0)) * _CUT_PX


def _face(marks, found, zoom):
    """Face of marks [2, 7, 3] in a cut-out's pixels from its middle."""
    planar = found.middle + zoom * (marks[..., 0] + 1j * marks[..., 1])
    outer, _, upper, lower, _, brow, lip = np.moveaxis(marks, 1, 0)
    openness = np.linalg.norm(upper - lower, axis=-1) / _widths(marks)
    # corners and lids alike: the corners alone lie below the middle of the eye
    middles, irises = planar[:, :4].mean(1), planar[:, 4]
    across_xyz, down_xyz = outer[1] - outer[0], (lip - brow)[0]
    order = slice(None) if middles[0].real < middles[1].real else slice(None, None, -1)
    corner = complex(found.side, found.side) / 2
    return Face(
        eyes=_numbers(middles[order]),
        irises=_numbers(irises[order]),
        eye_width=float(np.abs(planar[:, 0] - planar[:, 1]).mean()),
        openness=tuple(openness[order].tolist()),
        yaw=math.degrees(math.atan2(across_xyz[2], np.hypot(*across_xyz[:2]))),
        roll=math.degrees(cmath.phase(middles[1] - middles[0])),
        box=_numbers([found.middle - corner, found.middle + corner]),
        pitch=math.degrees(math.atan2(-down_xyz[2], np.hypot(*down_xyz[:2]))),
    )


def _widths(marks):
    return np.linalg.norm(marks[:, 0] - marks[:, 1], axis=-1)


def _resized(picture, longest):
    """The picture with its longest side as given, and how many pixels of the picture are one of it."""
    zoom = max(picture.size) / longest
    return picture.resize([max(1, round(side / zoom)) for side in picture.size], Image.BILINEAR), zoom


def _squares(size):
    """Corners of overlapping squares that cover a picture; one that is larger than it has it in its middle."""
    across, down = (
        [(side - _SQUARE) // 2]
        if side <= _SQUARE
        else np.linspace(0, side - _SQUARE, 1 + math.ceil((side - _SQUARE) / _STEP)).astype(int).tolist()
        for side in size
    )
    return [(x, y) for y in down for x in across]


def _moved(found, factor, by=0):
    """The same in another picture, whose points are factor * point + by."""
    return [_Found(one.score, factor * one.middle + by, abs(factor) * one.side, factor * one.across) for one in found]


def _cut(rgb, middle, zoom):
    """uint8 [_CUT_PX, _CUT_PX, 3] around a point; zoom: pixels of the picture for one, times the turn as e^(i roll)."""
    import cv2  # comes with mediapipe, and is missing where that is

    shrink = max(1, int(abs(zoom)))
    reach = abs(zoom) * _CUT_PX
    height, width = rgb.shape[:2]
    left, right = (int(min(max(0, middle.real + sign * reach), width)) for sign in (-1, 1))
    top, bottom = (int(min(max(0, middle.imag + sign * reach), height)) for sign in (-1, 1))
    left, top = min(left, width - 1), min(top, height - 1)
    near = rgb[top : max(bottom, top + 1), left : max(right, left + 1)]
    if shrink > 1:
        near = np.asarray(Image.fromarray(near).reduce(shrink))
    zoom, corner = zoom / shrink, (middle - complex(left, top)) / shrink
    # OpenCV's first pixel has its middle at 0
    corner += (zoom * (1 - _CUT_PX) - 1) * (0.5 + 0.5j)
    matrix = np.array([[zoom.real, -zoom.imag, corner.real], [zoom.imag, zoom.real, corner.imag]])
    return cv2.warpAffine(near, matrix, (_CUT_PX, _CUT_PX), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def _numbers(points):
    return tuple(float(value) for point in points for value in (point.real, point.imag))


@contextlib.contextmanager
def _quiet():
    """Nothing that is written to the process's standard error is seen: mediapipe's libraries know no other way."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
