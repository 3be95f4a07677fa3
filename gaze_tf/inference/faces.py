"""Faces and their eyes: what is known about a face in a photo, and which faces are left alone.

A detector is any callable: rgb uint8 [H, W, 3] → list of Face, the largest first. If it also has a method `mark` (see
`MeshDetector.mark`), faces in videos need not be detected anew in every frame.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, as_text, option

# the least distance, in pixels, between eyes given by hand: a smaller face shows nothing that could be repainted
MIN_APART = 4
# Eye widths by which irises move along the eyes: per degree of head turn (as mediapipe sees it) while the eyes stay on
# the camera (60 portraits), and per degree that the eyes turn (204 photos with turned eyes, see docs/turning.md).
_ALONG_PER_YAW, _ALONG_PER_GAZE = 0.0052, 0.0042
# degrees that no face exceeds
NO_LIMIT = 1e9
NOT_CHOSEN = 'it was not chosen'
_T = TypeVar('_T')


class Face(NamedTuple):
    """A face in an upright photo. Positions are (x, y) in pixels; the center of the first pixel is 0.5.

    eyes: (left_x, left_y, right_x, right_y), the center of each eye between its corners and lids. The left eye is the
      one with the smaller x.

    The rest is measured by a detector and is None for eyes given by hand:

    irises: their centers, in the same form as `eyes`.
    eye_width: pixels from corner to corner, the mean of both eyes.
    openness: (left, right), the distance between the eyelids as a share of the eye's width; 0 is closed, 0.3 is usual.
    yaw: degrees by which the head is turned to the side (0: facing the camera; positive: towards larger x).
    roll: degrees of the line from the person's right eye to the left eye (0: level; positive: clockwise; beyond 90:
      upside down).
    box: (x0, y0, x1, y1) around the face.
    pitch: degrees by which the head is raised (positive) or lowered.
    seen: how certain it is that both eyes are visible, from 0 to 1; see `covered.with_seen`.
    """

    eyes: tuple[float, ...]
    irises: tuple[float, ...] | None = None
    eye_width: float | None = None
    openness: tuple[float, ...] | None = None
    yaw: float | None = None
    roll: float | None = None
    box: tuple[float, ...] | None = None
    pitch: float | None = None
    seen: float | None = None


# by default, the side of the smallest faces that are searched for, as a share of the picture's longest side
SMALLEST = 0.015
# rgb uint8 [H, W, 3] → the faces in it, the largest first
Detector = Callable[[Any], list[Face]]


@dataclasses.dataclass(frozen=True)
class HardLimits(Options):
    """Which faces are edited at all. The defaults fit what MediapipeDetector measures.

    It sees only part of a head's turn: 15 degrees of 20 and 21 of 30 in rendered turns of a portrait; a man in profile
    has 57. Open eyes had an openness of 0.28 to 0.42, painted eyelids that are quite shut 0.09.
    """

    min_eye_px: float = option(8.0, 'Faces whose eyes are narrower than this, in pixels, are left alone.')
    max_yaw: float = option(30.0, 'Heads turned to the side by more than this, in degrees, are left alone.')
    max_pitch: float = option(25.0, 'Heads raised or lowered by more than this, in degrees, are left alone.')
    max_roll: float = option(45.0, 'Heads tilted by more than this, in degrees, are left alone.')
    max_gaze: float = option(45.0, 'Eyes that look to the side by more than this, in degrees, are left alone.')
    min_openness: float = option(
        0.12,
        'Faces with an eye that is less open than this share of its width are left alone; in a video these are blinks. '
        '0: repaint closed eyes, too.',
    )
    min_seen: float = option(
        0.5,
        'Eyes that are visible with less certainty than this, from 0 to 1, count as covered: their face is left '
        'alone. 0: repaint covered eyes, too.',
    )


@dataclasses.dataclass(frozen=True)
class Limits(HardLimits):
    """Which faces are edited, and which of them in full.

    Faces up to full_yaw, full_pitch and full_gaze (see `gaze_aside`) are edited in full. Beyond, the strength falls,
    down to 0 at max_yaw, max_pitch and max_gaze. The model for people was trained on eyes turned by up to 30 degrees.
    Four fifths of 60 formal portraits had a pitch of -7 to 4.
    """

    full_yaw: float = option(
        20.0,
        'Heads turned to the side by more than this, in degrees, are corrected less, down to nothing at `max_yaw`.',
    )
    full_pitch: float = option(
        15.0,
        'Heads raised or lowered by more than this, in degrees, are corrected less, down to nothing at `max_pitch`.',
    )
    full_gaze: float = option(
        30.0,
        'Eyes that look to the side by more than this, in degrees, are corrected less, down to nothing at `max_gaze`.',
    )


def why_not(face: Face, limits: HardLimits = HardLimits(), size: tuple[int, ...] | None = None) -> str:
    """Why a face is left alone, in a few words that follow 'face 0: '; '' if it can be edited.

    size: (width, height) of the picture, in which both eyes must lie; None skips that test. Values of the face that are
    None pass.
    """
    if size and not _inside(face.eyes, size):
        x, y = next(eye for eye in (face.eyes[:2], face.eyes[2:]) if not _inside(eye, size))
        return f'its eye at {x:.0f}, {y:.0f} is outside the picture of {size[0]}x{size[1]} pixels'
    if face.eye_width is not None and face.eye_width < limits.min_eye_px:
        return f'its eyes are {face.eye_width:.3g} pixels wide (at least {limits.min_eye_px:g})'
    if face.yaw is not None and abs(face.yaw) > limits.max_yaw:
        return f'its head is turned by {abs(face.yaw):.3g} degrees (at most {limits.max_yaw:g})'
    if face.pitch is not None and abs(face.pitch) > limits.max_pitch:
        way = 'raised' if face.pitch > 0 else 'lowered'
        return f'its head is {way} by {abs(face.pitch):.3g} degrees (at most {limits.max_pitch:g})'
    if face.roll is not None and abs(face.roll) > limits.max_roll:
        return f'its head is tilted by {abs(face.roll):.3g} degrees (at most {limits.max_roll:g})'
    if face.openness is not None and min(face.openness) < limits.min_openness:
        return f'an eye is open by {min(face.openness):.2g} of its width (at least {limits.min_openness:g})'
    if face.seen is not None and face.seen < limits.min_seen:
        return 'its eyes are covered'
    aside = gaze_aside(face)
    if aside is not None and abs(aside) > limits.max_gaze:
        return f'its eyes look aside by {abs(aside):.3g} degrees (at most {limits.max_gaze:g})'
    return ''


def gaze_aside(face: Face) -> float | None:
    """Degrees by which a Face looks past the camera to the side, positive towards larger x; None if they are unknown.

    It is measured by how far irises are from the middle of their eyes, less the effect of the head's turn. For people
    who look at the camera it has a standard deviation of 4 degrees. (Vertically irises say too little: 7 degrees.)
    """
    offset = iris_offset(face)
    if offset is None or face.yaw is None:
        return None
    return (offset[0] + _ALONG_PER_YAW * face.yaw) / _ALONG_PER_GAZE


def iris_offset(face: Face) -> tuple[float, float] | None:
    """(along, up): how far irises are from the middle of their eyes, in eye widths, the mean of both; None if unknown.

    along: on the line through the eyes, positive towards larger x. up: across that line, positive upwards.
    """
    found = eye_offsets(face)
    if found is None:
        return None
    (left_along, left_up), (right_along, right_up) = found
    return (left_along + right_along) / 2, (left_up + right_up) / 2


def eye_offsets(face: Face) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """`iris_offset` of the left and of the right eye."""
    if face.irises is None or not face.eye_width:
        return None
    x0, y0, x1, y1 = face.eyes
    scale = math.hypot(x1 - x0, y1 - y0) * face.eye_width
    left, right = (
        (
            ((face.irises[n] - face.eyes[n]) * (x1 - x0) + (face.irises[n + 1] - face.eyes[n + 1]) * (y1 - y0)) / scale,
            ((face.irises[n] - face.eyes[n]) * (y1 - y0) + (face.irises[n + 1] - face.eyes[n + 1]) * (x0 - x1)) / scale,
        )
        for n in (0, 2)
    )
    return left, right


def parse_faces(which: str | int | Iterable[int]) -> str | list[int]:
    """'largest', 'all', or the different numbers in a choice of faces such as '0,2' or [0, 2]. Raises GazeError."""
    text = which if isinstance(which, str) else as_text([which] if isinstance(which, int) else list(which))
    if text in ('largest', 'all'):
        return text
    try:
        numbers = list(dict.fromkeys(int(number) for number in text.split(',')))
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise GazeError(f'`faces={text}` must be largest, all, or numbers such as 0,2; face 0 is the largest.')
    return numbers


def choose(faces: Sequence[_T], which: str | int | Iterable[int]) -> list[tuple[int, _T]]:
    """[(number, face)] of the chosen faces; see `parse_faces`.

    faces: sorted by size, the largest first. Raises GazeError for a face that is not there.
    """
    chosen = parse_faces(which)
    if isinstance(chosen, str):
        return list(enumerate(faces))[: 1 if chosen == 'largest' else None]
    for number in chosen:
        if number >= len(faces):
            found = (
                'none was found'
                if not faces
                else 'the only one found is 0'
                if len(faces) == 1
                else f'the {len(faces)} found are 0 to {len(faces) - 1}, by size'
            )
            raise GazeError(f'`faces={as_text(chosen)}`: there is no face {number}; {found}.')
    return [(number, faces[number]) for number in chosen]


def eyes_given(eyes: Iterable[float], size: tuple[int, ...]) -> Face:
    """The Face of eyes given by hand, (left_x, left_y, right_x, right_y), in a picture of size (width, height).

    Raises GazeError unless these are four numbers in the picture, the eye with the smaller x first, not too close.
    """
    eyes = tuple(float(value) for value in eyes)
    if len(eyes) != 4:
        raise GazeError(
            '`eyes` must be four numbers, LEFT_X,LEFT_Y,RIGHT_X,RIGHT_Y: the centers of both eyes in pixels, '
            'the eye with the smaller x first.'
        )
    if not _inside(eyes, size):
        raise GazeError(f'`eyes={as_text(eyes)}` do not lie in the picture of {size[0]}x{size[1]} pixels.')
    if eyes[0] >= eyes[2]:
        raise GazeError(f'`eyes={as_text(eyes)}` are swapped: the eye with the smaller x comes first.')
    apart = round(math.dist(eyes[:2], eyes[2:]), 3)
    if apart < MIN_APART:
        raise GazeError(f'`eyes={as_text(eyes)}` are {apart:g} pixels apart (at least {MIN_APART}).')
    return Face(eyes)


def same_eyes(face: Face, other: Face) -> bool:
    """Whether two Faces of a picture are the same: the points midway between their eyes are nearer than half an eye
    distance."""
    (x0, y0, x1, y1), (u0, v0, u1, v1) = face.eyes, other.eyes
    apart = max(math.hypot(x1 - x0, y1 - y0), math.hypot(u1 - u0, v1 - v0))
    return math.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) < apart


def _inside(points: tuple[float, ...], size: tuple[int, ...]) -> bool:
    return all(0 <= value < size[axis % 2] for axis, value in enumerate(points))
