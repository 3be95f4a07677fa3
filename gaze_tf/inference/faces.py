"""Faces and their eyes: what is known of a face in a photo, and which faces are left alone.

A detector is any callable: rgb uint8 [H, W, 3] → list of Face, the largest first. In videos one with a method `mark`, see
`MediapipeDetector.mark`, need not find faces anew in each frame.
"""

import math
from typing import NamedTuple

from gaze_tf.errors import GazeError

# pixels between eyes given by hand: of nearer ones a photo shows nothing that could be repainted
MIN_APART = 4
# Eye widths by which irises move along the eyes: for a degree that mediapipe sees of a head's turn, while the eyes stay on
# the camera (60 portraits); and for a degree that the eyes turn (204 photos with turned eyes, see docs/turning.md).
_ALONG_PER_YAW, _ALONG_PER_GAZE = 0.0052, 0.0042
NOT_CHOSEN = 'it was not chosen (--faces)'


class Face(NamedTuple):
    """A face in a photo of upright pixels; positions are (x, y) in its pixels, the middle of the first is 0.5.

    eyes: (left_x, left_y, right_x, right_y), the middle of each eye between its corners and lids; left has the
    smaller x.
    What only a detector can tell is None for eyes given by hand:
    irises: their centres, in the same form.
    eye_width: from corner to corner, in pixels, mean of both eyes.
    openness: (left, right), distance of the eyelids as a share of the eye's width; 0 is closed, 0.3 usual.
    yaw, roll: degrees; of the head to the side (0: facing the camera; positive: towards larger x), and of the line
    from the person's right eye to the left one (0: level; positive: clockwise; beyond 90: upside down).
    box: (x0, y0, x1, y1) around the face.
    pitch: degrees of the head up (positive) or down.
    seen: how surely both eyes are to be seen and not covered, 0 to 1, see `covered.with_seen`.
    """

    eyes: tuple
    irises: tuple | None = None
    eye_width: float | None = None
    openness: tuple | None = None
    yaw: float | None = None
    roll: float | None = None
    box: tuple | None = None
    pitch: float | None = None
    seen: float | None = None


class Limits(NamedTuple):
    """What a face must be like to be edited, and to be edited in full.

    Up to full_yaw, full_pitch and full_gaze degrees (see `gaze_aside`) faces are edited in full, from there on less and less,
    beyond max_yaw, max_pitch and max_gaze not at all. The model for people was trained on eyes turned by up to 30 degrees.
    min_seen: of Face.seen.
    The defaults are for what MediapipeDetector measures. It sees less than the whole turn of a head: 15 degrees
    for 20 and 21 for 30 in turns of a portrait that were rendered; a man in profile has 57. Open eyes had an openness
    of 0.28 to 0.42, painted eyelids that are quite shut 0.09. Four fifths of 60 formal portraits had a pitch of -7 to 4.
    """

    min_eye_px: float = 8
    max_yaw: float = 30
    max_roll: float = 45
    min_openness: float = 0.12
    full_yaw: float = 20
    max_pitch: float = 25
    full_pitch: float = 15
    max_gaze: float = 45
    full_gaze: float = 30
    min_seen: float = 0.5


def why_not(face, limits=Limits(), size=None):
    """Why a face is left alone, in a few words that follow 'face 0: '; '' if it is fit to be edited.

    size: (width, height) of the picture, in which both eyes must lie. What is None in a face passes.
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


def gaze_aside(face):
    """Degrees by which a Face looks past the camera to the side, positive towards larger x, or None if it does not tell.

    How far irises are from the middles of their eyes, less what the head's turn does to that. For people who look at the
    camera it has a standard deviation of 4 degrees. (Up and down irises tell too little: 7 degrees.)
    """
    offset = iris_offset(face)
    if offset is None or face.yaw is None:
        return None
    return (offset[0] + _ALONG_PER_YAW * face.yaw) / _ALONG_PER_GAZE


def iris_offset(face):
    """(along, up): how far the irises of a Face are from the middles of its eyes, mean of both, along the line through the
    eyes, positive towards larger x, and across it, positive upwards; in eye widths. None if it does not tell."""
    if face.irises is None or not face.eye_width:
        return None
    x0, y0, x1, y1 = face.eyes
    shift = [(face.irises[axis] + face.irises[2 + axis] - face.eyes[axis] - face.eyes[2 + axis]) / 2 for axis in (0, 1)]
    scale = math.hypot(x1 - x0, y1 - y0) * face.eye_width
    along, up = ((shift[0] * x + shift[1] * y) / scale for x, y in ((x1 - x0, y1 - y0), (y1 - y0, x0 - x1)))
    return along, up


def choose(faces, which):
    """[(index, Face)] of faces, the largest first, by 'largest', 'all', or indices such as '0,2' or [0, 2]; raises GazeError."""
    if not isinstance(which, str):
        which = ','.join(map(str, [which] if isinstance(which, int) else which))
    if which in ('largest', 'all'):
        return list(enumerate(faces))[: 1 if which == 'largest' else None]
    try:
        indices = list(dict.fromkeys(int(index) for index in which.split(',')))
    except ValueError as error:
        raise GazeError(
            f"--faces: {which!r} is not 'largest', 'all', or numbers of faces such as 0,2 (the largest face is 0)."
        ) from error
    for index in indices:
        if not 0 <= index < len(faces):
            there = (
                'none was found'
                if not faces
                else 'the only one found is 0'
                if len(faces) == 1
                else f'the {len(faces)} found are 0 to {len(faces) - 1}'
            )
            raise GazeError(f'--faces: there is no face {index}; {there} (by size).')
    return [(index, faces[index]) for index in indices]


def eyes_given(eyes, size):
    """The Face of eyes given by hand, (left_x, left_y, right_x, right_y), in a picture of size (width, height).

    Raises GazeError unless they are four numbers in the picture, the eye with the smaller x first, not too close.
    """
    eyes = tuple(float(value) for value in eyes)
    if len(eyes) != 4:
        raise GazeError(
            '--eyes takes four numbers, LEFT_X,LEFT_Y,RIGHT_X,RIGHT_Y: the centres of both eyes in pixels, '
            'the eye with the smaller x first.'
        )
    if not _inside(eyes, size):
        raise GazeError(f'--eyes: {_text(eyes)} do not lie in the picture of {size[0]}x{size[1]} pixels.')
    if eyes[0] >= eyes[2]:
        raise GazeError(f'--eyes: {_text(eyes)} are swapped: the eye with the smaller x comes first.')
    apart = round(math.dist(eyes[:2], eyes[2:]), 3)
    if apart < MIN_APART:
        raise GazeError(f'--eyes: {_text(eyes)} are {apart:g} pixels apart (at least {MIN_APART}).')
    return Face(eyes)


def same_eyes(face, other):
    """Whether two Faces of one picture are the same: the middles between their eyes are nearer than half an eye distance."""
    (x0, y0, x1, y1), (u0, v0, u1, v1) = face.eyes, other.eyes
    apart = max(math.hypot(x1 - x0, y1 - y0), math.hypot(u1 - u0, v1 - v0))
    return math.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) < apart


def _inside(points, size):
    return all(0 <= value < size[axis % 2] for axis, value in enumerate(points))


def _text(eyes):
    return ','.join(f'{value:g}' for value in eyes)
