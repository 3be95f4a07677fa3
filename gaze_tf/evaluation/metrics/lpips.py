"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"), v0.1, AlexNet.

It needs two files of weights, WEIGHTS. They are not part of this package, and it never downloads them.
"""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.metrics import torch_files

# name: (where to find it, its SHA-256)
WEIGHTS = {
    'alexnet-owt-7be5be79.pth': (
        'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth',
        '7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02',
    ),
    'alex.pth': (
        'lpips/weights/v0.1/alex.pth in the package lpips 0.1.4 (pip download lpips==0.1.4 --no-deps, then unzip)',
        'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0',
    ),
}
SMALLEST = 31  # pixels: a shorter side leaves AlexNet's third layer nothing to see
# what v0.1 takes from images in [-1, 1], and what it divides by: ImageNet's means and deviations
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

# AlexNet's convolutions: name, shape (outputs, inputs, height, width), stride, padding, maximum over 3 x 3 before it
LAYERS = (
    ('features.0', (64, 3, 11, 11), 4, 2, False),
    ('features.3', (192, 64, 5, 5), 1, 2, True),
    ('features.6', (384, 192, 3, 3), 1, 1, True),
    ('features.8', (256, 384, 3, 3), 1, 1, False),
    ('features.10', (256, 256, 3, 3), 1, 1, False),
)


class Lpips:
    """`Lpips(backbone_path, linear_path)(images_a, images_b)` → LPIPS of each pair, float32 [B], 0 for equal images."""

    def __init__(self, backbone_path: pathlib.Path | str, linear_path: pathlib.Path | str) -> None:
        """backbone_path: torchvision's AlexNet, `alexnet-owt-7be5be79.pth` or the older `alexnet-owt-4df8aa71.pth`;
        linear_path: `weights/v0.1/alex.pth` of the package lpips. Raises GazeError if one is not what it should be."""
        backbone, linear = torch_files.read(backbone_path), torch_files.read(linear_path)
        self._layers = []
        for index, (name, shape, stride, padding, pool) in enumerate(LAYERS):
            kernel = _value(backbone, f'{name}.weight', shape, backbone_path)
            bias = _value(backbone, f'{name}.bias', shape[:1], backbone_path)
            share = _value(linear, f'lin{index}.model.1.weight', (1, shape[0], 1, 1), linear_path)
            self._layers.append(
                (
                    tf.constant(kernel.transpose(2, 3, 1, 0)),
                    tf.constant(bias),
                    stride,
                    padding,
                    pool,
                    tf.constant(share.reshape(-1)),
                )
            )

    def __call__(self, images_a: np.ndarray, images_b: np.ndarray) -> np.ndarray:
        """images: RGB [B, H, W, 3] in 0..255, uint8 or float, at least 31 pixels a side (resize smaller ones, and say
        so beside the value: it depends on the size). Raises GazeError if they are smaller."""
        if min(images_a.shape[1:3]) < SMALLEST:
            raise GazeError(
                f'LPIPS needs images of at least {SMALLEST} x {SMALLEST} pixels: enlarge those of '
                f'{images_a.shape[2]} x {images_a.shape[1]} pixels first.'
            )
        a, b = ((tf.cast(images, tf.float32) / 127.5 - 1 - SHIFT) / SCALE for images in (images_a, images_b))
        total: Any = 0.0
        for kernel, bias, stride, padding, pool, share in self._layers:
            a, b = (_layer(x, kernel, bias, stride, padding, pool) for x in (a, b))
            total += tf.reduce_mean(tf.linalg.matvec(tf.square(_unit(a) - _unit(b)), share), axis=(1, 2))
        return total.numpy()


def _layer(x, kernel, bias, stride, padding, pool):
    if pool:
        x = tf.nn.max_pool2d(x, 3, 2, 'VALID')
    pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    return tf.nn.relu(tf.nn.conv2d(x, kernel, stride, pads) + bias)


def _unit(features):
    """Divided by their length over the channels at each place."""
    return features / (tf.norm(features, axis=-1, keepdims=True) + 1e-10)


def _value(weights, name, shape, path):
    """weights[name]; raises GazeError, which names the file, if it is missing or of another shape."""
    if name not in weights or weights[name].shape != shape:
        found = list(weights[name].shape) if name in weights else 'none'
        raise GazeError(
            f'{path} does not hold these weights: {name} must have shape {list(shape)}, and there is '
            f'{found}; give {" or ".join(WEIGHTS)}.'
        )
    return np.ascontiguousarray(weights[name])
