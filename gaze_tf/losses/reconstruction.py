"""Reconstruction terms: pixels inside the eye boxes, content codes, and PAM's mirror terms."""

from collections.abc import Callable

import tensorflow as tf


def local_l1(a: tf.Tensor, b: tf.Tensor, crop_w: int, crop_h: int, weights: tf.Tensor | None = None) -> tf.Tensor:
    """localL1: the mean over the batch of Σ|a − b| / (crop_w · crop_h · 3), for images [B, S, S, 3].

    Outside the eye boxes both images are equal, so the sum is over the boxes only. `weights`: of pixels, [B, S, S, 1].
    """
    a.shape.assert_is_compatible_with(b.shape)
    distance = tf.abs(a - b) if weights is None else tf.abs(a - b) * weights
    return tf.reduce_mean(tf.reduce_sum(distance, axis=[1, 2, 3])) / (crop_w * crop_h * 3)


def hues(image: tf.Tensor) -> tf.Tensor:
    """Color without brightness: each pixel of [B, S, S, 3] minus the mean of its channels."""
    return image - tf.reduce_mean(image, axis=-1, keepdims=True)


def mean_l1(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """mean|a − b| over all elements of two tensors of the same shape."""
    a.shape.assert_is_compatible_with(b.shape)
    return tf.reduce_mean(tf.abs(a - b))


def mirror(autoencoder: Callable[[tf.Tensor], tf.Tensor], left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
    """PAM's terms for eye crops [B, c, c, 3]: each eye from itself and from the other eye, mirrored.

    The autoencoder must turn a mirrored right eye into the left eye although it looks elsewhere. So the code keeps what
    both eyes share and drops the gaze. Returns {'self': …, 'mirror': …}.
    (Paper: PAM, self-supervised mirror learning.)
    """
    target = tf.concat([left, right], axis=0)
    flipped = tf.reverse(tf.concat([right, left], axis=0), axis=[2])
    from_self, from_mirror = tf.split(autoencoder(tf.concat([target, flipped], axis=0)), 2)
    # the batch holds both eyes: twice its mean is the sum of the means of each eye
    return {'self': 2 * mean_l1(from_self, target), 'mirror': 2 * mean_l1(from_mirror, target)}
