"""Reads checkpoints in the original's layout: its variables by name, and which of ours each of them is.

The original saves TensorFlow 1 checkpoints. Its scopes: `Gr` the content encoder E_c and, in a checkpoint
of PAM, its decoder; `encode` E_r; `Gx`, `Gy`, `Dx`, `Dy` as in the paper; `vgg_16` the slim VGG-16. A
convolution is SCOPE/w and SCOPE/biases, a dense layer SCOPE/Matrix and SCOPE/bias, an instance
normalisation SCOPE/scale and SCOPE/offset, and SCOPE/sn_u holds the vectors of spectral normalisation.

Layouts of weights agree with ours, but for sn_u: the original keeps one vector for each of the C output
columns, [C, K], all equal up to sign once converged; we keep one, [K].
"""

import dataclasses
import math
import pathlib
import re

import numpy as np
import tensorflow as tf

from gaze_tf.checkpoint_index import UNREADABLE, open_checkpoint
from gaze_tf.config import EncoderConfig, ModelConfig
from gaze_tf.errors import GazeError, first_line

CONTENT_ENCODER = 'Gr'
SERVING = ('encode', 'Gx', 'Gy')  # with E_c, all that correction and animation need
DISCRIMINATORS = ('Dx', 'Dy')
NETWORKS = (CONTENT_ENCODER, *SERVING, *DISCRIMINATORS)

# why a variable outside the networks is not needed, by pattern
_IGNORED = (
    (r'(.*/)?beta[12]_power(_\d+)?|.*/Adam(_\d+)?', "state of the original's optimizer"),
    (r'(.*/)?global_step', "the original's step counter"),
    (r'vgg_16/.*', 'the frozen perceptual network, which `gaze-tf train` reads from --vgg_weights'),
)


class Checkpoint:
    """Variables of one TensorFlow checkpoint, of either format, by name; `shapes` is {name: shape}."""

    def __init__(self, path, flag):
        """path: prefix of the files, one of the files, or the folder; flag: named in errors. Raises GazeError."""
        self.prefix, self._flag = _prefix(path, flag), flag
        try:
            self._reader = open_checkpoint(self.prefix)
            self.shapes = {name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()}
        except UNREADABLE as error:
            raise self.error('is not a TensorFlow checkpoint, or its files are incomplete or damaged', error) from error

    def error(self, problem, cause=None):
        """A GazeError that names the flag and the file."""
        return GazeError(f'{self._flag}: {self.prefix} {problem}' + (f' ({first_line(cause)}).' if cause else '.'))

    def value(self, name, shape):
        """The values of variable `name`, float32; raises GazeError if it is missing, odd or of another shape."""
        if self.shape(name) != tuple(shape):
            raise self.error(f'has {name} of shape {list(self.shape(name))}, where {list(shape)} is expected')
        try:
            value = np.asarray(self._reader.get_tensor(name), np.float32)
        except UNREADABLE as error:
            raise self.error(f'does not give {name}: its files are incomplete or damaged', error) from error
        if not np.isfinite(value).all():
            raise self.error(f'has values in {name} that are not finite')
        return value

    def shape(self, name, rank=None):
        """The shape of a variable; raises GazeError if there is none, or none of that rank."""
        if name not in self.shapes:
            raise self.error(f'has no variable {name}')
        shape = self.shapes[name]
        if rank and (len(shape) != rank or 0 in shape):
            raise self.error(f'has {name} of shape {list(shape)}, which is no kernel')
        return shape

    def has(self, *scopes):
        """Whether there is any variable in one of the scopes."""
        return any(name.startswith(f'{scope}/') for scope in scopes for name in self.shapes)


def _prefix(path, flag):
    """The prefix of a checkpoint given as such, as one of its files, or as the folder that holds it."""
    path = pathlib.Path(path)
    if path.is_dir():
        return _newest(path, flag)
    prefix = re.sub(r'\.(index|meta|data-\d{5}-of-\d{5})$', '', str(path))
    # the older format, as of vgg_16.ckpt, is one file
    if not (pathlib.Path(f'{prefix}.index').is_file() or pathlib.Path(prefix).is_file()):
        raise GazeError(f'{flag}: there is no checkpoint {prefix}: {prefix}.index is missing.')
    return prefix


def _newest(folder, flag):
    """The checkpoint that a folder's `checkpoint` file names, or the only one that lies in it."""
    prefixes = sorted(path.with_suffix('') for path in folder.glob('*.index'))
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except UnicodeDecodeError:
        state = None
    # the folder may have been moved since the file was written: only the last part of the path counts
    named = folder / pathlib.PurePath(state.model_checkpoint_path).name if state else None
    if named in prefixes:
        return str(named)
    if not prefixes:
        raise GazeError(f'{flag}: there is no checkpoint in {folder}.')
    if len(prefixes) > 1:
        raise GazeError(
            f'{flag}: there are several checkpoints in {folder}; give one of '
            f'{", ".join(str(path) for path in prefixes)}.'
        )
    return str(prefixes[0])


def image_size(checkpoint):
    """Side of the face images of a whole model, in pixels, from its variables' shapes."""
    return _side(checkpoint, 'Gx')


def encoder_config(checkpoint, img_size, crop_w, crop_h):
    """The EncoderConfig of E_c, from its variables' shapes and what they do not tell."""
    return EncoderConfig(
        img_size,
        crop_w,
        crop_h,
        crop_px=_side(checkpoint, 'Gr'),
        code_size=checkpoint.shape('Gr/FC1/Matrix', 2)[1],
        ngf=checkpoint.shape('Gr/conv/w', 4)[3],
        n_layers_r=_count(checkpoint, 'Gr/conv'),
    )


