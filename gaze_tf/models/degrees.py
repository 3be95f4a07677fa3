"""Between directions in degrees and angle codes, with the polynomials of a Calibration.

A direction is (yaw, pitch) from the camera: yaw is positive towards larger image x, pitch positive upwards. Angle codes
are told as offsets: the code of the eyes less that of the same eyes, corrected.
"""

import tensorflow as tf

from gaze_tf.calibration import TERMS, Calibration


def to_offset(calibration: Calibration, degrees: tf.Tensor) -> tf.Tensor:
    """Offsets [..., 2] of directions [..., 2]; those beyond the calibration's reach are drawn in to it."""
    away = tf.norm(degrees, axis=-1, keepdims=True)
    return _polynomial(calibration.to_code, degrees * tf.math.divide_no_nan(tf.minimum(away, calibration.reach), away))


def to_degrees(calibration: Calibration, offset: tf.Tensor) -> tf.Tensor:
    """Directions [..., 2] of offsets [..., 2]."""
    return _polynomial(calibration.to_degrees, offset)


def terms(values: tf.Tensor) -> tf.Tensor:
    """The terms [..., TERMS] of a polynomial of degree 3 in two variables [..., 2] that is 0 at (0, 0)."""
    u, v = tf.unstack(values, axis=-1)
    return tf.stack([u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3], axis=-1)


def _polynomial(coefficients: tuple[float, ...], values: tf.Tensor) -> tf.Tensor:
    return terms(values) @ tf.reshape(tf.constant(coefficients, values.dtype), [TERMS, 2])
