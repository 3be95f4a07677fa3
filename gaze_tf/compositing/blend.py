"""The repainted eyes back into the photo, so that neither seam nor loss of sharpness is seen.

Not the painted eyes are put in, but what painting changed: where it changed nothing, neither does the photo. Detail that
is finer than the model's pixels stays where the painted eye still has the structure that it belongs to.
"""

import numpy as np
import tensorflow as tf
from scipy import fft

from gaze_tf.compositing.align import Frame, compiled, patch_of, sample
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
    # all of them before the first is put in: the rectangles around turned boxes may meet
    edits = [
        (patch, after.numpy())
        for strength, box in zip(strengths, boxes)
        if strength > 0
        for patch, after in [repainted(photo, frame, cut, painted, box, blend, strength, seed)]
    ]
    changes = [after != patch.of(photo) for patch, after in edits]
    # (a photo that stays as it is may be read-only)
    if not any(changed.any() for changed in changes):
        return photo
    result = photo if in_place else photo.copy()
    for (patch, after), changed in zip(edits, changes):
        np.copyto(patch.of(result), after, where=changed)
    return result


def repainted(photo, frame, cut, painted, box, blend='feather', strength=1.0, seed=0):
    """One eye of `put_back`, whose arguments it takes, with tensors for arrays in a graph.

    Returns:
      (Patch, its pixels uint8 [h, w, 3] afterwards).
    """
    patch, change = patch_of(frame, box, photo), _change(cut, painted, box, blend == 'feather')
    if blend == 'poisson':
        change -= membrane(change.numpy())
    return patch, _blended(patch.of(photo), patch.places, cut, change, box, frame.matrix, strength, seed, blend)


