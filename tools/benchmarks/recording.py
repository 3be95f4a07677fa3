"""Recordings of the original: configuration and variables (JSON), inputs and outputs (npz), known weights.

The original was run on weights whose every value follows from the variable's name (`known_value`), so that a
recording needs to hold none of them.
"""

import json
import pathlib
import zlib
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import tensorflow as tf

from gaze_tf.errors import GazeError

INPUTS = ('x', 'y', 'x_eyes', 'y_eyes', 'alphas')


class Recording(NamedTuple):
    """What the original was given, and what it computed."""

    config: dict  # its options
    variables: dict  # {name: shape} of every variable
    images: dict  # {'x': uint8 [B, S, S, 3], 'y': …}
    eyes: dict  # {'x': float32 [B, 4] pixels, 'y': …}
    values: dict  # everything recorded, {key: array}

    def keys(self, prefix):
        """The keys that begin so, without the prefix."""
        return [key[len(prefix) :] for key in self.values if key.startswith(prefix)]


def load(golden, meta):
    """The Recording in a pair of files; raises GazeError that names the file at fault."""
    try:
        description = json.loads(pathlib.Path(meta).read_text(encoding='utf-8'))
        config, variables = dict(description['config']), dict(description['variables'])
        size, _, _ = config['img_size'], config['crop_w'], config['crop_h']
        if not all(isinstance(side, int) and side > 0 for side in (size, *sum(variables.values(), []))):
            raise ValueError('img_size and shapes of variables must be whole numbers above 0')
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GazeError(f'--meta: {meta} does not describe a recording ({error!r}).') from error
    try:
        with np.load(golden) as file:
            values = {key: file[key] for key in file.files}
    # a damaged archive raises zipfile.BadZipFile, EOFError or zlib.error, none of them an OSError
    except Exception as error:
        raise GazeError(f'--golden: {golden} is no recording ({error!r}).') from error
    eyes, images = {}, {}
    for number, domain in enumerate('xy', start=1):
        eyes[domain] = _checked(golden, values, f'{domain}_eyes', (None, 4)).astype(np.float32)
        if domain in values:
            images[domain] = _checked(golden, values, domain, (len(eyes[domain]), size, size, 3))
        elif 'pos_seed' in description:
            images[domain] = smooth_noise(description['pos_seed'] + number, len(eyes[domain]), size)
        else:
            raise GazeError(f'--meta: {meta} has no pos_seed, and --golden does not hold the images.')
    return Recording(
        config, variables, images, eyes, {key: value for key, value in values.items() if key not in INPUTS}
    )


def _checked(golden, values, key, shape):
    """An input of finite numbers of this shape (None: any)."""
    value = values.get(key)
    if (
        value is None
        or value.dtype.kind not in 'iuf'
        or not np.isfinite(value).all()
        or value.ndim != len(shape)
        or any(side not in (None, found) for side, found in zip(shape, value.shape))
    ):
        raise GazeError(f'--golden: {golden} should hold {key}, finite numbers of shape {list(shape)}.')
    return value


def smooth_noise(seed, count, size):
    """The images uint8 [count, size, size, 3] that a recording leaves out: mostly smooth noise."""
    rng = np.random.RandomState(seed)
    coarse = rng.rand(count, size // 8, size // 8, 3)
    images = [0.85 * scipy.ndimage.zoom(image, (8, 8, 1), order=1) + 0.15 * rng.rand(size, size, 3) for image in coarse]
    return np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)


def known_value(name, shape):
    """The value of a variable, from its name and shape alone (float32)."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    draw, leaf = rng.standard_normal(shape), name.split('/')[-1]
    if leaf == 'scale':
        return (1 + 0.1 * draw).astype(np.float32)
    if leaf in ('biases', 'bias', 'offset'):
        return (0.1 * draw).astype(np.float32)
    # a transposed convolution [h, w, out, in] of stride 2 meets a quarter of its kernel at each pixel
    fan_in = int(shape[0] * shape[1] * shape[3] / 4) if 'deconv' in name else int(np.prod(shape[:-1]))
    return (np.sqrt(2 / fan_in) * draw).astype(np.float32)


def _converged(matrix):
    """sn_u [C, K] of a kernel [..., C]: its first singular vector, the same for each column."""
    matrix = matrix.reshape(-1, matrix.shape[-1]).astype(np.float64)
    u = np.linalg.svd(matrix, full_matrices=False)[0][:, 0]
    u *= np.sign(u[np.abs(u).argmax()])
    return np.tile(u, (matrix.shape[1], 1)).astype(np.float32)


def write_checkpoints(variables, folder):
    """Writes the known values as the original saves them: (prefix of the networks', prefix of VGG-16's)."""
    try:
        values = {name: known_value(name, shape) for name, shape in variables.items() if not name.endswith('/sn_u')}
        for name in variables:
            if name.endswith('/sn_u'):
                scope = name[: -len('sn_u')]
                values[name] = _converged(values[f'{scope}w'] if f'{scope}w' in values else values[f'{scope}Matrix'])
    except (KeyError, IndexError) as error:
        raise GazeError(f'--meta: its variables are not those of the original ({error!r}).') from error
    prefixes = folder / 'model_000000.ckpt', folder / 'vgg_16.ckpt'
    for prefix, of_vgg in zip(prefixes, (False, True)):
        names = [name for name in sorted(values) if name.startswith('vgg_16/') == of_vgg]
        if names:
            tf.raw_ops.SaveV2(
                prefix=str(prefix),
                tensor_names=names,
                shape_and_slices=[''] * len(names),
                tensors=[values[name] for name in names],
            )
    return tuple(str(prefix) for prefix in prefixes)
