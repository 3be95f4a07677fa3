"""The signatures of a SavedModel: networks and geometry in one graph, with images in and out.

Eyes are rows (left_x, left_y, right_x, right_y) in pixels of the image; left is the eye with the smaller x. The middle
of an image's first pixel is 0.5. S is the side of the model's frame in pixels, B the number of images, 1 to 32.

    correct_encoded  image string [B]: JPEG or PNG files, of any sizes; eyes float32 [B, 4]
                     → image_bytes string [B]: PNG files (RGB, 8 bits) of the same sizes
    serving_default  is correct_encoded
    correct          images uint8 [B, S, S, 3], eyes float32 [B, 4] → images uint8 [B, S, S, 3]
    animate          the same and alphas float32 [B, K] → frames uint8 [B, K, S, S, 3]
    encode           as correct → content float32 [B, 2 * code_size], angle float32 [B, 2]: the codes of both eyes; if
                     the model has palettes also palette float32 [B, 6 * palette]: their colors
    look             as correct, directions float32 [B, K, 2] → frames uint8 [B, K, S, S, 3]; only of a calibrated model
    direction        as correct → direction float32 [B, 2]; only of a calibrated model
    paint            as correct, content and, if the model has palettes, palette → images: `correct` with these codes
                     instead of the faces' own

alpha 0 is the original gaze, 1 at the camera. A direction is yaw and pitch in degrees from the camera, positive towards
larger x and upwards. Pixels outside the eye boxes are returned unchanged. All but
correct_encoded take aligned faces, with eyes about where the model's `frame_eyes` (config.json) has them. Bad input
raises InvalidArgumentError with a sentence. (REST interfaces write strings as base64 if the output's name ends in
`_bytes`; hence `image_bytes`.)
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gaze_tf.data.pipeline import to_float
from gaze_tf.export import encoded, painting
from gaze_tf.export.checks import checked, checked_frames
from gaze_tf.models.gaze_model import GazeModel

SIGNATURES = 'serving_default', 'correct_encoded', 'correct', 'animate', 'encode', 'paint', 'look', 'direction'


def signature(*inputs: tf.TensorSpec) -> Callable[[Callable], Any]:
    """A decorator: a tf.function of these inputs, whose graph is that of the operations that it calls.

    `autograph=False` alone does not keep Keras and tf.map_fn from converting the control flow of everything that they
    call, and there is none to convert: it would only take time.
    """
    return lambda function: tf.function(
        tf.autograph.experimental.do_not_convert(function), input_signature=inputs, autograph=False
    )


def serving_module(model: GazeModel) -> tf.Module:
    """A tf.Module with the signatures of a GazeModel and the weights that they need, without those for training."""
    size = model.config.img_size
    images = tf.TensorSpec([None, size, size, 3], tf.uint8, name='images')
    eyes = tf.TensorSpec([None, 4], tf.float32, name='eyes')
    alphas = tf.TensorSpec([None, None], tf.float32, name='alphas')
    sizes = {'content': model.config.content_size, 'palette': model.config.palette_size}
    codes = [tf.TensorSpec([None, size], tf.float32, name=name) for name, size in sizes.items() if size]
    files = tf.TensorSpec([None], tf.string, name='image')

    @signature(files, eyes)
    def correct_encoded(image, eyes):
        return {'image_bytes': encoded.correct(model, image, eyes)}

    @signature(images, eyes)
    def correct(images, eyes):
        return {'images': painting.correct(model, *checked(size, images, eyes))}

    @signature(images, eyes, alphas)
    def animate(images, eyes, alphas):
        return {'frames': painting.animate(model, *checked(size, images, eyes, alphas=checked_frames(size, alphas)))}

    @signature(images, eyes)
    def encode(images, eyes):
        images, eyes = checked(size, images, eyes)
        faces = model.look(to_float(images), eyes)
        return {**{spec.name: getattr(faces, spec.name) for spec in codes}, 'angle': model.angle(faces)}

    @signature(images, eyes, *codes)
    def paint(images, eyes, content, palette=None):
        given = {spec.name: values for spec, values in zip(codes, (content, palette))}
        images, eyes, *values = checked(size, images, eyes, **given)
        return {'images': painting.correct(model, images, eyes, **dict(zip(given, values)))}

    module = tf.Module()
    module.weights = painting.serving_variables(model)
    module.serving_default = module.correct_encoded = correct_encoded
    module.correct, module.animate, module.encode, module.paint = correct, animate, encode, paint
    if model.calibration:
        module.look, module.direction = _in_degrees(model, images, eyes)
    return module


def _in_degrees(model: GazeModel, images: tf.TensorSpec, eyes: tf.TensorSpec) -> tuple:
    """The signatures of a calibrated model."""
    size = model.config.img_size
    directions = tf.TensorSpec([None, None, 2], tf.float32, name='directions')

    @signature(images, eyes, directions)
    def look(images, eyes, directions):
        given = checked_frames(size, directions)
        return {'frames': painting.look(model, *checked(size, images, eyes, directions=given))}

    @signature(images, eyes)
    def direction(images, eyes):
        images, eyes = checked(size, images, eyes)
        faces = model.look(to_float(images), eyes)
        return {'direction': model.direction(faces, model.correct(faces))}

    return look, direction


def signatures_of(module: tf.Module) -> dict[str, Any]:
    """{name: tf.function} of a `serving_module`, as `tf.saved_model.save` takes them."""
    return {name: getattr(module, name) for name in SIGNATURES if hasattr(module, name)}
