"""Puts repainted eyes back into the photo without visible seams or loss of sharpness.

The photo gets the change that painting made, not the painted pixels: where painting changed nothing, the photo stays.
Detail finer than the model's pixels is kept where the painted eye still has the structure that it belongs to.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import fft

from gaze_tf.compositing.align import (
    Frame,
    Patch,
    compiled,
    covered,
    parts_of,
    patch_of,
    places_of,
    sample,
    scale_of,
    size_of,
)
from gaze_tf.easing import ease

# width of the feathered edge, as a share of the eye box's height
_FEATHER = 0.2
# size of the windows that compare structures, as a share of the frame's side
_WINDOW = 0.01
# variance of gray levels below which there is no structure to compare
_FLAT = 36.0
# standard deviation of grain in gray levels that is worth adding
_GRAIN = 0.5
# number of values whose median estimates the grain, up to twice as many
_GRAIN_VALUES = 8192
# largest difference between the channels of a gray pixel after JPEG and resampling
_CHROMA = 3
_GRAY = np.array([[0.299], [0.587], [0.114]], np.float32)


def put_back(
    photo: np.ndarray,
    frame: Frame,
    cut: np.ndarray,
    painted: np.ndarray,
    boxes: Any,
    blend: str = 'feather',
    strengths: Sequence[float] = (1.0, 1.0),
    seed: int = 0,
    in_place: bool = False,
) -> np.ndarray:
    """Puts the repainted eyes of a face back into its photo.

    Args:
      photo: uint8 [H, W, 3].
      frame: the face's Frame in it.
      cut: uint8 [S, S, 3], the result of `frame.cut(photo)`.
      painted: uint8 [S, S, 3], the cut with other eyes.
      boxes: whole (x0, y0, x1, y1) in the frame for each eye; nothing outside them changes.
      blend: 'feather' matches the average color at the rim of the box and fades the change out towards it, 'poisson'
        matches colors all along the rim, 'hard' keeps the painted pixels.
      strengths: share of the change for each eye, from 0 to 1.
      seed: seed of the grain; each frame of a video has its own.
      in_place: whether to change `photo` itself, to avoid copying large photos.

    Returns:
      uint8 [H, W, 3]; `photo` itself if nothing changes.
    """
    (after,) = put_back_all([photo], [frame], cut[None], painted[None], boxes, blend, [strengths], seed, in_place)
    return after


def put_back_all(
    photos: Sequence[np.ndarray],
    frames: Sequence[Frame],
    cuts: np.ndarray,
    painted: np.ndarray,
    boxes: Any,
    blend: str,
    strengths: Any,
    seed: int = 0,
    in_place: bool = False,
) -> list[np.ndarray]:
    """`put_back` for one face in each of B photos of one size, faster than one by one.

    Args are those of `put_back`: photos, frames and strengths are lists; cuts and painted are uint8 [B, S, S, 3]. All
    frames have the same eye boxes. Returns the photos.
    """
    matrices, strengths = np.stack([frame.matrix for frame in frames]), np.asarray(strengths, np.float32)
    # compute all edits first: the rectangles around rotated boxes may overlap
    edits: list[list[tuple[Patch, np.ndarray, np.ndarray]]] = [[] for _ in photos]
    for box, strength in zip(np.asarray(boxes, np.int32), strengths.T):
        some = np.flatnonzero(strength > 0)
        if not some.size:
            continue
        low, high = (each.numpy() for each in covered(matrices[some], box.astype(np.float64), size_of(photos[0])))
        before = parts_of([photos[n] for n in some], low, high)
        after = _repainted(
            before, low, matrices[some], cuts[some], painted[some], box, blend, strength[some], seed
        ).numpy()
        for n, own, *corners in zip(some, after, low, high):
            patch = Patch(*corners)
            there = patch.of(photos[n])
            own = own[: there.shape[0], : there.shape[1]]
            edits[n].append((patch, own, own != there))
    return [_with_edits(photo, own, in_place) for photo, own in zip(photos, edits)]


def _with_edits(photo, edits, in_place):
    """The photo with edits (Patch, its new pixels, where they differ) applied."""
    # a photo that does not change may be read-only
    if not any(changed.any() for *_, changed in edits):
        return photo
    result = photo if in_place else photo.copy()
    for patch, after, changed in edits:
        np.copyto(patch.of(result), after, where=changed)
    return result


def repainted(
    photo: tf.Tensor, frame: Frame, cut: tf.Tensor, painted: tf.Tensor, box: tf.Tensor
) -> tuple[Patch, tf.Tensor]:
    """`put_back` for one eye in a graph, with tensors for arrays.

    Returns:
      (Patch, its new pixels uint8 [h, w, 3]).
    """
    patch, matrix = patch_of(frame, box, photo), frame.matrix[None]
    before, strength = patch.of(photo)[None], tf.ones([1])
    return patch, _repainted(before, patch.low[None], matrix, cut[None], painted[None], box, 'feather', strength, 0)[0]


def _repainted(before, low, matrix, cut, painted, box, blend, strength, seed):
    """New pixels uint8 [B, h, w, 3] of patches that start at `low`, with one eye repainted; see `put_back`."""
    change = _change(cut, painted, box, blend == 'feather')
    if blend == 'poisson':
        change -= np.stack([membrane(own) for own in change.numpy()])
    return _blended(before, low, cut, change, box, matrix, strength, seed, blend)


@compiled((tf.uint8, [None, None, None, 3]), (tf.uint8, [None, None, None, 3]), (tf.int32, [4]), (tf.bool, []))
def _change(cut, painted, box, matched):
    """What painting changed in an eye box, float32 [B, h, w, 3]; in gray photos only the gray levels.

    matched: whether the average color error, as seen at the rim of the box, is removed.
    """
    x0, y0, x1, y1 = tf.unstack(box)
    change = tf.cast(painted[:, y0:y1, x0:x1], tf.float32) - tf.cast(cut[:, y0:y1, x0:x1], tf.float32)
    change = tf.where(_is_gray(cut), tf.repeat(change @ _GRAY, 3, axis=-1), change)
    inner = change[:, 1:-1, 1:-1]
    rim = tf.cast((tf.size(change[0]) - tf.size(inner[0])) // 3, tf.float32)
    wrong = (tf.reduce_sum(change, axis=(1, 2), keepdims=True) - tf.reduce_sum(inner, axis=(1, 2), keepdims=True)) / rim
    return change - tf.where(matched, wrong, 0)


def _is_gray(cut):
    """Whether pictures uint8 [B, S, S, 3] are gray, bool [B, 1, 1, 1]: a gray photo must not get colored eyes."""
    red, green, blue = tf.split(cut, 3, axis=-1)
    most, least = tf.maximum(tf.maximum(red, green), blue), tf.minimum(tf.minimum(red, green), blue)
    return tf.reduce_max(most - least, axis=(1, 2), keepdims=True) <= _CHROMA


def membrane(values: np.ndarray) -> np.ndarray:
    """Values [h, w, C] with the given rim, as smooth as possible inside (Laplace's equation, five-point stencil)."""
    smooth = np.array(values, np.float32)
    height, width = smooth.shape[:2]
    if min(height, width) < 3:
        return smooth
    smooth[1:-1, 1:-1] = 0
    # what the rim adds to the equations of its neighbors
    source = np.zeros((height - 2, width - 2, values.shape[2]), np.float32)
    source[0] += smooth[0, 1:-1]
    source[-1] += smooth[-1, 1:-1]
    source[:, 0] += smooth[1:-1, 0]
    source[:, -1] += smooth[1:-1, -1]
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in source.shape[:2])
    modes = fft.dstn(source, type=1, axes=(0, 1)) / (rows[:, None, None] + columns[:, None])
    smooth[1:-1, 1:-1] = fft.idstn(modes, type=1, axes=(0, 1))
    return smooth


