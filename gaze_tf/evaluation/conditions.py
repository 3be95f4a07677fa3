"""Photos as they come: held-out faces that are altered before a model sees them.

grey       without colors
blur1.5    blurred by a Gaussian of sigma 1.5 pixels of the model's frame
blur3      the same of 3
dark       a third of the light
noise      noise of sigma 8 gray levels, the same each time for a face and its twin
"""

import hashlib

import numpy as np
from PIL import Image
from scipy import ndimage

from gaze_tf.data.images import in_frame
from gaze_tf.evaluation.options import CONDITIONS
from gaze_tf.evaluation.samples import Sample

NAMES = CONDITIONS
_GRAY = np.array([0.299, 0.587, 0.114])
_NOISE = 8.0


def alter(photo: np.ndarray, condition: str, scale: float, name: str) -> np.ndarray:
    """A photo uint8 [H, W, 3] under one of NAMES.

    scale: pixels of the model's frame in one of the photo. name: the face's; it seeds the noise.
    """
    values = photo.astype(np.float64)
    if condition == 'grey':
        values = np.repeat((values @ _GRAY)[..., None], 3, axis=-1)
    elif condition.startswith('blur'):
        sigma = float(condition.removeprefix('blur')) / scale
        values = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    elif condition == 'dark':
        values /= 3
    else:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], 'big')
        values += np.random.default_rng(seed).normal(0, _NOISE, values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def alter_sample(sample: Sample, condition: str) -> Sample:
    """The Sample with its pictures altered in the data set's image, then cut."""
    scale = float(sample.frame.scale)
    whole = alter(sample.whole, condition, scale, sample.name)
    whole_twin = None if sample.whole_twin is None else alter(sample.whole_twin, condition, scale, sample.name)
    if sample.photo is None:
        return sample._replace(image=whole, twin=whole_twin)
    return sample._replace(
        image=_cut(whole, sample),
        twin=None if whole_twin is None else _cut(whole_twin, sample),
        photo=whole,
        twin_photo=whole_twin,
    )


def _cut(picture, sample):
    return np.array(in_frame(Image.fromarray(picture), sample.frame))