@compiled((tf.uint8, [None, None, 3]), (tf.uint8, [None, None, 3]), (tf.int32, [4]), (tf.bool, []))
def _change(cut, painted, box, matched):
    """float32 [h, w, 3], what painting changed in an eye box: of a face without colour only its greys; matched: less what is
    wrong with its colours on average, as the box's rim shows it."""
    x0, y0, x1, y1 = tf.unstack(box)
    change = tf.cast(painted[y0:y1, x0:x1], tf.float32) - tf.cast(cut[y0:y1, x0:x1], tf.float32)
    change = tf.where(_is_grey(cut), tf.repeat(change @ _GREY, 3, axis=-1), change)
    inner = change[1:-1, 1:-1]
    rim = tf.cast((tf.size(change) - tf.size(inner)) // 3, tf.float32)
    wrong = (tf.reduce_sum(change, axis=(0, 1)) - tf.reduce_sum(inner, axis=(0, 1))) / rim
    return change - tf.where(matched, wrong, 0)


def _is_grey(cut):
    """Whether a picture uint8 [S, S, 3] has no colour, bool []: a photo without any must not get coloured eyes."""
    red, green, blue = tf.unstack(cut, axis=-1)
    most, least = tf.maximum(tf.maximum(red, green), blue), tf.minimum(tf.minimum(red, green), blue)
    return tf.reduce_max(most - least) <= _CHROMA


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
    """[H, W, 1] float32: 1 where two images [H, W, 3] have the same structure in a window, 0 where not.

    It is 1 - 2 var(difference) / (var(before) + var(after)) of grey levels, at least 0: where both have the same edges
    it is near 1, and so it is where both are flat; where half of what both have differs, it is 0.
    """
    before, after = before @ _GREY, after @ _GREY
    values = tf.concat([before, after, after - before], axis=-1)
    variances = tf.maximum(_blurred(values**2, sigma) - _blurred(values, sigma) ** 2, 0)
    before, after, difference = tf.split(variances, 3, axis=-1)
    return tf.maximum(1 - 2 * difference / (before + after + _FLAT), 0)


def grain(image):
    """Standard deviation of the noise in an image float32 [H, W, 3], in grey levels.

    (J. Immerkær, Fast noise variance estimation, 1996; by the median, which edges do not move.)
    """
    grey = (image @ _GREY)[..., 0]
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    response = tf.reshape(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:], [-1])
    count = tf.size(response)
    values = tf.sort(tf.abs(response[:: tf.maximum(count // _GRAIN_VALUES, 1)]))
    median = tf.cond(count > 0, lambda: values[tf.size(values) // 2], lambda: 0.0)
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
    (tf.uint8, [None, None, 3]),
    (tf.float32, [None, None, 2]),
    (tf.uint8, [None, None, 3]),
    (tf.float32, [None, None, 3]),
    (tf.int32, [4]),
    (tf.float64, [2, 3]),
    (tf.float32, []),
    (tf.int32, []),
    (tf.string, []),
)
def _blended(before, places, cut, change, box, matrix, strength, seed, blend):
    """A patch's pixels with one eye repainted.

    change: [y1 - y0, x1 - x0, 3] in the box; for matrix see Frame, for the others `put_back`.
    """
    side, scale = tf.shape(cut)[0], tf.cast(Frame(matrix, None, None).scale, tf.float32)
    # pixels of the frame in which the change fades towards the box's rim
    ramp = tf.where(
        blend == 'feather',
        _FEATHER * tf.cast(box[3] - box[1], tf.float32),
        tf.where((blend == 'hard') & (scale == 1), 1e-3, scale),
    )
    sigma = _WINDOW * tf.cast(side, tf.float32)
    # of the frame, what the box's pixels depend on
    reach = tf.cast(tf.math.ceil(4 * sigma), tf.int32) + 4
    low, high = tf.maximum(box[:2] - reach, 0), tf.minimum(box[2:] + reach, side)
    cut = tf.cast(cut[low[1] : high[1], low[0] : high[0]], tf.float32)
    around = tf.stack([box[:2] - low, high - box[2:]], axis=1)
    change = tf.ensure_shape(tf.pad(change, tf.concat([tf.reverse(around, [0]), [[0, 0]]], axis=0)), [None, None, 3])
    # where pixels of the photo are larger than the frame's: averages, not samples
    smooth = _blurred(change, 0.45 * tf.sqrt(tf.maximum(scale**2 - 1, 0)))
    layers = sample(
        tf.concat([smooth, same_structure(cut, cut + change, sigma), cut], axis=-1), places - tf.cast(low, tf.float32)
    )
    photo = tf.cast(before, tf.float32)
    # the fine detail of what is no longer there goes with it
    lost = tf.where(scale < 1, 1 - tf.clip_by_value(layers[..., 3:4], 0, 1), 0) * (photo - layers[..., 4:])
    weight = strength * _weights(places, tf.cast(box, tf.float32), ramp)
    result = photo + weight * (layers[..., :3] - lost)
    missing = tf.sqrt(tf.maximum(grain(photo) ** 2 - grain(result) ** 2, 0))
    missing = tf.where((blend != 'hard') & (missing > _GRAIN), missing, 0)
    result += weight * missing * tf.random.stateless_normal(tf.shape(weight), [seed, 0])
    return tf.saturate_cast(tf.round(result), tf.uint8)


def _blurred(values, sigma):
    """Values [h, w, C] under a Gaussian window of standard deviation `sigma` in pixels; at the border less of it."""

    def window(size):
        place = tf.range(size, dtype=tf.float32)
        # a deviation of nearly 0 leaves the pixel itself
        return tf.nn.softmax(-0.5 * ((place - place[:, None]) / tf.maximum(sigma, 1e-2)) ** 2)

    height, width, _ = tf.unstack(tf.shape(values))
    rows = tf.tensordot(window(height), values, 1)
    return tf.transpose(tf.tensordot(window(width), tf.transpose(rows, [1, 0, 2]), 1), [1, 0, 2])


def _weights(places, box, ramp):
    """[h, w, 1] float32 at places of the frame: 1 inside the box, 0 outside, in between so many pixels of a ramp."""
    inwards = tf.minimum(places - box[:2], box[2:] - places)
    inwards = tf.minimum(inwards[..., :1], inwards[..., 1:])
    share = tf.clip_by_value(inwards / ramp, 0, 1)
    return ease(share)
