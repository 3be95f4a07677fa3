"""Gaze correction and gaze animation for ordinary photos, in TensorFlow 2 / Keras."""

__version__ = '0.1.0'
