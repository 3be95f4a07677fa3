"""Faces in the frames of a video: detected in full now and then, and in between marked where they should have moved
to."""

import cmath
import math

import numpy as np

from gaze_tf.editing.tracking import is_cut, pattern_of
from gaze_tf.inference.faces import same_eyes

# How far an eye may be from where it was expected, in distances between the eyes. Beyond the first its face is lost.
# Beyond the second it is marked once more, as marks are drawn a little towards what was expected.
_JUMP, _DRAWN = 0.3, 0.01
# By how much the box of a followed face may differ from the detected one: its place as a share of its side, and the
# ratio of sides. Closer ones are kept, as eye positions depend a little on the box.
_PLACE, _RATIO = 0.1, 1.15


class Follower:
    """Finds faces in successive frames: rgb uint8 [H, W, 3] of the next frame → list of Face, the largest first.

    It detects faces at the beginning of a shot and once a second. If it loses one, it detects at once, and again in
    growing intervals until the face is back. From frame to frame it expects faces to move as they moved last.
    """

    def __init__(self, find, mark, fps):
        """find: a detector. mark: rgb, Face → the Face near that one (by its box and roll), or None. fps: frames per
        second."""
        self._find, self._mark = find, mark
        self._most = max(round(float(fps)), 1)
        self._previous = None
        self._followed = []  # (Face in the last frame, its eyes in the one before)
        self._left, self._wait = 0, self._most  # frames until the next detection, and between the last two

    def __call__(self, rgb):
        pattern = pattern_of(rgb)
        begins = self._previous is None or is_cut(self._previous, pattern)
        if begins:
            self._followed, self._left, self._wait = [], 0, self._most
        self._previous = pattern
        followed = self._follow(rgb)
        if not self._left or len(followed) < len(self._followed):
            faces = self._find(rgb)
            # a face missed now may be found in the next frame, but one that has gone is not worth a search in each
            self._wait = 1 if len(faces) < max(len(self._followed), begins) else min(2 * self._wait, self._most)
            self._left = self._wait
            followed = [next((one for one in followed if _agree(one[0], face)), (face, _eyes(face))) for face in faces]
        self._left -= 1
        self._followed = sorted(followed, key=lambda one: one[0].box[0] - one[0].box[2])
        return [face for face, _ in self._followed]

    def _follow(self, rgb):
        """The followed faces that are where they should be, each once."""
        followed = []
        for last, before in self._followed:
            expected = _moved(last, before, _eyes(last))
            face = self._mark(rgb, expected)
            if face and _DRAWN < _off(expected, face) < _JUMP:
                expected = _moved(expected, _eyes(expected), _eyes(face))
                face = self._mark(rgb, expected)
            if face and _off(expected, face) < _JUMP and not any(same_eyes(face, other) for other, _ in followed):
                # the box keeps its place relative to the eyes, so that it does not stray
                followed.append((face._replace(box=_moved(expected, _eyes(expected), _eyes(face)).box), _eyes(last)))
        return followed


def _eyes(face):
    """Both eyes as complex numbers x + iy, [2]: rotation is multiplication."""
    return np.reshape(face.eyes, (2, 2)) @ (1, 1j)


def _moved(face, start, end):
    """The Face with eyes, box and roll moved as the eyes moved from `start` to `end`, complex [2]."""
    turn = (end[1] - end[0]) / (start[1] - start[0])

    def moved(points):
        return end.mean() + turn * (points - start.mean())

    low, high = np.reshape(face.box, (2, 2)) @ (1, 1j)
    middle, half = moved((low + high) / 2), abs(turn) * (high - low) / 2
    roll = math.degrees(cmath.phase(turn * cmath.rect(1, math.radians(face.roll))))
    return face._replace(eyes=_numbers(moved(_eyes(face))), box=_numbers([middle - half, middle + half]), roll=roll)


def _off(expected, face):
    """How far an eye of a Face, the farther one, is from where it was expected, in distances between the eyes."""
    eyes = _eyes(expected)
    return abs(_eyes(face) - eyes).max() / abs(eyes[1] - eyes[0])


def _agree(followed, found):
    """Whether two Faces are the same, with about the same box."""
    (low, high), (other_low, other_high) = (np.reshape(face.box, (2, 2)) @ (1, 1j) for face in (followed, found))
    side, other_side = (high - low).real, (other_high - other_low).real
    return (
        same_eyes(followed, found)
        and abs(low + high - other_low - other_high) / 2 < _PLACE * side
        and max(side / other_side, other_side / side) < _RATIO
    )


def _numbers(points):
    return tuple(float(value) for point in points for value in (point.real, point.imag))
