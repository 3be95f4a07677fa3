"""How much positions tremble from frame to frame."""

from collections.abc import Mapping

import numpy as np

# the variance of second differences of white noise, 1 + 4 + 1 times its own
_VARIANCE = 6


def jitter(positions: np.ndarray) -> float:
    """How much points [N, C] of N successive frames tremble, in their unit (pixels); N is at least 3.

    It is the root mean square of second differences, per coordinate, over sqrt(6). Even motion has none, and where
    nothing else happens it is the standard deviation of white noise. Acceleration counts, too: compare sequences of the
    same motion.
    """
    return float(np.sqrt(np.mean(_squares(positions)) / _VARIANCE))


class JitterMeter:
    """Measures the jitter of points on many tracks as frames come, without keeping them."""

    def __init__(self) -> None:
        self._last: dict[int, list[np.ndarray]] = {}
        self._squares: np.ndarray | float = 0.0
        self._count = 0

    def add(self, positions: Mapping[int, np.ndarray]) -> None:
        """Takes the points of each track in the next frame, [K, C]: K kinds of points, measured separately."""
        self._last = {track: [*self._last.get(track, [])[-2:], points] for track, points in positions.items()}
        for last in self._last.values():
            if len(last) == 3:
                self._squares = self._squares + _squares(np.stack(last))[0].mean(axis=-1)
                self._count += 1

    def result(self) -> list[float] | None:
        """The jitter of each of the K kinds; None before any track was in three successive frames."""
        if not self._count:
            return None
        return np.sqrt(self._squares / self._count / _VARIANCE).tolist()


def _squares(positions: np.ndarray) -> np.ndarray:
    return np.diff(positions, n=2, axis=0) ** 2
