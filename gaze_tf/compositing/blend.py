"""The repainted eyes back into the photo, so that neither seam nor loss of sharpness is seen.

Not the painted eyes are put in, but what painting changed: where it changed nothing, neither does the photo. Detail that
is finer than the model's pixels stays where the painted eye still has the structure that it belongs to.
"""

import numpy as np
import tensorflow as tf
from scipy import fft

from gaze_tf.compositing.align import Patch, compiled, covered, parts_of, patch_of, places_of, sample, scale_of, size_of
from gaze_tf.easing import ease

# width of the feather, as a share of the eye box's height
_FEATHER = 0.2
# of the windows that compare structures, as a share of the frame's side
_WINDOW = 0.01
# variance of grey levels below which there is no structure to compare
_FLAT = 36.0
# standard deviation of grain in grey levels that is worth adding
_GRAIN = 0.5
# values whose median is taken for it, up to twice as many
_GRAIN_VALUES = 8192
# difference of a pixel's channels up to which it is grey: what JPEG and resampling make of grey ones
_CHROMA = 3
_GREY = np.array([[0.299], [0.587], [0.114]], np.float32)


def put_back(photo, frame, cut, painted, boxes, blend='feather', strengths=(1.0, 1.0), seed=0, in_place=False):
    """The photo with repainted eyes.

    Args:
      photo: uint8 [H, W, 3].
      frame: the face's Frame in it.
      cut: uint8 [S, S, 3], what `frame.cut(photo)` gave.
      painted: uint8 [S, S, 3], the same with other eyes.
      boxes: whole (x0, y0, x1, y1) in the frame for each eye; nothing outside of them changes.
      blend: 'feather' (colours matched on average at the box's rim, the change fades towards it), 'poisson' (colours
        matched all along the rim), or 'hard' (as painted).
      strengths: share of the change for each eye, from 0 to 1.
      seed: of the grain; frames of a video have one each.
      in_place: whether `photo` itself is changed rather than a copy, which for large photos is dear.

    Returns:
      uint8 [H, W, 3]; the photo itself where nothing changes.
    """
    (after,) = put_back_all([photo], [frame], cut[None], painted[None], boxes, blend, [strengths], seed, in_place)
    return after


def put_back_all(
    photos, frames, cuts, painted, boxes, blend='feather', strengths=((1.0, 1.0),), seed=0, in_place=False
):
    """`put_back` for a face in each of several photos of one size whose frames have the same eye boxes, faster than one by one.

    Args are those of `put_back`, photos, frames and strengths lists of B, cuts and painted uint8 [B, S, S, 3]. Returns a list.
    """
    matrices, strengths = np.stack([frame.matrix for frame in frames]), np.asarray(strengths, np.float32)
    # all of them before the first is put in: the rectangles around turned boxes may meet
    edits = [[] for _ in photos]
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
    """A photo with what (Patch, its pixels, where they differ) say."""
    # (a photo that stays as it is may be read-only)
    if not any(changed.any() for *_, changed in edits):
        return photo
    result = photo if in_place else photo.copy()
    for patch, after, changed in edits:
        np.copyto(patch.of(result), after, where=changed)
    return result


def repainted(photo, frame, cut, painted, box):
    """One eye of `put_back`, whose arguments it takes, with tensors for arrays in a graph.

    Returns:
      (Patch, its pixels uint8 [h, w, 3] afterwards).
    """
    patch, matrix = patch_of(frame, box, photo), frame.matrix[None]
    before, strength = patch.of(photo)[None], tf.ones([1])
    return patch, _repainted(before, patch.low[None], matrix, cut[None], painted[None], box, 'feather', strength, 0)[0]


def _repainted(before, low, matrix, cut, painted, box, blend, strength, seed):
    """Patches uint8 [B, h, w, 3] that start at `low`, with one eye repainted; for the others see `put_back`."""
    change = _change(cut, painted, box, blend == 'feather')
    if blend == 'poisson':
        change -= np.stack([membrane(own) for own in change.numpy()])
    return _blended(before, low, cut, change, box, matrix, strength, seed, blend)


