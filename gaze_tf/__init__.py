"""Gaze correction and gaze animation for ordinary photos, in TensorFlow 2 / Keras."""

from gaze_tf.versions import prepare_tensorflow

prepare_tensorflow()

__version__ = '0.1.0'
