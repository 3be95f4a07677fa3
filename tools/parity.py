"""python -m tools.parity --golden=tests/data/dual_inpainting_128.npz --meta=tests/data/dual_inpainting_128.json

Recomputes everything in a recording of the original and compares: geometry, outputs, losses, gradients, training
steps. The networks get the recording's known weights through a checkpoint in the original's layout. Prints a line
for each group: the worst deviation, its tolerance, and where it is. The last line is

    parity: N compared, M left out, worst X at NAME

N and M count recorded arrays, X is a share of its tolerance: above 1 it fails, and the exit status is 1. It is 2
where files cannot be used.
"""

import dataclasses
import os
import pathlib
import sys
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import tensorflow as tf
from absl import app, flags

from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.data.pipeline import Batch, to_float
from gaze_tf.errors import GazeError
from gaze_tf.losses import reconstruction
from gaze_tf.losses.adversarial import LOSSES
from gaze_tf.losses.perceptual import vgg16
from gaze_tf.original import configs, convert, names  # before TensorFlow, as gaze_tf says how that is to start
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.objectives import Objectives
from gaze_tf.training.pam_step import PamStep
from tools.benchmarks import comparison, recording

# what each of the original's losses trains
_TRAINED = {'Dx_loss': 'd_x', 'Dy_loss': 'd_y', 'Gx_loss': 'g_x', 'Gy_loss': 'g_y'}


class Dual:
    """The dual in-painting model on the inputs and with the known weights of a recording."""

    def __init__(self, recorded, folder):
        prefix, vgg_prefix = recording.write_checkpoints(recorded.variables, folder)
        checkpoint, options = CheckpointReader(prefix), recorded.config
        encoder = configs.encoder_config(
            checkpoint, configs.image_size(checkpoint), options['crop_w'], options['crop_h']
        )
        config = configs.model_config(checkpoint, encoder)
        _check_config(config, options)
        self.gan = GanConfig(
            **_given(options, 'lr_d', 'lr_g', 'beta1', 'beta2', 'lam_r', 'lam_p'),
            loss_type=_our_loss(options.get('loss_type', 'softplus')),
        )
        self.step = GanStep(config, self.gan, vgg=lambda: vgg16(vgg_prefix))
        self.model = self.step.model
        # also where lam_p is 0: the unweighted terms are recorded all the same
        self.vgg = self.step.objectives.vgg or vgg16(vgg_prefix)
        self.variables = {
            name: variable for scope in names.model_variables(self.model).values() for name, variable in scope.items()
        }
        convert.restore(checkpoint, self.variables)
        names.explain_variables(checkpoint, dict.fromkeys(self.variables, 'used'))
        self.batches = _batches(recorded)

    def forward(self):
        """Faces by the original's names: those given, x̃, ỹ, ỹˣ and ŷ; and the canvas of y."""
        model = self.model
        x, y = (model.look(batch.image, batch.eyes) for batch in self.batches)
        canvas, y2x = model.canvas(y), model.correct(y)
        return {
            'xl': x,
            'yl': y,
            'xo': model.correct(x),
            'yo': model.animate(canvas, like=y),
            'y2x': y2x,
            'y2x_': model.animate(canvas, like=y2x),
        }, canvas

    def geometry(self):
        found = {}
        for name, faces in zip('xy', (self.model.look(batch.image, batch.eyes) for batch in self.batches)):
            boxes = faces.boxes.numpy().astype(np.float64) / self.model.config.img_size
            found.update(
                {
                    f'{name}_mask': np.repeat(faces.mask, 3, axis=-1),
                    f'{name}_boxes_left': boxes[:, 0],
                    f'{name}_boxes_right': boxes[:, 1],
                }
            )
        return found

    def outputs(self, alphas):
        """Everything under out/; alphas as they are written in the keys."""
        faces, canvas = self.forward()
        found = {f'out/{name}': faces[name].image for name in ('xo', 'yo', 'y2x', 'y2x_')}
        for name in ('xl', 'yl', 'y2x'):
            found.update(
                {
                    f'out/{name}_left': faces[name].left,
                    f'out/{name}_right': faces[name].right,
                    f'out/{name}_content': faces[name].content,
                    f'out/{name}_fp': self.model.angle(faces[name]),
                }
            )
        for alpha in filter(_is_number, alphas):
            found[f'out/inter/{alpha}'] = self.model.interpolate(canvas, faces['y2x'], float(alpha)).image
        for name, discriminator, of in (
            ('dx', self.model.d_x, 'xl'),
            ('gx', self.model.d_x, 'xo'),
            ('gyx', self.model.d_x, 'y2x_'),
            ('dy', self.model.d_y, 'yl'),
            ('gy', self.model.d_y, 'yo'),
        ):
            found[f'out/{name}_logits'] = discriminator([faces[of].image, faces[of].left, faces[of].right])
        return found

    def losses(self, loss_type, faces):
        """(the four totals, the unweighted terms), by the original's names."""
        objectives = Objectives(self.model, dataclasses.replace(self.gan, loss_type=loss_type), self.vgg)
        x, y, x_rec, y_rec, y_cor, y_hat = (faces[name] for name in ('xl', 'yl', 'xo', 'yo', 'y2x', 'y2x_'))
        dx, on_dx = objectives.d_x(x, x_rec, y_hat, 0)
        dy, on_dy = objectives.d_y(y, y_rec, 0)
        gx, on_gx = objectives.g_x(x, x_rec)
        gy, on_gy = objectives.g_y(y, y_rec, y_cor, y_hat)
        return {'Dx_loss': dx, 'Dy_loss': dy, 'Gx_loss': gx, 'Gy_loss': gy}, {
            'dx_gan_loss': on_dx['d_x/rec'],
            'dyx_gan_loss': on_dx['d_x/hat'],
            'dy_gan_loss': on_dy['d_y/rec'],
            'gx_gan_loss': on_gx['g_x/adversarial'],
            'gy_gan_loss': on_gy['g_y/adversarial'],
            'gyx_gan_loss': on_gy['g_y/adversarial_hat'],
            'recon_loss_x': on_gx['g_x/reconstruction'],
            'recon_loss_y': on_gy['g_y/reconstruction'],
            'recon_loss_y_angle': on_gy['g_y/reconstruction_hat'],
            'percep_loss_x': on_gx['g_x/perceptual'],
            'percep_loss_y': on_gy['g_y/perceptual'],
            'recon_fp_content': on_gy['g_y/content'] + on_gy['g_y/content_hat'],
        }

    def gradients(self, losses):
        """[norm, sum, largest] of the gradient of each of the totals with respect to what it trains."""
        with tf.GradientTape(persistent=True) as tape:
            totals, _ = self.losses(self.gan.loss_type, self.forward()[0])
        names = {variable.ref(): name for name, variable in self.variables.items()}
        found = {}
        for loss in losses & set(_TRAINED):
            variables = self.step.variables[_TRAINED[loss]]
            for variable, gradient in zip(
                variables, tape.gradient(totals[loss], variables, unconnected_gradients='zero')
            ):
                gradient = gradient.numpy().astype(np.float64)
                found[f'grad/{loss}/{names[variable.ref()]}'] = [
                    np.linalg.norm(gradient),
                    gradient.sum(),
                    np.abs(gradient).max(),
                ]
        return found

    def recompute(self, recorded):
        """Everything that a recording holds, by its keys."""
        found = {**self.geometry(), **self.outputs(recorded.keys('out/inter/'))}
        faces, _ = self.forward()
        for loss_type in {key.split('/')[0] for key in recorded.keys('loss/')} & set(LOSSES):
            for group in self.losses(_our_loss(loss_type), faces):
                found.update({f'loss/{loss_type}/{name}': value for name, value in group.items()})
        found.update(self.gradients({key.split('/')[0] for key in recorded.keys('grad/')}))
        for prefix in _steps(recorded, self.step.train_step, self.batches, self.variables, found):
            found.update({prefix + key: value for key, value in self.outputs([]).items()})
        return found