@compiled((tf.uint8, [None, None, None, 3]), (tf.uint8, [None, None, None, 3]), (tf.int32, [4]), (tf.bool, []))
def _change(cut, painted, box, matched):
    """float32 [B, h, w, 3], what painting changed in an eye box: of a face without colour only its greys; matched: less what is
    wrong with its colours on average, as the box's rim shows it."""
    x0, y0, x1, y1 = tf.unstack(box)
    change = tf.cast(painted[:, y0:y1, x0:x1], tf.float32) - tf.cast(cut[:, y0:y1, x0:x1], tf.float32)
    change = tf.where(_is_grey(cut), tf.repeat(change @ _GREY, 3, axis=-1), change)
    inner = change[:, 1:-1, 1:-1]
    rim = tf.cast((tf.size(change[0]) - tf.size(inner[0])) // 3, tf.float32)
    wrong = (tf.reduce_sum(change, axis=(1, 2), keepdims=True) - tf.reduce_sum(inner, axis=(1, 2), keepdims=True)) / rim
    return change - tf.where(matched, wrong, 0)


def _is_grey(cut):
    """Whether pictures uint8 [B, S, S, 3] have no colour, bool [B, 1, 1, 1]: a photo without any must not get coloured eyes."""
    red, green, blue = tf.split(cut, 3, axis=-1)
    most, least = tf.maximum(tf.maximum(red, green), blue), tf.minimum(tf.minimum(red, green), blue)
    return tf.reduce_max(most - least, axis=(1, 2), keepdims=True) <= _CHROMA


def membrane(values):
    """[h, w, C] that is `values` at the rim and as smooth as can be inside (Laplace's equation, five-point stencil)."""
    smooth = np.array(values, np.float32)
    height, width = smooth.shape[:2]
    if min(height, width) < 3:
        return smooth
    smooth[1:-1, 1:-1] = 0
    # what the rim adds to the equations of its neighbours
    source = np.zeros((height - 2, width - 2, values.shape[2]), np.float32)
    source[0] += smooth[0, 1:-1]
    source[-1] += smooth[-1, 1:-1]
    source[:, 0] += smooth[1:-1, 0]
    source[:, -1] += smooth[1:-1, -1]
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in source.shape[:2])
    modes = fft.dstn(source, type=1, axes=(0, 1)) / (rows[:, None, None] + columns[:, None])
    smooth[1:-1, 1:-1] = fft.idstn(modes, type=1, axes=(0, 1))
    return smooth


def same_structure(before, after, sigma):
    """[B, H, W, 1] float32: 1 where two images [B, H, W, 3] have the same structure in a window, 0 where not.

    It is 1 - 2 var(difference) / (var(before) + var(after)) of grey levels, at least 0: where both have the same edges
    it is near 1, and so it is where both are flat; where half of what both have differs, it is 0.
    """
    before, after = before @ _GREY, after @ _GREY
    values = tf.concat([before, after, after - before], axis=-1)
    variances = tf.maximum(_blurred(values**2, sigma) - _blurred(values, sigma) ** 2, 0)
    before, after, difference = tf.split(variances, 3, axis=-1)
    return tf.maximum(1 - 2 * difference / (before + after + _FLAT), 0)


