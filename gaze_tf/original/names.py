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


def encoder_variables(encoder: tf.keras.Model) -> Variables:
    """The variables of E_c."""
    return _in_scope('Gr', encoder)


def pam_variables(autoencoder: tf.keras.Model) -> Variables:
    """The variables of E_c and PAM's decoder."""
    return _in_scope('Gr', autoencoder)


def model_variables(model: GazeModel) -> dict[str, Variables]:
    """{scope: its variables} of every network of a GazeModel."""
    return {
        'Gr': encoder_variables(model.content_encoder),
        'encode': _in_scope('encode', model.angle_encoder),
        'Gx': _in_scope('Gx', model.g_x.encoder, model.g_x.decoder),
        'Gy': _in_scope('Gy', model.g_y.encoder, model.g_y.decoder),
        'Dx': _in_scope('Dx', model.d_x),
        'Dy': _in_scope('Dy', model.d_y),
    }


def _in_scope(scope: str, *networks: tf.keras.Model) -> Variables:
    """The variables of networks, whose layers have the names of the original's scopes inside `scope`."""
    found = {}
    for layer in (layer for network in networks for layer in network.layers):
        weights = {re.sub(r'.*/|:0', '', variable.name): variable for variable in layer.weights}
        dense = 'kernel' in weights and weights['kernel'].shape.rank == 2
        leaves = {
            'kernel': 'Matrix' if dense else 'w',
            'bias': 'bias' if dense else 'biases',
            'gamma': 'scale',
            'beta': 'offset',
            'u': 'sn_u',
        }
        found.update({f'{scope}/{layer.name}/{leaves[leaf]}': variable for leaf, variable in weights.items()})
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
