"""What detectors share that mark faces with a mesh: the search in squares of a picture, and the Face of a mesh."""

import abc
import cmath
import contextlib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.inference.faces import Face, same_eyes
from gaze_tf.inference.mediapipe_libraries import quiet

SQUARE = 192  # side of the squares in which faces are found, in pixels
# A picture is searched at half its size or larger where faces of this share of a square are found: those whose eyes are
# 8 pixels wide are 23 pixels wide then. Where only larger ones are, the picture is larger, too.
_HALVED = 0.12
_STEP = 128  # from one square to the next: what is too large for the overlap is seen by the level above
_CUT = 1.5  # side of the cut-out as a share of the face's
_CUT_PX = 256  # with these two, a mirrored picture gives mirrored positions; coarser cut-outs shift them
_AGREE = 0.2  # how far apart two views may see an eye, in eye widths (faces: up to 0.08; lamps: from 0.27)
# Vertices of the mesh, a row for each eye: outer and inner corner, middles of the upper and lower eyelid, iris.
# Then, the same for both, between the eyebrows and below the nose. The line through these two is upright in an upright
# head, whatever the jaw does.
_VERTICES = np.array([[33, 133, 159, 145, 468, 9, 164], [263, 362, 386, 374, 473, 9, 164]])


class Found(NamedTuple):
    """A square around a face, in pixels of the picture. Points are x + iy, so a rotation is a multiplication.

    Of several around one face, the one with the highest score is used.
    """

    score: float
    middle: complex
    side: float
    across: complex  # from the eye on the person's right to the one on the left


class MeshDetector(abc.ABC):
    """Finds faces at any position and roll: rgb uint8 [H, W, 3] → list of Face, the largest first.

    Faces are found in squares of the picture, and each is marked in an upright cut-out. Faces that lie on their side or
    upside down are found only if they are large and there is no upright face. A subclass finds and marks.
    """

    def __init__(self, found: float, smallest: float) -> None:
        """For a subclass.

        Args:
          found: side of the smallest faces that it reliably finds in a square, as a share of the square's side.
          smallest: side of the smallest faces that are searched for, as a share of the picture's longest side. Half of
            it takes about four times as long; videos use 0.06.
        """
        self._least = SQUARE * _HALVED / found
        self._levels = 1 + max(0, math.ceil(math.log2(found / smallest)))
        self._started = False

    @abc.abstractmethod
    def find_in_square(self, square: np.ndarray) -> list[Found]:
        """The faces that are more or less upright in a square uint8 [SQUARE, SQUARE, 3], in its pixels."""

    @abc.abstractmethod
    def mesh(self, cut: np.ndarray) -> np.ndarray | None:
        """The mesh of the face in a cut-out uint8 [h, w, 3], or None if there is no face.

        Returns 478 vertices, float64 [478, 3]: x and z (depth) as shares of the width, y as a share of the height.
        """

    def mesh_in_middle(self, cut: np.ndarray) -> np.ndarray | None:
        """`mesh` of a face that is known to be in the middle of a square cut-out, 1.5 times as wide as the face."""
        return self.mesh(cut)

    def __call__(self, rgb: np.ndarray) -> list[Face]:
        picture = Image.fromarray(rgb)
        # mediapipe writes messages until it has fitted a first mesh
        with contextlib.nullcontext() if self._started else quiet():
            faces = self._mark_all(rgb, self._find(picture)) or self._mark_all(rgb, self._find_turned(picture))
        self._started = self._started or bool(faces)
        return sorted(faces, key=lambda face: face.box[0] - face.box[2])

    def mark(self, rgb: np.ndarray, face: Face) -> Face | None:
        """Finds a face again in a similar picture, in a fraction of the time of a search.

        face: its box and roll say where to look. Returns the Face, or None if there is no face.
        """
        assert face.box is not None and face.roll is not None
        low, high = np.reshape(face.box, (2, 2)) @ (1, 1j)
        place = Found(1.0, (low + high) / 2, (high - low).real, cmath.rect(1, math.radians(face.roll)))
        return self._mark(rgb, place, self.mesh_in_middle)

    def _find(self, picture):
        """Found of faces that are more or less upright, several of one face among them."""
        level = max(0, min(self._levels - 1, int(math.log2(max(picture.size) / self._least))))
        scaled, zoom = _resized(picture, SQUARE << level)
        found = []
        # the last one has a margin, without which a face that fills the picture is missed
        for _ in range(level + 2):
            for corner in _squares(scaled.size):
                found += _moved(self._find_at(scaled, corner), zoom)
            scaled, zoom = scaled.reduce(2), zoom * 2
        return found

    def _find_turned(self, picture):
        """The same for faces that lie or are upside down, in the picture as a whole."""
        scaled, zoom = _resized(picture, SQUARE)
        found = []
        for quarters, turn in enumerate((Image.ROTATE_90, Image.ROTATE_180, Image.ROTATE_270), start=1):
            turned, back = scaled.transpose(turn), 1j**quarters
            by = zoom * (complex(*scaled.size) - back * complex(*turned.size)) / 2
            for corner in _squares(turned.size):
                found += _moved(self._find_at(turned, corner), zoom * back, by)
        return found

    def _find_at(self, scaled, corner):
        x, y = corner
        square = np.asarray(scaled.crop((x, y, x + SQUARE, y + SQUARE)))
        return _moved(self.find_in_square(square), 1, complex(x, y))

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
        """The Face of a Found, or None if it is no face after all. mesh: `self.mesh`, or a function like it."""
        zoom = cmath.rect(found.side * _CUT / _CUT_PX, cmath.phase(found.across))
        cut = _cut(rgb, found.middle, zoom)
        marks, mirrored = _marks(mesh(cut)), _marks(mesh(cut[:, ::-1]))
        if marks is None or mirrored is None:
            return None
        mirrored = mirrored[::-1] * (-1, 1, 1)
        both = (marks + mirrored) / 2  # less noise than in either, and no preferred side
        apart = np.linalg.norm((marks - mirrored)[:, :2].mean(1)[:, :2], axis=-1).max()
        return _face(both, found, zoom) if apart < _AGREE * np.mean(_widths(both)) else None


