"""The building blocks of every network: convolutions, normalizations and their initial values.

Convolutions are SAME-padded with biases. Initial values are as in the original: truncated normal with variance
2 / fan_in for convolutions and dense layers, 0 for biases, normal(1, 0.02) for the scale and 0 for the offset of
instance normalization.

Layers with weights have the names that the original gives to their scopes (`gaze_tf.original` maps by them).

In mixed precision, convolutions and dense layers compute in 16 bits; weights, instance statistics, spectral norms and
the outputs of the networks are float32. (Models that are exported keep the weights of these layers in 16 bits, too.)
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
def computing_in(precision: str, weights: str = 'float32') -> Iterator[None]:
    """Layers that are made within it compute in 'float32', 'bfloat16' or 'float16'.

    Their weights are float32 for training, or of the same precision for inference, which need not convert them then.
    """
    mixed_precision = keras.mixed_precision
    outside = mixed_precision.global_policy()
    mixed_precision.set_global_policy(precision if weights == precision else f'mixed_{precision}')
    try:
        yield
    finally:
        mixed_precision.set_global_policy(outside)


class InstanceNorm(_InstanceNormalization):
    """Instance normalization with scale and offset, epsilon 1e-5; keeps the inputs' dtype."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(
            epsilon=1e-5,
            gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
            dtype='float32',
            autocast=False,
            name=name,
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.transpose(self._pixels(inputs), [2, 0, 1, 3])

    def _pixels(self, inputs: tf.Tensor) -> tf.Tensor:
        """The normalized inputs [B, H, W, C] as [H, W, B, C].

        It is the batch normalization of one image that has the channels of all faces: a single operation, forward and
        backward, whose statistics are float32 whatever the inputs are.
        """
        faces, (height, width, channels) = tf.shape(inputs)[:1], inputs.shape[1:]
        normalized = tf.raw_ops.FusedBatchNormV3(
            x=tf.reshape(tf.transpose(inputs, [1, 2, 0, 3]), [1, height, width, -1]),
            scale=tf.tile(self.gamma, faces),
            offset=tf.tile(self.beta, faces),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        ).y
        return tf.reshape(normalized, [height, width, -1, channels])


