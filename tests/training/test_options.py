"""What goes beyond the paper and is off by default: averages, R1, clipping, warm start; and two learning rates."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.errors import GazeError
from gaze_tf.export.export import load_model
from gaze_tf.losses import adversarial
from gaze_tf.models.encoders import content_encoder
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.training import checkpoints, schedule
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.objectives import Objectives
from gaze_tf.training.pam_step import PamStep
from tests import tiny

RNG = np.random.default_rng(5)
GAN = config.GanConfig(steps=10, batch_size=2, lr_d=1e-3, lr_g=1e-3, lam_p=0.0)


def gan_step(**options):
    """A GanStep of the same weights at each call."""
    tf.keras.utils.set_random_seed(3)
    return GanStep(tiny.MODEL, dataclasses.replace(GAN, **options))


def one_step(step, seed=0):
    return {name: float(value) for name, value in step.train_step(tiny.batch(seed), tiny.batch(seed + 1)).items()}


def values_of(variables):
    return [variable.numpy() for variable in variables]


def moved(before, variables):
    return [not np.array_equal(value, variable) for value, variable in zip(before, variables)]


def stored(folder, part='', step=None):
    """The variables of a part of a checkpoint's stage, by name; of the newest checkpoint if not of a certain step."""
    path = f'{folder}/step-{step}' if step else tf.train.latest_checkpoint(str(folder))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith(f'stage/{part}')
    }


def failure(capsys, command):
    """The message of a command that must end with status 1."""
    capsys.readouterr()
    assert main(command) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_off_by_default():
    gan, pam = config.GanConfig(), config.PamConfig()
    assert (gan.ema, gan.lam_r1, gan.clip_norm, gan.warm_start, gan.stop_patience) == (0, 0, 0, '', 0)
    assert (pam.clip_norm, pam.warm_start, pam.stop_patience) == (0, '', 0)


# --- R1 ------------------------------------------------------------------------------------------------


def smooth_discriminator(shapes):
    """(discriminator of lists of tensors, its gradient in numpy): a·tanh(W v) of all inputs v of a face in a row."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    weights, last = RNG.normal(0, 0.2, (4, sum(sizes))), RNG.normal(0, 1, 4)

    def discriminator(views):
        row = tf.concat([tf.reshape(view, [len(view), -1]) for view in views], axis=1)
        return tf.tanh(row @ weights.T.astype(np.float32)) @ last[:, None].astype(np.float32)

    def gradient(views):
        row = np.concatenate([np.reshape(view, [len(view), -1]) for view in views], axis=1).astype(np.float64)
        return (last * (1 - np.tanh(row @ weights.T) ** 2)) @ weights

    return discriminator, gradient


def test_penalties_of_a_smooth_discriminator():
    shapes = (6, 6, 3), (4, 4, 3), (4, 4, 3)
    discriminator, gradient = smooth_discriminator(shapes)
    real, fake = ([RNG.normal(size=(5, *shape)).astype(np.float32) for shape in shapes] for _ in range(2))
    squares = np.sum(gradient(real) ** 2, axis=1)
    np.testing.assert_allclose(adversarial.r1(discriminator, list(map(tf.constant, real))), squares.mean(), rtol=1e-4)

    mix = RNG.uniform(size=(5, 1, 1, 1)).astype(np.float32)
    norms = np.linalg.norm(gradient([mix * a + (1 - mix) * b for a, b in zip(real, fake)]), axis=1)
    inputs = (list(map(tf.constant, views)) for views in (real, fake))
    penalty = adversarial.gradient_penalty(discriminator, *inputs, mix)
    np.testing.assert_allclose(penalty, np.mean((norms - 1) ** 2), rtol=1e-4)


def finite_differences(discriminator, views, epsilon=0.05):
    """|gradient|² of each face's logit by central differences."""
    total = np.zeros(len(views[0]))
    for number, view in enumerate(views):
        for face in range(len(view)):
            size = view[face].size
            nudges = epsilon * np.concatenate([np.eye(size), -np.eye(size)]).astype(np.float32)
            inputs = [np.repeat(other[face : face + 1], 2 * size, axis=0) for other in views]
            inputs[number] = inputs[number] + nudges.reshape([2 * size, *view.shape[1:]])
            up, down = np.split(discriminator(inputs).numpy()[:, 0].astype(np.float64), 2)
            total[face] += np.sum(((up - down) / (2 * epsilon)) ** 2)
    return total


