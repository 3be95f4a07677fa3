"""Which track a face in a frame belongs to: by where the track should be now and, in doubt, by its look."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gaze_tf.inference.faces import Face

# seconds that a detector may miss a face before its track counts as lost
GAP_S = 0.15
# seconds for which a lost track is remembered
MEMORY_S = 4.0
# A track continues with a face whose eyes are no farther than this from its place, in distances between the eyes; one
# that was not seen for a second or longer, twice as far; and one that looks alike, this far.
REACH, _FAR = 1.0, 5.0
# Looks differ by 0.02 to 0.1 from frame to frame, by 0.1 to 0.2 in another light and pose, and between two people by
# 0.1 to 0.5. How much a difference of 1 costs, in distances between the eyes; below which faces look alike; from which
# on they cannot be the same.
_LOOK, _ALIKE, _UNLIKE = 2.0, 0.2, 0.4
# by which factor a face may have grown or shrunk when it comes back
_RESIZED = 1.6
# seconds in which an unseen face loses most of its speed
_SLOWING_S = 0.3
# the cost of a face that does not continue a track; others cost less
_NEVER = 2 * REACH
# cells of a look, across and down, and samples of each
_CELLS, _SAMPLES = 8, 3


class _Last(NamedTuple):
    """What is known of a track: its eyes [2, 2] when last seen, their speed in pixels per frame, look, frames since
    then."""

    eyes: np.ndarray
    speed: np.ndarray
    look: np.ndarray | None
    missed: int = 0


class TrackMatcher:
    """Gives each face of one frame after another the number of its track, until it has been lost for MEMORY_S."""

    def __init__(self, fps: float) -> None:
        """fps: frames per second."""
        self._fps = float(fps)
        self.gap = round(GAP_S * self._fps)
        self._last: dict[int, _Last] = {}
        self._numbers = itertools.count()

    def forget(self) -> None:
        """Forgets all tracks, as another scene begins."""
        self._last = {}

    def follow(self, faces: Sequence[Face], looks: Sequence[np.ndarray | None]) -> list[int]:
        """The number of the track of each Face in the next frame. looks: `look_of` each face, or None."""
        tracks: list[int | None] = [None] * len(faces)
        # tracks seen just now and near their place come first, so that no lost track takes their face
        fresh = [track for track, last in self._last.items() if last.missed <= self.gap]
        self._match(tracks, fresh, faces, looks, self._cost_near)
        self._match(tracks, list(self._last), faces, looks, self._cost_again)
        numbers = [next(self._numbers) if track is None else track for track in tracks]
        missed = {
            track: last._replace(missed=last.missed + 1)
            for track, last in self._last.items()
            if track not in numbers and last.missed < MEMORY_S * self._fps
        }
        self._last = {
            **missed,
            **{track: _seen(self._last.get(track), face, look) for track, face, look in zip(numbers, faces, looks)},
        }
        return numbers

    def _match(
        self,
        tracks: list[int | None],
        candidates: list[int],
        faces: Sequence[Face],
        looks: Sequence[np.ndarray | None],
        cost: Callable[[_Last, np.ndarray, np.ndarray | None], float],
    ) -> None:
        """Gives faces without a track those of the free candidates that cost least in total."""
        free = [k for k, track in enumerate(tracks) if track is None]
        candidates = [track for track in candidates if track not in tracks]
        if free and candidates:
            costs = np.array(
                [
                    [cost(self._last[track], np.reshape(faces[k].eyes, (2, 2)), looks[k]) for track in candidates]
                    for k in free
                ]
            )
            for row, column in zip(*linear_sum_assignment(costs)):
                if costs[row, column] < _NEVER:
                    tracks[free[row]] = candidates[column]

    def _cost_near(self, last: _Last, eyes: np.ndarray, look: np.ndarray | None) -> float:
        away = step(self._predicted(last), eyes)
        # a face that stops suddenly is not where it should be, but near where it was
        if min(away, step(last.eyes, eyes)) >= REACH:
            return _NEVER
        return min(away + _LOOK * (_unlikeness(last.look, look) or 0), 0.99 * _NEVER)

    def _cost_again(self, last: _Last, eyes: np.ndarray, look: np.ndarray | None) -> float:
        away, unlike = min(step(self._predicted(last), eyes), step(last.eyes, eyes)), _unlikeness(last.look, look)
        reach = _FAR if unlike is not None and unlike < _ALIKE else REACH * (1 + min(last.missed / self._fps, 1))
        unlike = unlike or 0
        resized = abs(np.log(_apart(eyes) / _apart(last.eyes)))
        if away < reach and unlike < _UNLIKE and resized < np.log(_RESIZED):
            return away / reach + _LOOK * unlike
        return _NEVER

    def _predicted(self, last: _Last) -> np.ndarray:
        slowing = _SLOWING_S * self._fps
        return last.eyes + last.speed * slowing * (1 - np.exp(-(last.missed + 1) / slowing))


def look_of(rgb: np.ndarray, face: Face) -> np.ndarray | None:
    """A coarse look of a Face in a picture uint8 [H, W, 3]: [N] of unit length, independent of brightness and contrast.

    None if it has no contrast.
    """
    left, right = np.reshape(face.eyes, (2, 2)) - 0.5
    across = right - left
    down = np.array([-across[1], across[0]])
    # from hair to chin, in distances between the eyes
    columns, rows = np.linspace(-1.1, 1.1, _CELLS * _SAMPLES), np.linspace(-0.8, 1.4, _CELLS * _SAMPLES)
    places = (left + right) / 2 + rows[:, None, None] * down + columns[:, None] * across
    x, y = (np.clip(np.round(places[..., axis]), 0, rgb.shape[1 - axis] - 1).astype(int) for axis in (0, 1))
    cells = rgb[y, x].reshape(_CELLS, _SAMPLES, _CELLS, _SAMPLES, 3).mean((1, 3))
    look = (cells - cells.mean()).ravel()
    length = np.linalg.norm(look)
    return look / length if length > 1e-6 else None


def _seen(last: _Last | None, face: Face, look: np.ndarray | None) -> _Last:
    """The _Last of a track after a Face with its look; last: that before, None of a new track."""
    eyes = np.reshape(face.eyes, (2, 2))
    if last is None:
        return _Last(eyes, np.zeros((2, 2)), look)
    # a mean of old and new speed, which halves the noise of detections
    speed = (last.speed + (eyes - last.eyes) / (last.missed + 1)) / 2
    if last.look is not None and look is not None:
        look = 0.9 * last.look + 0.1 * look
        look = look / np.linalg.norm(look)
    return _Last(eyes, speed, last.look if look is None else look)


def _unlikeness(look: np.ndarray | None, other: np.ndarray | None) -> float | None:
    """From 0, the same look, to 1, an unrelated one; None if one is unknown."""
    return None if look is None or other is None else float(np.clip(1 - look @ other, 0, 1))


def step(before: np.ndarray, after: np.ndarray) -> float:
    """How far eyes [2, 2] have moved, the one that moved more, in distances between them."""
    return float(np.linalg.norm(after - before, axis=1).max() / _apart(before))


def _apart(eyes: np.ndarray) -> float:
    return max(float(np.linalg.norm(eyes[1] - eyes[0])), 1e-6)
