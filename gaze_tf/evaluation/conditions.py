"""Photos as they come: held-out faces that are altered before a model sees them, and what it makes of them.

grey       without colours
blur1.5    blurred by a Gaussian of sigma 1.5 pixels of the model's frame
blur3      the same of 3
dark       a third of the light
noise      noise of sigma 8 grey levels, the same each time for a face and its twin
"""

import hashlib

import numpy as np
from PIL import Image
from scipy import ndimage

from gaze_tf.data.images import in_frame
from gaze_tf.evaluation.metrics import iris_offset, pixels

NAMES = ('grey', 'blur1.5', 'blur3', 'dark', 'noise')
SHARP = 0.6, 1.4  # a share of the input's sharpness within which eyes look like the rest of the picture
TINTED = 2  # levels between the channels of a grey picture beyond which it has a colour
_GREY = np.array([0.299, 0.587, 0.114])
_NOISE = 8.0


def alter(photo, condition, scale, name):
    """A photo uint8 [H, W, 3] under one of NAMES.

    scale: pixels of the model's frame in one of it. name: the face's, which seeds the noise.
    """
    values = photo.astype(np.float64)
    if condition == 'grey':
        values = np.repeat((values @ _GREY)[..., None], 3, axis=-1)
    elif condition.startswith('blur'):
        sigma = float(condition.removeprefix('blur')) / scale
        values = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    elif condition == 'dark':
        values /= 3
    else:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], 'big')
        values += np.random.default_rng(seed).normal(0, _NOISE, values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def measure(network, batch, condition, detector=None):
    """Columns of the Batch's faces, corrected under a condition, `CONDITION_…`: sharpness in the boxes as a share of the
    altered input's, with twins psnr_twin there to the altered twin, with a detector offset_along_after; of grey ones chroma,
    the most that channels differ by in the data set's image with the eyes put back, in levels."""
    samples = [_altered(sample, condition) for sample in batch.samples]
    corrected = network.correct(np.stack([sample.image for sample in samples]), batch.eyes)
    found = []
    for sample, after, boxes in zip(samples, corrected, batch.boxes):
        row = {'sharpness': pixels.sharpness(after, sample.image, boxes)}
        if sample.twin is not None:
            row['psnr_twin'] = pixels.psnr(*(pixels.in_boxes(picture, boxes) for picture in (after, sample.twin)))
        whole = sample.in_photo(after, boxes)
        if detector:
            offset = iris_offset.offset(detector, whole, sample.eyes_in_photo)
            row['offset_along_after'] = float('nan') if offset is None else float(offset[0])
        if condition == 'grey':
            row['chroma'] = int(np.ptp(whole.astype(int), axis=-1).max())
        found.append({f'{condition}_{name}': value for name, value in row.items()})
    return found


def _altered(sample, condition):
    """The Sample with its pictures altered in the data set's image, then cut."""
    scale = float(sample.frame.scale)
    if sample.photo is None:
        image, twin = (
            picture if picture is None else alter(picture, condition, scale, sample.name)
            for picture in (sample.image, sample.twin)
        )
        return sample._replace(image=image, twin=twin)
    photo, twin_photo = (
        picture if picture is None else alter(picture, condition, scale, sample.name)
        for picture in (sample.photo, sample.twin_photo)
    )
    image, twin = (
        picture if picture is None else np.array(in_frame(Image.fromarray(picture), sample.frame))
        for picture in (photo, twin_photo)
    )
    return sample._replace(image=image, twin=twin, photo=photo, twin_photo=twin_photo)