def same_structure(before: tf.Tensor, after: tf.Tensor, sigma: Any) -> tf.Tensor:
    """Where two images [B, H, W, 3] have the same structure in a window: float32 [B, H, W, 1], from 0 (no) to 1 (yes).

    It is 1 - 2 var(difference) / (var(before) + var(after)) of gray levels, at least 0: near 1 where both have the same
    edges or both are flat, 0 where half of the variance differs.
    """
    before, after = before @ _GRAY, after @ _GRAY
    values = tf.concat([before, after, after - before], axis=-1)
    variances = tf.maximum(_blurred(values**2, sigma) - _blurred(values, sigma) ** 2, 0)
    before, after, difference = tf.split(variances, 3, axis=-1)
    return tf.maximum(1 - 2 * difference / (before + after + _FLAT), 0)


def grain(image: tf.Tensor) -> tf.Tensor:
    """The standard deviation of the noise in images float32 [B, H, W, 3], in gray levels: float32 [B].

    (J. Immerkær, Fast noise variance estimation, 1996; with the median, which edges hardly affect.)
    """
    gray = (image @ _GRAY)[..., 0]
    rows = gray[:, :-2] - 2 * gray[:, 1:-1] + gray[:, 2:]
    response = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    count = tf.reduce_prod(tf.shape(response)[1:])
    response = tf.reshape(response, [tf.shape(image)[0], count])
    values = tf.sort(tf.abs(response[:, :: tf.maximum(count // _GRAIN_VALUES, 1)]))
    median = tf.cond(count > 0, lambda: values[:, tf.shape(values)[1] // 2], lambda: tf.zeros([tf.shape(image)[0]]))
    return median / (0.6745 * 6)


def sharpness_kept(before: np.ndarray, after: np.ndarray, frame: Frame, boxes: Any) -> float:
    """How sharp a face's eye boxes are after editing, relative to before.

    It is the ratio of the root mean squares of the gray levels' gradients in the photos, uint8 [H, W, 3].
    """
    patches = [patch_of(frame, box, before) for box in boxes]
    squares = [sum(squared_gradient(patch.of(photo)) for patch in patches) for photo in (before, after)]
    return float(np.sqrt(squares[1] / squares[0])) if squares[0] else 1.0


def squared_gradient(image: np.ndarray) -> float:
    """The sum of squared differences between gray levels of neighboring pixels in an image [h, w, 3]."""
    gray = (image @ _GRAY)[..., 0]
    return sum(float(np.sum(np.diff(gray, axis=axis) ** 2)) for axis in (0, 1))


@compiled(
    (tf.uint8, [None, None, None, 3]),
    (tf.int32, [None, 2]),
    (tf.uint8, [None, None, None, 3]),
    (tf.float32, [None, None, None, 3]),
    (tf.int32, [4]),
    (tf.float64, [None, 2, 3]),
    (tf.float32, [None]),
    (tf.int32, []),
    (tf.string, []),
)
def _blended(before, low, cut, change, box, matrix, strength, seed, blend):
    """New pixels of patches with one eye repainted.

    before: pixels of the patches [B, h, w, 3] that start at `low`. change: [B, y1 - y0, x1 - x0, 3] in the box. For
    matrix see Frame, for the others `put_back`.
    """
    side, scale = tf.shape(cut)[1], _each(tf.cast(scale_of(matrix), tf.float32))
    places = places_of(matrix, low, tf.reverse(tf.shape(before)[1:3], [0]))
    # over so many pixels of the frame the change fades out towards the rim of the box
    ramp = tf.where(
        blend == 'feather',
        _FEATHER * tf.cast(box[3] - box[1], tf.float32),
        tf.where((blend == 'hard') & (scale == 1), 1e-3, scale),
    )
    sigma = _WINDOW * tf.cast(side, tf.float32)
    # the part of the frame that pixels in the box depend on
    reach = tf.cast(tf.math.ceil(4 * sigma), tf.int32) + 4
    first, end = tf.maximum(box[:2] - reach, 0), tf.minimum(box[2:] + reach, side)
    cut = tf.cast(cut[:, first[1] : end[1], first[0] : end[0]], tf.float32)
    around = tf.reverse(tf.stack([box[:2] - first, end - box[2:]], axis=1), [0])
    change = tf.ensure_shape(tf.pad(change, tf.pad(around, [[1, 1], [0, 0]])), [None, None, None, 3])
    # average where pixels of the photo are larger than the frame's
    smooth = _blurred(change, 0.45 * tf.sqrt(tf.maximum(scale**2 - 1, 0)))
    layers = tf.concat([smooth, same_structure(cut, cut + change, sigma), cut], axis=-1)
    layers = sample(layers, places - tf.cast(first, tf.float32))
    photo = tf.cast(before, tf.float32)
    # fine detail goes with the structure that it belonged to
    lost = tf.where(scale < 1, 1 - tf.clip_by_value(layers[..., 3:4], 0, 1), 0) * (photo - layers[..., 4:])
    weight = _each(strength) * _weights(places, tf.cast(box, tf.float32), ramp)
    result = photo + weight * (layers[..., :3] - lost)
    missing = tf.sqrt(tf.maximum(grain(photo) ** 2 - grain(result) ** 2, 0))
    missing = tf.where((blend != 'hard') & (missing > _GRAIN), missing, 0)
    result += weight * _each(missing) * tf.random.stateless_normal(tf.shape(weight), [seed, 0])
    return tf.saturate_cast(tf.round(result), tf.uint8)


def _each(numbers):
    """[B] → [B, 1, 1, 1]."""
    return numbers[:, None, None, None]


def _blurred(values, sigma):
    """Values [B, h, w, C] blurred by a Gaussian window, which is cut off at the border.

    sigma: its standard deviation in pixels, one number or [B, 1, 1, 1].
    """

    def along(values):
        batch, size, other, channels = tf.unstack(tf.shape(values))
        place = tf.range(size, dtype=tf.float32)
        # a deviation of nearly 0 leaves the pixel itself
        window = tf.nn.softmax(-0.5 * ((place - place[:, None]) / tf.maximum(tf.reshape(sigma, [-1, 1, 1]), 1e-2)) ** 2)
        blurred = window @ tf.reshape(values, [batch, size, other * channels])
        return tf.reshape(blurred, [batch, size, other, values.shape[3]])

    return tf.transpose(along(tf.transpose(along(values), [0, 2, 1, 3])), [0, 2, 1, 3])


def _weights(places, box, ramp):
    """Weights float32 [B, h, w, 1] at places of the frame: 0 outside the box, rising to 1 inside over `ramp` pixels."""
    inwards = tf.minimum(places - box[:2], box[2:] - places)
    inwards = tf.minimum(inwards[..., :1], inwards[..., 1:])
    share = tf.clip_by_value(inwards / ramp, 0, 1)
    return ease(share)
