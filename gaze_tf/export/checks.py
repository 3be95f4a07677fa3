"""Checks of the input of a served model, as operations of its graph. A failed one says in a sentence what is wrong."""

import tensorflow as tf

# pixels of a photo: 192 MB when it is decoded
MAX_PIXELS = 64_000_000
# of a request: rows; pixels of all its photos together; pixels of all frames in its answer together, which are 60 MB
MAX_ROWS = 32
MAX_PHOTO_PIXELS = 192_000_000
MAX_FRAME_PIXELS = 20_000_000
# the time for a scan depends on the size of the picture, however few bytes it has; usual progressive JPEGs have 10
MAX_SCANS = 100
# libpng unpacks each, to 8 MB at most, and keeps them all; most PNGs have none
MAX_PACKED_TEXTS = 16


def checked(size: int, images: tf.Tensor, eyes: tf.Tensor, **values: tf.Tensor) -> list[tf.Tensor]:
    """[images, eyes, *values], which the graph passes on only if they are good.

    Args:
      size: side of the images in pixels.
      images: uint8 [B, size, size, 3].
      eyes: float32 [B, 4] in their pixels.
      values: other tensors with B rows of finite numbers.

    Raises:
      InvalidArgumentError, when the graph runs.
    """
    count = tf.shape(images)[0]
    checks = [
        _check(
            tf.reduce_all(tf.shape(images)[1:] == [size, size, 3]),
            f'images must be of {size}x{size} pixels and 3 channels; their shape is',
            tf.shape(images),
        ),
        *_rows_of_eyes(count, eyes, [size, size]),
    ]
    for name, rows in values.items():
        checks += [
            _same_count(name, rows, count),
            _check(
                tf.shape(rows)[1] > 0,
                f'{name} must have at least one number for each image; its shape is',
                tf.shape(rows),
            ),
            _check(tf.reduce_all(tf.math.is_finite(rows)), f'{name} must be finite; they are', rows),
        ]
    with tf.control_dependencies(checks):
        return [tf.identity(rows) for rows in (images, eyes, *values.values())]


def checked_frames(size: int, values: tf.Tensor) -> tf.Tensor:
    """Alphas [B, K], or directions [B, K, 2], which the graph passes on only if B * K frames of `size` pixels are not
    too many."""
    count = tf.shape(values, tf.int64)[:2]
    pixels = tf.reduce_prod(count) * size**2
    with tf.control_dependencies(
        [
            _check(
                pixels <= MAX_FRAME_PIXELS,
                f'all frames of a request must have at most {MAX_FRAME_PIXELS // 10**6} million pixels '
                'together; rows, frames of each and pixels of a frame are',
                [*tf.unstack(count), size**2],
            )
        ]
    ):
        return tf.identity(values)


