"""Paths of the gaze: where eyes look over time, in degrees from the camera."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from gaze_tf.easing import ease
from gaze_tf.errors import GazeError

MOST_FRAMES = 10_000


class Point(NamedTuple):
    """yaw, pitch: degrees from the camera, to the right and up. seconds: when the eyes look there."""

    yaw: float
    pitch: float
    seconds: float


def parse(text: str) -> float | list[Point]:
    """The radius of 'circle,DEGREES', or the Points of 'yaw,pitch,seconds; …'; an empty list of ''.

    Raises GazeError.
    """
    try:
        if text.startswith('circle,'):
            radius = float(text.removeprefix('circle,'))
            if not 0 < radius <= 90:
                raise ValueError
            return radius
        points = [Point(*map(float, part.split(','))) for part in text.split(';')] if text else []
    except (ValueError, TypeError):
        points = None
    if points is None or len(points) == 1 or not all(math.isfinite(value) for point in points for value in point):
        raise GazeError(
            f"`path={text}` must be two or more points yaw,pitch,seconds with semicolons between them, such as '0,0,0; "
            "15,0,0.5; 0,0,1', or circle,DEGREES."
        )
    if any(later.seconds <= earlier.seconds for earlier, later in zip(points, points[1:])):
        raise GazeError(f'`path={text}` must have points whose seconds become larger and larger.')
    return points


def away(path: float | Sequence[Point]) -> float | None:
    """The largest angle from the camera, in degrees, of a path that `parse` returned; None of an empty one."""
    if isinstance(path, float):
        return path
    return max((math.hypot(point.yaw, point.pitch) for point in path), default=None)


def directions(path: float | Sequence[Point], frames: int, fps: float, smooth: bool) -> list[tuple[float, float]]:
    """The (yaw, pitch) of each frame of a path that `parse` returned. Raises GazeError.

    frames: of a circle; it begins on the right and goes up. smooth: whether the eyes start and stop slowly at each
    point.
    """
    if isinstance(path, float):
        turns = [2 * math.pi * n / frames for n in range(frames)]
        return [(path * math.cos(turn), path * math.sin(turn)) for turn in turns]
    start, end = path[0].seconds, path[-1].seconds
    count = round((end - start) * fps) + 1
    if count > MOST_FRAMES:
        raise GazeError(f'`path` takes {count} frames at `fps={fps:g}`, and {MOST_FRAMES} are the most.')
    found = []
    for n in range(count):
        seconds = min(start + n / fps, end)
        before, after = next(pair for pair in zip(path, path[1:]) if seconds <= pair[1].seconds)
        share = (seconds - before.seconds) / (after.seconds - before.seconds)
        share = float(ease(share)) if smooth else share
        found.append(
            (before.yaw + share * (after.yaw - before.yaw), before.pitch + share * (after.pitch - before.pitch))
        )
    return found
