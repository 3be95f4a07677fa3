"""The signatures of a SavedModel: networks and geometry in one graph, with uint8 images in and out.

Signatures (S: the model's image size; eyes: left_x, left_y, right_x, right_y in pixels of that image):

    correct   images uint8 [B, S, S, 3], eyes float32 [B, 4] → images uint8 [B, S, S, 3]
    animate   the same and alphas float32 [B, K] → frames uint8 [B, K, S, S, 3]
    encode    as correct → content float32 [B, 2 * code_size], angle float32 [B, 2]: the codes of both eyes
    paint     as correct and content → images: `correct` with these content codes instead of the faces' own

alpha 0 is the gaze as it was, 1 at the camera. Pixels outside the eye boxes come out as they went in.
"""
import tensorflow as tf

from gaze_tf.data.pipeline import to_float, to_uint8

SIGNATURES = 'correct', 'animate', 'encode', 'paint'


def serving_module(model):
    """A tf.Module with the signatures of a GazeModel and the weights that they need, nothing of training."""
    size = model.config.img_size
    images = tf.TensorSpec([None, size, size, 3], tf.uint8, name='images')
    eyes = tf.TensorSpec([None, 4], tf.float32, name='eyes')
    alphas = tf.TensorSpec([None, None], tf.float32, name='alphas')
    content = tf.TensorSpec([None, 2 * model.config.code_size], tf.float32, name='content')

    @tf.function(input_signature=[images, eyes])
    def correct(images, eyes):
        faces = model.look(to_float(images), eyes)
        return {'images': _only_eyes(images, faces.mask, model.correct(faces).image)}

    @tf.function(input_signature=[images, eyes, alphas])
    def animate(images, eyes, alphas):
        faces = model.look(to_float(images), eyes)
        corrected, canvas = model.correct(faces), model.canvas(faces)

        def frame(alpha):
            painted = model.interpolate(canvas, corrected, alpha[:, None])
            return _only_eyes(images, faces.mask, painted.image)

        frames = tf.map_fn(frame, tf.transpose(alphas), fn_output_signature=tf.uint8)
        return {'frames': tf.transpose(frames, [1, 0, 2, 3, 4])}

    @tf.function(input_signature=[images, eyes])
    def encode(images, eyes):
        faces = model.look(to_float(images), eyes)
        return {'content': faces.content, 'angle': model.angle(faces)}

    @tf.function(input_signature=[images, eyes, content])
    def paint(images, eyes, content):
        faces = model.look(to_float(images), eyes)._replace(content=content)
        return {'images': _only_eyes(images, faces.mask, model.correct(faces).image)}

    module = tf.Module()
    # variables, not Keras models: saving those would trace every layer once more
    module.weights = [variable for network in (model.content_encoder, model.angle_encoder, model.g_x, model.g_y)
                      for variable in network.variables]
    module.correct, module.animate, module.encode, module.paint = correct, animate, encode, paint
    return module


def _only_eyes(images, mask, painted):
    """uint8: what was painted inside the mask, the very pixels of `images` elsewhere."""
    mask = tf.cast(mask, tf.uint8)      # whole numbers: 10 times faster than tf.where
    return images * (1 - mask) + to_uint8(painted) * mask


def signatures_of(module):
    """{name: function} of a `serving_module`, as `tf.saved_model.save` takes them."""
    return {name: getattr(module, name) for name in SIGNATURES}
