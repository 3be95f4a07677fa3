"""Adversarial losses, d(real, fake) for a discriminator and g(fake) for a generator.

Each takes logits [B, 1] and returns a scalar, the mean over the batch. 'lsgan' squares; the original doubles instead,
which is 'lsgan_original' here. 'gan' and 'wgan' work, whereas the original crashes with them.
"""

from collections.abc import Callable

import tensorflow as tf

_Discriminator = Callable[[list[tf.Tensor]], tf.Tensor]  # inputs [B, ., ., .] → logits [B, 1]


def _mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x)


_softplus, _relu = tf.nn.softplus, tf.nn.relu

# name: (d(real, fake), g(fake)); 'gan' is cross-entropy from logits, which is softplus written out
LOSSES = {
    'softplus': (
        lambda real, fake: _mean(_softplus(-real)) + _mean(_softplus(fake)),
        lambda fake: _mean(_softplus(-fake)),
    ),
    'hinge': (lambda real, fake: _mean(_relu(1 - real)) + _mean(_relu(1 + fake)), lambda fake: -_mean(fake)),
    'lsgan': (
        lambda real, fake: _mean(tf.square(real - 0.9)) + _mean(tf.square(fake)),
        lambda fake: _mean(tf.square(fake - 0.9)),
    ),
    'lsgan_original': (
        lambda real, fake: _mean(2 * (real - 0.9)) + _mean(2 * fake),
        lambda fake: _mean(2 * (fake - 0.9)),
    ),
    'wgan': (lambda real, fake: _mean(fake) - _mean(real), lambda fake: -_mean(fake)),
    'gan': (
        lambda real, fake: _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0),
        lambda fake: _cross_entropy(fake, 1.0),
    ),
}


def _cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), label), logits))


def discriminator_loss(loss_type: str, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """d(real, fake); `loss_type` is a key of LOSSES."""
    return LOSSES[loss_type][0](real, fake)


def generator_loss(loss_type: str, fake: tf.Tensor) -> tf.Tensor:
    """g(fake); `loss_type` is a key of LOSSES."""
    return LOSSES[loss_type][1](fake)


def gradient_penalty(
    discriminator: _Discriminator, real: list[tf.Tensor], fake: list[tf.Tensor], mix: tf.Tensor
) -> tf.Tensor:
    """WGAN-GP: mean of (|gradient| - 1)² at points between real and fake inputs.

    real, fake: matching lists of the discriminator's inputs; mix: where between them, [B, 1, 1, 1] in [0, 1]. The norm
    is taken over all inputs of a face together. (Gulrajani et al. 2017, eq. 3.)
    """
    between = [mix * a + (1 - mix) * b for a, b in zip(real, fake)]
    # the derivative of a square root at 0 is infinite
    norms = tf.sqrt(_squared_gradient(discriminator, between) + 1e-12)
    return _mean(tf.square(norms - 1))


def r1(discriminator: _Discriminator, real: list[tf.Tensor]) -> tf.Tensor:
    """R1: mean of |gradient|² at real inputs, a list of tensors, taken over all of them as in `gradient_penalty`.

    (Mescheder et al. 2018, eq. 9, without its factor gamma / 2.)
    """
    return _mean(_squared_gradient(discriminator, real))


def _squared_gradient(discriminator: _Discriminator, inputs: list[tf.Tensor]) -> tf.Tensor:
    """|gradient|² of the logit of each face with respect to all of its inputs [B, ., ., .]: [B]."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = discriminator(inputs)
    return tf.add_n([tf.reduce_sum(tf.square(g), axis=[1, 2, 3]) for g in tape.gradient(logits, inputs)])
