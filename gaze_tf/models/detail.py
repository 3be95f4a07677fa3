"""Fine detail of painted eyes, as strong as in the photo: neither softer than a sharp face nor sharper than a blurred one.

Ours, not the paper's: a network that learns from few photos paints softly, whatever the photo is like.
"""

import numpy as np
import tensorflow as tf

_GREY = np.array([[0.299], [0.587], [0.114]], np.float32)
# two octaves: detail that averages over 3x3 pixels take away, then that over 5x5, each average taken twice
_WINDOWS = 3, 5
# painted detail becomes at most so many times stronger or weaker: what is not there cannot be made by amplifying
_STRONGER, _WEAKER = 2.0, 0.25
_FLAT = 1e-6  # mean square below which a band holds no detail


def match(painted, photo, mask):
    """Images `painted` [B, S, S, 3] in [-1, 1] with the detail inside the mask [B, S, S, 1] as strong as in `photo`.

    In each octave, painted detail is scaled until its brightness has the standard deviation that the photo's has. Outside
    the mask nothing changes.
    """
    (*bands, rest), (*wanted, _) = _octaves(painted), _octaves(photo)
    matched = rest + tf.add_n([band * _gain(band, like, mask) for band, like in zip(bands, wanted)])
    return painted + mask * (tf.clip_by_value(matched, -1.0, 1.0) - painted)


def _octaves(images):
    """Images as a sum of bands, the finest first, and what is left of them."""
    bands = []
    for side in _WINDOWS:
        smooth = images
        for _ in range(2):
            smooth = tf.nn.avg_pool2d(smooth, side, 1, 'SAME')
        bands.append(images - smooth)
        images = smooth
    return [*bands, images]


def _gain(band, like, mask):
    """What [B, 1, 1, 1] to multiply a band by."""
    have, want = (tf.reduce_sum(mask * (values @ _GREY) ** 2, axis=[1, 2], keepdims=True) for values in (band, like))
    flat = _FLAT * tf.reduce_sum(mask, axis=[1, 2], keepdims=True)
    return tf.clip_by_value(tf.sqrt((want + flat) / (have + flat)), _WEAKER, _STRONGER)
