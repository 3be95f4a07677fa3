"""Whole photos in a model's graph: decoded, aligned, corrected, put back and encoded.

The geometry is that of `gaze_tf.editing`, by the same functions.
"""
import tensorflow as tf

from gaze_tf.editing import blend
from gaze_tf.editing.align import Frame, frame_of
from gaze_tf.models import geometry
from gaze_tf.serving.checks import checked_files, decoded
from gaze_tf.serving.painting import corrected


def correct(model, files, eyes):
    """Photos with eyes that look at the camera, as PNG files string [B], of JPEG or PNG files [B] with eyes [B, 4]."""
    size = model.config.img_size
    # decoders are there for CPUs only, and so are the photos then
    with tf.device('CPU:0'):
        files, eyes = checked_files(files, eyes)
        numbers = tf.range(tf.size(files))
        photos = _decoded(files, eyes)

        def framed(k):
            photo = photos.read(k)
            frame = frame_of(eyes[k], tf.shape(photo)[1::-1], size)
            return frame.matrix, frame.eyes, frame.cut(photo)

        matrices, placed, cuts = tf.map_fn(framed, numbers, fn_output_signature=(
            tf.TensorSpec([2, 3], tf.float64), tf.TensorSpec([4], tf.float32), tf.TensorSpec([size, size, 3], tf.uint8)))
    painted = corrected(model, cuts, placed)
    with tf.device('CPU:0'):
        boxes = tf.gather(geometry.eye_boxes(placed, model.config), [1, 0, 3, 2], axis=2)

        def finished(k):
            frame = Frame(matrices[k], placed[k], size)
            photo = _put_back(photos.read(k), frame, cuts[k], painted[k], boxes[k])
            # a sixth larger than by default, in a ninth of the time
            return tf.io.encode_png(photo, compression=1)

        return tf.map_fn(finished, numbers, fn_output_signature=tf.string)


def _decoded(files, eyes):
    """TensorArray of the photos uint8 [H, W, 3], whose sizes may differ."""
    photos = tf.TensorArray(tf.uint8, tf.size(files), infer_shape=False, element_shape=[None, None, 3],
                            clear_after_read=False)
    return tf.while_loop(lambda k, _: k < tf.size(files), lambda k, photos: (k + 1, photos.write(k, decoded(files[k], eyes[k]))),
                         [0, photos])[1]


def _put_back(photo, frame, cut, painted, boxes):
    """`blend.put_back` for tensors."""
    result = photo
    for box in tf.unstack(boxes, num=2):
        patch, after, changed = blend.repainted(photo, frame, cut, painted, box)
        (x0, y0), (x1, y1) = tf.unstack(patch.low), tf.unstack(patch.high)
        after = tf.where(changed[..., None], after, patch.of(result))
        rows = tf.concat([result[y0:y1, :x0], after, result[y0:y1, x1:]], axis=1)
        result = tf.concat([result[:y0], rows, result[y1:]], axis=0)
    return result
