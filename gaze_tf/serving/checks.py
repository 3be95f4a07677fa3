"""What a served model refuses, with a sentence that names it: as operations of its graph."""
import tensorflow as tf

# pixels of a photo; 192 MB when it is decoded
MAX_PIXELS = 64_000_000


def checked(size, images, eyes, **values):
    """(images, eyes, *values), once they are known to be good.

    images: uint8 [B, size, size, 3]; eyes: float32 [B, 4] in their pixels; values: more that has B rows of finite numbers.
    Raises InvalidArgumentError when the graph runs.
    """
    count = tf.shape(images)[0]
    checks = [_check(tf.reduce_all(tf.shape(images)[1:] == [size, size, 3]),
                     f'images must be of {size}x{size} pixels and 3 channels; their shape is', tf.shape(images)),
              *_rows_of_eyes(count, eyes, [size, size])]
    for name, rows in values.items():
        checks += [_same_count(name, rows, count),
                   _check(tf.shape(rows)[1] > 0, f'{name} must have at least one number for each image; its shape is', tf.shape(rows)),
                   _check(tf.reduce_all(tf.math.is_finite(rows)), f'{name} must be finite; they are', rows)]
    with tf.control_dependencies(checks):
        return [tf.identity(rows) for rows in (images, eyes, *values.values())]


def checked_files(files, eyes):
    """(files [B], eyes [B, 4]) once their numbers are known to agree; likewise."""
    count = tf.size(files)
    with tf.control_dependencies([_not_empty(count), _same_count('eyes', eyes, count)]):
        return tf.identity(files), tf.identity(eyes)


def decoded(file, eyes):
    """The photo uint8 [H, W, 3] in a JPEG or PNG file with eyes [4]; what is too large is not decoded; likewise."""
    jpeg = tf.strings.substr(file, 0, 3) == b'\xff\xd8\xff'
    png = (tf.strings.substr(file, 0, 8) == b'\x89PNG\r\n\x1a\n') & (tf.strings.length(file) > 32)
    # (not what it starts with: bytes in a message break those who read it as text)
    with tf.control_dependencies([_check(jpeg | png, 'image must be a JPEG or PNG file; its bytes are', tf.strings.length(file))]):
        file = tf.identity(file)
    height, width = tf.unstack(tf.cond(jpeg, lambda: tf.image.extract_jpeg_shape(file)[:2], lambda: _png_shape(file)))
    pixels = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    checks = [_check((pixels > 0) & (pixels <= MAX_PIXELS),
                     f'image must have at most {MAX_PIXELS // 10 ** 6} million pixels; its width and height are', [width, height]),
              *_eyes_inside(eyes[None], [width, height])]
    with tf.control_dependencies(checks):
        file = tf.identity(file)
    return tf.cond(jpeg, lambda: tf.io.decode_jpeg(file, channels=3, dct_method='INTEGER_ACCURATE'),
                   lambda: tf.io.decode_png(file, channels=3))


def _png_shape(file):
    """(height, width) int32, as the header has them."""
    return tf.reverse(tf.reshape(tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False), [2]), [0])


def _rows_of_eyes(count, eyes, size):
    return [_not_empty(count), _same_count('eyes', eyes, count), *_eyes_inside(eyes, size)]


def _not_empty(count):
    return _check(count > 0, 'the batch is empty: at least one image is needed; there are', count)


def _same_count(name, rows, count):
    return _check(tf.shape(rows)[0] == count, f'{name} must have a row for each image; numbers of images and of rows are',
                  [count, tf.shape(rows)[0]])


def _eyes_inside(eyes, size):
    """Checks of eyes [B, 4] in images of size (width, height)."""
    beyond = tf.cast(tf.tile(size, [2]), tf.float32)
    # NaN fails, too
    inside = tf.reduce_all((eyes >= 0) & (eyes < beyond))
    return [_check(inside, 'eyes must be numbers that lie in the image, in pixels; image width, height and eyes are', [*tf.unstack(beyond)[:2], eyes]),
            _check(tf.reduce_all(eyes[:, 0] < eyes[:, 2]),
                   'eyes must be left_x, left_y, right_x, right_y, with the smaller x first; they are', eyes)]


def _check(condition, sentence, *found):
    return tf.debugging.Assert(condition, [sentence, *tf.nest.flatten(found)], summarize=8)
