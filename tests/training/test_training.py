"""Training by the real commands: files, resuming, signals, and what stops a run."""

import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.export.export import load_model
from gaze_tf.models.encoders import content_encoder
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import conftest, tiny


def steps_in(folder):
    """Step numbers of the checkpoints in a folder."""
    return sorted(int(path.stem.split('-')[1]) for path in folder.glob('step-*.index'))


def weights(folder):
    """All that the newest checkpoint of a folder holds, by name, but for its bookkeeping."""
    reader = tf.train.load_checkpoint(str(folder))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name not in ('_CHECKPOINTABLE_OBJECT_GRAPH', 'save_counter/.ATTRIBUTES/VARIABLE_VALUE')
    }


def assert_same_weights(folder, other):
    found, expected = weights(folder), weights(other)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def failure(capsys, command):
    """The message of a command that must end with status 1."""
    capsys.readouterr()
    assert main(command) == 1
    return capsys.readouterr().err.splitlines()[-1]


def patch_step(monkeypatch, step_class, at, change):
    """Calls change(terms) → terms after the `at`-th step of every run."""
    build = step_class.__init__

    def init(self, *args, **kwargs):
        build(self, *args, **kwargs)
        train_step, calls = self.train_step, itertools.count(1)

        def changed(x, y):
            terms = train_step(x, y)
            return change(terms) if next(calls) == at else terms

        self.train_step = changed

    monkeypatch.setattr(step_class, '__init__', init)


def send(number):
    """A change for `patch_step`: a signal to this process."""

    def change(terms):
        os.kill(os.getpid(), number)
        return terms

    return change


def events(folder):
    """Every value of a run's TensorBoard files: {name: [(step, value)]}."""
    found = {}
    for path in sorted((folder / 'tensorboard').glob('events*')):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def test_what_runs_leave(pam_dir, gan_dir):
    assert steps_in(pam_dir) == [2, 4] and steps_in(gan_dir) == [4, 6]
    assert all(np.all(np.isfinite(value)) for value in weights(gan_dir).values())


def test_configurations_beside_checkpoints(pam_dir, gan_dir, records_dir):
    pam, gan = (config.load(folder / 'config.json') for folder in (pam_dir, gan_dir))
    assert set(pam) == {'encoder', 'pam', 'data', 'augment', 'run'}
    assert set(gan) == {'model', 'gan', 'data', 'augment', 'run'}
    assert pam['encoder'] == tiny.ENCODER and gan['model'] == tiny.MODEL
    assert gan['data'] == config.DataConfig(data_dir=str(records_dir))
    names = ('steps', 'batch_size', 'lr_d', 'lr_g', 'lam_p', 'decay_start', 'decay_every')
    expected = {name: conftest.TRAIN[name] for name in names}
    assert {name: getattr(gan['gan'], name) for name in expected} == expected
    assert gan['run'].output_dir == str(gan_dir) and gan['gan'].pam_checkpoint == str(pam_dir)


