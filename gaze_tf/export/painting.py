"""Corrects and animates aligned faces with a GazeModel: uint8 images in and out, input unchecked.

Outside the eye boxes the images stay as they are: uint8 → float32 → uint8 is exact.
"""

import tensorflow as tf

from gaze_tf.data.pipeline import to_float, to_uint8
from gaze_tf.models.gaze_model import GazeModel


def serving_variables(model: GazeModel) -> list[tf.Variable]:
    """The variables that a model for serving holds."""
    # variables, not Keras models: saving those would trace every layer once more
    return [variable for network in model.serving_networks.values() for variable in network.variables]


def correct(model: GazeModel, images: tf.Tensor, eyes: tf.Tensor, **codes: tf.Tensor) -> tf.Tensor:
    """Faces uint8 [B, S, S, 3] with eyes that look at the camera.

    codes: `content` and `palette` to paint with instead of the faces' own, as fields of Faces.
    """
    faces = model.look(to_float(images), eyes)._replace(**codes)
    return to_uint8(model.correct(faces).image)


def animate(model: GazeModel, images: tf.Tensor, eyes: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
    """Frames uint8 [B, K, S, S, 3] of faces whose gaze is moved by alphas float32 [B, K]."""
    return _frames(model, images, eyes, alphas[..., None], model.interpolate)


def look(model: GazeModel, images: tf.Tensor, eyes: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Frames uint8 [B, K, S, S, 3] of faces whose eyes look in directions float32 [B, K, 2], see `models.degrees`."""
    return _frames(model, images, eyes, directions, model.look_at)


def _frames(model, images, eyes, values, paint):
    """Frames of faces encoded once; paint: (canvas, corrected, a frame's values [B, n] of all [B, K, n]) → Faces."""
    faces = model.look(to_float(images), eyes)
    corrected, canvas = model.correct(faces), model.canvas(faces)

    frames = tf.map_fn(
        lambda own: to_uint8(paint(canvas, corrected, own).image),
        tf.transpose(values, [1, 0, 2]),
        fn_output_signature=tf.uint8,
    )
    return tf.transpose(frames, [1, 0, 2, 3, 4])
