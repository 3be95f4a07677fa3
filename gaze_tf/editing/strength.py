"""How strongly a face is corrected: less the more it is turned, and never with a sudden change in a video.

Everything is computed with shares in [0, 1], along straight ramps; `smooth` turns them into strengths at the end. A
strength
is how far the gaze moves to the camera, and eyes in between are painted: a mix of painted and original eyes would have
two irises.
"""

import functools

import numpy as np

from gaze_tf.easing import ease
from gaze_tf.inference.faces import Face, Limits, gaze_aside

# Faces that look away do so once in every 7 seconds, beginning within the first 3 of them, for 0.3 to 1 second: from
# one glance to the next it is 4 to 10 seconds.
_EVERY_S, _BEGINS_S, _LASTS_S = 7.0, (0.0, 3.0), (0.3, 1.0)
# the share during a glance, a strength of 0.3
_AWAY = 0.363
# from this strength on, nothing of the original eyes shows
_SEEN = 0.2


def smooth(share: float) -> float:
    """The strength of a share: a ramp without kinks."""
    return ease(share)


def seen(strength: float) -> float:
    """The share, from 0 to 1, with which painted eyes cover the original ones.

    It is 1 except for the weakest strengths, where both look much the same way.
    """
    return ease(min(strength / _SEEN, 1.0))


def share_of(face: Face, limits: Limits) -> float:
    """The share of a Face: 1 up to the `full` thresholds of the limits, 0 beyond any maximum. Unknown angles count
    as 0."""
    share = 1.0
    for value, full, most in (
        (face.yaw, limits.full_yaw, limits.max_yaw),
        (face.pitch, limits.full_pitch, limits.max_pitch),
        (gaze_aside(face), limits.full_gaze, limits.max_gaze),
    ):
        if value is not None and abs(value) > min(full, most):
            share *= max(most - abs(value), 0) / (most - full) if most > full else 0
    return share


def strength_of(face: Face, limits: Limits) -> float:
    """The strength, from 0 to 1, with which a Face in a photo is corrected."""
    return ease(share_of(face, limits))


def steady(shares: np.ndarray, fit: np.ndarray, fade: int) -> np.ndarray:
    """Shares [N] of successive frames, smoothed, so that noise in measured angles does not show.

    fit: bool [N], frames that can be edited; the others do not count and get 0. fade: frames to both sides that are
    averaged.
    """
    apart = abs(np.arange(len(shares))[:, None] - np.arange(len(shares)))
    weights = np.exp(-0.5 * (apart / (fade / 2)) ** 2) * (apart <= fade) * fit
    return np.where(fit, (weights * shares).sum(1) / np.maximum(weights.sum(1), 1e-9), 0)


def within(shares: np.ndarray, now: int, fades: np.ndarray) -> float:
    """The largest share of frame `now` from which every frame k can be reached with at most shares[k].

    A share changes by at most 1 / fades[k] a frame on the way to frame k. shares, fades: [N].
    """
    return float(min(np.min(shares + abs(np.arange(len(shares)) - now) / fades), 1))


def glancing(track: int, seconds: float) -> float:
    """The largest share of a track that sometimes looks away, at this time of a video: 1, or less during a glance."""
    # shifted, so that tracks do not all look away in the same seconds
    slot, within_slot = divmod(seconds + _glance(track, 0)[0] / _BEGINS_S[1] * _EVERY_S, _EVERY_S)
    start, length = _glance(track, 1 + int(slot))
    return _AWAY if start <= within_slot < start + length else 1.0


@functools.lru_cache(maxsize=1000)
def _glance(track: int, number: int) -> tuple[float, float]:
    """(when it begins, how long it lasts) in seconds."""
    rng = np.random.default_rng([track, number])
    return rng.uniform(*_BEGINS_S), rng.uniform(*_LASTS_S)
