"""A face between its photo and the model's frame: cut out by a similarity transform, and its eyes put back.

Positions are (x, y) in pixels counted from the edges: the middle of the first pixel is 0.5. Eyes stand in the frame where
a model has learned to paint them: by default where CelebAGaze has them on average.

All is computed by TensorFlow, at once or, in a model that takes whole photos, inside its graph: there is one definition.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gaze_tf.config import FRAME_EYES, eye_shares

# where CelebAGaze has eyes on average, as shares of the image's side: left_x, left_y, right_x, right_y
MEAN_EYES = eye_shares(FRAME_EYES)
# an image of the model's size whose eyes are at most so far from them, as a share of its side, is aligned already
_ALIGNED = 0.1
# pixels of the border repeated around what is sampled: enough that nothing else is reached beyond it
_PADDING = 4
# places that are sampled at once
_AT_ONCE = 32768


class Frame(NamedTuple):
    """Where a face lies in its photo.

    matrix: float64 [2, 3], photo (x, y, 1) → frame (x, y): rotation, scale and shift.
    eyes: float32 [4], (left_x, left_y, right_x, right_y) in the frame.
    size: side S of the frame in pixels.
    """

    matrix: tf.Tensor
    eyes: tf.Tensor
    size: int

    @property
    def scale(self):
        """Pixels of the frame in one of the photo: below 1 the photo shows more than the model sees."""
        return tf.norm(self.matrix[:, 0])

    def to_photo(self, points):
        """Points [..., 2] of the frame in the photo."""
        # of a similarity the inverse is the transpose, but for its scale
        return tf.linalg.matmul(tf.cast(points, tf.float64) - self.matrix[:, 2], self.matrix[:, :2]) / self.scale**2

    def to_frame(self, points):
        """Points [..., 2] of the photo in the frame."""
        return tf.linalg.matmul(tf.cast(points, tf.float64), self.matrix[:, :2], transpose_b=True) + self.matrix[:, 2]

    def cut(self, photo):
        """The frame as the model takes it: uint8 [S, S, 3] of the photo uint8 [H, W, 3], which is continued beyond its
        border by the pixels there."""
        low, high, shrink = _extent(self.matrix, self.size, size_of(photo))
        # of a large photo in numpy's memory only this part is copied
        return _resampled(_part(photo, low, high), low, shrink, self.matrix, self.size)


def align_face(eyes, photo_size, frame_size, frame_eyes=MEAN_EYES):
    """The Frame of side `frame_size` for a face with `eyes` (left_x, left_y, right_x, right_y) in a photo.

    photo_size: its (width, height). frame_eyes: where the eyes stand in the frame, as shares of its side. A photo as large
    as the frame, with its eyes about where they belong, is the frame itself: nothing is resampled.
    """
    return Frame(
        *_placed(tf.cast(eyes, tf.float64), photo_size, frame_size, tf.cast(frame_eyes, tf.float64)), frame_size
    )


class Patch(NamedTuple):
    """Pixels of a photo under a box of the frame.

    low, high: int32 [2], (x, y) of its first pixel, and of the first beyond; places: float32 [h, w, 2], (x, y) of each
    pixel in the frame.
    """

    low: tf.Tensor
    high: tf.Tensor
    places: tf.Tensor

    def of(self, photo):
        """Its pixels [h, w, 3] of a photo."""
        return _part(photo, self.low, self.high)


def patch_of(frame, box, photo):
    """The Patch of a photo that covers a frame's box (x0, y0, x1, y1); empty where none of it lies in the photo."""
    return Patch(*_covered(frame.matrix, tf.cast(box, tf.float64), size_of(photo)))


def _part(photo, low, high):
    """Pixels from `low` to `high`, int32 [2], of a photo, an array or a tensor."""
    if not tf.is_tensor(photo):
        low, high = low.numpy(), high.numpy()
    return photo[low[1] : high[1], low[0] : high[0]]


