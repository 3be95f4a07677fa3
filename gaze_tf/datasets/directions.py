"""Where the eyes of a data set's photos look: drawn at random, by seed and name alone."""

import hashlib
from typing import NamedTuple

import numpy as np

from gaze_tf.turning.angles import MAX_PITCH
from gaze_tf.turning.eyeball import yaw_pitch

# largest turn of a photo of domain X, in degrees, which gives it the same traces of repainting
_RETOUCH = 2.0
# the directions of one photo lie in sectors of the circle, with this share of each sector left free between them
_FREE = 0.3


class Directions(NamedTuple):
    """(yaw, pitch) in degrees: x, of the photo in domain X, or None if it stays as it is; y, a list for domain Y."""

    x: tuple[float, float] | None
    y: list[tuple[float, float]]


def draw_directions(
    seed: int, name: str, count: int, min_angle: float, max_angle: float, retouched: float
) -> Directions:
    """The Directions of a photo.

    Args:
      seed, name: what is drawn depends on these alone.
      count: length of y.
      min_angle, max_angle: bounds of the angles between y and the camera in degrees. The angles, and the directions on
        the image plane, are uniform; near the vertical angles are smaller, so that pitch stays within MAX_PITCH.
      retouched: share of photos that have an x, by up to _RETOUCH degrees in any direction.
    """
    digest = hashlib.sha256(name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], 'big')])
    retouch = yaw_pitch(rng.uniform(0, _RETOUCH), rng.uniform(0, 360))
    x = retouch if rng.random() < retouched else None
    start = rng.uniform(0, 360)
    around = start + 360 * (np.arange(count) + rng.uniform(0, 1 - _FREE, count)) / count
    return Directions(
        x,
        [
            yaw_pitch(rng.uniform(min_angle, max(min_angle, min(max_angle, _highest(degrees)))), degrees)
            for degrees in around
        ],
    )


def _highest(around: float) -> float:
    """The angle in degrees at which a direction on the image plane reaches MAX_PITCH."""
    return np.degrees(np.arcsin(min(1.0, np.sin(np.radians(MAX_PITCH)) / max(abs(np.sin(np.radians(around))), 1e-9))))
