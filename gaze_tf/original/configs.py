"""The configuration of a checkpoint of the original, as far as it follows from the shapes of its variables.

Everything here raises GazeError if a variable is missing or has a shape that no network of the original has.
"""

import dataclasses
import math
from typing import Any

from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.config import EncoderConfig, ModelConfig
from gaze_tf.original import names


def image_size(checkpoint: CheckpointReader) -> int:
    """The side of the face images of a whole model, in pixels."""
    return _side(checkpoint, 'Gx')


def encoder_config(checkpoint: CheckpointReader, img_size: int, crop_w: int, crop_h: int) -> EncoderConfig:
    """The configuration of E_c. Image size and box size, in pixels, do not follow from the variables of E_c."""
    return EncoderConfig(
        img_size,
        crop_w,
        crop_h,
        crop_px=_side(checkpoint, 'Gr'),
        code_size=checkpoint.shape('Gr/FC1/Matrix', 2)[1],
        ngf=checkpoint.shape('Gr/conv/w', 4)[3],
        n_layers_r=_count(checkpoint, 'Gr/conv'),
    )


def model_config(checkpoint: CheckpointReader, encoder: EncoderConfig) -> ModelConfig:
    """The configuration of a whole model whose E_c has the configuration `encoder`."""
    discriminator: dict[str, Any] = {}
    if checkpoint.has(*names.DISCRIMINATORS):
        # from the local branch, whose widths have the higher limit
        discriminator = {
            'ndf': checkpoint.shape('Dx/d1/d0/w', 4)[3] // 2,
            'n_layers_d': _count(checkpoint, 'Dx/d1/d'),
            'use_sp': 'Dx/fc2/sn_u' in checkpoint.shapes,
        }
    return ModelConfig(
        **dataclasses.asdict(encoder),
        nef=checkpoint.shape('encode/e_c1/w', 4)[3],
        n_layers_e=_count(checkpoint, 'encode/e_c', first=2),
        n_layers_g=_count(checkpoint, 'Gx/conv'),
        **discriminator,
    )


def _count(checkpoint: CheckpointReader, scope: str, first: int = 0) -> int:
    """The number of layers in a series (scope0, scope1, …); raises GazeError if there are none."""
    number = 0
    while checkpoint.has(f'{scope}{first + number}'):
        number += 1
    if not number:
        raise checkpoint.error(f'has no variable {scope}{first}/w')
    return number


def _side(checkpoint: CheckpointReader, scope: str) -> int:
    """The side of the square input of a network's stride-2 convolutions, from the dense layer that follows them."""
    layers, dense = _count(checkpoint, f'{scope}/conv'), f'{scope}/FC1/Matrix'
    rows, width = checkpoint.shape(dense, 2)[0], checkpoint.shape(f'{scope}/conv{layers - 1}/w', 4)[3]
    side = math.isqrt(rows // width)
    if side * side * width != rows:
        raise checkpoint.error(f'has {dense} of {rows} rows, which is no square of the {width} channels before it')
    return side * 2**layers
