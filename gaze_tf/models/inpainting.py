"""The in-painting generators G_x (GCM, corrects) and G_y (GAM, animates); original scopes `Gx`, `Gy`.

Each consists of two functional models, so that a face is encoded once and painted on several times.
"""

import tensorflow as tf

from gaze_tf.config import ModelConfig
from gaze_tf.models.layers import EyePainter, EyeWindows, conv, deconv, dense, instance_norm, lrelu, mask_conv, relu

keras = tf.keras

BOTTLENECK = 256


class InpaintingGenerator(tf.Module):
    """G: a masked image, its mask and codes → the image with painted eyes. (Paper: GCM and GAM.)

    `code_sizes`: the lengths of its codes in order: (content_size,) for G_x, and (2, content_size) for G_y, whose first
    code is the angle. Codes join the bottleneck. A palette, with `config.palette`, does not: it holds the colors to
    paint with.
    """

    def __init__(self, config: ModelConfig, code_sizes: tuple[int, ...], name: str):
        super().__init__(name=name)
        self.encoder = _encoder(config, f'{name}_encoder')
        self.decoder = _decoder(config, self.encoder.output, code_sizes, f'{name}_decoder')

    def encode(self, masked_image: tf.Tensor, mask: tf.Tensor) -> list:
        """Masked image [B, S, S, 3] in [-1, 1] and mask [B, S, S, 1] → [bottleneck, skips]."""
        return self.encoder([masked_image, mask])

    def paint(self, encoded: list, boxes: tf.Tensor, *codes: tf.Tensor, palette: tf.Tensor | None = None) -> tf.Tensor:
        """The painted eyes [B, S, S, 3] in [-1, 1], 0 outside the boxes [B, 2, 4] (pixels) of the mask."""
        return self.decoder([encoded, boxes, list(codes), [] if palette is None else [palette]])


def _encoder(config: ModelConfig, name: str) -> tf.keras.Model:
    masked = keras.Input([config.img_size, config.img_size, 3], name='masked_image')
    mask = keras.Input([config.img_size, config.img_size, 1], name='mask')
    x = keras.layers.Concatenate()([masked, mask])
    x = lrelu(instance_norm(mask_conv(config.ngf, 7, 'conv')(x), 'IN'))
    skips = []
    for i in range(config.n_layers_g):
        x = conv(min(config.ngf * 2 ** (i + 1), 256), 4, 2, name=f'conv{i}')(x)
        x = lrelu(instance_norm(x, f'IN{i}'))
        skips.append(x)
    bottleneck = dense(BOTTLENECK, name='FC1')(keras.layers.Flatten()(x))
    return keras.Model([masked, mask], [bottleneck, skips], name=name)


def _decoder(config: ModelConfig, encoded: list, code_sizes: tuple[int, ...], name: str) -> tf.keras.Model:
    bottleneck, skips = tf.nest.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype), encoded)
    boxes = keras.Input([2, 4], name='boxes')
    codes = [keras.Input([size], name=f'code_{size}') for size in code_sizes]
    palettes = [keras.Input([config.palette_size], name='palette')] if config.palette else []
    _, side, _, width = skips[-1].shape

    x = keras.layers.Concatenate()([bottleneck, *codes])
    x = lrelu(dense(BOTTLENECK * side * side, name='FC2')(x))
    x = keras.layers.Reshape([side, side, BOTTLENECK])(x)
    for i, skip in enumerate(reversed(skips)):
        x = keras.layers.Concatenate()([x, skip])
        x = deconv(max(width // 2**i, 16), name=f'deconv{i}')(x)
        if i < len(skips) - 1:
            x = relu(instance_norm(x, f'IN_{i}'))
    # after the statistics of the last normalization, nothing outside the eye boxes matters
    windows = EyeWindows((config.crop_h, config.crop_w), 3, f'IN_{len(skips) - 1}')([x, boxes])
    colors = [tf.reshape(palette, [-1, 2, config.palette, 3]) for palette in palettes]
    painted = EyePainter(7, config.img_size, config.palette, 'output_conv')([windows, boxes, *colors])
    return keras.Model([[bottleneck, skips], boxes, codes, palettes], painted, name=name)