class Pam:
    """PAM on the inputs and with the known weights of a recording."""

    def __init__(self, recorded, folder):
        prefix, _ = recording.write_checkpoints(recorded.variables, folder)
        checkpoint, options = CheckpointReader(prefix), recorded.config
        config = configs.encoder_config(checkpoint, options['img_size'], options['crop_w'], options['crop_h'])
        _check_config(config, options)
        self.step = PamStep(
            config,
            PamConfig(**_given(options, 'lr_r', 'beta1', 'beta2')),
            whole_boxes=options.get('round_boxes', False),
        )
        self.variables = names.pam_variables(self.step.autoencoder)
        convert.restore(checkpoint, self.variables)
        names.explain_variables(checkpoint, dict.fromkeys(self.variables, 'used'))
        self.batches = _batches(recorded)

    def losses(self):
        of = {
            f'loss_{domain}': tf.add_n(
                list(reconstruction.mirror(self.step.autoencoder, *self.step.eyes(batch)).values())
            )
            for domain, batch in zip('xy', self.batches)
        }
        return {**of, 'loss': of['loss_x'] + of['loss_y']}

    def recompute(self, recorded):
        """Everything that a recording holds, by its keys."""
        found = self.losses()
        for domain, batch in zip('xy', self.batches):
            for side, eye in zip(('left', 'right'), self.step.eyes(batch)):
                found[f'ae_{domain}_{side}'] = self.step.autoencoder(eye)
                found[f'ae_flip_{domain}_{side}'] = self.step.autoencoder(tf.reverse(eye, axis=[2]))
                found[f'code_{domain}_{side}'] = self.step.content_encoder(eye)[0]
        for prefix in _steps(recorded, self.step.train_step, self.batches, self.variables, found):
            found[f'{prefix}loss'] = self.losses()['loss']
        return found


