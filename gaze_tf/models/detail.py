"""Makes the fine detail of painted eyes as strong as in the photo: not softer than the face, and not sharper.

This is ours, not the paper's: a network that learned from few photos paints softly, whatever the photo is like.
"""

import numpy as np
import tensorflow as tf

_GRAY = np.array([[0.299], [0.587], [0.114]], np.float32)
# two octaves: the detail that averaging over 3x3 pixels removes, then over 5x5; each average is taken twice
_WINDOWS = 3, 5
# the most that painted detail is amplified, and the least: detail that is missing cannot be amplified
_STRONGER, _WEAKER = 2.0, 0.25
_FLAT = 1e-6  # mean square below which a band holds no detail


def match(painted: tf.Tensor, photo: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Images `painted` [B, S, S, 3] in [-1, 1] with the detail inside the mask [B, S, S, 1] as strong as in `photo`.

    In each octave, painted detail is scaled until its brightness has the same standard deviation as in the photo.
    Nothing changes outside the mask.
    """
    # as five channels, for which averages take hardly longer than for one
    *bands, rest = _octaves(tf.concat([painted, _brightness(painted), _brightness(photo)], axis=-1))
    matched = rest[..., :3] + tf.add_n([band[..., :3] * _gain(band[..., 3:4], band[..., 4:], mask) for band in bands])
    return painted + mask * (tf.clip_by_value(matched, -1.0, 1.0) - painted)


def _brightness(images: tf.Tensor) -> tf.Tensor:
    return tf.tensordot(images, _GRAY, 1)


def _octaves(images: tf.Tensor) -> list[tf.Tensor]:
    """The bands whose sum the images are, the finest first; the last one is the rest."""
    bands = []
    for side in _WINDOWS:
        smooth = images
        for _ in range(2):
            smooth = tf.nn.avg_pool2d(smooth, side, 1, 'SAME')
        bands.append(images - smooth)
        images = smooth
    return [*bands, images]


def _gain(band: tf.Tensor, like: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The factor [B, 1, 1, 1] that makes a band of brightness [B, S, S, 1] as strong as that of the photo."""
    have, want = (tf.reduce_sum(mask * values**2, axis=[1, 2], keepdims=True) for values in (band, like))
    flat = _FLAT * tf.reduce_sum(mask, axis=[1, 2], keepdims=True)
    return tf.clip_by_value(tf.sqrt((want + flat) / (have + flat)), _WEAKER, _STRONGER)
