"""The repainted eyes back into the photo, so that neither seam nor loss of sharpness is seen.

Not the painted eyes are put in, but what painting changed: where it changed nothing, neither does the photo. Detail that
is finer than the model's pixels stays where the painted eye still has the structure that it belongs to.
"""
import numpy as np
from scipy import fft, ndimage

from gaze_tf.editing.align import patch_of

BLENDS = 'feather', 'poisson', 'hard'
# width of the feather, as a share of the eye box's height
_FEATHER = 0.2
# of the windows that compare structures, as a share of the frame's side
_WINDOW = 0.01
# variance of grey levels below which there is no structure to compare
_FLAT = 36.
# standard deviation of grain in grey levels that is worth adding
_GRAIN = 0.5
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def put_back(photo, frame, cut, painted, boxes, blend='feather', strengths=(1., 1.), seed=0,
             in_place=False):
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
    edits = []
    for box, strength in zip(boxes, strengths):
        patch = patch_of(frame, box, photo.shape[1::-1]) if strength > 0 else None
        if patch:
            before = photo[patch.rows, patch.columns]
            after = _blended(before, patch, frame.scale, cut, painted, box, blend, strength, seed)
            edits.append((patch, before != after, after))
    result = photo if in_place or not edits else photo.copy()
    # only what changes: the rectangles around turned boxes may meet
    for patch, changed, after in edits:
        result[patch.rows, patch.columns][changed] = after[changed]
    return result


def _blended(before, patch, scale, cut, painted, box, blend, strength, seed):
    """The patch's pixels with one eye repainted: uint8 [h, w, 3] like `before`."""
    x0, y0, x1, y1 = box
    change = np.zeros(cut.shape, np.float32)
    inside = np.s_[y0:y1, x0:x1]
    change[inside] = matched(painted[inside].astype(np.float32) - cut[inside], blend)
    photo = before.astype(np.float32)
    if scale < 1:
        finer = same_structure(cut, cut + change, _WINDOW * len(cut))[..., None]
        layers = patch.sample(np.concatenate([change, finer, cut], axis=-1), scale)
        # the fine detail of what is no longer there goes with it
        added = layers[..., :3] - (1 - np.clip(layers[..., 3:4], 0, 1)) * (photo - layers[..., 4:])
    else:
        added = patch.sample(change, scale)
    weight = strength * _weights(patch, box, blend, scale)[..., None]
    result = photo + weight * added
    missing = np.sqrt(max(grain(photo) ** 2 - grain(result) ** 2, 0))
    if missing > _GRAIN and blend != 'hard':
        result += weight * np.random.default_rng(seed).normal(0, missing, (*weight.shape[:2], 1)).astype(np.float32)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def matched(change, blend):
    """The change [h, w, 3] of an eye box without what is wrong with its colours, as its rim shows it."""
    if blend == 'hard':
        return change
    rim = np.concatenate([change[0], change[-1], change[1:-1, 0], change[1:-1, -1]])
    return change - (rim.mean(axis=0) if blend == 'feather' else membrane(change))


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
    """[H, W] float32: 1 where two images [H, W, 3] have the same structure in a window, 0 where not.

    It is 1 - 2 var(difference) / (var(before) + var(after)) of grey levels, at least 0: where both have the same edges
    it is near 1, and so it is where both are flat; where half of what both have differs, it is 0.
    """
    before, after = before @ _GREY, after @ _GREY

    def variance(values):
        return np.maximum(ndimage.gaussian_filter(values ** 2, sigma) - ndimage.gaussian_filter(values, sigma) ** 2, 0)
    return np.maximum(1 - 2 * variance(after - before) / (variance(before) + variance(after) + _FLAT), 0)


def grain(image):
    """Standard deviation of the noise in an image [H, W, 3], in grey levels.

    (J. Immerkær, Fast noise variance estimation, 1996; by the median, which edges do not move.)
    """
    if min(image.shape[:2]) < 3:
        return 0.
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
    response = ndimage.convolve(image @ _GREY, kernel)[1:-1, 1:-1]
    return float(np.median(np.abs(response)) / (0.6745 * 6))


def sharpness_kept(before, after, frame, boxes):
    """Sharpness of a face's eye boxes after editing as a share of that before: the ratio of the root mean squares of the
    grey levels' gradient. (Photos uint8 [H, W, 3].)"""
    patches = [patch_of(frame, box, before.shape[1::-1]) for box in boxes]
    squares = [sum(_squared_gradient(photo[patch.rows, patch.columns]) for patch in patches if patch)
               for photo in (before, after)]
    return float(np.sqrt(squares[1] / squares[0])) if squares[0] else 1.


def _squared_gradient(image):
    grey = image @ _GREY
    return sum(float(np.sum(np.diff(grey, axis=axis) ** 2)) for axis in (0, 1))


def _weights(patch, box, blend, scale):
    """[h, w] float32: 1 inside the box, 0 outside; in between, a ramp whose width depends on `blend`."""
    x0, y0, x1, y1 = box
    inwards = np.minimum.reduce([patch.x - x0, x1 - patch.x, patch.y - y0, y1 - patch.y]).astype(np.float32)
    # where the change is matched all along the rim, it need fade no more than the photo's pixels ask for
    width = _FEATHER * (y1 - y0) if blend == 'feather' else 1e-3 if blend == 'hard' and scale == 1 else scale
    ramp = np.clip(inwards / width, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