def vertices(points: Iterable[Any]) -> np.ndarray:
    """The x, y and z of mediapipe's points, float64 [N, 3]."""
    return np.array([(point.x, point.y, point.z) for point in points])


def _marks(mesh):
    """The _VERTICES of a mesh, [2, 7, 3] in pixels from the middle of the cut-out; None for None."""
    return None if mesh is None else (mesh[_VERTICES] - (0.5, 0.5, 0)) * _CUT_PX


def _face(marks, found, zoom):
    """The Face with these marks [2, 7, 3], in pixels from the middle of the cut-out."""
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
    """(the picture with its longest side as given, pixels of the original for one of its pixels)."""
    zoom = max(picture.size) / longest
    return picture.resize([max(1, round(side / zoom)) for side in picture.size], Image.BILINEAR), zoom


def _squares(size):
    """Corners of overlapping squares that cover a picture; a square larger than the picture is centered on it."""
    across, down = (
        [(side - SQUARE) // 2]
        if side <= SQUARE
        else np.linspace(0, side - SQUARE, 1 + math.ceil((side - SQUARE) / _STEP)).astype(int).tolist()
        for side in size
    )
    return [(x, y) for y in down for x in across]


def _moved(found, factor, by=0):
    """The Found in another picture, whose points are factor * point + by."""
    return [Found(one.score, factor * one.middle + by, abs(factor) * one.side, factor * one.across) for one in found]


def _cut(rgb, middle, zoom):
    """The cut-out uint8 [_CUT_PX, _CUT_PX, 3] around a point.

    zoom: pixels of the picture for one pixel of the cut-out, times the rotation e^(i roll).
    """
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
    # in OpenCV the middle of the first pixel is 0
    corner += (zoom * (1 - _CUT_PX) - 1) * (0.5 + 0.5j)
    matrix = np.array([[zoom.real, -zoom.imag, corner.real], [zoom.imag, zoom.real, corner.imag]])
    return cv2.warpAffine(near, matrix, (_CUT_PX, _CUT_PX), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def _numbers(points):
    return tuple(float(value) for point in points for value in (point.real, point.imag))
