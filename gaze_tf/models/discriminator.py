"""The discriminators D_x and D_y: a global branch on the image, a local one on both eye crops."""

import tensorflow as tf

from gaze_tf.config import ModelConfig
from gaze_tf.models.layers import conv, dense, lrelu, relu

keras = tf.keras


def discriminator(config: ModelConfig, name: str) -> tf.keras.Model:
    """D: (image [B, S, S, 3], left crop [B, c, c, 3], right crop) in [-1, 1] → logit [B, 1].

    With `config.use_sp` every layer is spectrally normalized. (Paper: GCM; original scopes
    `Dx`, `Dy` with `d2` global and `d1` local.)
    """
    spectral = config.use_sp

    def branch(scope: str, x: tf.Tensor, widest: int) -> tf.Tensor:
        for i in range(config.n_layers_d):
            x = lrelu(conv(min(config.ndf * 2 ** (i + 1), widest), 4, 2, spectral, f'{scope}/d{i}')(x))
        return dense(x.shape[-1], spectral, name=f'{scope}/fp')(keras.layers.Flatten()(x))

    image = keras.Input([config.img_size, config.img_size, 3], name='image')
    left = keras.Input([config.crop_px, config.crop_px, 3], name='left')
    right = keras.Input([config.crop_px, config.crop_px, 3], name='right')
    eyes = keras.layers.Concatenate()([left, right])
    x = keras.layers.Concatenate()([branch('d2', image, 256), branch('d1', eyes, 512)])
    x = relu(dense(1024, spectral, name='fc1')(x))
    return keras.Model([image, left, right], dense(1, spectral, 'float32', 'fc2')(x), name=name)
