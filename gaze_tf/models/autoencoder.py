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
    x = lrelu(dense(coarsest[1:].num_elements(), name='FC2')(code))
    x = keras.layers.Reshape(coarsest[1:])(x)
    for i, skip in enumerate(reversed(activations)):
        x = keras.layers.Concatenate()([x, skip])
        x = deconv(coarsest[-1] // 2**i, spectral=True, name=f'deconv{i}')(x)
        x = relu(instance_norm(x, f'IN_{i}'))
    assert x.shape[1] == crop_px
    x = conv(3, 7, 1, name='output_conv')(x)
    return keras.Model(encoder.input, keras.layers.Activation('tanh', dtype='float32')(x), name='pam_autoencoder')
