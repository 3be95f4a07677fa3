"""How strongly a face is corrected: less the more it is turned, and in videos never changing suddenly.

Strengths are computed as shares in [0, 1], along straight ramps; `smooth` at the end makes strengths of them. A
strength is how
far the gaze moves to the camera: eyes between are painted. Painted eyes mixed with the photo's would have two irises.
"""

import functools

import numpy as np

from gaze_tf.inference.faces import gaze_aside

# Whoever may look away does so once in each of these seconds, beginning in the first ones of them, for so long: it is 4
# to 10 seconds from one glance to the next.
_EVERY_S, _BEGINS_S, _LASTS_S = 7.0, (0.0, 3.0), (0.3, 1.0)
# the share then, a strength of 0.3
_AWAY = 0.363
# from this strength on, nothing of the photo's own eyes is seen
_SEEN = 0.2


def smooth(share):
    """The strength of a share: as large at both ends, without a kink there. Its slope is 1.5 at most."""
    return share * share * (3 - 2 * share)


def seen(strength):
    """The share, from 0 to 1, with which painted eyes are put over the photo's own: all of it but for the weakest
    strengths, where both look much the same way."""
    return smooth(min(strength / _SEEN, 1.0))


def share_of(face, limits):
    """The share of a Face within Limits: 1 up to all of their lower thresholds, 0 from any upper one on; what is not
    known of a face counts as straight."""
    share = 1.0
    for value, full, most in (
        (face.yaw, limits.full_yaw, limits.max_yaw),
        (face.pitch, limits.full_pitch, limits.max_pitch),
        (gaze_aside(face), limits.full_gaze, limits.max_gaze),
    ):
        if value is not None and abs(value) > min(full, most):
            share *= max(most - abs(value), 0) / (most - full) if most > full else 0
    return share


def strength_of(face, limits):
    """The strength, from 0 to 1, with which a Face of a photo is corrected."""
    return smooth(share_of(face, limits))


def steady(shares, fit, fade):
    """Shares of successive frames [N] without the noise of measured angles: means over up to `fade` frames to both
    sides, of frames that are fit (bool [N]), which the others do not enter."""
    apart = abs(np.arange(len(shares))[:, None] - np.arange(len(shares)))
    weights = np.exp(-0.5 * (apart / (fade / 2)) ** 2) * (apart <= fade) * fit
    return np.where(fit, (weights * shares).sum(1) / np.maximum(weights.sum(1), 1e-9), 0)


def within(shares, now, fades):
    """The largest share of frame `now` that changes by no more than 1 / fade a frame and leads to no larger one than
    any of `shares` [N] in its frame, which has the fade of [N] frames."""
    return float(min(np.min(shares + abs(np.arange(len(shares)) - now) / fades), 1))


def glancing(track, seconds):
    """The share of a track that looks away now and then at the most, at so many seconds of a video: 1, or in a
    glance less."""
    # so that not all do it in the same seconds
    slot, within_slot = divmod(seconds + _glance(track, 0)[0] / _BEGINS_S[1] * _EVERY_S, _EVERY_S)
    start, length = _glance(track, 1 + int(slot))
    return _AWAY if start <= within_slot < start + length else 1.0


@functools.lru_cache(maxsize=1000)
def _glance(track, number):
    """(when it begins, how long it lasts) in seconds."""
    rng = np.random.default_rng([track, number])
    return rng.uniform(*_BEGINS_S), rng.uniform(*_LASTS_S)
