"""The building blocks of every network: convolutions, normalizations and their initial values.

Convolutions are SAME-padded with biases. Initial values are as in the original: truncated normal with variance
2 / fan_in for convolutions and dense layers, 0 for biases, normal(1, 0.02) for the scale and 0 for the offset of
instance normalization.

Layers with weights have the names that the original gives to their scopes (`gaze_tf.original` maps by them).

In mixed precision, convolutions and dense layers compute in 16 bits; weights, instance statistics, spectral norms and
the outputs of the networks are float32.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from gaze_tf.versions import instance_normalization

keras = tf.keras

_InstanceNormalization: Any = instance_normalization()
_INIT: dict[str, Any] = {'kernel_initializer': 'he_normal', 'padding': 'same'}


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers that are made within it compute in 'float32', 'bfloat16' or 'float16'; their weights are float32."""
    mixed_precision = keras.mixed_precision
    outside = mixed_precision.global_policy()
    mixed_precision.set_global_policy('float32' if precision == 'float32' else f'mixed_{precision}')
    try:
        yield
    finally:
        mixed_precision.set_global_policy(outside)


class InstanceAffine(_InstanceNormalization):
    """Instance normalization of features [B, H, W, C] as (scale, offset), each [B, 1, 1, C] float32."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(
            epsilon=1e-5,
            gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
            dtype='float32',
            autocast=False,
            name=name,
        )

    def call(self, inputs: tf.Tensor) -> Any:
        mean, variance = tf.nn.moments(tf.cast(inputs, tf.float32), [1, 2], keepdims=True)
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        return scale, self.beta - mean * scale


class InstanceNorm(InstanceAffine):
    """Instance normalization with scale and offset, epsilon 1e-5; keeps the inputs' dtype."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        scale, offset = super().call(inputs)
        return tf.cast(tf.cast(inputs, tf.float32) * scale + offset, inputs.dtype)


