"""Training G_y and E_r alone, with content codes that do not tell where eyes look."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.errors import GazeError
from gaze_tf.export import export
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from tests import tiny

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures('eagerly')]

GAN = config.GanConfig(steps=10, batch_size=2, lr_d=1e-3, lr_g=1e-3, lam_p=0.0)
MODEL = dataclasses.replace(tiny.MODEL, gaze_free_content=True)


def test_content_is_that_of_the_corrected_eyes():
    tf.keras.utils.set_random_seed(1)
    model = GazeModel(MODEL, discriminators=False)
    tiny.randomize(model.trainable_variables, 1, scale=0.1)
    batch = tiny.batch(0)
    faces = model.look(batch.image, batch.eyes)
    corrected, canvas = model.correct(faces), model.canvas(faces)
    other = faces._replace(content=faces.content + 1)
    painted = [model.animate(canvas, like=one, corrected=corrected).image for one in (faces, other)]
    np.testing.assert_array_equal(*painted)
    # the original's own content would give other eyes
    assert np.abs(painted[0] - model.animate(canvas, like=faces, corrected=other).image).max() > 1e-4
    for alpha, like in ((0.0, faces), (1.0, corrected)):
        expected = model.animate(canvas, like=like, corrected=corrected).image
        np.testing.assert_array_equal(model.interpolate(canvas, corrected, alpha).image, expected)


def test_only_gam_and_discriminators_move():
    tf.keras.utils.set_random_seed(1)
    step = GanStep(MODEL, dataclasses.replace(GAN, freeze_gcm=True))
    before = {name: [value.numpy() for value in network.variables] for name, network in parts(step.model).items()}
    terms = step.train_step(tiny.batch(0), tiny.batch(1))
    moved = {
        name
        for name, network in parts(step.model).items()
        if any(not np.array_equal(value, old) for value, old in zip(network.variables, before[name]))
    }
    assert moved == {'g_y', 'angle_encoder', 'd_x', 'd_y'}
    assert set(step.variables) == {'d_x', 'd_y', 'g_y'} and 'g_y/reconstruction_hat' in terms


def parts(model):
    return {**model.serving_networks, 'd_x': model.d_x, 'd_y': model.d_y}


@pytest.mark.parametrize('options', [{'lam_twin': 1.0}, {'tune_content': True}])
def test_what_trains_gcm_does_not_go_with_it(options):
    with pytest.raises(GazeError, match='`freeze_gcm`'):
        config.GanConfig(freeze_gcm=True, **options)


def test_it_needs_trained_weights(train_command, tmp_path, capsys):
    assert main([*train_command(tmp_path / 'run'), '--freeze_gcm']) == 1
    assert '--freeze_gcm needs a trained G_x' in capsys.readouterr().err and not (tmp_path / 'run').exists()


def test_a_run_goes_on_with_gam_alone(train_command, gan_dir, tmp_path):
    run = tmp_path / 'run'
    changes = {'pam_checkpoint': '', 'warm_start': gan_dir, 'save_every': 1, 'ema': 0.5}
    command = [*train_command(run, **changes), '--freeze_gcm', '--gaze_free_content']
    for steps in (1, 2):
        assert main([*command, f'--steps={steps}']) == 0
    start, found = export.load_model(gan_dir), export.load_model(run)
    assert found.config.gaze_free_content and checkpoints.step_of(checkpoints.latest(run)) == 2
    for name, network in found.serving_networks.items():
        same = [np.array_equal(*pair) for pair in zip(network.variables, start.serving_networks[name].variables)]
        assert all(same) if name in ('g_x', 'content_encoder') else not all(same)
