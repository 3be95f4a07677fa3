"""The encoders: E_c (content of one eye; original scope `Gr`), E_r (angle of both; `encode`), and palettes (ours)."""

import tensorflow as tf

from gaze_tf.config import EncoderConfig, ModelConfig
from gaze_tf.models.layers import conv, dense, instance_norm, lrelu, relu

keras = tf.keras


def content_encoder(config: EncoderConfig) -> tf.keras.Model:
    """E_c: one eye crop [B, c, c, 3] in [-1, 1] → (code [B, code_size], activations).

    The activations, one for each stride-2 convolution from fine to coarse, are the skips of PAM's
    decoder; correction and animation use only the code. (Paper: PAM.)
    """
    crop = keras.Input([config.crop_px, config.crop_px, 3], name='crop')
    x = lrelu(instance_norm(conv(config.ngf, 7, 1, name='conv')(crop), 'IN'))
    activations = []
    for i in range(config.n_layers_r):
        x = conv(min(config.ngf * 2 ** (i + 1), 128), 4, 2, name=f'conv{i}')(x)
        x = lrelu(instance_norm(x, f'IN{i}'))
        activations.append(x)
    code = dense(config.code_size, dtype='float32', name='FC1')(keras.layers.Flatten()(x))
    return keras.Model(crop, [code, activations], name='content_encoder')


def angle_encoder(config: ModelConfig) -> tf.keras.Model:
    """E_r: left and right eye crop, each [B, c, c, 3] in [-1, 1] → angle code r [B, 2]. (Paper: GAM.)"""
    left = keras.Input([config.crop_px, config.crop_px, 3], name='left')
    right = keras.Input([config.crop_px, config.crop_px, 3], name='right')
    x = keras.layers.Concatenate()([left, right])
    x = relu(instance_norm(conv(config.nef, 7, 1, name='e_c1')(x), 'e_in1'))
    for i in range(config.n_layers_e):
        x = conv(min(config.nef * 2 ** (i + 1), 128), 4, 2, name=f'e_c{i + 2}')(x)
        x = relu(instance_norm(x, f'e_in{i + 2}'))
    code = dense(2, dtype='float32', name='e_ful1')(keras.layers.Flatten()(x))
    return keras.Model([left, right], code, name='angle_encoder')


def palette_encoder(config: ModelConfig) -> tf.keras.Model:
    """One eye crop [B, c, c, 3] in [-1, 1] → its palette, `config.palette` colors of the crop [B, P, 3] in [-1, 1].

    Each color is a mean of the crop's pixels, weighted by what a pixel and its neighbors look like. It therefore finds
    the color of an iris wherever the iris is, even for a G_x that has only seen eyes at the camera. A content code
    depends on places, so it describes the wrong color for an iris in another position. Nothing is normalized, because
    then the rest of the crop would change what a color looks like. (Not in the paper.)
    """
    crop = keras.Input([config.crop_px, config.crop_px, 3], name='crop')
    x = lrelu(conv(16, 5, 1)(lrelu(conv(16, 5, 1)(crop))))
    scores = keras.layers.Reshape([-1, config.palette])(conv(config.palette, 1, 1)(x))
    weights = keras.layers.Softmax(axis=1, dtype='float32')(scores)
    pixels = keras.layers.Reshape([-1, 3], dtype='float32')(crop)
    return keras.Model(crop, keras.layers.Dot(1, dtype='float32')([weights, pixels]), name='palette_encoder')
