"""The building blocks of every network: convolutions, normalisations and their initial values.

Convolutions are SAME-padded with biases. Initial values (as in the original): convolutions and dense
layers truncated normal with variance 2 / fan_in, biases 0, instance normalisation scale normal(1, 0.02)
and offset 0.
"""
import warnings

import tensorflow as tf

with warnings.catch_warnings():
    # tensorflow-addons ended in 2024 and says so at every import; 0.23 is pinned, nothing to act on.
    warnings.simplefilter('ignore', UserWarning)
    from tensorflow_addons.layers import InstanceNormalization

keras = tf.keras

_INIT = {'kernel_initializer': 'he_normal', 'padding': 'same'}


def instance_norm(x):
    """Instance normalisation with scale and offset, epsilon 1e-5."""
    return InstanceNormalization(
        epsilon=1e-5, gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02))(x)


def lrelu(x):
    """Leaky relu with slope 0.2."""
    return keras.layers.LeakyReLU(0.2)(x)


def relu(x):
    """Relu as a layer, so that the graph of a functional model shows it."""
    return keras.layers.ReLU()(x)


def conv(filters, size, stride, spectral=False):
    """A square convolution layer, optionally spectrally normalised."""
    layer = SpectralConv2D if spectral else keras.layers.Conv2D
    return layer(filters, size, stride, **_INIT)


def deconv(filters, spectral=False):
    """A transposed convolution 4x4 with stride 2 (doubles height and width)."""
    layer = SpectralConv2DTranspose if spectral else keras.layers.Conv2DTranspose
    return layer(filters, 4, 2, **_INIT)


def dense(units, spectral=False):
    """A dense layer, optionally spectrally normalised."""
    layer = SpectralDense if spectral else keras.layers.Dense
    return layer(units, kernel_initializer='he_normal')


class EyePainter(keras.layers.Layer):
    """The output convolution and tanh, computed inside the eye boxes only and 0 elsewhere.

    (features [B, S, S, F], boxes [B, 2, 4] whole pixels (y0, x0, y1, x1), at most box_hw large) →
    tanh(conv(features)) · mask, [B, S, S, filters]. The same function as a SAME convolution of the whole
    image times the mask, for a tenth of its cost: the rest of the image is the input's anyway.
    """

    def __init__(self, filters, size, box_hw, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(filters, size, padding='valid', kernel_initializer='he_normal')
        self.box_hw = box_hw

    def call(self, inputs):
        features, boxes = inputs
        size, halo = features.shape[1], self.conv.kernel_size[0] // 2
        boxes = tf.cast(boxes, tf.int32)
        batch = tf.shape(boxes)[0]
        # where a clipped box is smaller than box_hw, its window is moved to end at the image's edge
        corner = tf.minimum(boxes[..., :2], size - tf.constant(self.box_hw))
        window = self._pixels(corner, halo)                     # in the image padded by the halo
        padded = tf.pad(features, [[0, 0], [halo, halo], [halo, halo], [0, 0]])
        patches = tf.gather_nd(padded, window, batch_dims=1)    # [B, 2, h + 2 halo, w + 2 halo, F]
        painted = tf.tanh(self.conv(tf.reshape(patches, [-1, *patches.shape[2:]])))

        target = self._pixels(corner, 0)                        # [B, 2, h, w, 2]
        left, right = (_inside(target, box) for box in tf.split(boxes[:, :, None, None], 2, axis=1))
        # of a pixel in both boxes, only the left window's copy counts
        counts = tf.stack([left[:, 0], right[:, 1] & ~left[:, 1]], axis=1)
        painted = tf.reshape(painted, [batch, 2, *self.box_hw, self.conv.filters])
        painted *= tf.cast(counts, painted.dtype)[..., None]
        face = tf.broadcast_to(tf.range(batch)[:, None, None, None, None], [batch, 2, *self.box_hw, 1])
        return tf.scatter_nd(tf.concat([face, target], axis=-1), painted, [batch, size, size, self.conv.filters])

    def _pixels(self, corner, halo):
        """The (y, x) of each pixel of windows of box_hw plus halo around, from corner on: [B, 2, h, w, 2]."""
        height, width = (side + 2 * halo for side in self.box_hw)
        grid = tf.stack(tf.meshgrid(tf.range(height), tf.range(width), indexing='ij'), axis=-1)
        return corner[:, :, None, None] + grid


def _inside(pixels, box):
    """Whether each (y, x) lies in its half-open box (y0, x0, y1, x1)."""
    return tf.reduce_all((pixels >= box[..., :2]) & (pixels < box[..., 2:]), axis=-1)


class _Spectral:
    """Spectral normalisation: the kernel W is used as W / sigma.

    W is read as a [K, C] matrix (C its last axis); sigma = u' W v after one power iteration from the
    stored u. Gradients flow through sigma, not through u and v. Calling the layer never changes u, so
    that every use within a training step starts from the same u; `advance` moves it, once a step.
    """

    def build(self, input_shape):
        super().build(input_shape)
        rows = self.kernel.shape.num_elements() // self.kernel.shape[-1]
        # every replica would assign the same
        self.u = self.add_weight('u', [rows], initializer=keras.initializers.RandomNormal(), trainable=False,
                                 aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def power_iteration(self):
        """(matrix, u, v): the kernel as [K, C] and its singular vectors one iteration on."""
        matrix = tf.reshape(self.kernel, [-1, self.kernel.shape[-1]])
        v = tf.math.l2_normalize(tf.linalg.matvec(matrix, self.u, transpose_a=True))
        u = tf.math.l2_normalize(tf.linalg.matvec(matrix, v))
        return matrix, tf.stop_gradient(u), tf.stop_gradient(v)

    def normalized_kernel(self):
        """The kernel divided by its largest singular value, as estimated from the stored u."""
        matrix, u, v = self.power_iteration()
        return self.kernel / tf.tensordot(u, tf.linalg.matvec(matrix, v), 1)

    def advance(self):
        """Stores u one power iteration on."""
        self.u.assign(self.power_iteration()[1])


class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """Conv2D with spectral normalisation."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, self.normalized_kernel())


class SpectralDense(_Spectral, keras.layers.Dense):
    """Dense with spectral normalisation."""

    def call(self, inputs):
        return inputs @ self.normalized_kernel() + self.bias


class SpectralConv2DTranspose(_Spectral, keras.layers.Conv2DTranspose):
    """Conv2DTranspose (SAME, stride s: the output is s times the input) with spectral normalisation."""

    def call(self, inputs):
        batch, height, width, _ = tf.unstack(tf.shape(inputs))
        stride = self.strides[0]
        output_shape = [batch, height * stride, width * stride, self.filters]
        return tf.nn.conv2d_transpose(inputs, self.normalized_kernel(), output_shape, stride) + self.bias


def spectral_layers(model):
    """All spectrally normalised layers of a model."""
    return [layer for layer in model.submodules if isinstance(layer, _Spectral)]
