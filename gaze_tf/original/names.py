"""Names of the variables in the original's checkpoints, and the variable of ours that each of them is.

The original saves TensorFlow 1 checkpoints. Its scopes: `Gr` is the content encoder E_c and, in a checkpoint of PAM,
its decoder; `encode` is E_r; `Gx`, `Gy`, `Dx` and `Dy` are as in the paper; `vgg_16` is the slim VGG-16. A convolution
is SCOPE/w and SCOPE/biases, a dense layer SCOPE/Matrix and SCOPE/bias, an instance normalization SCOPE/scale and
SCOPE/offset. SCOPE/sn_u holds the vectors of spectral normalization.

The layouts of weights are the same as ours, except for sn_u: the original keeps one vector for each of the C output
columns, [C, K], all equal up to their signs once they have converged; we keep one, [K].
"""

import re

import tensorflow as tf

from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.models.gaze_model import GazeModel

Variables = dict[str, tf.Variable]  # {the original's name: our variable}

CONTENT_ENCODER = 'Gr'
SERVING = ('encode', 'Gx', 'Gy')  # with E_c, all that correction and animation need
DISCRIMINATORS = ('Dx', 'Dy')
NETWORKS = (CONTENT_ENCODER, *SERVING, *DISCRIMINATORS)

# why a variable outside the networks is not needed, by pattern
_IGNORED = (
    (r'(.*/)?beta[12]_power(_\d+)?|.*/Adam(_\d+)?', "state of the original's optimizer"),
    (r'(.*/)?global_step', "the original's step counter"),
    (r'vgg_16/.*', 'the frozen perceptual network, which training reads from `vgg_weights`'),
)


def encoder_variables(encoder: tf.keras.Model, layers: int) -> Variables:
    """The variables of E_c with `layers` stride-2 convolutions."""
    return _by_name(encoder.layers, [*_down('Gr', layers), 'Gr/FC1'])


def pam_variables(autoencoder: tf.keras.Model, layers: int) -> Variables:
    """The variables of E_c with `layers` stride-2 convolutions and PAM's decoder."""
    return _by_name(autoencoder.layers, [*_down('Gr', layers), 'Gr/FC1', 'Gr/FC2', *_up('Gr', layers)])


def model_variables(model: GazeModel) -> dict[str, Variables]:
    """{scope: its variables} of every network of a GazeModel."""
    config = model.config
    angle = [f'encode/{kind}{i + 1}' for i in range(config.n_layers_e + 1) for kind in ('e_c', 'e_in')]
    generators = {
        scope: _by_name(
            [*network.encoder.layers, *network.decoder.layers],
            [*_down(scope, config.n_layers_g), f'{scope}/FC1', f'{scope}/FC2', *_up(scope, config.n_layers_g)],
        )
        for scope, network in (('Gx', model.g_x), ('Gy', model.g_y))
    }
    # Keras lists layers by depth: the two branches side by side
    branches = [*(f'd{i}' for i in range(config.n_layers_d)), 'fp']
    discriminators = {
        scope: _by_name(
            network.layers,
            [
                *(f'{scope}/{branch}/{layer}' for layer in branches for branch in ('d2', 'd1')),
                f'{scope}/fc1',
                f'{scope}/fc2',
            ],
        )
        for scope, network in (('Dx', model.d_x), ('Dy', model.d_y))
    }
    return {
        'Gr': encoder_variables(model.content_encoder, config.n_layers_r),
        'encode': _by_name(model.angle_encoder.layers, [*angle, 'encode/e_ful1']),
        **generators,
        **discriminators,
    }


def _down(scope: str, layers: int) -> list[str]:
    """Scopes of the 7x7 convolution and the stride-2 convolutions, each with its normalization."""
    return [f'{scope}/{kind}{i}' for i in ('', *range(layers)) for kind in ('conv', 'IN')]


def _up(scope: str, layers: int) -> list[str]:
    """Scopes of the transposed convolutions, each with its normalization, and of the output convolution."""
    return [*(f'{scope}/{kind}{i}' for i in range(layers) for kind in ('deconv', 'IN_')), f'{scope}/output_conv']


def _by_name(layers: list[tf.keras.layers.Layer], scopes: list[str]) -> Variables:
    """Pairs the layers that have weights with the original's scopes, in order."""
    layers, found = [layer for layer in layers if layer.weights], {}
    assert len(layers) == len(scopes), f'{len(layers)} layers with weights, {len(scopes)} scopes'
    for layer, scope in zip(layers, scopes):
        weights = {re.sub(r'.*/|:0', '', variable.name): variable for variable in layer.weights}
        dense = 'kernel' in weights and weights['kernel'].shape.rank == 2
        leaves = {
            'kernel': 'Matrix' if dense else 'w',
            'bias': 'bias' if dense else 'biases',
            'gamma': 'scale',
            'beta': 'offset',
            'u': 'sn_u',
        }
        found.update({f'{scope}/{leaves[leaf]}': variable for leaf, variable in weights.items()})
    return found


def explain_variables(checkpoint: CheckpointReader, known: dict[str, str]) -> dict[str, str]:
    """What becomes of each variable of a checkpoint: {name: 'used', or why it is ignored}.

    known: what the caller knows, at least of the variables that were restored. Raises GazeError for any other variable
    in the scope of a network: such a network has another architecture than ours.
    """
    fates = {}
    for name in sorted(checkpoint.shapes):
        reason = known.get(name) or next((reason for pattern, reason in _IGNORED if re.fullmatch(pattern, name)), None)
        if reason is None and name.split('/')[0] in NETWORKS:
            raise checkpoint.error(
                f"has {name}, for which our network of that scope has no place: this is not the original's layout"
            )
        fates[name] = reason or 'belongs to no network of the original'
    return fates