def checked_files(files: tf.Tensor, eyes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(files [B], eyes [B, 4]), which the graph passes on only if they are photos of allowed sizes with eyes in them.

    Reads headers only, those of all files before any file is decoded.
    """
    count = tf.size(files)
    with tf.control_dependencies([*_some_rows(count), _same_count('eyes', eyes, count)]):
        files, eyes = tf.identity(files), tf.identity(eyes)
    pixels = tf.map_fn(lambda row: _pixels(*row), (files, eyes), fn_output_signature=tf.int64)
    with tf.control_dependencies(
        [
            _check(
                tf.reduce_sum(pixels) <= MAX_PHOTO_PIXELS,
                f'all images of a request must have at most '
                f'{MAX_PHOTO_PIXELS // 10**6} million pixels together; there are',
                tf.reduce_sum(pixels),
            )
        ]
    ):
        return tf.identity(files), tf.identity(eyes)


def decoded(file: tf.Tensor) -> tf.Tensor:
    """The photo uint8 [H, W, 3] in one of the `checked_files`."""
    return tf.cond(
        _is_jpeg(file),
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method='INTEGER_ACCURATE'),
        lambda: tf.io.decode_png(file, channels=3),
    )


def _is_jpeg(file):
    return tf.strings.substr(file, 0, 3) == b'\xff\xd8\xff'


def _pixels(file, eyes):
    """Number of pixels int64 of the photo in a JPEG or PNG file with eyes [4]; checks all but the pixels."""
    jpeg = _is_jpeg(file)
    png = (tf.strings.substr(file, 0, 8) == b'\x89PNG\r\n\x1a\n') & (tf.strings.length(file) > 32)
    # (the message does not show the first bytes: some readers fail if it is not text)
    with tf.control_dependencies(
        [_check(jpeg | png, 'image must be a JPEG or PNG file; its bytes are', tf.strings.length(file))]
    ):
        file = tf.identity(file)
    height, width = tf.unstack(tf.cond(jpeg, lambda: tf.image.extract_jpeg_shape(file)[:2], lambda: _png_shape(file)))
    pixels = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    scans = tf.cond(jpeg, lambda: _occurrences(file, b'\xff\xda', MAX_SCANS), lambda: 0)
    texts = tf.cond(
        jpeg,
        lambda: 0,
        lambda: _occurrences(file, b'zTXt', MAX_PACKED_TEXTS) + _occurrences(file, b'iTXt', MAX_PACKED_TEXTS),
    )
    checks = [
        _check(
            (pixels > 0) & (pixels <= MAX_PIXELS),
            f'image must have at most {MAX_PIXELS // 10**6} million pixels; its width and height are',
            [width, height],
        ),
        _check(
            scans <= MAX_SCANS,
            f'image must have at most {MAX_SCANS} scans, if it is a JPEG; its bytes are',
            tf.strings.length(file),
        ),
        _check(
            texts <= MAX_PACKED_TEXTS,
            f'image must have at most {MAX_PACKED_TEXTS} zTXt and iTXt chunks, if it is a PNG; its bytes are',
            tf.strings.length(file),
        ),
        *_eyes_inside(eyes[None], [width, height]),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(pixels)


def _occurrences(file, part, most):
    """How often a part occurs in a file; counting stops soon after `most`."""
    return tf.size(tf.raw_ops.StringSplitV2(input=[file], sep=part, maxsplit=most + 1).values) - 1


def _png_shape(file):
    """(height, width) int32 from the header."""
    return tf.reverse(
        tf.reshape(tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False), [2]), [0]
    )


def _rows_of_eyes(count, eyes, size):
    return [*_some_rows(count), _same_count('eyes', eyes, count), *_eyes_inside(eyes, size)]


def _some_rows(count):
    return [
        _check(count > 0, 'the batch is empty: at least one image is needed; there are', count),
        _check(count <= MAX_ROWS, f'a request must have at most {MAX_ROWS} rows; there are', count),
    ]


def _same_count(name, rows, count):
    return _check(
        tf.shape(rows)[0] == count,
        f'{name} must have a row for each image; numbers of images and of rows are',
        [count, tf.shape(rows)[0]],
    )


def _eyes_inside(eyes, size):
    """Checks of eyes [B, 4] in images of size (width, height)."""
    beyond = tf.cast(tf.tile(size, [2]), tf.float32)
    # (comparisons with NaN are false)
    inside = tf.reduce_all((eyes >= 0) & (eyes < beyond))
    return [
        _check(
            inside,
            'eyes must be numbers that lie in the image, in pixels; image width, height and eyes are',
            [*tf.unstack(beyond)[:2], eyes],
        ),
        _check(
            tf.reduce_all(eyes[:, 0] < eyes[:, 2]),
            'eyes must be left_x, left_y, right_x, right_y, with the smaller x first; they are',
            eyes,
        ),
    ]


def _check(condition, sentence, *found):
    return tf.debugging.Assert(condition, [sentence, *tf.nest.flatten(found)], summarize=8)