def instance_norm(x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Applies instance normalization."""
    return InstanceNorm(name)(x)


class LeakyRelu(tf.keras.layers.Layer):
    """Leaky relu whose gradient takes the outputs: a convolution can then compute it in the same pass."""

    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self._of(inputs)

    @tf.custom_gradient
    def _of(self, inputs):
        outputs = tf.nn.leaky_relu(inputs, self.slope)

        def gradient(upstream):
            # in float32, as CPUs take 10 times longer for it in 16 bits
            gradients, features = tf.cast(upstream, tf.float32), tf.cast(outputs, tf.float32)
            gradients = tf.raw_ops.LeakyReluGrad(gradients=gradients, features=features, alpha=self.slope)
            return tf.cast(gradients, upstream.dtype)

        return outputs, gradient


def lrelu(x: tf.Tensor) -> tf.Tensor:
    """Applies leaky relu with slope 0.2."""
    return LeakyRelu(0.2)(x)


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
    """A transposed convolution layer before instance_norm, 4x4 with stride 2, which doubles height and width."""
    layer = SpectralConv2DTranspose if spectral else Upconvolution
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


class Upconvolution(tf.keras.layers.Conv2DTranspose):
    """Conv2DTranspose (SAME, stride s: the output is s times the input) without adding its bias.

    The original has a bias here, so there is a weight for it; but instance normalization, which follows, removes it.
    """

    def call(self, inputs: Any) -> tf.Tensor:
        height, width = (stride * side for stride, side in zip(self.strides, inputs.shape[1:3]))
        output_shape = [tf.shape(inputs)[0], height, width, self.filters]
        return tf.nn.conv2d_transpose(inputs, self.kernel_like(inputs), output_shape, self.strides)

    def kernel_like(self, inputs: tf.Tensor) -> tf.Tensor:
        """The kernel [k, k, filters, channels] that is used, in the dtype of the inputs."""
        return tf.cast(self.kernel, inputs.dtype)


class EyeWindows(InstanceNorm):
    """relu(instance_norm(features)) only around the eye boxes, as the output convolution reads nothing else.

    (features [B, S, S, F], boxes [B, 2, 4] whole pixels (y0, x0, y1, x1), at most box_hw large) →
    [B, 2, h + 2 halo, w + 2 halo, F], 0 outside the image.
    """

    def __init__(self, box_hw: tuple[int, int], halo: int, name: str | None = None):
        super().__init__(name)
        self.box_hw, self.halo = box_hw, halo

    def build(self, input_shape: Any) -> None:
        super().build(input_shape[0])
        self.input_spec = None

    def call(self, inputs: Any) -> tf.Tensor:
        features, boxes = inputs
        size = features.shape[1]
        rows, columns = _window(boxes, size, self.box_hw, self.halo)
        inside = _inside(rows, columns, tf.constant([0, 0, size, size]))
        face, y, x = _places(tf.clip_by_value(rows, 0, size - 1), tf.clip_by_value(columns, 0, size - 1))
        windows = tf.gather_nd(self._pixels(features), tf.stack([y, x, face], axis=-1))
        return tf.nn.relu(windows) * tf.cast(inside, windows.dtype)[..., None]


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
        rows, columns = _window(boxes, self.size, (height, width), 0)
        own = _inside(rows, columns, boxes)
        # where boxes overlap, only the pixels of the left window count
        in_left = _inside(rows[:, 1:], columns[:, 1:], boxes[:, :1])
        counts = tf.concat([own[:, :1], own[:, 1:] & ~in_left], axis=1)
        painted = tf.reshape(painted, [-1, 2, height, width, filters])
        painted *= tf.cast(counts, painted.dtype)[..., None]
        places = tf.stack(_places(rows, columns), axis=-1)
        return tf.scatter_nd(places, painted, [tf.shape(boxes)[0], self.size, self.size, filters])

    def _colors(self, features: tf.Tensor, palettes: tf.Tensor | None = None) -> tf.Tensor:
        """The colors [2B, h, w, 3] of windows, from their features after the convolution."""
        if palettes is None:
            return tf.tanh(features)
        _, height, width, count = features.shape
        palettes = tf.reshape(palettes, [-1, count - 2, 3])
        black = -tf.ones_like(palettes[:, :1])
        shares = tf.reshape(tf.nn.softmax(features), [-1, height * width, count])
        return tf.reshape(shares @ tf.concat([palettes, black, -black], axis=1), [-1, height, width, 3])


def _window(boxes: tf.Tensor, size: int, box_hw: tuple[int, int], halo: int) -> tuple[tf.Tensor, tf.Tensor]:
    """(rows [B, 2, h], columns [B, 2, w]) of the pixels in a window of box_hw plus a halo for each box.

    A box that is smaller than box_hw was clipped: its window is moved so that it ends at the edge of the image.
    """
    corner = tf.minimum(tf.cast(boxes[..., :2], tf.int32), size - tf.constant(box_hw)) - halo
    height, width = (side + 2 * halo for side in box_hw)
    return corner[..., :1] + tf.range(height), corner[..., 1:] + tf.range(width)


def _places(rows: tf.Tensor, columns: tf.Tensor) -> list[tf.Tensor]:
    """[face, y, x] of pixels in rows [B, 2, h] and columns [B, 2, w], each [B, 2, h, w]."""
    shape = tf.concat([tf.shape(rows), tf.shape(columns)[-1:]], axis=0)
    face = tf.range(shape[0])[:, None, None, None]
    return [tf.broadcast_to(index, shape) for index in (face, rows[..., None], columns[..., None, :])]


def _inside(rows: tf.Tensor, columns: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Whether pixels lie in the half-open boxes [..., 4]: [..., h], [..., w] → [..., h, w]."""
    y0, x0, y1, x1 = tf.split(tf.cast(boxes, tf.int32), 4, axis=-1)
    return ((rows >= y0) & (rows < y1))[..., :, None] & ((columns >= x0) & (columns < x1))[..., None, :]


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

    def sigma(self) -> tf.Tensor:
        """The largest singular value of the kernel, estimated from the stored u; a scalar."""
        matrix, u, v = self.power_iteration()
        return tf.tensordot(u, tf.linalg.matvec(matrix, v), 1)

    def normalized_kernel(self) -> tf.Tensor:
        """The kernel divided by its largest singular value."""
        return self.kernel / self.sigma()

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
        # the outputs, which are fewer numbers than the kernel, are divided by sigma in its place
        outputs = inputs @ tf.cast(self.kernel, inputs.dtype)
        return outputs / tf.cast(self.sigma(), outputs.dtype) + self.bias


class SpectralConv2DTranspose(_Spectral, Upconvolution):
    """Upconvolution with spectral normalization."""

    def kernel_like(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.normalized_kernel(), inputs.dtype)


def spectral_layers(model: tf.Module) -> list[_Spectral]:
    """All spectrally normalized layers of a model."""
    return [layer for layer in model.submodules if isinstance(layer, _Spectral)]