def instance_norm(x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Applies instance normalization."""
    return InstanceNorm(name)(x)


def lrelu(x: tf.Tensor) -> tf.Tensor:
    """Applies leaky relu with slope 0.2."""
    return keras.layers.LeakyReLU(0.2)(x)


def relu(x: tf.Tensor) -> tf.Tensor:
    """Applies relu as a layer, so that it appears in the graph of a functional model."""
    return keras.layers.ReLU()(x)


def conv(
    filters: int, size: int, stride: int, spectral: bool = False, name: str | None = None
) -> tf.keras.layers.Layer:
    """A square convolution layer, optionally spectrally normalized."""
    layer = SpectralConv2D if spectral else keras.layers.Conv2D
    return layer(filters, size, stride, name=name, **_INIT)


def mask_conv(filters: int, size: int, name: str | None = None) -> tf.keras.layers.Layer:
    """A square convolution layer of stride 1 for an image whose last channel is its mask."""
    return MaskConv2D(filters, size, name=name, **_INIT)


def deconv(filters: int, spectral: bool = False, name: str | None = None) -> tf.keras.layers.Layer:
    """A transposed convolution layer, 4x4 with stride 2, which doubles height and width."""
    layer = SpectralConv2DTranspose if spectral else keras.layers.Conv2DTranspose
    return layer(filters, 4, 2, name=name, **_INIT)


def dense(
    units: int, spectral: bool = False, dtype: str | None = None, name: str | None = None
) -> tf.keras.layers.Layer:
    """A dense layer, optionally spectrally normalized. It computes in `dtype`, by default as other layers do."""
    layer = SpectralDense if spectral else keras.layers.Dense
    return layer(units, kernel_initializer='he_normal', dtype=dtype, name=name)


class MaskConv2D(tf.keras.layers.Conv2D):
    """Conv2D whose kernel sees the last input channel, a mask, three times (as in the original).

    Three equal channels times three kernels are one channel times their sum, for two thirds of the work.
    """

    def build(self, input_shape: Any) -> None:
        super().build([*input_shape[:-1], input_shape[-1] + 2])
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: input_shape[-1]})

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        mask = tf.reduce_sum(kernel[:, :, -3:], axis=2, keepdims=True)
        return super().convolution_op(inputs, tf.concat([kernel[:, :, :-3], mask], axis=2))


class EyeWindows(tf.keras.layers.Layer):
    """relu(instance_norm(features)) only around the eye boxes, as the output convolution reads nothing else.

    (features [B, S, S, F], scale and offset [B, 1, 1, F] as from InstanceAffine, boxes [B, 2, 4] whole pixels (y0,
    x0, y1, x1), at most box_hw large) → [B, 2, h + 2 halo, w + 2 halo, F], 0 outside the image.
    """

    def __init__(self, box_hw: tuple[int, int], halo: int):
        super().__init__(dtype='float32', autocast=False)
        self.box_hw, self.halo = box_hw, halo

    def call(self, inputs: Any) -> tf.Tensor:
        features, scale, offset, boxes = inputs
        size = features.shape[1]
        pixels = _window(boxes, size, self.box_hw, self.halo)
        inside = tf.reduce_all((pixels >= 0) & (pixels < size), axis=-1, keepdims=True)
        windows = tf.gather_nd(features, tf.clip_by_value(pixels, 0, size - 1), batch_dims=1)
        windows = tf.cast(windows, tf.float32) * scale[:, None] + offset[:, None]
        return tf.nn.relu(windows) * tf.cast(inside, tf.float32)


class EyePainter(tf.keras.layers.Layer):
    """The output convolution and tanh, computed inside the eye boxes only and 0 elsewhere.

    (windows as from EyeWindows, boxes) → tanh(conv(features)) · mask, [B, size, size, 3]. The same function as a SAME
    convolution of the whole image times the mask, for a tenth of its cost: the rest of the image is the input's anyway.

    With the palettes of both eyes [B, 2, palette, 3] as a third input, each pixel is a mixture of black, white and the
    colors in its eye's palette, in shares that the convolution gives: an eye never gets a hue that it did not have.
    """

    def __init__(self, kernel_size: int, size: int, palette: int = 0, name: str | None = None):
        super().__init__(dtype='float32', autocast=False, name=name)
        self.conv = keras.layers.Conv2D(
            palette + 2 if palette else 3, kernel_size, padding='valid', kernel_initializer='he_normal'
        )
        self.size = size

    def call(self, inputs: Any) -> tf.Tensor:
        windows, boxes, *palettes = inputs
        features = self.conv(tf.reshape(windows, [-1, *windows.shape[2:]]))
        painted = self._colors(tf.cast(features, tf.float32), *palettes)
        _, height, width, filters = painted.shape
        pixels = _window(boxes, self.size, (height, width), 0)  # [B, 2, h, w, 2]
        left, right = (_inside(pixels, box) for box in tf.split(tf.cast(boxes, tf.int32)[:, :, None, None], 2, axis=1))
        # where boxes overlap, only the pixels of the left window count
        counts = tf.stack([left[:, 0], right[:, 1] & ~left[:, 1]], axis=1)
        painted = tf.reshape(painted, [-1, 2, height, width, filters])
        painted *= tf.cast(counts, painted.dtype)[..., None]
        batch = tf.shape(boxes)[0]
        face = tf.broadcast_to(tf.range(batch)[:, None, None, None, None], [batch, 2, height, width, 1])
        return tf.scatter_nd(tf.concat([face, pixels], axis=-1), painted, [batch, self.size, self.size, filters])

    def _colors(self, features: tf.Tensor, palettes: tf.Tensor | None = None) -> tf.Tensor:
        """The colors [2B, h, w, 3] of windows, from their features after the convolution."""
        if palettes is None:
            return tf.tanh(features)
        _, height, width, count = features.shape
        palettes = tf.reshape(palettes, [-1, count - 2, 3])
        black = -tf.ones_like(palettes[:, :1])
        shares = tf.reshape(tf.nn.softmax(features), [-1, height * width, count])
        return tf.reshape(shares @ tf.concat([palettes, black, -black], axis=1), [-1, height, width, 3])


def _window(boxes: tf.Tensor, size: int, box_hw: tuple[int, int], halo: int) -> tf.Tensor:
    """The (y, x) of each pixel in a window of box_hw plus a halo for each box: [B, 2, h, w, 2].

    A box that is smaller than box_hw was clipped: its window is moved so that it ends at the edge of the image.
    """
    corner = tf.minimum(tf.cast(boxes[..., :2], tf.int32), size - tf.constant(box_hw)) - halo
    height, width = (side + 2 * halo for side in box_hw)
    grid = tf.stack(tf.meshgrid(tf.range(height), tf.range(width), indexing='ij'), axis=-1)
    return corner[:, :, None, None] + grid


def _inside(pixels: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Whether each (y, x) lies in its half-open box (y0, x0, y1, x1)."""
    return tf.reduce_all((pixels >= box[..., :2]) & (pixels < box[..., 2:]), axis=-1)


class _Spectral:
    """Spectral normalization: the layer uses W / sigma in place of its kernel W.

    W is reshaped to a [K, C] matrix (C is its last axis); sigma = u' W v after one power iteration from the stored u.
    Gradients flow through sigma, but not through u and v. Calling the layer never changes u, so that every use within a
    training step starts from the same u; `advance` moves it once a step.
    """

    kernel: tf.Variable

    def build(self, input_shape):
        super().build(input_shape)
        rows = self.kernel.shape.num_elements() // self.kernel.shape[-1]
        # all replicas assign the same value
        self.u = self.add_weight(
            'u',
            [rows],
            initializer=keras.initializers.RandomNormal(),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def add_weight(self, name, *args, **kwargs):
        # the kernel stays float32 until it is normalized
        return super().add_weight(name, *args, experimental_autocast=name == 'bias', **kwargs)

    def power_iteration(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(matrix, u, v): the kernel as [K, C], and its singular vectors after one more iteration."""
        matrix = tf.reshape(self.kernel, [-1, self.kernel.shape[-1]])
        v = tf.math.l2_normalize(tf.linalg.matvec(matrix, self.u, transpose_a=True))
        u = tf.math.l2_normalize(tf.linalg.matvec(matrix, v))
        return matrix, tf.stop_gradient(u), tf.stop_gradient(v)

    def normalized_kernel(self) -> tf.Tensor:
        """The kernel divided by its largest singular value, which is estimated from the stored u."""
        matrix, u, v = self.power_iteration()
        return self.kernel / tf.tensordot(u, tf.linalg.matvec(matrix, v), 1)

    def advance(self) -> None:
        """Moves the stored u by one power iteration."""
        self.u.assign(self.power_iteration()[1])


class SpectralConv2D(_Spectral, tf.keras.layers.Conv2D):
    """Conv2D with spectral normalization."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return super().convolution_op(inputs, tf.cast(self.normalized_kernel(), inputs.dtype))


class SpectralDense(_Spectral, tf.keras.layers.Dense):
    """Dense with spectral normalization."""

    def call(self, inputs: Any) -> tf.Tensor:
        return inputs @ tf.cast(self.normalized_kernel(), inputs.dtype) + self.bias


class SpectralConv2DTranspose(_Spectral, tf.keras.layers.Conv2DTranspose):
    """Conv2DTranspose (SAME, stride s: the output is s times the input) with spectral normalization."""

    def call(self, inputs: Any) -> tf.Tensor:
        batch, height, width, _ = tf.unstack(tf.shape(inputs))
        stride = self.strides[0]
        output_shape = [batch, height * stride, width * stride, self.filters]
        kernel = tf.cast(self.normalized_kernel(), inputs.dtype)
        return tf.nn.conv2d_transpose(inputs, kernel, output_shape, stride) + self.bias


def spectral_layers(model: tf.Module) -> list[_Spectral]:
    """All spectrally normalized layers of a model."""
    return [layer for layer in model.submodules if isinstance(layer, _Spectral)]