def test_training_starts_from_the_pretrained_encoder(pam_dir, gan_dir):
    encoder = content_encoder(tiny.ENCODER)
    checkpoints.restore_networks(checkpoints.latest(pam_dir), content_encoder=encoder)
    trained = load_model(gan_dir).content_encoder
    assert len(encoder.weights) == len(trained.weights) > 5
    for variable, value in zip(trained.weights, encoder.weights):
        np.testing.assert_array_equal(variable, value)
    # and not from initial values: PAM had moved its biases
    assert np.any(encoder.weights[1])


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_resumed_run_equals_an_uninterrupted_one(stop, pretrain_command, pam_dir, tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'run'
    # the uninterrupted run drew some: they change nothing
    monkeypatch.setattr(PamStep, 'pictures', lambda self, x, y: {})
    with monkeypatch.context() as patch:
        patch_step(patch, PamStep, 3, send(stop))
        # between two checkpoints of its schedule
        assert main(pretrain_command(folder, save_every=2)) == 128 + stop
    assert steps_in(folder)[-1] == 3 and 'Stopped at step 3' in capsys.readouterr().out
    assert signal.getsignal(stop) == (signal.default_int_handler if stop == signal.SIGINT else signal.SIG_DFL)
    assert main(pretrain_command(folder)) == 0
    assert 'step-3' in capsys.readouterr().out
    assert_same_weights(folder, pam_dir)


@pytest.mark.usefixtures('eagerly')
def test_resumed_training_equals_an_uninterrupted_run(train_command, gan_dir, tmp_path, monkeypatch, capsys):
    # as if it had ended at step 4
    folder = shutil.copytree(gan_dir, tmp_path / 'run', ignore=shutil.ignore_patterns('step-6*'))
    monkeypatch.setattr(GanStep, 'pictures', lambda self, x, y: {})
    assert main(train_command(folder)) == 0
    assert 'step-4' in capsys.readouterr().out
    assert_same_weights(folder, gan_dir)


def test_a_signal_while_summaries_are_written_saves_too(pretrain_command, pam_dir, tmp_path, monkeypatch, capsys):
    rate, sent = PamStep.learning_rate.fget, []

    def learning_rate(self):
        # once: a second signal ends the process at once, as it should
        if not sent:
            os.kill(os.getpid(), signal.SIGTERM)
            sent.append(signal.SIGTERM)
        return rate(self)

    with monkeypatch.context() as patch:
        patch.setattr(PamStep, 'learning_rate', property(learning_rate))
        assert main(pretrain_command(tmp_path, log_every=1, save_every=100, image_every=100)) == 143
    stopped = int(capsys.readouterr().out.split('Stopped at step ')[1].split(',')[0])
    assert steps_in(tmp_path)[-1] == stopped < 4
    assert main(pretrain_command(tmp_path)) == 0
    assert_same_weights(tmp_path, pam_dir)


def test_a_process_that_is_told_to_stop(pretrain_command, tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'gaze_tf.cli.main',
            *pretrain_command(tmp_path, steps=1_000_000, save_every=5, image_every=10_000),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 120
        while not steps_in(tmp_path) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
    assert steps_in(tmp_path)[-1] >= 5


def test_a_finished_run_is_left_alone(pretrain_command, pam_dir, capsys):
    before = weights(pam_dir)
    assert main(pretrain_command(pam_dir)) == 0
    assert 'nothing left of --steps=4' in capsys.readouterr().out
    assert all(np.array_equal(value, before[name]) for name, value in weights(pam_dir).items())


def test_tensorboard(pam_dir, gan_dir):
    pam, gan = events(pam_dir), events(gan_dir)
    always = {'learning_rate', 'images_per_second'}
    assert always | {'self', 'mirror', 'loss'} <= set(pam)
    terms = {
        'd_x/rec',
        'd_x/hat',
        'd_y/rec',
        'g_x/adversarial',
        'g_x/reconstruction',
        'g_y/adversarial',
        'g_y/adversarial_hat',
        'g_y/reconstruction',
        'g_y/reconstruction_hat',
        'g_y/content',
        'g_y/content_hat',
    }
    # no more: what is switched off is not logged
    assert always | terms == {name for name in gan if not name.startswith(('X:', 'Y:'))}
    for name in always | terms:
        steps, values = zip(*gan[name])
        assert steps == (2, 4, 6) and np.all(np.isfinite(values))
    assert all(value > 0 for _, value in gan['images_per_second'])
    # that of the update just made, the second, fourth and sixth, which are numbers 1, 3 and 5 from 0
    rates = [value for _, value in gan['learning_rate']]
    np.testing.assert_allclose(rates, [1e-3, 0.75e-3, 0.25e-3], rtol=1e-5)


def test_image_grids(pam_dir, gan_dir):
    grids = {
        name: values
        for folder in (pam_dir, gan_dir)
        for name, values in events(folder).items()
        if name.startswith(('X:', 'Y:', 'eye,'))
    }
    sizes = {name: tf.io.decode_png(values[0][1][2]).shape for name, values in grids.items()}
    # a row for each of two held-out faces (for each of four eyes in PAM's), a column an image
    assert sorted(tuple(shape) for shape in sizes.values()) == [(32, 32, 3), (64, 96, 3), (64, 160, 3)]
    for name, values in grids.items():
        assert [step for step, _ in values] == ([2, 4] if name.startswith('eye,') else [3, 6])


def test_terms_that_are_not_finite_stop_a_run(pretrain_command, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch_step(patch, PamStep, 3, lambda terms: {**terms, 'mirror': tf.constant(float('nan'))})
        message = failure(capsys, pretrain_command(tmp_path, save_every=1, keep=9, log_every=1))
    assert 'mirror is nan at step 3' in message and 'step-2' in message
    assert steps_in(tmp_path) == [1, 2]
    assert all(np.all(np.isfinite(value)) for value in weights(tmp_path).values())
    assert main(pretrain_command(tmp_path)) == 0 and 'step-2' in capsys.readouterr().out


def test_a_bad_term_between_two_logs_is_not_saved(pretrain_command, tmp_path, monkeypatch, capsys):
    patch_step(monkeypatch, PamStep, 1, lambda terms: {**terms, 'self': tf.constant(float('inf'))})
    message = failure(capsys, pretrain_command(tmp_path, save_every=2, log_every=100))
    assert 'self is inf at step 1' in message and steps_in(tmp_path) == []


def test_weights_that_are_not_finite_are_not_saved(pretrain_command, tmp_path, monkeypatch, capsys):
    build = PamStep.__init__

    def init(self, *args, **options):
        build(self, *args, **options)
        train_step = self.train_step

        def spoil(x, y):
            terms = train_step(x, y)
            self.variables['autoencoder'][-1].assign_add([float('nan')] * 3)
            return terms

        self.train_step = spoil

    monkeypatch.setattr(PamStep, '__init__', init)
    message = failure(capsys, pretrain_command(tmp_path, save_every=1))
    assert 'a weight of autoencoder is not finite after step 1' in message and steps_in(tmp_path) == []


def test_data_of_another_frame(pretrain_command, tmp_path, capsys):
    message = failure(capsys, pretrain_command(tmp_path / 'run', frame_eyes='0.2,0.45,0.8,0.45'))
    assert 'use --frame_eyes=0.30703125,0.362890625,0.69453125,0.362109375, or run `gaze-tf prepare`' in message
    assert not (tmp_path / 'run').exists()


def test_a_learning_rate_that_explodes(pretrain_command, tmp_path, capsys):
    message = failure(capsys, pretrain_command(tmp_path, lr_r=1e30))
    assert 'Training stopped' in message and 'a lower learning rate' in message


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'pam_checkpoint': ''}, '--pam_checkpoint is needed'),
        ({'pam_checkpoint': '/no/such/folder'}, 'There is no checkpoint in /no/such/folder'),
        ({'lam_p': 100}, '--lam_p=100 needs the VGG-16 weights'),
        ({'lam_p': 100, 'vgg_weights': '/no/vgg.h5'}, '/no/vgg.h5'),
        ({'crop_w': 15}, '--crop_w=15, but the content encoder of --pam_checkpoint was trained with 13'),
        (
            {'frame_eyes': '0.2,0.45,0.8,0.45'},
            '--frame_eyes=0.2,0.45,0.8,0.45, but the content encoder of --pam_checkpoint',
        ),
        ({'data_dir': '/no/records'}, '/no/records'),
        ({'xla': 'off', 'n_layers_g': 6}, '--img_size=32 must be a multiple of 64'),
    ],
)
def test_training_that_cannot_start(train_command, tmp_path, capsys, changes, message):
    assert message in failure(capsys, train_command(tmp_path / 'run', **changes))


