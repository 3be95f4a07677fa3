"""Directions of gazes, and how far an animation is on its way from one to the camera.

A gaze is (yaw, pitch) in degrees, in the frame of the head, as in truth.csv of drawn faces: yaw is positive towards
larger image x, pitch positive upwards; (0, 0) looks at the camera.
"""

from typing import Any

import numpy as np
from scipy import stats

_MOVED = 1e-3  # degrees; an estimator's answers to equal images differ less, and others far more


def vector(yaw_pitch: Any) -> np.ndarray:
    """Unit vectors [..., 3] (x, y down, z to the camera) of gazes [..., 2] in degrees."""
    yaw, pitch = np.moveaxis(np.radians(np.asarray(yaw_pitch, np.float64)), -1, 0)
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)


def angle(yaw_pitch: Any) -> np.ndarray:
    """Degrees [...] between gazes [..., 2] and the camera."""
    return between(yaw_pitch, np.zeros(2))


def between(a: Any, b: Any) -> np.ndarray:
    """Degrees [...] between gazes a and b, [..., 2] each."""
    a, b = vector(a), vector(b)
    # unlike the arc cosine of the product this is exact for small angles, too
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def progress(track: Any, start: Any) -> np.ndarray:
    """How far along the way from a gaze `start` [2] to the camera gazes [..., 2] are: 0 at the start, 1 at the camera.

    1 - g·s / s·s, with g and s drawn on a plane around the camera: each in its direction, as far from the middle as its
    angle to the camera in degrees. On this plane the shortest turn to the camera is a straight line, and half its angle
    is a progress of 0.5. Deviations to the side of the way do not count, and more than 1 is beyond the camera. It
    is nan if the start looks at the camera.
    """
    start, track = _plane(start), _plane(track)
    with np.errstate(invalid='ignore', divide='ignore'):
        return 1 - track @ start / np.float64(start @ start)


def rank_correlation(alphas: Any, track: Any, start: Any) -> float:
    """Spearman's rank correlation of alphas [K] with the progress of a track [K, 2] that should go from `start` [2].

    1: every larger alpha is further along. 0 for a track that does not move along the way at all (by less than 0.001
    degrees). nan for less than two different alphas, and where progress is nan.
    """
    done = progress(track, start)
    if np.ptp(done) * angle(start) < _MOVED:
        return 0.0
    if np.isnan(done).any() or len(np.unique(alphas)) < 2:
        return float('nan')
    return float(stats.spearmanr(alphas, done).statistic)


def rank_correlations(alphas: Any, tracks: np.ndarray, starts: np.ndarray) -> list[float]:
    """`rank_correlation` of tracks [B, K, 2] from starts [B, 2], over those of the alphas that lie in 0 to 1."""
    within = [n for n, alpha in enumerate(alphas) if 0 <= alpha <= 1]
    chosen = np.array(alphas)[within]
    return [rank_correlation(chosen, track[within], start) for track, start in zip(tracks, starts)]


def _plane(yaw_pitch):
    """Points [..., 2] (x, y up) in the gazes' directions, at the distance of their angles to the camera in degrees."""
    x, y, _ = np.moveaxis(vector(yaw_pitch), -1, 0)
    across = np.hypot(x, y)
    factor = angle(yaw_pitch) / np.where(across == 0, 1, across)
    return np.stack([x * factor, -y * factor], -1)