@pytest.fixture(scope='module')
def still():
    """{updates whose learning rate was 0: (step after one step, values before)}."""
    found = {}
    tf.config.run_functions_eagerly(True)
    for names, rates in ((('d_x', 'd_y'), {'lr_d': 0.0}), (('g_x', 'g_y'), {'lr_g': 0.0})):
        step = gan_step(**rates)
        before = {name: values_of(variables) for name, variables in step.variables.items()}
        assert not {'d_x/r1', 'd_y/r1'} & set(one_step(step))
        found[names] = step, before
    tf.config.run_functions_eagerly(False)
    return found


@pytest.mark.trains
def test_r1_of_both_discriminators(eagerly, still):
    model = still['d_x', 'd_y'][0].model
    objectives = Objectives(model, dataclasses.replace(GAN, lam_r1=3.0), None)
    x, y = (model.look(*tiny.batch(seed, count=1)[:2]) for seed in range(2))
    for name, real, total, terms in (('d_x', x, *objectives.d_x(x, x, y, 0)), ('d_y', y, *objectives.d_y(y, y, 0))):
        views = [real.image.numpy(), real.left.numpy(), real.right.numpy()]
        expected = finite_differences(getattr(model, name), views).mean()
        assert expected > 1e-4
        np.testing.assert_allclose(terms[f'{name}/r1'], expected, rtol=2e-2)
        adversarial_terms = [value for key, value in terms.items() if key in ('d_x/rec', 'd_x/hat', 'd_y/rec')]
        np.testing.assert_allclose(total, sum(adversarial_terms) + 1.5 * terms[f'{name}/r1'], rtol=1e-5)


# --- clipping and two learning rates -------------------------------------------------------------------


def test_clipped_adam():
    variables = [tf.Variable(np.zeros(shape, np.float32)) for shape in ((3,), (2, 2))]
    optimizer = schedule.adam(0.1, config.PamConfig(clip_norm=2.0), variables, 'float32')
    expected, m, v = np.zeros(7), 0, 0
    # longer than 2, shorter, longer
    for t, length in enumerate((10.0, 1.0, 5.0), start=1):
        row = RNG.normal(size=7)
        row *= length / np.linalg.norm(row)
        gradients = [tf.constant(part, tf.float32) for part in (row[:3], row[3:].reshape(2, 2))]
        optimizer.apply_gradients(zip(gradients, variables))
        row *= min(1, 2 / length)
        m, v = 0.5 * m + 0.5 * row, 0.999 * v + 0.001 * row**2
        expected -= 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.5**t) * m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(np.concatenate([variables[0], np.ravel(variables[1])]), expected, rtol=1e-4)


def first_moments(optimizer):
    """Adam's first moments after one step, all in a row: (1 − beta1) · what was applied."""
    slots = [variable for variable in optimizer.variables if variable.name.startswith('m/')]
    return np.concatenate([np.ravel(slot) for slot in slots])


@pytest.mark.trains
def test_each_learning_rate_moves_its_own_networks(still):
    for names, (step, before) in still.items():
        unmoved = {name for name, variables in step.variables.items() if not any(moved(before[name], variables))}
        assert unmoved == set(names)


@pytest.mark.trains
def test_each_update_is_clipped(eagerly, still):
    free, clipped = still['d_x', 'd_y'][0], gan_step(clip_norm=1e-3)
    one_step(clipped)
    for name, optimizer in free.optimizers.items():
        applied, found = 2 * first_moments(optimizer), 2 * first_moments(clipped.optimizers[name])
        length = np.linalg.norm(applied)
        assert length > 2e-3
        np.testing.assert_allclose(np.linalg.norm(found), 1e-3, rtol=1e-3)
        # the first update starts from the same weights, so that only the length differs
        if name == 'd_x':
            np.testing.assert_allclose(found, applied * 1e-3 / length, rtol=1e-3, atol=1e-8)

    pam = PamStep(tiny.ENCODER, config.PamConfig(clip_norm=1e-3))
    one_step(pam)
    np.testing.assert_allclose(np.linalg.norm(2 * first_moments(pam.optimizer)), 1e-3, rtol=1e-3)


@pytest.fixture
def no_training(monkeypatch):
    """Steps that take no time and change nothing."""
    for step_class, terms in (
        (GanStep, ('d_x/rec', 'g_x/adversarial', 'g_x/reconstruction', 'g_y/reconstruction', 'g_y/reconstruction_hat')),
        (PamStep, ('self', 'mirror')),
    ):
        monkeypatch.setattr(
            step_class, '_train_step', lambda self, x, y, terms=terms: dict.fromkeys(terms, tf.ones([]))
        )
        monkeypatch.setattr(step_class, 'pictures', lambda self, x, y: {})


# --- averages ------------------------------------------------------------------------------------------

