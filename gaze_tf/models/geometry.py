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


def masked(image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Images [B, S, S, 3] without what lies inside the mask [B, S, S, 1]."""
    # the mask of each channel first: CPUs take three times longer for a product that repeats one channel
    return image * (1 - tf.repeat(mask, image.shape[-1], axis=-1))


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

    y0, x0, y1, x1 = tf.unstack(boxes, axis=1)
    return _sample(_sample(images, 1, y0, y1, size), 2, x0, x1, size)


def _sample(images: tf.Tensor, axis: int, low: tf.Tensor, high: tf.Tensor, count: int) -> tf.Tensor:
    """`count` rows (axis 1) or columns (axis 2) of each image between `low` and `high` (normalized, [B]).

    They are linearly interpolated.
    """
    last = images.shape[axis] - 1
    step = (high - low) * last / (count - 1)
    place = low[:, None] * last + tf.range(count, dtype=tf.float32) * step[:, None]
    upper = tf.clip_by_value(tf.floor(place), 0, last)
    lower = tf.clip_by_value(tf.math.ceil(place), 0, last)
    inside = tf.cast((place >= 0) & (place <= last), images.dtype)
    weight, inside = (
        tf.reshape(x, [-1, *(count if i == axis else 1 for i in (1, 2, 3))]) for x in (place - upper, inside)
    )
    above, below = (tf.gather(images, tf.cast(row, tf.int32), axis=axis, batch_dims=1) for row in (upper, lower))
    return (above + (below - above) * weight) * inside
