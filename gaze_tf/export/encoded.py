"""Whole photos in a model's graph: decodes them, aligns and corrects the face, puts the eyes back, and encodes.

It uses the geometry of `gaze_tf.compositing`, as editing does.
"""

import tensorflow as tf

from gaze_tf.compositing import blend
from gaze_tf.compositing.align import align_face, size_of
from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.export import painting
from gaze_tf.export.checks import checked_files, decoded
from gaze_tf.models.gaze_model import GazeModel

# photos that are computed at the same time: each may take half a gigabyte
_AT_ONCE = 4


def correct(model: GazeModel, files: tf.Tensor, eyes: tf.Tensor) -> tf.Tensor:
    """Corrects JPEG or PNG files, string [B], with eyes float32 [B, 4] in their pixels; returns PNG files, string [B].

    Photos are computed one by one, not as a batch of faces. Reading and writing take most of the time anyway, many
    photos take no more memory than a few, and no result depends on the other photos.
    """
    return tf.map_fn(
        lambda row: _corrected_file(model, *row),
        checked_files(files, eyes),
        fn_output_signature=tf.string,
        parallel_iterations=1 if tf.executing_eagerly() else _AT_ONCE,
    )


def _corrected_file(model, file, eyes):
    # decoders run on CPUs only, so the pixels are there
    with tf.device('CPU:0'):
        photo = decoded(file)
        frame = align_face(eyes, size_of(photo), model.config.img_size, model.config.eye_shares)
        cut = frame.cut(photo)
    painted = painting.correct(model, cut[None], frame.eyes[None])[0]
    with tf.device('CPU:0'):
        boxes = tf.gather(eye_boxes(frame.eyes[None], model.config)[0], [1, 0, 3, 2], axis=1)
        # compression 1: files are a sixth larger than by default and take a ninth of the time
        return tf.io.encode_png(_put_back(photo, frame, cut, painted, tf.cast(boxes, tf.int32)), compression=1)


def _put_back(photo, frame, cut, painted, boxes):
    """`blend.put_back` for tensors."""
    result = photo
    for box in tf.unstack(boxes, num=2):
        patch, after = blend.repainted(photo, frame, cut, painted, box)
        (x0, y0), (x1, y1) = tf.unstack(patch.low), tf.unstack(patch.high)
        after = tf.where(after != patch.of(photo), after, patch.of(result))
        rows = tf.concat([result[y0:y1, :x0], after, result[y0:y1, x1:]], axis=1)
        result = tf.concat([result[:y0], rows, result[y1:]], axis=0)
    return result
