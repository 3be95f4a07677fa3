"""Which Keras and which instance normalization are used: the one module that knows versions of TensorFlow.

gaze_tf is written for Keras 2. Up to TensorFlow 2.15 that is TensorFlow's own; from 2.16 on it is the package tf-keras, which
TensorFlow takes if TF_USE_LEGACY_KERAS says so before it is imported.
"""

import importlib.metadata
import os
import warnings


def prepare_tensorflow():
    """Sets what TensorFlow reads when it is first imported; values that are set already stay."""
    # By default TensorFlow leaves oneDNN out on CPUs without AVX-512 VNNI; there, too, it makes training and correction
    # 1.5 times faster.
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    # without this it opens with lines on harmless 'errors' (no GPU, libraries registered twice), which bury messages
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    if _release('tensorflow') >= (2, 16):
        os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')


def instance_normalization():
    """The layer that instance normalization is built on: weights gamma and beta [C], an epsilon.

    It is the one of tensorflow-addons where that is installed, else Keras' group normalization with a group for each channel.
    """
    try:
        with warnings.catch_warnings():
            # tensorflow-addons ended in 2024 and says so at every import
            warnings.simplefilter('ignore', UserWarning)
            from tensorflow_addons.layers import InstanceNormalization
    except ImportError:
        import functools

        import tensorflow as tf

        class InstanceNormalization(tf.keras.layers.GroupNormalization):
            """Group normalization with a group for each channel."""

            __init__ = functools.partialmethod(tf.keras.layers.GroupNormalization.__init__, -1)

    return InstanceNormalization


def _release(package):
    """(major, minor) of an installed package, (0, 0) where it is missing."""
    try:
        return tuple(int(number) for number in importlib.metadata.version(package).split('.')[:2])
    except importlib.metadata.PackageNotFoundError:
        return 0, 0