AVERAGED = ('angle_encoder', 'content_encoder', 'g_x', 'g_y', 'palette_encoder')


@pytest.fixture(scope='module')
def averaged():
    """A step as the first of `still`, with averages, after one step."""
    with tiny.eagerly():
        step = gan_step(ema=0.75, lr_d=0.0)
        one_step(step)
    return step


@pytest.mark.trains
def test_averages_change_nothing_in_training(averaged, still):
    plain = still['d_x', 'd_y'][0]
    for found, expected in (
        (averaged.model, plain.model),
        *((averaged.optimizers[name], optimizer) for name, optimizer in plain.optimizers.items()),
    ):
        assert len(found.variables) == len(expected.variables)
        for ours, others in zip(found.variables, expected.variables):
            np.testing.assert_array_equal(ours, others, err_msg=others.name)


def test_averages_follow_the_weights(extended_dir):
    # over the interruption after step 2, too
    expected = None
    for step in range(1, 5):
        weights = {
            name: value
            for network in AVERAGED
            for name, value in stored(extended_dir, f'model/{network}/', step).items()
        }
        expected = expected or weights
        expected = {name: expected[name] + 0.5 * (value - expected[name]) for name, value in weights.items()}
        found = stored(extended_dir, 'averages/', step)
        assert {name.replace('averages', 'model') for name in found} == set(weights)
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name.replace('averages', 'model')], rtol=1e-5, atol=1e-6)
    for network in AVERAGED:
        own = [name for name in weights if f'/{network}/' in name]
        assert any(np.abs(expected[name] - weights[name]).max() > 1e-4 for name in own)


def test_averages_are_exported(extended_dir, extended_model):
    path = str(extended_model / '1/variables/variables')
    reader = tf.train.load_checkpoint(path)
    exported = [reader.get_tensor(name) for name, _ in tf.train.list_variables(path) if 'GRAPH' not in name]
    expected = stored(extended_dir, 'averages/')
    assert len(exported) == len(expected) > 30
    for name, value in expected.items():
        assert any(np.array_equal(value, other) for other in exported), name


@pytest.mark.trains
def test_what_has_no_average_is_used_as_it_is(averaged, tmp_path):
    averages = averaged.averages.checkpoint
    tiny.randomize(averages.g_x.trainable_variables, seed=6)
    checkpoints.write_first(tmp_path / 'run', averaged.checkpoint, model=tiny.MODEL)
    model = GazeModel(tiny.MODEL, discriminators=False)
    checkpoints.restore_serving(checkpoints.latest(tmp_path / 'run'), model)
    for found, expected in ((model.g_x, averages.g_x), (model.content_encoder, averaged.model.content_encoder)):
        for ours, others in zip(found.variables, expected.variables, strict=True):
            np.testing.assert_array_equal(ours, others)


def test_runs_with_and_without_averages(extended_dir, gan_dir, extended_command, tmp_path, capsys):
    folder = shutil.copytree(extended_dir, tmp_path / 'run', ignore=shutil.ignore_patterns('step-[123]*'))
    message = failure(capsys, extended_command(folder, steps=8, ema=0))
    assert str(folder) in message and 'with --ema' in message
    stage = tf.train.Checkpoint(averages=tf.train.Checkpoint())
    manager = checkpoints.manager(gan_dir, tf.Variable(0, dtype=tf.int64), stage, keep=9)
    with pytest.raises(GazeError, match=f'{gan_dir} holds a run without `ema`'):
        checkpoints.restore_all(manager.checkpoint, manager.latest_checkpoint)


# --- warm start ----------------------------------------------------------------------------------------


def without(command, *names):
    """A command line without some flags."""
    return [arg for arg in command if arg.split('=')[0].lstrip('-') not in names]


MODEL_FLAGS = [field.name for field in dataclasses.fields(config.ModelConfig)]


