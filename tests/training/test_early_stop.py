"""--stop_patience: when a run ends early, what that survives, and what it is judged by."""

import signal

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.data import pipeline
from gaze_tf.training import checkpoints, early_stop
from gaze_tf.training.pam_step import PamStep
from tests import tiny
from tests.training.test_options import failure, gan_step, moved, one_step, stored, values_of
from tests.training.test_training import events, patch_step, send, steps_in

# held-out loss after each step: the best at step 4, which steps 6 and 8 do not improve
HELD_OUT = {0: 9.0, 2: 3.0, 4: 2.0, 6: 2.5, 8: 2.0, 10: 2.2, 12: 1.0, 14: 1.0, 16: 1.0, 18: 1.0}


@pytest.fixture
def known_losses(monkeypatch):
    """Pretraining that takes no time, with the held-out losses of HELD_OUT."""

    def train_step(self, x, y):
        self.optimizer.iterations.assign_add(1)
        return dict.fromkeys(('self', 'mirror', 'loss'), tf.ones([]))

    monkeypatch.setattr(PamStep, '_train_step', train_step)
    monkeypatch.setattr(PamStep, 'pictures', lambda self, x, y: {})
    monkeypatch.setattr(
        PamStep,
        'evaluate',
        lambda self, x, y: {'loss': tf.constant(HELD_OUT[int(self.optimizer.iterations)]), 'self': tf.constant(5.0)},
    )


def test_early_stop(pretrain_command, tmp_path, known_losses, capsys):
    folder = tmp_path / 'run'
    options = {'steps': 14, 'save_every': 2, 'log_every': 20}
    assert main(pretrain_command(folder, stop_patience=2, **options)) == 0
    out = capsys.readouterr().out
    assert 'Stopped early at step 8: loss of held-out faces has not improved on its 2 of step 4 for 2 chec' in out
    assert steps_in(folder) == [6, 8]
    state = stored(folder)
    assert main(pretrain_command(folder, stop_patience=2, **options)) == 0
    out = capsys.readouterr().out
    assert 'step-8 is where the run stopped early: loss of held-out faces' in out and steps_in(folder) == [6, 8]
    np.testing.assert_equal(stored(folder), state)
    found = events(folder)
    assert dict(found['held_out/loss']) == {step: HELD_OUT[step] for step in (2, 4, 6, 8)}
    assert [step for step, _ in found['self']] == [8]

    # with more patience it goes on and finds something better; by another term it counts anew
    assert main(pretrain_command(folder, stop_patience=4, **{**options, 'steps': 12})) == 0
    assert 'stopped early' not in capsys.readouterr().out.lower() and steps_in(folder) == [10, 12]
    assert stored(folder, 'early_stop/best/') == {'stage/early_stop/best/.ATTRIBUTES/VARIABLE_VALUE': 1.0}
    assert main(pretrain_command(folder, stop_patience=2, stop_metric='self', **{**options, 'steps': 18})) == 0
    assert 'early at step 18: self of held-out faces has not improved on its 5 of step 14' in capsys.readouterr().out

    message = failure(capsys, pretrain_command(folder, **{**options, 'steps': 20}))
    assert str(folder) in message and 'with --stop_patience' in message


