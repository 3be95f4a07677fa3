"""Aligns faces: a similarity transform maps a face in its photo to the frame that the model sees.

Positions are (x, y) in pixels, counted from the edges: the middle of the first pixel is 0.5. In the frame the eyes are
where the model has learned to paint them; by default that is their average position in CelebAGaze.

TensorFlow computes everything, eagerly or in the graph of a model that takes whole photos, so both do the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gaze_tf.config import FRAME_EYES, eye_shares

# the average position of eyes in CelebAGaze, as shares of the image's side: left_x, left_y, right_x, right_y
MEAN_EYES = eye_shares(FRAME_EYES)
# an image of the model's size counts as aligned if its eyes are at most this far from there, as a share of its side
_ALIGNED = 0.1
# how often border pixels are repeated around a picture, so that the cubic never reaches beyond it
_PADDING = 4
# how many places are sampled at once
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
    def scale(self) -> tf.Tensor:
        """Pixels of the frame in one of the photo: below 1 the photo shows more than the model sees."""
        return scale_of(self.matrix)

    def to_photo(self, points: Any) -> tf.Tensor:
        """Points [..., 2] of the frame in the photo."""
        return _to_photo(self.matrix, points)

    def to_frame(self, points: Any) -> tf.Tensor:
        """Points [..., 2] of the photo in the frame."""
        return to_frame(self.matrix, points)

    def cut(self, photo: Any) -> tf.Tensor:
        """The frame as the model takes it, uint8 [S, S, 3], of a photo uint8 [H, W, 3].

        Beyond the photo's border, its border pixels are repeated.
        """
        low, high, shrink = (each[0] for each in _extent(self.matrix[None], self.size, size_of(photo)))
        # TensorFlow copies only this part of a photo that numpy holds
        return _resampled(part_of(photo, low, high)[None], low[None], shrink, self.matrix[None], self.size)[0]


def cut_all(frames: Sequence[Frame], photos: Sequence[np.ndarray]) -> np.ndarray:
    """Cuts each Frame out of its photo, see `Frame.cut`; faster than one by one.

    photos: uint8 [H, W, 3], all of one size. Returns uint8 [B, S, S, 3].
    """
    matrices, size = np.stack([frame.matrix for frame in frames]), frames[0].size
    low, high, shrink = (each.numpy() for each in _extent(matrices, size, size_of(photos[0])))
    cuts = np.empty((len(frames), size, size, 3), np.uint8)
    for factor in np.unique(shrink):
        own = np.flatnonzero(shrink == factor)
        cuts[own] = _resampled(
            parts_of([photos[n] for n in own], low[own], high[own]), low[own], factor, matrices[own], size
        )
    return cuts


def align_face(eyes: Any, photo_size: Any, frame_size: int, frame_eyes: Any = MEAN_EYES) -> Frame:
    """The Frame of a face.

    A photo of the frame's size whose eyes are about in place is the frame itself: nothing is resampled.

    Args:
      eyes: (left_x, left_y, right_x, right_y) in the photo.
      photo_size: (width, height) of the photo.
      frame_size: side of the frame.
      frame_eyes: where the eyes are in the frame, as shares of its side.
    """
    eyes, frame_eyes = tf.cast(eyes, tf.float64)[None], tf.cast(frame_eyes, tf.float64)
    matrices, own = _placed(eyes, photo_size, frame_size, frame_eyes)
    return Frame(matrices[0], own[0], frame_size)


def align_faces(eyes: Any, photo_size: Any, frame_size: int, frame_eyes: Any = MEAN_EYES) -> list[Frame]:
    """The Frames of faces with eyes [B, 4] in photos of one size, see `align_face`; their fields are numpy arrays."""
    eyes, frame_eyes = np.asarray(eyes, np.float64), np.asarray(frame_eyes, np.float64)
    placed = (each.numpy() for each in _placed(eyes, photo_size, frame_size, frame_eyes))
    return [Frame(matrix, own, frame_size) for matrix, own in zip(*placed)]


class Patch(NamedTuple):
    """The rectangle of a photo that a box of the frame covers.

    low, high: int32 [2], (x, y) of its first pixel and of the first pixel beyond it.
    """

    low: tf.Tensor
    high: tf.Tensor

    def of(self, photo: Any) -> Any:
        """Its pixels [h, w, 3] in a photo."""
        return part_of(photo, self.low, self.high)


def patch_of(frame: Frame, box: Any, photo: Any) -> Patch:
    """The Patch of a photo for a box (x0, y0, x1, y1) of a frame; it is empty if the box lies outside the photo."""
    return Patch(*(each[0] for each in covered(frame.matrix[None], tf.cast(box, tf.float64), size_of(photo))))


def part_of(photo: Any, low: Any, high: Any) -> Any:
    """Pixels from `low` to `high`, int32 [2], of a photo (array or tensor)."""
    if not tf.is_tensor(photo):
        low, high = np.asarray(low), np.asarray(high)
    return photo[low[1] : high[1], low[0] : high[0]]


def parts_of(photos: Sequence[np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The part from `low` to `high`, int32 [B, 2], of each photo: uint8 [B, h, w, 3].

    All parts get the size of the largest; beyond the border of a photo, its border pixels are repeated.
    """
    width, height = (high - low).max(axis=0)
    parts = np.empty((len(photos), height, width, 3), np.uint8)
    for part, photo, (x, y) in zip(parts, photos, low):
        inside = photo[y : y + height, x : x + width]
        lacking = [(0, total - there) for total, there in zip(part.shape[:2], inside.shape[:2])]
        if not np.any(lacking):
            part[:] = inside
        else:
            part[:] = np.pad(inside, [*lacking, (0, 0)], 'edge') if inside.size else 0
    return parts


