"""Whole photos in a model's graph: decoded, aligned, corrected, put back and encoded.

The geometry is that of `gaze_tf.editing`, by the same functions.
"""

import tensorflow as tf

from gaze_tf.compositing import blend
from gaze_tf.compositing.align import align_face, size_of
from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.export.checks import checked_files, decoded
from gaze_tf.export.painting import corrected

# photos that are worked on at once: each may take half a gigabyte
_AT_ONCE = 4


def correct(model, files, eyes):
    """Photos with eyes that look at the camera, as PNG files string [B], of JPEG or PNG files [B] with eyes [B, 4].

    One by one, not as a batch of faces: reading and writing take most of the time, so many photos take no more memory than
    a few, and none depends on the others' company.
    """
    return tf.map_fn(
        lambda row: _corrected_file(model, *row),
        checked_files(files, eyes),
        fn_output_signature=tf.string,
        parallel_iterations=1 if tf.executing_eagerly() else _AT_ONCE,
    )


def _corrected_file(model, file, eyes):
    # decoders are there for CPUs only, and so are the pixels then
    with tf.device('CPU:0'):
        photo = decoded(file)
        frame = align_face(eyes, size_of(photo), model.config.img_size, model.config.eye_shares)
        cut = frame.cut(photo)
    painted = corrected(model, cut[None], frame.eyes[None])[0]
    with tf.device('CPU:0'):
        boxes = tf.gather(eye_boxes(frame.eyes[None], model.config)[0], [1, 0, 3, 2], axis=1)
        # a sixth larger than by default, in a ninth of the time
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
