"""python -m tools.benchmarks.operations

Counts the arithmetic of one training step at full size, for one face of each domain: the multiplications and additions
of convolutions and dense layers, in GFLOP, by network and by update. No implementation of these updates can do with
less. The GFLOP-equivalents of a step (tools/benchmarks/timing.py) divided by it tell how near to that floor it runs.
"""

import math
import os

from absl import app

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# How often each network runs in each update: (forward, gradients of inputs, gradients of weights). A face has two eyes:
# E_c and VGG see two crops. What an earlier update has left unchanged is not computed again.
UPDATES = {
    'D_x': {'D': (3, 3, 3), 'E_c': (3, 0, 0), 'E_r': (2, 0, 0), 'G.encoder': (3, 0, 0), 'G.decoder': (4, 0, 0)},
    'D_y': {'D': (2, 2, 2)},
    'G_x': {'D': (1, 1, 0), 'VGG': (2, 1, 0), 'G.encoder': (0, 1, 1), 'G.decoder': (0, 1, 1)},
    'G_y': {
        'D': (2, 2, 0),
        'VGG': (4, 2, 0),
        'E_c': (3, 2, 0),
        'E_r': (1, 2, 2),
        'G.encoder': (1, 1, 1),
        'G.decoder': (2, 2, 2),
    },
}


def forward(model):
    """Floating-point operations of one forward pass of a functional model, in GFLOP."""
    from gaze_tf.models.layers import EyePainter, Upconvolution

    total = 0
    for layer in model.layers:
        if isinstance(layer, EyePainter):
            windows = layer.input_shape[0]
            halo = layer.conv.kernel_size[0] - 1
            total += 2 * (windows[2] - halo) * (windows[3] - halo) * math.prod(layer.conv.kernel.shape)
        elif hasattr(layer, 'kernel'):
            # a transposed convolution takes its products where its inputs are
            places = layer.input_shape if isinstance(layer, Upconvolution) else layer.output_shape
            # as many input channels as there are: the mask is one
            kernel = [*layer.kernel.shape[:-2], layer.input_shape[-1], layer.output_shape[-1]]
            total += math.prod(places[1:-1]) * math.prod(kernel)
    return 2 * total / 1e9


def correction(model):
    """GFLOP of correcting one face with a GazeModel. It sees two eyes."""
    eyes = forward(model.content_encoder) + (forward(model.palette_encoder) if model.palette_encoder else 0)
    return 2 * eyes + forward(model.g_x.encoder) + forward(model.g_x.decoder)


def networks():
    """GFLOP of one forward pass of each network on one face."""
    from gaze_tf.config import ModelConfig
    from gaze_tf.models.gaze_model import GazeModel

    config = ModelConfig()
    model = GazeModel(config)
    return {
        'E_c': 2 * forward(model.content_encoder),
        'E_r': forward(model.angle_encoder),
        'G.encoder': forward(model.g_y.encoder),
        'G.decoder': forward(model.g_y.decoder),
        'D': forward(model.d_x),
        'VGG': 2 * _vgg_forward(config.crop_px),
    }


def _vgg_forward(side):
    """As `forward`, of VGG-16 up to conv5_3 on a crop of `side` pixels: its layers do not know their sizes."""
    from gaze_tf.losses.perceptual import vgg16

    total = 0
    for layer in vgg16().layers:
        if hasattr(layer, 'kernel'):
            total += (side // 2 ** (int(layer.name[5]) - 1)) ** 2 * math.prod(layer.kernel.shape)
    return 2 * total / 1e9


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r}: there is nothing to choose.')
    costs = networks()
    print(f'{"GFLOP":12}' + ''.join(f'{name:>11}' for name in costs) + f'{"all":>11}')
    print(f'{"forward":12}' + ''.join(f'{cost:11.2f}' for cost in costs.values()))
    sums = dict.fromkeys(costs, 0.0)
    for update, counts in UPDATES.items():
        row = {name: sum(counts.get(name, (0,))) * cost for name, cost in costs.items()}
        sums = {name: sums[name] + row[name] for name in costs}
        print(f'{update:12}' + ''.join(f'{value:11.2f}' for value in row.values()) + f'{sum(row.values()):11.2f}')
    print(f'{"step":12}' + ''.join(f'{value:11.2f}' for value in sums.values()) + f'{sum(sums.values()):11.2f}')


if __name__ == '__main__':
    app.run(main)
