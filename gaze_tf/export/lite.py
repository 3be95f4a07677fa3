"""TensorFlow Lite: a trained model for phones and small devices, in one file.

The file has two signatures, each for one face at a time (S: the model's image size; eyes: left_x, left_y, right_x,
right_y in pixels of that image):

    correct   images uint8 [1, S, S, 3], eyes float32 [1, 4] → images uint8 [1, S, S, 3]
    animate   the same and alphas float32 [1, K], any K → frames uint8 [1, K, S, S, 3]

alpha 0 is the gaze as it was, 1 at the camera. Pixels outside the eye boxes come out as they went in. Nothing checks
the input: eyes must be finite, and lie in the image about where the model's `frame_eyes` has them.
"""

import tempfile

import tensorflow as tf

from gaze_tf.data.pipeline import to_float, to_uint8
from gaze_tf.files import new_folder

# file name → type in which weights are stored; in any case everything is computed in float32
FILES = {'gaze_float32.tflite': tf.float32, 'gaze_float16.tflite': tf.float16}


def export(model, output_dir):
    """Writes a GazeModel as FILES into a new folder; raises GazeError."""
    with new_folder(output_dir) as folder:
        for name, weights in FILES.items():
            (folder / name).write_bytes(convert(model, weights))


def convert(model, weights=tf.float32):
    """The bytes of a TFLite file of a GazeModel, with weights stored as tf.float32 or tf.float16."""
    module = _lite_module(model)
    signatures = {'correct': module.correct, 'animate': module.animate}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        # of both signatures at once, so that they share their weights
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        if weights == tf.float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _lite_module(model):
    """A tf.Module with both functions and their weights."""
    size = model.config.img_size
    # with an unknown number of faces the frames of `animate` cannot be collected by TFLite's own operations
    images = tf.TensorSpec([1, size, size, 3], tf.uint8, name='images')
    eyes = tf.TensorSpec([1, 4], tf.float32, name='eyes')
    alphas = tf.TensorSpec([1, None], tf.float32, name='alphas')

    # Every pixel takes the way through floats: TFLite does not multiply uint8, and grey levels survive it.
    @tf.function(input_signature=[images, eyes])
    def correct(images, eyes):
        return {'images': to_uint8(model.correct(model.look(to_float(images), eyes)).image)}

    @tf.function(input_signature=[images, eyes, alphas])
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
    module.weights = [variable for network in model.serving_networks.values() for variable in network.variables]
    module.correct, module.animate = correct, animate
    return module
