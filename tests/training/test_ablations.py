"""What can be left out of the method to see what it buys: PAM's codes and Synthesis-As-Training."""

import dataclasses

import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.data.pipeline import for_networks
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.objectives import Objectives
from tests import tiny

GAN = config.GanConfig(steps=10, batch_size=2, lr_d=1e-3, lr_g=1e-3, lam_p=0.0, lam_r=3.0)


def look(model, seed=0):
    faces = for_networks(tiny.batch(seed))
    return model.look(faces.image, faces.eyes)


@pytest.fixture(scope='module')
def steps():
    """use_pam → a step, whose networks take seconds to build."""
    found = {}
    for use_pam in (True, False):
        tf.keras.utils.set_random_seed(3)
        found[use_pam] = GanStep(dataclasses.replace(tiny.MODEL, use_pam=use_pam), GAN)
    return found


def test_without_pam_codes_the_masked_eyes_leave_no_trace_in_a_correction(steps):
    faces = {}
    for use_pam, step in steps.items():
        model = step.model
        seen = look(model)
        other_eyes = model.look(
            seen.image + seen.mask * tf.random.stateless_normal(seen.image.shape, [1, 2]),
            for_networks(tiny.batch(0)).eyes,
        )
        assert bool(tf.reduce_any(seen.content != 0)) == use_pam
        faces[use_pam] = [model.correct(one).image.numpy() * seen.mask.numpy() for one in (seen, other_eyes)]
    assert (faces[False][0] == faces[False][1]).all()
    assert (faces[True][0] != faces[True][1]).any()


@pytest.mark.parametrize('use_sat', [True, False])
def test_synthesis_as_training_is_all_that_is_learnt_of_faces_moved_to_the_camera(steps, use_sat):
    model = steps[True].model
    objectives = Objectives(model, dataclasses.replace(GAN, use_sat=use_sat), None)
    x, y = look(model), look(model, 1)
    x_rec, y_cor, canvas = model.correct(x), model.correct(y), model.canvas(y)
    y_rec, moved = model.animate(canvas, like=y), tf.Variable(model.animate(canvas, like=y_cor).image)
    with tf.GradientTape() as tape:
        y_hat = model.look(moved, for_networks(tiny.batch(1)).eyes)
        (d_x, d_terms), (g_y, g_terms) = (
            objectives.d_x(x, x_rec, y_hat, tf.constant(0, tf.int64)),
            objectives.g_y(y, y_rec, y_cor, y_hat),
        )
        both = d_x + g_y
    gradient = tape.gradient(both, moved)
    assert (gradient is not None) == use_sat
    hats = {'g_y/adversarial_hat', 'g_y/reconstruction_hat', 'g_y/content_hat', 'd_x/hat'}
    assert hats & {*d_terms, *g_terms} == (hats if use_sat else set())
    expected = {
        'g_y': sum(float(value) * (3 if 'reconstruction' in name else 1) for name, value in g_terms.items()),
        'd_x': sum(map(float, d_terms.values())),
    }
    assert float(g_y) == pytest.approx(expected['g_y'], rel=1e-5)
    assert float(d_x) == pytest.approx(expected['d_x'], rel=1e-5)


@pytest.mark.usefixtures('eagerly')
def test_parts_can_be_left_out_on_the_command_line(train_command, tmp_path):
    """Without terms that the progress bar shows, too."""
    without = {'use_pam': False, 'use_sat': False, 'use_sp': False}
    assert main(train_command(tmp_path / 'run', **without, steps=2, log_every=1)) == 0


@pytest.mark.usefixtures('eagerly')
def test_without_pam_codes_there_are_no_terms_of_them(steps):
    terms = steps[False].evaluate(tiny.batch(0), tiny.batch(1))
    assert terms and not {'g_y/content', 'g_y/content_hat'} & set(terms)
    assert all(float(value) != 0 for value in terms.values())