def size_of(photo: Any) -> Any:
    """(width, height) of a photo [H, W, 3] (array or tensor)."""
    # (TensorFlow's optimizer stumbles over a slice that runs backwards)
    return tf.reverse(tf.shape(photo)[:2], [0]) if tf.is_tensor(photo) else photo.shape[1::-1]


def scale_of(matrix: Any) -> tf.Tensor:
    """By how much similarities [..., 2, 3] enlarge, [...]."""
    return tf.norm(matrix[..., :, 0], axis=-1)


def to_frame(matrix: Any, points: Any) -> tf.Tensor:
    """Maps points [..., n, 2] by similarities [..., 2, 3]; float64."""
    return tf.linalg.matmul(tf.cast(points, tf.float64), matrix[..., :2], transpose_b=True) + matrix[..., None, :, 2]


def _to_photo(matrix, points):
    """Maps points [..., n, 2] by the inverses of similarities [..., 2, 3]; float64."""
    # up to its scale, the inverse of a similarity is its transpose
    points = tf.linalg.matmul(tf.cast(points, tf.float64) - matrix[..., None, :, 2], matrix[..., :2])
    return points / scale_of(matrix)[..., None, None] ** 2


def sample(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Interpolates values float32 [B, h, w, C] at places float32 [B, ..., 2], (x, y) in pixels: [B, ..., C].

    Uses cubic convolution; beyond the border, border values are repeated.
    """
    height, width = (side + 2 * _PADDING for side in tf.unstack(tf.shape(values)[1:3]))
    batch, channels = tf.shape(values)[0], values.shape[3]
    continued = _continued(values, [-_PADDING, -_PADDING], [width - _PADDING, height - _PADDING])
    pixels = tf.reshape(continued, [-1, channels])

    def at(points_of_items):
        points, first_of_item = points_of_items
        before = tf.floor(points)
        first = tf.cast(before, tf.int32) + _PADDING - 1
        x, y = tf.clip_by_value(first[:, 0], 0, width - 4), tf.clip_by_value(first[:, 1], 0, height - 4)
        start = first_of_item + y * width + x
        across, down = _cubic((points - before)[:, :1]), _cubic((points - before)[:, 1:])
        return tf.add_n(
            [
                down[k] * tf.add_n([across[n] * tf.gather(pixels, start + (k * width + n)) for n in range(4)])
                for k in range(4)
            ]
        )

    points = tf.reshape(places, [-1, 2]) - 0.5
    count = tf.shape(points)[0]
    first_of_items = tf.repeat(tf.range(batch) * height * width, count // tf.maximum(batch, 1))
    # in parts: the eyes of a large photo would take gigabytes at once
    some = tf.clip_by_value(count, 1, _AT_ONCE)
    parts = tf.maximum(-(-count // some), 1)
    beyond = parts * some - count
    points = tf.reshape(tf.pad(points, [[0, beyond], [0, 0]]), [parts, some, 2])
    first_of_items = tf.reshape(tf.pad(first_of_items, [[0, beyond]]), [parts, some])
    found = tf.map_fn(at, (points, first_of_items), fn_output_signature=tf.TensorSpec([None, channels], tf.float32))
    return tf.reshape(tf.reshape(found, [-1, channels])[:count], tf.concat([tf.shape(places)[:-1], [channels]], axis=0))


def _cubic(beyond):
    """Weights of the four pixels around a place that lies this far beyond the second of them.

    (R. Keys, Cubic convolution interpolation for digital image processing, 1981.)
    """
    before = 1 - beyond
    return [
        -0.5 * beyond * before**2,
        1 - beyond**2 * (2.5 - 1.5 * beyond),
        1 - before**2 * (2.5 - 1.5 * before),
        -0.5 * before * beyond**2,
    ]


def compiled(*shapes: tuple[tf.DType, list[int | None]]) -> Callable[..., Any]:
    """A decorator: tf.function that is traced once, for arguments of these (dtype, shape)."""
    return tf.function(input_signature=[tf.TensorSpec(shape, dtype) for dtype, shape in shapes], autograph=False)


def _corners(x0, y0, x1, y1):
    return tf.cast([[x0, y0], [x0, y1], [x1, y0], [x1, y1]], tf.float64)


@compiled((tf.float64, [None, 4]), (tf.int32, [2]), (tf.int32, []), (tf.float64, [4]))
def _placed(eyes, photo_size, frame_size, frame_eyes):
    """(matrix [B, 2, 3], eyes [B, 4]) of Frames."""
    wanted = frame_eyes * tf.cast(frame_size, tf.float64)
    (x, y), (along, down) = tf.unstack(eyes[:, 2:] - eyes[:, :2], axis=1), tf.unstack(wanted[2:] - wanted[:2])
    # rotation and scale, as complex numbers: target / source
    squared = x**2 + y**2
    real, imaginary = (x * along + y * down) / squared, (x * down - y * along) / squared
    linear = tf.stack([tf.stack([real, -imaginary], 1), tf.stack([imaginary, real], 1)], axis=1)
    shift = (wanted[:2] + wanted[2:]) / 2 - tf.linalg.matvec(linear, (eyes[:, :2] + eyes[:, 2:]) / 2)
    aligned = tf.reduce_all(photo_size == frame_size) & (
        tf.reduce_max(tf.abs(eyes - wanted), axis=1) <= _ALIGNED * tf.cast(frame_size, tf.float64)
    )
    matrix = tf.where(aligned[:, None, None], np.eye(2, 3), tf.concat([linear, shift[..., None]], axis=2))
    return matrix, tf.cast(tf.where(aligned[:, None], eyes, wanted), tf.float32)


@compiled((tf.float64, [None, 2, 3]), (tf.float64, [4]), (tf.int32, [2]))
def covered(matrix, box, photo_size):
    """(low, high) int32 [B, 2] of the Patch of a box in frames with these similarities."""
    corners = _to_photo(matrix, _corners(*tf.unstack(box)))
    low = tf.maximum(tf.cast(tf.floor(tf.reduce_min(corners, axis=1)), tf.int32), 0)
    high = tf.minimum(tf.cast(tf.math.ceil(tf.reduce_max(corners, axis=1)), tf.int32), photo_size)
    return low, tf.maximum(low, high)


@compiled((tf.float64, [None, 2, 3]), (tf.int32, []), (tf.int32, [2]))
def _extent(matrix, size, photo_size):
    """(low, high, shrink): the part of a photo that each frame shows, and how far it is reduced first.

    low, high: int32 [B, 2], see Patch. shrink: int32 [B]; blocks of shrink x shrink pixels are averaged, because a
    cubic would skip pixels.
    """
    corners = _to_photo(matrix, _corners(0, 0, size, size))
    shrink = tf.maximum(tf.cast(tf.round(1 / scale_of(matrix)), tf.int32), 1)
    # the cubic reaches beyond the corners
    low = tf.cast(tf.floor(tf.reduce_min(corners, axis=1)), tf.int32) - 3 * shrink[:, None]
    high = tf.cast(tf.math.ceil(tf.reduce_max(corners, axis=1)), tf.int32) + 3 * shrink[:, None]
    low = tf.clip_by_value(low, 0, photo_size - 1)
    return low, tf.clip_by_value(high, low + 1, photo_size), shrink


@compiled(
    (tf.uint8, [None, None, None, 3]), (tf.int32, [None, 2]), (tf.int32, []), (tf.float64, [None, 2, 3]), (tf.int32, [])
)
def _resampled(parts, low, shrink, matrix, size):
    """The cuts uint8 [B, S, S, 3] of frames from parts of photos that start at `low`; shrink: see `_extent`."""
    blocks = -(-tf.reverse(tf.shape(parts)[1:3], [0]) // shrink)
    averages = tf.raw_ops.ResizeArea(images=_continued(parts, [0, 0], blocks * shrink), size=tf.reverse(blocks, [0]))
    middles = _middles(size)
    low, shrink = tf.cast(low, tf.float64)[:, None], tf.cast(shrink, tf.float64)
    places = _grid(lambda points: (_to_photo(matrix, points) - low) / shrink, middles[None], middles[None])
    return tf.saturate_cast(tf.round(sample(averages, places)), tf.uint8)


def _middles(count):
    """The middles of the first `count` pixels."""
    return tf.cast(tf.range(count), tf.float64) + 0.5


def places_of(matrix: Any, low: Any, size: Any) -> tf.Tensor:
    """Maps the pixels of rectangles of `size` (w, h) that start at `low` [B, 2] by similarities: float32
    [B, h, w, 2]."""
    x, y = (tf.cast(low[:, axis, None], tf.float64) + _middles(size[axis]) for axis in (0, 1))
    return _grid(lambda points: to_frame(matrix, points), x, y)


def _grid(similarities, x, y):
    """Where similarities (points [B, n, 2] → points) map each pair of x [B, w] and y [B, h]: float32 [B, h, w, 2]."""
    # each axis alone, then their sum: all places in float64 would take more memory than the rest of an edit
    along = similarities(tf.stack([x, tf.zeros_like(x)], axis=-1)) - similarities(tf.zeros([1, 1, 2], tf.float64))
    down = similarities(tf.stack([tf.zeros_like(y), y], axis=-1))
    return tf.cast(along, tf.float32)[:, None] + tf.cast(down, tf.float32)[:, :, None]


def _continued(values, low, high):
    """Values [B, h, w, C] from `low` to `high` (x, y); beyond the border, border values are repeated."""
    height, width = tf.unstack(tf.shape(values)[1:3])
    rows = tf.clip_by_value(tf.range(low[1], high[1]), 0, height - 1)
    columns = tf.clip_by_value(tf.range(low[0], high[0]), 0, width - 1)
    return tf.gather(tf.gather(values, rows, axis=1), columns, axis=2)
