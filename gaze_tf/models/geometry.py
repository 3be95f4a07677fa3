"""Masks and crops of eye boxes (see `compositing.eye_boxes`), as tensors: one definition for training, export and
evaluation."""

import tensorflow as tf


def eye_mask(boxes: tf.Tensor, size: int) -> tf.Tensor:
    """1 inside the boxes [B, 2, 4] (pixels), 0 elsewhere: [B, size, size, 1] float32."""
    pixel = tf.range(size, dtype=tf.float32)
    y0, x0, y1, x1 = tf.unstack(boxes[..., None], axis=2)
    rows, columns = (pixel >= y0) & (pixel < y1), (pixel >= x0) & (pixel < x1)
    left, right = tf.unstack(rows[:, :, :, None] & columns[:, :, None, :], axis=1)
    return tf.cast(left | right, tf.float32)[..., None]


def eye_crops(images: tf.Tensor, boxes: tf.Tensor, size: int, native: bool = True) -> list[tf.Tensor]:
    """(left, right) eye crops, each [B, size, size, C], of images [B, S, S, C] with pixel boxes [B, 2, 4]."""
    # slightly inside the far edge: the last sample of a box that ends there could be rounded to outside, where it is 0
    normalized = tf.minimum(boxes / images.shape[1], 1 - 1e-6)
    return [crop(images, box, size, native) for box in tf.unstack(normalized, axis=1)]


def crop(images: tf.Tensor, boxes: tf.Tensor, size: int, native: bool = True) -> tf.Tensor:
    """Resamples one box of each image to size x size, bilinearly; samples outside the image are 0.

    images: [B, H, W, C] float32; boxes: [B, 4] (y0, x0, y1, x1), normalized; → [B, size, size, C].
    The same as `tf.image.crop_and_resize`, which XLA does not have: `native=False` gathers instead.
    """
    if native:
        return tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), [size, size])

    def swap(x: tf.Tensor) -> tf.Tensor:
        return tf.transpose(x, [0, 2, 1, 3])

    y0, x0, y1, x1 = tf.unstack(boxes, axis=1)
    return swap(_sample_rows(swap(_sample_rows(images, y0, y1, size)), x0, x1, size))


def _sample_rows(images: tf.Tensor, low: tf.Tensor, high: tf.Tensor, count: int) -> tf.Tensor:
    """`count` rows of each image between `low` and `high` (normalized, [B]), linearly interpolated."""
    last = images.shape[1] - 1
    step = (high - low) * last / (count - 1)
    place = low[:, None] * last + tf.range(count, dtype=tf.float32) * step[:, None]
    upper = tf.clip_by_value(tf.floor(place), 0, last)
    lower = tf.clip_by_value(tf.math.ceil(place), 0, last)
    weight = (place - upper)[:, :, None, None]
    inside = tf.cast((place >= 0) & (place <= last), images.dtype)[:, :, None, None]
    above, below = (tf.gather(images, tf.cast(row, tf.int32), axis=1, batch_dims=1) for row in (upper, lower))
    return (above + (below - above) * weight) * inside
