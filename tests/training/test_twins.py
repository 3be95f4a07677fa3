"""Options that the paper does not use: twins of Y, an E_c that goes on learning, weights of hues and palettes."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.data import pipeline
from gaze_tf.errors import GazeError
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.objectives import Objectives
from tests import tiny

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures('eagerly')]

GAN = config.GanConfig(steps=10, batch_size=2, lr_d=1e-3, lr_g=1e-3, lam_p=0.0, lam_twin=3.0)


def with_twins(seed=1, twin_seed=2):
    batch, twin = tiny.batch(seed), tiny.batch(twin_seed)
    return batch._replace(image=tf.concat([batch.image, twin.image], axis=-1))


def gan_step(**options):
    tf.keras.utils.set_random_seed(3)
    return GanStep(options.pop('model', tiny.MODEL), dataclasses.replace(GAN, **options))


@pytest.fixture(scope='module')
def plain():
    """A step, whose networks take seconds to build, for tests that do not depend on its weights."""
    return gan_step()


@pytest.fixture(scope='module')
def tuned():
    """Such a step whose content encoder learns."""
    return gan_step(tune_content=True)


def weighted(step, **options):
    """The step with other weights of its losses."""
    step.objectives = Objectives(step.model, dataclasses.replace(GAN, **options), None)
    return step


def test_a_stream_brings_faces_with_their_twins(twin_records):
    plain, paired = (
        pipeline.train_stream(twin_records, 'y', tiny.SIZE, 2, seed=4, twins=twins) for twins in (False, True)
    )
    for alone, both in zip(plain.take(5), paired.take(5)):
        own, twin = both.twins()
        np.testing.assert_array_equal(own.image, alone.image)
        assert np.abs(255 - twin.image.numpy().astype(int) - own.image.numpy().astype(int)).mean() < 3
        mirrored = pipeline.for_networks(both._replace(mirrored=tf.constant(True)))
        np.testing.assert_allclose(mirrored.twins()[1].image, pipeline.to_float(twin.image)[:, :, ::-1])


def test_records_without_twins_are_refused(records_dir):
    with pytest.raises(GazeError, match='has no twins, .* with its option `twins`'):
        pipeline.train_stream(records_dir, 'y', tiny.SIZE, 2, seed=4, twins=True)


def test_g_x_learns_what_the_twin_looks_like(plain):
    step = weighted(plain)
    x, y = tiny.batch(0), with_twins()
    own, twin = y.twins()
    model = step.model
    found = model.correct(model.look(own.image, own.eyes))
    # the paper's localL1
    difference = np.abs(found.image - twin.image).sum(axis=(1, 2, 3))
    expected = (difference / (tiny.MODEL.crop_w * tiny.MODEL.crop_h * 3)).mean()
    terms = step.evaluate(x, y)
    np.testing.assert_allclose(terms['g_x/twin'], expected, rtol=1e-4)
    faces = model.look(own.image, own.eyes), model.look(twin.image, twin.eyes)
    totals = [
        weighted(step, lam_twin=weight).objectives.g_x(model.look(x.image, x.eyes), found, faces[0], found, faces[1])[0]
        for weight in (3.0, 5.0)
    ]
    np.testing.assert_allclose(totals[1] - totals[0], 2 * expected, rtol=1e-3)


def test_pixels_that_turning_changed_weigh_more(plain):
    own, twin = with_twins().twins()
    moved = np.abs(own.image - twin.image).mean(axis=-1, keepdims=True)
    assert 0.01 < moved.mean() < 1
    step = weighted(plain, twin_focus=3.0)
    found = step.model.correct(step.model.look(own.image, own.eyes))
    difference = (np.abs(found.image - twin.image) * (1 + 3 * moved)).sum(axis=(1, 2, 3))
    expected = (difference / (tiny.MODEL.crop_w * tiny.MODEL.crop_h * 3)).mean()
    np.testing.assert_allclose(step.evaluate(tiny.batch(0), with_twins())['g_x/twin'], expected, rtol=1e-4)


def test_hues_weigh_in_every_reconstruction(plain):
    x, y = tiny.batch(0), with_twins()
    without, hued = (weighted(plain, lam_hue=weight).evaluate(x, y) for weight in (0.0, 2.0))
    more = {name for name in without if not np.isclose(without[name], hued[name], rtol=1e-5)}
    assert more == {'g_x/reconstruction', 'g_x/twin', 'g_y/reconstruction', 'g_y/reconstruction_hat'}
    model = plain.model
    faces = model.look(x.image, x.eyes)
    difference = (model.correct(faces).image - faces.image).numpy()
    difference -= difference.mean(axis=-1, keepdims=True)
    expected = np.abs(difference).sum(axis=(1, 2, 3)).mean() / (tiny.MODEL.crop_w * tiny.MODEL.crop_h * 3)
    np.testing.assert_allclose(hued['g_x/reconstruction'] - without['g_x/reconstruction'], 2 * expected, rtol=1e-3)


@pytest.mark.parametrize('which', ['plain', 'tuned'])
def test_the_content_encoder_learns_only_where_it_is_told_to(request, which):
    step = weighted(request.getfixturevalue(which), tune_content=which == 'tuned')
    encoder = step.model.content_encoder
    before = [variable.numpy() for variable in encoder.variables]
    # D_x judges corrected y, too; that it does not without twins is seen in test_training.py's test_tensorboard
    assert {'d_x/cor', 'g_x/adversarial_cor'} <= set(step.train_step(tiny.batch(0), with_twins()))
    moved = [not np.array_equal(value, variable) for value, variable in zip(before, encoder.variables)]
    assert all(moved) if which == 'tuned' else not any(moved)
    own = {id(variable) for variable in encoder.trainable_variables}
    assert {name for name, variables in step.variables.items() if own & {id(variable) for variable in variables}} == (
        {'g_x'} if which == 'tuned' else set()
    )


def test_an_eye_and_its_twin_get_one_code(tuned):
    x, y = tiny.batch(0), with_twins()
    step = weighted(tuned, tune_content=True, lam_code=5.0)
    faces = [step.model.look(part.image, part.eyes) for part in y.twins()]
    apart = np.abs(faces[0].content - faces[1].content).mean()
    found = step.model.correct(faces[0])
    (none, terms), (some, told), (more, _) = (
        weighted(step, tune_content=True, lam_code=weight).objectives.g_x(faces[1], faces[1], faces[0], found, faces[1])
        for weight in (0.0, 5.0, 7.0)
    )
    np.testing.assert_allclose([told['g_x/code'], (some - none) / 5, (more - some) / 2], apart, rtol=1e-3)
    assert 'g_x/code' not in terms
    # that alone brings codes together
    weighted(step, tune_content=True, lam_code=100.0, lam_r=0.0, lam_twin=1e-6)
    codes = [step.train_step(x, y)['g_x/code'] for _ in range(6)]
    assert codes[-1] < 0.8 * codes[0]


@pytest.mark.parametrize('options', [{'tune_content': True, 'lam_twin': 0.0}, {'tune_content': False, 'lam_twin': 3.0}])
def test_one_code_needs_twins_and_an_encoder_that_learns(options):
    with pytest.raises(GazeError, match='`lam_code`'):
        config.GanConfig(lam_code=1.0, **options)


def test_palettes_have_a_weight_of_their_own():
    model = dataclasses.replace(tiny.MODEL, palette=2)
    totals, step = {}, gan_step(model=model)
    for weight in (0.0, 1.0, 3.0):
        weighted(step, lam_palette=weight)
        look = [step.model.look(batch.image, batch.eyes) for batch in (tiny.batch(0), tiny.batch(1))]
        totals[weight], terms = step.objectives.g_y(look[0], look[1], look[1], look[0])
        kept = np.mean(np.abs(look[0].palette - look[1].palette))
        np.testing.assert_allclose([terms['g_y/palette'], terms['g_y/palette_hat']], kept, rtol=1e-5)
    assert kept > 1e-3
    np.testing.assert_allclose([totals[1.0] - totals[0.0], totals[3.0] - totals[0.0]], [2 * kept, 6 * kept], rtol=1e-3)


def test_the_averaged_encoder_is_used(extended_dir):
    newest = checkpoints.latest(extended_dir)
    model = GazeModel(dataclasses.replace(tiny.MODEL, palette=2), discriminators=False)
    checkpoints.restore_serving(newest, model)
    reader = tf.train.load_checkpoint(str(newest))
    stored = {
        part: reader.get_tensor(f'stage/{part}/content_encoder/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE')
        for part in ('model', 'averages')
    }
    np.testing.assert_array_equal(model.content_encoder.trainable_variables[0], stored['averages'])
    assert not np.array_equal(stored['averages'], stored['model'])