def test_warm_start(extended_command, extended_dir, tmp_path, no_training, capsys):
    folder = tmp_path / 'run'
    command = extended_command(folder, warm_start=extended_dir, steps=1, seed=8, ema=0)
    assert main(without(command, 'pam_checkpoint', *MODEL_FLAGS)) == 0
    found, source = stored(folder), stored(extended_dir)
    assert set(found) == {name for name in source if not name.startswith('stage/averages/')}
    # the averages, which are exported, where there are any
    start = {name: source.get(name.replace('stage/model/', 'stage/averages/'), source[name]) for name in found}
    assert any(not np.array_equal(value, source[name]) for name, value in start.items())
    for name, value in found.items():
        if name.startswith('stage/model/'):
            np.testing.assert_array_equal(value, start[name], err_msg=name)
        elif 'learning_rate' not in name:
            assert not np.any(value), name
    written = config.load(folder / 'config.json')
    assert written['model'] == dataclasses.replace(tiny.MODEL, palette=2)
    assert written['gan'].warm_start == str(extended_dir)

    # from here on another source (its first 3 steps), of which a resumed run may see nothing
    other = shutil.copytree(extended_dir, tmp_path / 'other', ignore=shutil.ignore_patterns('step-4*'))
    (other / 'checkpoint').write_text('model_checkpoint_path: "step-3"\n')
    capsys.readouterr()
    assert main(without(extended_command(folder, warm_start=other, steps=2, ema=0), 'pam_checkpoint')) == 0
    assert 'Resuming from' in capsys.readouterr().out
    for name, value in stored(folder, 'model/', 2).items():
        np.testing.assert_array_equal(value, start[name], err_msg=name)


def test_warm_start_without_discriminators(train_command, gan_dir, tmp_path, no_training, capsys):
    checkpoints.write_first(
        tmp_path / 'source',
        tf.train.Checkpoint(model=checkpoints.serving_networks(load_model(gan_dir))),
        model=tiny.MODEL,
    )
    command = train_command(tmp_path / 'run', warm_start=tmp_path / 'source', steps=1)
    assert main(without(command, 'pam_checkpoint')) == 0
    assert 'D_x and D_y start from their initial values' in capsys.readouterr().out
    found, source = (stored(folder, 'model/') for folder in (tmp_path / 'run', gan_dir))
    for name, value in found.items():
        kernel_of_discriminator = name.startswith('stage/model/d_') and 'kernel' in name
        if kernel_of_discriminator or not name.startswith('stage/model/d_'):
            assert np.array_equal(value, source[name]) == (not kernel_of_discriminator), name


def test_warm_start_of_pretraining(pretrain_command, pam_dir, tmp_path, no_training, capsys):
    flags = [field.name for field in dataclasses.fields(config.EncoderConfig)]
    command = pretrain_command(tmp_path / 'run', warm_start=pam_dir, steps=1, seed=8)
    assert main(without(command, *flags)) == 0
    found, source = (stored(folder, 'autoencoder/') for folder in (tmp_path / 'run', pam_dir))
    assert len(found) == len(source) > 10
    for name, value in found.items():
        np.testing.assert_array_equal(value, source[name], err_msg=name)
    assert not any(np.any(value) for name, value in stored(tmp_path / 'run', 'optimizer/_var').items())

    # an imported content encoder without decoder
    encoder = content_encoder(tiny.ENCODER)
    checkpoints.restore_networks(tf.train.latest_checkpoint(str(pam_dir)), content_encoder=encoder)
    checkpoints.write_first(tmp_path / 'source', tf.train.Checkpoint(content_encoder=encoder), encoder=tiny.ENCODER)
    capsys.readouterr()
    assert main(pretrain_command(tmp_path / 'again', warm_start=tmp_path / 'source', steps=1, seed=8)) == 0
    assert "PAM's decoder starts from its initial values" in capsys.readouterr().out
    restored = content_encoder(tiny.ENCODER)
    checkpoints.restore_networks(tf.train.latest_checkpoint(str(tmp_path / 'again')), content_encoder=restored)
    for value, expected in zip(restored.get_weights(), encoder.get_weights()):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({}, '--warm_start has its own content encoder: leave out --pam_checkpoint'),
        ({'pam_checkpoint': '', 'ndf': 3}, '--ndf=3, but the model of --warm_start was trained with 2'),
        ({'pam_checkpoint': '', 'warm_start': '/no/run'}, 'There is no checkpoint in /no/run'),
    ],
)
def test_warm_starts_that_are_refused(train_command, gan_dir, tmp_path, capsys, changes, message):
    assert message in failure(capsys, train_command(tmp_path / 'run', **{'warm_start': gan_dir, **changes}))
    assert not (tmp_path / 'run').exists()


def test_a_warm_start_from_another_kind_of_run(train_command, pretrain_command, pam_dir, gan_dir, tmp_path, capsys):
    for command in (
        train_command(tmp_path / 'run', warm_start=pam_dir, pam_checkpoint=''),
        pretrain_command(tmp_path / 'run', warm_start=gan_dir),
    ):
        message = failure(capsys, command)
        assert 'another kind of run' in message
    message = failure(capsys, pretrain_command(tmp_path / 'run', warm_start=pam_dir, code_size=5))
    assert '--code_size=5, but the content encoder of --warm_start was trained with 4' in message
