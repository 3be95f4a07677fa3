"""The boxes around eyes that a model paints: one definition for training, served graphs, the editor, evaluation."""

import tensorflow as tf

from gaze_tf.config import EncoderConfig


def eye_boxes(eyes: tf.Tensor, config: EncoderConfig, whole: bool = True) -> tf.Tensor:
    """Boxes of crop_w x crop_h pixels centered on the eyes: [B, 4] pixels → [B, 2, 4] float32.

    Eyes are rows (left_x, left_y, right_x, right_y). A box is (y0, x0, y1, x1) in pixels, half-open; the left one
    first. Edges are truncated to whole pixels as in the original (not as in its PAM: `whole=False`) and, unlike there,
    clipped to the image.
    """
    centre_yx = tf.reverse(tf.reshape(eyes, [-1, 2, 2]), axis=[2])
    half = tf.constant([config.crop_h, config.crop_w], tf.float32) / 2
    boxes = tf.concat([centre_yx - half, centre_yx + half], axis=-1)
    # truncation towards zero and flooring agree after clipping at 0
    return tf.clip_by_value(tf.floor(boxes) if whole else boxes, 0.0, float(config.img_size))
