"""Which face of a frame is whose: by where it should be by now, and where that leaves a doubt, by its look."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

# seconds that a detector may miss a face before it counts as lost
GAP_S = 0.15
# seconds for which a lost face is remembered
MEMORY_S = 4.0
# A face goes on where no eye is farther than this from its place, in distances between the eyes; one that was not seen
# for a second or longer, twice as far; and one that looks as it did, so far.
REACH, _FAR = 1.0, 5.0
# Looks differ by 0.02 to 0.1 from frame to frame, by 0.1 to 0.2 in another light and pose, and of two people by 0.1 to
# 0.5: how much one counts in distances between the eyes, who looks as he did, and who cannot be the same.
_LOOK, _ALIKE, _UNLIKE = 2.0, 0.2, 0.4
# how many times as large or small as it was a face may come back
_RESIZED = 1.6
# seconds in which a face that is not seen loses most of its speed
_SLOWING_S = 0.3
# the cost of faces that do not go on; any that do cost less
_NEVER = 2 * REACH
# cells of a look, across and down, and samples of each
_CELLS, _SAMPLES = 8, 3


class _Last(NamedTuple):
    """Of a track: eyes [2, 2] where they were last seen, their speed in pixels per frame, look, frames since."""

    eyes: np.ndarray
    speed: np.ndarray
    look: np.ndarray | None
    missed: int = 0


class TrackMatcher:
    """Numbers the faces of one frame after another: the same for the same face, until it is lost for MEMORY_S."""

    def __init__(self, fps):
        """fps: frames per second."""
        self._fps = float(fps)
        self.gap = round(GAP_S * self._fps)
        self._last, self._numbers = {}, itertools.count()

    def forget(self):
        """What comes is another scene."""
        self._last = {}

    def follow(self, faces, looks):
        """For each Face of the next frame, with its look (see `look_of`) or None, the number of its track."""
        tracks = [None] * len(faces)
        # who was seen just now and is where he should be goes first, so that nobody who was lost takes his place
        fresh = [track for track, last in self._last.items() if last.missed <= self.gap]
        self._match(tracks, fresh, faces, looks, self._cost_near)
        self._match(tracks, list(self._last), faces, looks, self._cost_again)
        tracks = [next(self._numbers) if track is None else track for track in tracks]
        missed = {
            track: last._replace(missed=last.missed + 1)
            for track, last in self._last.items()
            if track not in tracks and last.missed < MEMORY_S * self._fps
        }
        self._last = {
            **missed,
            **{track: _seen(self._last.get(track), face, look) for track, face, look in zip(tracks, faces, looks)},
        }
        return tracks

    def _match(self, tracks, candidates, faces, looks, cost):
        """Fills in, for faces that have no track yet, those candidates that are free and cost least in all."""
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

    def _cost_near(self, last, eyes, look):
        away = step(self._predicted(last), eyes)
        # who stops suddenly is not where he should be, but near where he was
        if min(away, step(last.eyes, eyes)) >= REACH:
            return _NEVER
        return min(away + _LOOK * (_unlikeness(last.look, look) or 0), 0.99 * _NEVER)

    def _cost_again(self, last, eyes, look):
        away, unlike = min(step(self._predicted(last), eyes), step(last.eyes, eyes)), _unlikeness(last.look, look)
        reach = _FAR if unlike is not None and unlike < _ALIKE else REACH * (1 + min(last.missed / self._fps, 1))
        unlike = unlike or 0
        resized = abs(np.log(_apart(eyes) / _apart(last.eyes)))
        if away < reach and unlike < _UNLIKE and resized < np.log(_RESIZED):
            return away / reach + _LOOK * unlike
        return _NEVER

    def _predicted(self, last):
        slowing = _SLOWING_S * self._fps
        return last.eyes + last.speed * slowing * (1 - np.exp(-(last.missed + 1) / slowing))


def look_of(rgb, face):
    """What a Face in a picture uint8 [H, W, 3] looks like, coarsely: [N] of unit length, of which brightness and
    contrast are taken out; None if it lies outside or has no contrast."""
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


def _seen(last, face, look):
    """The _Last of a track after a Face with its look, and before it, if it is not new."""
    eyes = np.reshape(face.eyes, (2, 2))
    if last is None:
        return _Last(eyes, np.zeros((2, 2)), look)
    # half of it is new, which halves what noise of detections does
    speed = (last.speed + (eyes - last.eyes) / (last.missed + 1)) / 2
    if last.look is not None and look is not None:
        look = 0.9 * last.look + 0.1 * look
        look = look / np.linalg.norm(look)
    return _Last(eyes, speed, last.look if look is None else look)


def _unlikeness(look, other):
    """0 for the same look, 1 for one that has nothing to do with it; None if one is not known."""
    return None if look is None or other is None else float(np.clip(1 - look @ other, 0, 1))


def step(before, after):
    """How far the farther eye has moved, eyes [2, 2], in distances between them."""
    return np.linalg.norm(after - before, axis=1).max() / _apart(before)


def _apart(eyes):
    return max(np.linalg.norm(eyes[1] - eyes[0]), 1e-6)
