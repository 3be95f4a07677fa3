"""Where the eyes of a data set's photos look, drawn by seed and name alone."""

import hashlib
from typing import NamedTuple

import numpy as np

from gaze_tf.turning.eyeball import yaw_pitch

# lids let eyes look no further up or down, degrees
MAX_PITCH = 20.0
# degrees by which a photo of domain X is turned at most, so that it has the same traces of repainting
_RETOUCH = 2.0
# directions of one photo lie in sectors of the circle, with so much of each left free between them
_FREE = 0.3


class Directions(NamedTuple):
    """(yaw, pitch) in degrees: x, of the photo in domain X, or None where it stays as it is; y, a list for domain Y."""

    x: tuple
    y: list


def drawn(seed, name, count, min_angle, max_angle, retouched):
    """The Directions of a photo.

    count: of y. min_angle, max_angle: degrees away from the camera, between which they lie, uniform in angle and in direction
    on the image plane; near the vertical they are smaller, so that pitch stays within MAX_PITCH. retouched: share of photos
    that have an x, by up to _RETOUCH degrees in any direction.
    """
    digest = hashlib.sha256(name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], 'big')])
    x = yaw_pitch(rng.uniform(0, _RETOUCH), rng.uniform(0, 360))
    x = x if rng.random() < retouched else None
    start = rng.uniform(0, 360)
    around = start + 360 * (np.arange(count) + rng.uniform(0, 1 - _FREE, count)) / count
    return Directions(
        x,
        [
            yaw_pitch(rng.uniform(min_angle, max(min_angle, min(max_angle, _highest(degrees)))), degrees)
            for degrees in around
        ],
    )


def _highest(around):
    """The angle in degrees at which a direction on the image plane reaches MAX_PITCH."""
    return np.degrees(np.arcsin(min(1.0, np.sin(np.radians(MAX_PITCH)) / max(abs(np.sin(np.radians(around))), 1e-9))))
