"""The perceptual loss: style and content over the features of a frozen VGG-16 (original scope `vgg_16`)."""

import pathlib

import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.original import official

keras = tf.keras

STYLE = ('block1_conv2', 'block2_conv2', 'block3_conv3', 'block4_conv3')
CONTENT = 'block5_conv3'


def vgg16(weights=None):
    """VGG-16 up to conv5_3: eye crops [B, c, c, 3] in [-1, 1], RGB as they are → features, finest first.

    Features are taken after relu at STYLE and CONTENT. `weights`: path of a slim VGG-16 checkpoint (as the
    original uses) or of a Keras .h5 file of VGG-16 (with or without its top), or None for random values.
    Raises GazeError if it cannot be read.
    """
    base = keras.applications.VGG16(include_top=False, weights=None)
    model = keras.Model(base.input, [base.get_layer(name).output for name in (*STYLE, CONTENT)], name='vgg_16')
    model.trainable = False
    if weights is not None:
        _load(model, weights)
    return model


def _load(model, path):
    """Gives every layer its values, by name, from either layout."""
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    shapes = {name: tuple(layer.kernel.shape) for name, layer in layers.items()}
    read = _read_keras if pathlib.Path(path).suffix in ('.h5', '.hdf5') else official.vgg16_weights
    for layer, weights in zip(layers.values(), read(path, shapes)):
        layer.set_weights(weights)


def _read_keras(path, shapes):
    """(kernel, bias) of each convolution in a Keras .h5 file, in order; the first kernel turned to take RGB.

    Keras' VGG-16 was converted from Caffe and takes BGR (`preprocess_input` swaps the channels); slim's takes
    RGB, as the images here are.
    """
    import h5py

    if not pathlib.Path(path).is_file():
        raise GazeError(f'There is no file of VGG-16 weights at {path} (--vgg_weights).')
    try:
        with h5py.File(path, 'r') as file:
            groups = file['model_weights'] if 'model_weights' in file else file
            weights = [[groups[name][key][()] for key in groups[name].attrs['weight_names']] for name in shapes]
            for (kernel, bias), (name, shape) in zip(weights, shapes.items()):
                if kernel.shape != shape or bias.shape != shape[-1:]:
                    raise ValueError(f'{name} has shapes {kernel.shape} and {bias.shape}')
    except (OSError, KeyError, ValueError) as error:
        raise GazeError(f'{path} does not hold VGG-16 weights in the Keras .h5 layout: {error}') from error
    weights[0][0] = weights[0][0][:, :, ::-1]
    return weights


def perceptual(a, b, faces):
    """Style + content between two lists of features as `vgg16` gives them; a scalar.

    Content: Σ(Δ²)/size at conv5_3. Style: Σ(ΔGram²)/size at the others, Gram = FᵀF/(h·w·ch) of each
    crop, size = elements of the features of one eye's batch. Crops of both eyes may be stacked on the
    batch axis: `faces` is the number of faces, and the result the sum over both eyes, as in the paper.
    """
    a, b = ([tf.cast(x, tf.float32) for x in features] for features in (a, b))
    pairs = [(_gram(x), _gram(y)) for x, y in zip(a[:-1], b[:-1])] + [(a[-1], b[-1])]
    return tf.add_n(
        [tf.reduce_sum(tf.square(x - y)) / (_per_crop(features) * faces) for (x, y), features in zip(pairs, a)]
    )


def _gram(features):
    flat = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
    return tf.matmul(flat, flat, transpose_a=True) / _per_crop(features)


def _per_crop(features):
    """Elements in the features of one crop, h·w·ch, as a float."""
    return float(features.shape[1:].num_elements())
