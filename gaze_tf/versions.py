"""The one module that knows versions: which Keras, which instance normalization, and which protobuf.

gaze_tf is written for Keras 2. Up to TensorFlow 2.15 that is part of TensorFlow; from 2.16 on it is the package
tf-keras, which TensorFlow uses if TF_USE_LEGACY_KERAS is set before it is imported.
"""

import functools
import importlib.metadata
import os
import warnings
from typing import Any


def prepare_tensorflow() -> None:
    """Sets environment variables that TensorFlow reads on import; variables that are set already stay."""
    # By default TensorFlow leaves out oneDNN on CPUs without AVX-512 VNNI, where it makes training and correction 1.5
    # times faster, too.
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    # Without this, lines about harmless 'errors' (no GPU, libraries registered twice) bury our messages.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    if _is_installed('tf-keras'):
        os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')


def instance_normalization() -> type:
    """The layer that instance normalization builds on: it has an epsilon and the weights gamma and beta [C].

    It comes from tensorflow-addons if that is installed. Otherwise it is Keras' group normalization with a group for
    each channel, whose weights have the same names.
    """
    if _is_installed('tensorflow-addons'):
        with warnings.catch_warnings():
            # at every import tensorflow-addons says that it ended in 2024; it is pinned, so there is nothing to do
            warnings.simplefilter('ignore', UserWarning)
            from tensorflow_addons.layers import InstanceNormalization

            return InstanceNormalization
    import tensorflow as tf

    group_normalization: Any = tf.keras.layers.GroupNormalization

    class ChannelNormalization(group_normalization):
        """Group normalization with a group for each channel."""

        __init__ = functools.partialmethod(group_normalization.__init__, -1)

    return ChannelNormalization


def with_defaults() -> dict[str, bool]:
    """The option of protobuf's json_format for fields at their defaults, which it else leaves out."""
    major = int(importlib.metadata.version('protobuf').partition('.')[0])
    return {'including_default_value_fields' if major < 5 else 'always_print_fields_with_no_presence': True}


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
