"""The perceptual loss: style and content in the features of a frozen VGG-16 (the original's scope `vgg_16`)."""

import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf

from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.errors import GazeError

keras = tf.keras

STYLE = ('block1_conv2', 'block2_conv2', 'block3_conv3', 'block4_conv3')
CONTENT = 'block5_conv3'

_Weights = list[tuple[np.ndarray, np.ndarray]]  # (kernel, bias) of each convolution, in order


def vgg16(weights: pathlib.Path | str | None = None) -> tf.keras.Model:
    """VGG-16 up to conv5_3: eye crops [B, c, c, 3] in [-1, 1], RGB → features, finest first.

    Args:
      weights: path of a slim VGG-16 checkpoint (as the original uses) or of a Keras .h5 file of VGG-16 (with or without
        its top); None for random values.

    Returns:
      A frozen model that gives the features after relu at STYLE and CONTENT.

    Raises:
      GazeError: the weights cannot be read, or belong to another network.
    """
    base = keras.applications.VGG16(include_top=False, weights=None)
    model = keras.Model(base.input, [base.get_layer(name).output for name in (*STYLE, CONTENT)], name='vgg_16')
    model.trainable = False
    if weights is not None:
        layers = {layer.name: layer for layer in model.layers if layer.weights}
        shapes = {name: tuple(layer.kernel.shape) for name, layer in layers.items()}
        read = _read_keras if pathlib.Path(weights).suffix in ('.h5', '.hdf5') else _read_slim
        for layer, values in zip(layers.values(), read(weights, shapes)):
            layer.set_weights(values)
    return model


def _read_slim(path: pathlib.Path | str, shapes: dict[str, tuple[int, ...]]) -> _Weights:
    """The weights in a slim checkpoint. Its kernels take RGB.

    shapes: of our kernels, by layer name, from block1_conv1 to block5_conv3.
    """
    checkpoint, weights = CheckpointReader(path), []
    for layer, shape in shapes.items():
        block, number = re.findall(r'\d', layer)
        scope = f'vgg_16/conv{block}/conv{block}_{number}'
        weights.append((checkpoint.value(f'{scope}/weights', shape), checkpoint.value(f'{scope}/biases', shape[-1:])))
    return weights


def _read_keras(path: pathlib.Path | str, shapes: dict[str, tuple[int, ...]]) -> _Weights:
    """The weights in a Keras .h5 file, with the first kernel turned to take RGB; `shapes` as of `_read_slim`.

    Keras' VGG-16 was converted from Caffe and takes BGR (`preprocess_input` swaps the channels).
    """
    import h5py

    if not pathlib.Path(path).is_file():
        raise GazeError(f'There is no file of VGG-16 weights at {path} (`vgg_weights`).')
    try:
        with h5py.File(path, 'r') as file:
            groups = file['model_weights'] if 'model_weights' in file else file
            weights = [[groups[name][key][()] for key in groups[name].attrs['weight_names']] for name in shapes]
            for (kernel, bias), (name, shape) in zip(weights, shapes.items()):
                if kernel.shape != shape or bias.shape != shape[-1:]:
                    raise ValueError(f'{name} has shapes {kernel.shape} and {bias.shape}')
    except (OSError, KeyError, ValueError) as error:
        raise GazeError(f'{path} does not hold VGG-16 weights in the Keras .h5 layout: {error}') from error
    (first, bias), *others = weights
    return [(first[:, :, ::-1], bias), *((kernel, bias) for kernel, bias in others)]


def perceptual(a: list[tf.Tensor], b: list[tf.Tensor], faces: tf.Tensor | float) -> tf.Tensor:
    """Style + content between two lists of features that `vgg16` gave; a scalar.

    Content is Σ(Δ²)/size at conv5_3. Style is Σ(ΔGram²)/size at the others, with Gram = FᵀF/(h·w·ch) of each crop and
    size = the number of elements in the features of a batch of one eye. The crops of both eyes may be stacked on the
    batch axis: `faces` is the number of faces, and the result is the sum over both eyes, as in the paper.
    """
    a, b = ([tf.cast(x, tf.float32) for x in features] for features in (a, b))
    pairs = [(_gram(x), _gram(y)) for x, y in zip(a[:-1], b[:-1])] + [(a[-1], b[-1])]
    return tf.add_n(
        [tf.reduce_sum(tf.square(x - y)) / (_per_crop(features) * faces) for (x, y), features in zip(pairs, a)]
    )


def _gram(features: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
    return _own_product(flat) / _per_crop(features)


@tf.custom_gradient
def _own_product(matrices: tf.Tensor) -> Any:
    """AᵀA of matrices A. Its gradient is one product; TensorFlow's own is two, as its factors could differ."""

    def gradient(upstream):
        return matrices @ (upstream + tf.linalg.matrix_transpose(upstream))

    return tf.matmul(matrices, matrices, transpose_a=True), gradient


def _per_crop(features: tf.Tensor) -> float:
    """The number of elements in the features of one crop, h·w·ch."""
    return float(features.shape[1:].num_elements())
