"""TensorFlow Lite: a trained model for phones and small devices, in one file.

The file has two signatures, each for one face at a time (S: the model's image size; eyes: left_x, left_y, right_x,
right_y in pixels of that image):

    correct   images uint8 [1, S, S, 3], eyes float32 [1, 4] → images uint8 [1, S, S, 3]
    animate   the same and alphas float32 [1, K], any K → frames uint8 [1, K, S, S, 3]

alpha 0 is the original gaze, 1 at the camera. Pixels outside the eye boxes are returned unchanged. Nothing checks the
input: eyes must be finite, and lie in the image about where the model's `frame_eyes` has them.
"""

import pathlib
import tempfile

import tensorflow as tf

from gaze_tf.data.pipeline import to_float, to_uint8
from gaze_tf.export.painting import serving_variables
from gaze_tf.export.signatures import signature
from gaze_tf.files import new_folder
from gaze_tf.models.gaze_model import GazeModel

# {file name: type in which weights are stored}; everything is computed in float32
FILES = {'gaze_float32.tflite': tf.float32, 'gaze_float16.tflite': tf.float16}


def export(model: GazeModel, output_dir: pathlib.Path | str) -> None:
    """Writes FILES of a model into a new folder; raises GazeError."""
    with new_folder(output_dir) as folder:
        for name, content in convert(model).items():
            (folder / name).write_bytes(content)


def convert(model: GazeModel) -> dict[str, bytes]:
    """{name: content} of FILES of a model."""
    module = _lite_module(model)
    signatures = {'correct': module.correct, 'animate': module.animate}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        return {name: _converted(folder, list(signatures), weights) for name, weights in FILES.items()}


def _converted(folder, names, weights):
    # both signatures at once, so that they share their weights
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    if weights == tf.float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _lite_module(model):
    """A tf.Module with both signatures and their weights."""
    size = model.config.img_size
    # one face: TFLite's own operations cannot collect the frames of `animate` for an unknown number of faces
    images = tf.TensorSpec([1, size, size, 3], tf.uint8, name='images')
    eyes = tf.TensorSpec([1, 4], tf.float32, name='eyes')
    alphas = tf.TensorSpec([1, None], tf.float32, name='alphas')

    # All pixels are converted to floats and back, because TFLite cannot multiply uint8; gray levels do not change.
    @signature(images, eyes)
    def correct(images, eyes):
        return {'images': to_uint8(model.correct(model.look(to_float(images), eyes)).image)}

    @signature(images, eyes, alphas)
    def animate(images, eyes, alphas):
        faces = model.look(to_float(images), eyes)
        corrected, canvas = model.correct(faces), model.canvas(faces)
        frames = tf.map_fn(
            lambda alpha: to_uint8(model.interpolate(canvas, corrected, alpha[:, None]).image),
            tf.transpose(alphas),
            fn_output_signature=tf.uint8,
        )
        return {'frames': tf.transpose(frames, [1, 0, 2, 3, 4])}

    module = tf.Module()
    module.weights = serving_variables(model)
    module.correct, module.animate = correct, animate
    return module