def model_config(checkpoint, encoder):
    """The ModelConfig of a whole model, from its variables' shapes and its E_c's EncoderConfig."""
    discriminator = {}
    if checkpoint.has(*DISCRIMINATORS):
        # in the local branch the cap on widths is higher
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


def _count(checkpoint, scope, first=0):
    """How many layers of a numbered series there are (scope0, scope1, …); at least one, or GazeError."""
    number = 0
    while checkpoint.has(f'{scope}{first + number}'):
        number += 1
    if not number:
        raise checkpoint.error(f'has no variable {scope}{first}/w')
    return number


def _side(checkpoint, scope):
    """Side of the square input of a network's stride-2 convolutions, from the dense layer behind the last of them."""
    layers, dense = _count(checkpoint, f'{scope}/conv'), f'{scope}/FC1/Matrix'
    rows, width = checkpoint.shape(dense, 2)[0], checkpoint.shape(f'{scope}/conv{layers - 1}/w', 4)[3]
    side = math.isqrt(rows // width)
    if side * side * width != rows:
        raise checkpoint.error(f'has {dense} of {rows} rows, which is no square of the {width} channels before it')
    return side * 2**layers


def encoder_variables(encoder, layers):
    """{the original's name: our variable} of E_c with `layers` stride-2 convolutions."""
    return _by_name(encoder.layers, [*_down('Gr', layers), 'Gr/FC1'])


def pam_variables(autoencoder, layers):
    """{the original's name: our variable} of E_c and PAM's decoder."""
    return _by_name(autoencoder.layers, [*_down('Gr', layers), 'Gr/FC1', 'Gr/FC2', *_up('Gr', layers)])


def model_variables(model):
    """{scope: {the original's name: our variable}} of every network of a GazeModel."""
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


def _down(scope, layers):
    """Scopes of the 7x7 convolution and the stride-2 convolutions, each with its normalisation."""
    return [f'{scope}/{kind}{i}' for i in ('', *range(layers)) for kind in ('conv', 'IN')]


def _up(scope, layers):
    """Scopes of the transposed convolutions, each with its normalisation, and of the output convolution."""
    return [*(f'{scope}/{kind}{i}' for i in range(layers) for kind in ('deconv', 'IN_')), f'{scope}/output_conv']


def _by_name(layers, scopes):
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


def restore(checkpoint, variables):
    """Gives our variables ({the original's name: variable}) their values; all of them, or raises GazeError."""
    missing = [name for name in variables if name not in checkpoint.shapes]
    if missing:
        raise checkpoint.error(
            f'has no variable {missing[0]}' + (f' (and {len(missing) - 1} more are missing)' if missing[1:] else '')
        )
    for name, variable in variables.items():
        if name.endswith('/sn_u'):
            scope = name[: -len('sn_u')]
            kernel = variables.get(f'{scope}w', variables.get(f'{scope}Matrix'))
            matrix = tf.reshape(kernel, [-1, kernel.shape[-1]]).numpy()
            variable.assign(_singular_vector(checkpoint.value(name, matrix.T.shape), matrix))
        else:
            variable.assign(checkpoint.value(name, variable.shape))


def _singular_vector(vectors, matrix):
    """Of the C rows of sn_u [C, K], the one that is nearest to the matrix's [K, C] first singular vector."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors[np.linalg.norm(vectors @ matrix, axis=1).argmax()]


def check_same(checkpoint, other, names):
    """Raises GazeError where the first checkpoint has a variable with other values than the second has."""
    for name in names:
        if name in checkpoint.shapes:
            shape = other.shapes[name]
            if checkpoint.shapes[name] != shape or not np.array_equal(
                checkpoint.value(name, shape), other.value(name, shape)
            ):
                raise checkpoint.error(
                    f'has another {name} than {other.prefix}: its model was trained with its own '
                    'content encoder, so leave out --pam'
                )


def account(checkpoint, known):
    """What becomes of each variable: {name: 'used', or why it is ignored}.

    known: the fates that the caller knows, those of the variables that were restored above all. Raises GazeError
    for any other variable in a network's scope: then it is not the network that we think it is.
    """
    fates = {}
    for name in sorted(checkpoint.shapes):
        reason = known.get(name) or next((reason for pattern, reason in _IGNORED if re.fullmatch(pattern, name)), None)
        if reason is None and name.split('/')[0] in NETWORKS:
            raise checkpoint.error(
                f'has {name}, for which there is no place in our network of that scope: this is not '
                "the original's layout"
            )
        fates[name] = reason or 'belongs to no network of the original'
    return fates


def vgg16_weights(path, shapes):
    """(kernel, bias) of each convolution of a slim VGG-16 checkpoint, in order; raises GazeError.

    path: prefix of either format; shapes: of our kernels, by layer name, block1_conv1 to block5_conv3. Slim's
    kernels take RGB, as the original feeds them.
    """
    checkpoint, weights = Checkpoint(path, '--vgg_weights'), []
    for layer, shape in shapes.items():
        block, number = re.fullmatch(r'block(\d)_conv(\d)', layer).groups()
        scope = f'vgg_16/conv{block}/conv{block}_{number}'
        weights.append((checkpoint.value(f'{scope}/weights', shape), checkpoint.value(f'{scope}/biases', shape[-1:])))
    return weights