def size_of(photo):
    """(width, height) of a photo [H, W, 3], an array or a tensor."""
    # (TensorFlow's optimiser stumbles over a slice that runs backwards)
    return tf.reverse(tf.shape(photo)[:2], [0]) if tf.is_tensor(photo) else photo.shape[1::-1]


def sample(values, places):
    """Values float32 [h, w, C] at places float32 [..., 2], (x, y) in pixels, by cubic convolution → [..., C].

    Beyond the border they are what they are there.
    """
    height, width, channels = *tf.unstack(tf.shape(values)[:2]), values.shape[2]
    width = width + 2 * _PADDING
    pixels = tf.reshape(
        _continued(values, [-_PADDING, -_PADDING], [width - _PADDING, height + _PADDING]), [-1, channels]
    )

    def at(points):
        before = tf.floor(points)
        first = tf.cast(before, tf.int32) + _PADDING - 1
        x, y = tf.clip_by_value(first[:, 0], 0, width - 4), tf.clip_by_value(first[:, 1], 0, height + 2 * _PADDING - 4)
        across, down = _cubic((points - before)[:, :1]), _cubic((points - before)[:, 1:])
        return tf.add_n(
            [
                down[k] * tf.add_n([across[n] * tf.gather(pixels, (y + k) * width + x + n) for n in range(4)])
                for k in range(4)
            ]
        )

    points = tf.reshape(places, [-1, 2]) - 0.5
    count = tf.shape(points)[0]
    # some at a time: of the eyes in a large photo all at once would take gigabytes
    some = tf.clip_by_value(count, 1, _AT_ONCE)
    parts = tf.maximum(-(-count // some), 1)
    points = tf.reshape(tf.pad(points, [[0, parts * some - count], [0, 0]]), [parts, some, 2])
    found = tf.map_fn(at, points, fn_output_signature=tf.TensorSpec([None, channels], tf.float32))
    return tf.reshape(tf.reshape(found, [-1, channels])[:count], tf.concat([tf.shape(places)[:-1], [channels]], axis=0))


def _cubic(beyond):
    """Weights of the four pixels around a place that is so far beyond the second (R. Keys, Cubic convolution interpolation,
    1981)."""
    before = 1 - beyond
    return [
        -0.5 * beyond * before**2,
        1 - beyond**2 * (2.5 - 1.5 * beyond),
        1 - before**2 * (2.5 - 1.5 * before),
        -0.5 * before * beyond**2,
    ]


def compiled(*shapes):
    """tf.function that is traced once, for arguments of these (dtype, shape)."""
    return tf.function(input_signature=[tf.TensorSpec(shape, dtype) for dtype, shape in shapes], autograph=False)


def _corners(x0, y0, x1, y1):
    return tf.cast([[x0, y0], [x0, y1], [x1, y0], [x1, y1]], tf.float64)


@compiled((tf.float64, [4]), (tf.int32, [2]), (tf.int32, []), (tf.float64, [4]))
def _placed(eyes, photo_size, frame_size, frame_eyes):
    """(matrix, eyes) of a Frame."""
    wanted = frame_eyes * tf.cast(frame_size, tf.float64)
    source, target = eyes[2:] - eyes[:2], wanted[2:] - wanted[:2]
    # rotation and scale: as complex numbers, target / source
    squared = tf.reduce_sum(source**2)
    real = tf.reduce_sum(source * target) / squared
    imaginary = (source[0] * target[1] - source[1] * target[0]) / squared
    linear = tf.stack([[real, -imaginary], [imaginary, real]])
    shift = (wanted[:2] + wanted[2:]) / 2 - tf.linalg.matvec(linear, (eyes[:2] + eyes[2:]) / 2)
    aligned = tf.reduce_all(photo_size == frame_size) & (
        tf.reduce_max(tf.abs(eyes - wanted)) <= _ALIGNED * tf.cast(frame_size, tf.float64)
    )
    matrix = tf.where(aligned, np.eye(2, 3), tf.concat([linear, shift[:, None]], axis=1))
    return matrix, tf.cast(tf.where(aligned, eyes, wanted), tf.float32)


@compiled((tf.float64, [2, 3]), (tf.float64, [4]), (tf.int32, [2]))
def _covered(matrix, box, photo_size):
    """(low, high, places) of a Patch."""
    frame = Frame(matrix, None, None)
    corners = frame.to_photo(_corners(*tf.unstack(box)))
    low = tf.maximum(tf.cast(tf.floor(tf.reduce_min(corners, axis=0)), tf.int32), 0)
    high = tf.minimum(tf.cast(tf.math.ceil(tf.reduce_max(corners, axis=0)), tf.int32), photo_size)
    high = tf.maximum(low, high)
    return low, high, _grid(frame.to_frame, *(_middles(low[axis], high[axis]) for axis in (0, 1)))


@compiled((tf.float64, [2, 3]), (tf.int32, []), (tf.int32, [2]))
def _extent(matrix, size, photo_size):
    """What a frame shows of a photo: (x, y) of the first pixel and of the first beyond, int32 [2], and `shrink`: of as many
    by as many pixels averages are taken first, because a cubic alone would skip pixels."""
    frame = Frame(matrix, None, size)
    corners = frame.to_photo(_corners(0, 0, size, size))
    shrink = tf.maximum(tf.cast(tf.round(1 / frame.scale), tf.int32), 1)
    # with room for the cubic's reach
    low = tf.cast(tf.floor(tf.reduce_min(corners, axis=0)), tf.int32) - 3 * shrink
    high = tf.cast(tf.math.ceil(tf.reduce_max(corners, axis=0)), tf.int32) + 3 * shrink
    low = tf.clip_by_value(low, 0, photo_size - 1)
    return low, tf.clip_by_value(high, low + 1, photo_size), shrink


@compiled((tf.uint8, [None, None, 3]), (tf.int32, [2]), (tf.int32, []), (tf.float64, [2, 3]), (tf.int32, []))
def _resampled(part, low, shrink, matrix, size):
    """The frame uint8 [S, S, 3] of the part of a photo that starts at `low`; shrink: see `_extent`."""
    blocks = -(-size_of(part) // shrink)
    averages = tf.raw_ops.ResizeArea(
        images=_continued(part, [0, 0], blocks * shrink)[None], size=tf.reverse(blocks, [0])
    )[0]
    frame, middles = Frame(matrix, None, size), _middles(0, size)
    low, shrink = tf.cast(low, tf.float64), tf.cast(shrink, tf.float64)
    places = _grid(lambda points: (frame.to_photo(points) - low) / shrink, middles, middles)
    return tf.saturate_cast(tf.round(sample(averages, places)), tf.uint8)


def _middles(low, high):
    """Of the pixels from `low` to `high`."""
    return tf.cast(tf.range(low, high), tf.float64) + 0.5


def _grid(similarity, x, y):
    """float32 [h, w, 2]: where a similarity, points [n, 2] → points, takes each place of x [w] with each of y [h]."""
    # of both axes alone and added up: all places in float64 would be the most that an edit keeps in memory
    along = similarity(tf.stack([x, tf.zeros_like(x)], axis=1)) - similarity(tf.zeros([1, 2], tf.float64))
    down = similarity(tf.stack([tf.zeros_like(y), y], axis=1))
    return tf.cast(along, tf.float32) + tf.cast(down, tf.float32)[:, None]


def _continued(values, low, high):
    """Pixels from `low` to `high` (x, y) of values [h, w, C], outside of which they are what they are at the border."""
    height, width = tf.unstack(tf.shape(values)[:2])
    rows = tf.clip_by_value(tf.range(low[1], high[1]), 0, height - 1)
    return tf.gather(tf.gather(values, rows), tf.clip_by_value(tf.range(low[0], high[0]), 0, width - 1), axis=1)
