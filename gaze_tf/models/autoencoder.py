"""The PAM autoencoder: E_c and a decoder (G_pre, original scope `Gr`) that repaints the eye crop."""

import tensorflow as tf

from gaze_tf.models.layers import conv, deconv, dense, instance_norm, lrelu, relu

keras = tf.keras


def pam_autoencoder(encoder: tf.keras.Model) -> tf.keras.Model:
    """AE: eye crop [B, c, c, 3] in [-1, 1] → eye crop of the same shape and range.

    `encoder` is the `content_encoder` to train; its activations are the decoder's skips. The transposed
    convolutions are spectrally normalized. (Paper: PAM.)
    """
    code, activations = encoder.output
    crop_px, coarsest = encoder.input.shape[1], activations[-1].shape
    x = lrelu(dense(coarsest[1:].num_elements())(code))
    x = keras.layers.Reshape(coarsest[1:])(x)
    for i, skip in enumerate(reversed(activations)):
        x = keras.layers.Concatenate()([x, skip])
        x = relu(instance_norm(deconv(coarsest[-1] // 2**i, spectral=True)(x)))
    assert x.shape[1] == crop_px
    return keras.Model(
        encoder.input, keras.layers.Activation('tanh', dtype='float32')(conv(3, 7, 1)(x)), name='pam_autoencoder'
    )