def grain(image):
    """float32 [B]: standard deviation of the noise in images float32 [B, H, W, 3], in grey levels.

    (J. Immerkær, Fast noise variance estimation, 1996; by the median, which edges do not move.)
    """
    grey = (image @ _GREY)[..., 0]
    rows = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    response = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    count = tf.reduce_prod(tf.shape(response)[1:])
    response = tf.reshape(response, [tf.shape(image)[0], count])
    values = tf.sort(tf.abs(response[:, :: tf.maximum(count // _GRAIN_VALUES, 1)]))
    median = tf.cond(count > 0, lambda: values[:, tf.shape(values)[1] // 2], lambda: tf.zeros([tf.shape(image)[0]]))
    return median / (0.6745 * 6)


def sharpness_kept(before, after, frame, boxes):
    """Sharpness of a face's eye boxes after editing as a share of that before: the ratio of the root mean squares of the
    grey levels' gradient. (Photos uint8 [H, W, 3].)"""
    patches = [patch_of(frame, box, before) for box in boxes]
    squares = [sum(squared_gradient(patch.of(photo)) for patch in patches) for photo in (before, after)]
    return float(np.sqrt(squares[1] / squares[0])) if squares[0] else 1.0


def squared_gradient(image):
    """Sum of the squared differences of the grey levels of neighbours, across and down, in an image [h, w, 3]."""
    grey = (image @ _GREY)[..., 0]
    return sum(float(np.sum(np.diff(grey, axis=axis) ** 2)) for axis in (0, 1))


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
    """Pixels of patches with one eye repainted.

    before: of the patches [B, h, w, 3] that start at `low`; change: [B, y1 - y0, x1 - x0, 3] in the box; for matrix see Frame,
    for the others `put_back`.
    """
    side, scale = tf.shape(cut)[1], _each(tf.cast(scale_of(matrix), tf.float32))
    places = places_of(matrix, low, tf.reverse(tf.shape(before)[1:3], [0]))
    # pixels of the frame in which the change fades towards the box's rim
    ramp = tf.where(
        blend == 'feather',
        _FEATHER * tf.cast(box[3] - box[1], tf.float32),
        tf.where((blend == 'hard') & (scale == 1), 1e-3, scale),
    )
    sigma = _WINDOW * tf.cast(side, tf.float32)
    # of the frame, what the box's pixels depend on
    reach = tf.cast(tf.math.ceil(4 * sigma), tf.int32) + 4
    first, end = tf.maximum(box[:2] - reach, 0), tf.minimum(box[2:] + reach, side)
    cut = tf.cast(cut[:, first[1] : end[1], first[0] : end[0]], tf.float32)
    around = tf.reverse(tf.stack([box[:2] - first, end - box[2:]], axis=1), [0])
    change = tf.ensure_shape(tf.pad(change, tf.pad(around, [[1, 1], [0, 0]])), [None, None, None, 3])
    # where pixels of the photo are larger than the frame's: averages, not samples
    smooth = _blurred(change, 0.45 * tf.sqrt(tf.maximum(scale**2 - 1, 0)))
    layers = tf.concat([smooth, same_structure(cut, cut + change, sigma), cut], axis=-1)
    layers = sample(layers, places - tf.cast(first, tf.float32))
    photo = tf.cast(before, tf.float32)
    # the fine detail of what is no longer there goes with it
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
    """Values [B, h, w, C] under a Gaussian window of standard deviation `sigma` in pixels, one number or [B, 1, 1, 1]; at the
    border less of it."""

    def along(values):
        batch, size, other, channels = tf.unstack(tf.shape(values))
        place = tf.range(size, dtype=tf.float32)
        # a deviation of nearly 0 leaves the pixel itself
        window = tf.nn.softmax(-0.5 * ((place - place[:, None]) / tf.maximum(tf.reshape(sigma, [-1, 1, 1]), 1e-2)) ** 2)
        blurred = window @ tf.reshape(values, [batch, size, other * channels])
        return tf.reshape(blurred, [batch, size, other, values.shape[3]])

    return tf.transpose(along(tf.transpose(along(values), [0, 2, 1, 3])), [0, 2, 1, 3])


def _weights(places, box, ramp):
    """[B, h, w, 1] float32 at places of the frame: 1 inside the box, 0 outside, in between so many pixels of a ramp."""
    inwards = tf.minimum(places - box[:2], box[2:] - places)
    inwards = tf.minimum(inwards[..., :1], inwards[..., 1:])
    share = tf.clip_by_value(inwards / ramp, 0, 1)
    return ease(share)