def _check_config(config, options):
    """Raises GazeError where the shapes of the variables tell another configuration than the recording."""
    for name, value in dataclasses.asdict(config).items():
        if options.get(name, value) != value:
            raise GazeError(f'--meta: its config has {name} {options[name]}, its variables {value}.')


def _given(options, *names):
    return {name: options[name] for name in names if name in options}


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _our_loss(loss_type):
    """Our name of an adversarial loss of the original."""
    return 'lsgan_original' if loss_type == 'lsgan' else loss_type


def _batches(recorded):
    return [
        Batch(to_float(tf.constant(recorded.images[domain])), tf.constant(recorded.eyes[domain])) for domain in 'xy'
    ]


def _steps(recorded, train_step, batches, variables, found):
    """Trains as many steps as were recorded; adds statistics of the variables to `found`, yields 'stepN/'."""
    start = {name: variable.numpy().astype(np.float64) for name, variable in variables.items()}
    numbers = {int(number) for number in (key.split('/')[0] for key in recorded.keys('step')) if number.isdecimal()}
    for number in range(1, max(numbers, default=0) + 1):
        train_step(*batches)
        if number in numbers:
            for name, variable in variables.items():
                value = variable.numpy().astype(np.float64)
                change = value - start[name]
                found[f'step{number}/{name}'] = [np.linalg.norm(value), np.linalg.norm(change), change.sum()]
            yield f'step{number}/'


def compare(recorded, ours):
    """The Comparison of a recording with what `recompute` gave; raises GazeError for what it did not give."""
    unknown = [key for key in recorded.values if key not in ours]
    if unknown:
        raise GazeError(
            f'--golden: {unknown[0]} (and {len(unknown) - 1} more) is nothing that is known to be recorded.'
        )
    found = comparison.Comparison(
        recorded.values, ours, {name: int(np.prod(shape)) for name, shape in recorded.variables.items()}
    )
    if not found.compared:
        raise GazeError('--golden: it holds nothing that could be compared.')
    return found


def report(found, verbose):
    """Prints the comparison; returns whether everything is within its tolerance."""
    if verbose:
        for group, rows in found.deviations.items():
            for deviation, key in sorted(rows, reverse=True):
                print(f'  {deviation:9.2e}  {group}: {key}')
        for key in found.left_out:
            print(f'  left out: {key}')
    shares = {}
    for group, statistics, key in found.groups():
        shares[key] = max(share := comparison.share(group, statistics), shares.get(key, 0))
        figures = ', '.join(
            f'{name} {value:.2e}'
            + (f' of {tolerance:.2g}' if np.isfinite(tolerance := comparison.TOLERANCES[group][name]) else '')
            for name, value in statistics.items()
        )
        print(f'{"ok " if share <= 1 else "NOT"} {group:40} {len(found.deviations[group]):4}  {figures}  {key}')
    worst = max(shares, key=shares.get)
    print(f'parity: {found.compared} compared, {len(found.left_out)} left out, worst {shares[worst]:.3g} at {worst}')
    return shares[worst] <= 1


def run(golden, meta, pam, verbose):
    """Compares one recording; returns the exit status: 0, or 1 if anything exceeds its tolerance. Raises GazeError."""
    recorded = recording.load(golden, meta)
    if pam != comparison.is_pam(recorded.variables):
        raise GazeError(
            f'--pam is for recordings of PAM, and only for them; {meta} '
            f'{"has" if pam else "does not have"} the variables of a whole model.'
        )
    if not pam and not any(name.startswith('vgg_16/') for name in recorded.variables):
        raise GazeError(f'--meta: {meta} does not have the variables of vgg_16.')
    with tempfile.TemporaryDirectory() as folder:
        ours = (Pam if pam else Dual)(recorded, pathlib.Path(folder)).recompute(recorded)
    return 0 if report(compare(recorded, ours), verbose) else 1


def main(argv):
    options = flags.FLAGS
    try:
        if len(argv) > 1:
            raise GazeError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
        if not options.golden or not options.meta:
            raise GazeError('--golden and --meta are needed.')
        sys.exit(run(options.golden, options.meta, options.pam, options.verbose))
    except GazeError as error:
        print(f'parity.py: {error}', file=sys.stderr)
        sys.exit(2)


def _parse(argv):
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        print(f'parity.py: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    flags.DEFINE_string('golden', '', 'The recording (.npz).')
    flags.DEFINE_string('meta', '', 'Its configuration and variables (.json).')
    flags.DEFINE_boolean('pam', False, 'The recording is of PAM.')
    flags.DEFINE_boolean('verbose', False, 'Print every deviation.')
    app.run(main, flags_parser=_parse)