@pytest.mark.parametrize('at', [5, 8])
def test_an_interrupted_run_stops_where_it_would_have(pretrain_command, tmp_path, known_losses, capsys, at):
    folders = [tmp_path / name for name in ('whole', 'interrupted')]
    commands = [pretrain_command(folder, steps=14, save_every=2, stop_patience=2) for folder in folders]
    assert main(commands[0]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch_step(patch, PamStep, at, send(signal.SIGTERM))
        assert main(commands[1]) == 128 + signal.SIGTERM
    assert steps_in(folders[1])[-1] == at
    assert main(commands[1]) == 0
    assert f'tep{" 8: loss" if at < 8 else "-8 is where"}' in capsys.readouterr().out
    np.testing.assert_equal(*map(stored, folders))


def test_watching_changes_nothing_in_training(pretrain_command, pam_dir, records_dir, tmp_path):
    assert main(pretrain_command(tmp_path / 'run', stop_patience=9, stop_metric='mirror')) == 0
    found, expected = stored(tmp_path / 'run'), stored(pam_dir)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert all(name.startswith('stage/early_stop/') for name in found.keys() - expected.keys())
    step = PamStep(tiny.ENCODER, config.PamConfig())
    checkpoints.restore_networks(
        tf.train.latest_checkpoint(str(pam_dir)), content_encoder=step.content_encoder, autoencoder=step.autoencoder
    )
    faces = [pipeline.fixed_batch(records_dir, domain, 'test', tiny.SIZE, 2) for domain in 'xy']
    for name, value in step._terms(*faces).items():
        number, found = events(tmp_path / 'run')[f'held_out/{name}'][-1]
        assert number == 4
        np.testing.assert_allclose(found, value, rtol=1e-5)


def test_evaluation_is_what_training_reports(eagerly):
    # with learning rates of 0 the four updates leave the weights of the evaluation
    step = gan_step(lr_d=0.0, lr_g=0.0, lam_r1=1.0)
    pam = PamStep(tiny.ENCODER, config.PamConfig(lr_r=0.0))
    for stage, variables in ((step, step.model.variables), (pam, pam.autoencoder.variables)):
        before = values_of(variables)
        found = {name: float(value) for name, value in stage.evaluate(tiny.batch(0), tiny.batch(1)).items()}
        assert not any(moved(before, variables))
        assert found == pytest.approx(one_step(stage), rel=1e-4, abs=1e-6)
    assert config.GanConfig().stop_metric in step.evaluate(tiny.batch(0), tiny.batch(1))


def test_all_held_out_faces_count(records_dir, monkeypatch):
    class Stage:
        checkpoint = tf.train.Checkpoint()

        def evaluate(self, x, y):
            assert len(x.image) == len(y.image) == 1
            return {'mean': tf.reduce_mean(pipeline.to_float(x.image)) + tf.reduce_sum(y.eyes)}

    monkeypatch.setattr(early_stop, 'AT_ONCE', 1)
    schedule = config.PamConfig(stop_patience=1, stop_metric='mean')
    stop = early_stop.EarlyStop(Stage(), schedule, config.DataConfig(data_dir=str(records_dir)), tiny.SIZE)
    assert not stop.evaluate(3, tf.summary.create_noop_writer())
    x, y = (pipeline.fixed_batch(records_dir, domain, 'test', tiny.SIZE, 2) for domain in 'xy')
    np.testing.assert_allclose(
        Stage.checkpoint.early_stop.best, np.mean(pipeline.to_float(x.image)) + np.sum(y.eyes) / 2, rtol=1e-5
    )


@pytest.mark.parametrize('counts, sizes', [((2, 3), [2]), ((19, 21), [8, 8]), ((64, 64), [8] * 8)])
def test_batches_of_held_out_faces(counts, sizes):
    x, y = (
        pipeline.Batch(tf.reshape(tf.range(count, dtype=tf.float32), [-1, 1, 1, 1]), tf.zeros([count, 4]))
        for count in counts
    )
    found = early_stop._batches(x, y)
    assert [len(part) for pair in found for faces in pair for part in faces[:2]] == list(np.repeat(sizes, 4))
    for number in (0, 1):
        faces = np.concatenate([pair[number].image for pair in found]).ravel()
        np.testing.assert_array_equal(faces, np.arange(sum(sizes)))


def test_an_unknown_metric(pretrain_command, tmp_path, capsys):
    message = failure(capsys, pretrain_command(tmp_path / 'run', stop_patience=1, stop_metric='losses'))
    assert '--stop_metric=losses is not a term of this training. The terms are loss, mirror, self.' in message
    assert not (tmp_path / 'run').exists()