def test_a_start_that_failed_does_not_claim_its_folder(train_command, tmp_path, capsys):
    failure(capsys, train_command(tmp_path / 'run', lam_p=100, vgg_weights='/no/vgg.h5', ndf=3))
    message = failure(capsys, train_command(tmp_path / 'run', lam_p=100, vgg_weights='/no/vgg.h5'))
    assert '/no/vgg.h5' in message


def test_a_training_run_is_no_pretraining_run(train_command, gan_dir, tmp_path, capsys):
    message = failure(capsys, train_command(tmp_path / 'run', pam_checkpoint=gan_dir))
    assert str(gan_dir) in message and 'another kind of run' in message


def test_geometry_comes_from_the_pretrained_encoder(train_command, tmp_path, capsys):
    encoder = {f'--{field.name}' for field in dataclasses.fields(config.EncoderConfig)}
    command = [
        arg
        for arg in train_command(tmp_path / 'run', lam_p=1, vgg_weights='/no/vgg.h5')
        if arg.split('=')[0] not in encoder
    ]
    # the default --img_size does not fit the data: it would be refused before the weights are looked for
    assert '/no/vgg.h5' in failure(capsys, command)


@pytest.mark.parametrize('which', ['pam_dir', 'gan_dir'])
def test_another_model_in_the_folder_is_refused(which, request, train_command, pretrain_command, capsys):
    folder = request.getfixturevalue(which)
    before = (folder / 'config.json').read_bytes()
    commands = (
        [pretrain_command(folder, code_size=5), train_command(folder)]
        if which == 'pam_dir'
        else [train_command(folder, ndf=3), pretrain_command(folder)]
    )
    for command in commands:
        assert 'holds a run with another model' in failure(capsys, command)
    assert (folder / 'config.json').read_bytes() == before


def damaged(records_dir, folder, name):
    """A copy of the records with one byte of one shard changed."""
    shutil.copytree(records_dir, folder)
    path = next(folder.glob(name))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    return path


@pytest.mark.parametrize('name', ['y-train-*', 'x-test-*'])
def test_a_corrupt_shard_is_named(records_dir, pretrain_command, tmp_path, capsys, name):
    path = damaged(records_dir, tmp_path / 'records', name)
    message = failure(capsys, pretrain_command(tmp_path / 'run', data_dir=tmp_path / 'records'))
    assert str(path) in message and 'cannot be read' in message


def test_corrupt_records_can_be_left_out(records_dir, pretrain_command, tmp_path):
    damaged(records_dir, tmp_path / 'records', 'y-train-*')
    command = pretrain_command(tmp_path / 'run', data_dir=tmp_path / 'records', skip_corrupt=True)
    assert main(command) == 0 and steps_in(tmp_path / 'run')[-1] == 4


def test_an_output_folder_that_cannot_be_written(pretrain_command, tmp_path, capsys):
    (tmp_path / 'file').write_text('not a folder')
    message = failure(capsys, pretrain_command(tmp_path / 'file' / 'run'))
    assert '--output_dir' in message and (tmp_path / 'file').read_text() == 'not a folder'


def test_config_files_are_whole(gan_dir):
    assert not list(pathlib.Path(gan_dir).glob('*.tmp'))
    assert set(json.loads((gan_dir / 'config.json').read_text())) == {'model', 'gan', 'data', 'augment', 'run'}
