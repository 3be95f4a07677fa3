"""Palettes (ours): colours that are picked from an eye, wherever its iris is, and painted with."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.data.pipeline import for_networks
from gaze_tf.inference.network import Network
from gaze_tf.models.encoders import palette_encoder
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.models.layers import EyePainter, LeakyRelu
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from tests import tiny

MODEL = dataclasses.replace(tiny.MODEL, palette=3)
GAN = config.GanConfig(steps=10, batch_size=2, lr_d=1e-3, lr_g=1e-3, lam_p=0.0, lam_r=3.0)
SKIN, IRIS = (0.4, 0.1, -0.2), (-0.6, 0.3, 0.8)


def eye(x, y, side=32):
    """A crop of plain skin with a square iris of 6 pixels, its corner at (x, y)."""
    crop = np.tile(np.float32(SKIN), [1, side, side, 1])
    crop[:, y : y + 6, x : x + 6] = IRIS
    return crop


@pytest.fixture(scope='module')
def encoder():
    tf.keras.utils.set_random_seed(1)
    network = palette_encoder(dataclasses.replace(MODEL, crop_px=32))
    tiny.randomize(network.trainable_variables, seed=2)
    return network


def test_colours_do_not_depend_on_where_the_iris_is(encoder):
    found = [encoder(eye(*place))[0] for place in ((8, 8), (18, 9), (12, 18))]  # not near the border
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4)
    # they would agree of skin alone, too
    assert np.abs(found[0] - np.float32(SKIN)).max() > 0.05


def test_colours_are_means_of_the_pixels(encoder):
    crop = eye(9, 11)
    skin, iris = np.float32(SKIN), np.float32(IRIS)
    for colour in encoder(crop)[0].numpy():
        share = (colour - skin) / (iris - skin)
        np.testing.assert_allclose(share, share[0], atol=1e-4)
        assert 0 <= share[0] <= 1
    noise = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    x = tf.constant(noise)
    for layer in encoder.layers:
        if isinstance(layer, (tf.keras.layers.Conv2D, LeakyRelu)):
            x = layer(x)
    scores = x.numpy().reshape(4, 1024, 3).astype(float)
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = np.stack([weights[n].T @ noise[n].reshape(1024, 3) for n in range(4)])
    np.testing.assert_allclose(encoder(noise), expected, atol=1e-5)


def test_pixels_are_mixtures_of_the_palette_black_and_white():
    rng = np.random.default_rng(3)
    painter = EyePainter(1, 8, palette=2)
    boxes = tf.constant([[[1.0, 1, 4, 4], [4, 5, 7, 8]]])
    windows, palettes = (tf.constant(rng.normal(size=shape), tf.float32) for shape in ((1, 2, 3, 3, 4), (1, 2, 2, 3)))
    painter([windows, boxes, palettes])
    tiny.randomize(painter.trainable_variables, seed=4, scale=1)
    found = painter([windows, boxes, palettes])[0].numpy()
    kernel, bias = (variable.numpy() for variable in painter.trainable_variables)
    features = windows.numpy()[0] @ kernel[0, 0] + bias
    shares = np.exp(features) / np.exp(features).sum(-1, keepdims=True)
    expected = np.zeros([8, 8, 3])
    for side, (y, x) in enumerate(((1, 1), (4, 5))):
        colours = np.array([*palettes.numpy()[0, side], [-1] * 3, [1] * 3])
        expected[y : y + 3, x : x + 3] = shares[side] @ colours
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture(scope='module')
def model():
    """A model with palettes, as XLA computes it."""
    tf.keras.utils.set_random_seed(3)
    return GazeModel(MODEL, native_crops=False)


@pytest.mark.parametrize('side', [0, 1])
def test_each_eye_is_painted_with_its_own_palette(model, side):
    batch = for_networks(tiny.batch(0))
    faces = model.look(batch.image, batch.eyes)
    assert faces.content.shape == (2, 2 * MODEL.code_size) and faces.palette.shape == (2, 18)
    palette = faces.palette.numpy()
    palette[:, 9 * side : 9 * side + 9] = 1
    other = faces._replace(palette=tf.constant(palette))
    canvas = model.canvas(faces)
    for paint in (model.correct, lambda one: model.animate(canvas, like=one)):
        changed = (paint(other).image != paint(faces).image).numpy().any(-1)
        for face, boxes in zip(changed, faces.boxes.numpy().astype(int)):
            inside = np.zeros_like(face)
            y0, x0, y1, x1 = boxes[side]
            inside[y0:y1, x0:x1] = True  # a few of its pixels belong to the other box, too
            assert face[inside].mean() > 0.8 and not face[~inside].any()


@pytest.mark.trains
@pytest.mark.usefixtures('eagerly')
def test_palettes_are_learnt_with_g_x_and_by_nothing_else():
    tf.keras.utils.set_random_seed(3)
    step = GanStep(MODEL, GAN)
    own = {id(variable) for variable in step.model.palette_encoder.variables}
    assert {name for name, variables in step.variables.items() if own & {id(v) for v in variables}} == {'g_x'}
    before = [variable.numpy() for variable in step.model.variables]
    terms = step.train_step(tiny.batch(0), tiny.batch(1))
    assert np.isfinite([float(term) for term in terms.values()]).all()
    moved = {
        id(variable)
        for variable, value in zip(step.model.variables, before)
        if not np.array_equal(variable.numpy(), value)
    }
    assert own <= moved
    assert moved.isdisjoint(id(variable) for variable in step.model.content_encoder.variables)


def test_palettes_are_the_same_with_xla(model):
    variables = [*model.palette_encoder.trainable_variables, *model.g_x.trainable_variables]

    def loss_and_gradients(batch):
        with tf.GradientTape() as tape:
            faces = model.look(batch.image, batch.eyes)
            loss = tf.reduce_mean(tf.abs(model.correct(faces).image - faces.image))
        return [loss, *tape.gradient(loss, variables, unconnected_gradients='zero')]

    expected = loss_and_gradients(tiny.batch(0))
    found = tf.function(loss_and_gradients, jit_compile=True, autograph=False)(tiny.batch(0))
    assert all(np.any(gradient) for gradient in expected[1 : 1 + len(model.palette_encoder.trainable_variables)])
    for ours, others in zip(found, expected):
        # biases before a normalization have gradients of nothing but rounding
        assert np.abs(ours - others).max() <= 1e-3 * np.abs(others).max() + 1e-6


def test_trained_averaged_exported_and_painted_with(extended_dir, extended_model):
    network = Network(extended_model)
    rng = np.random.default_rng(0)
    images, eyes = rng.integers(0, 256, (2, tiny.SIZE, tiny.SIZE, 3), np.uint8), tiny.eyes_of(rng, 2)
    codes = network.encode(images, eyes)
    assert codes['content'].shape == (2, 2 * tiny.MODEL.code_size) and codes['palette'].shape == (2, 12)
    rows, corrected = network.paint_codes(images, eyes), network.correct(images, eyes)
    assert tiny.same_pixels(network.paint(images, eyes, rows), corrected)
    others = network.paint(images, eyes, -rows)
    assert not tiny.same_pixels(others, corrected)
    # who has no codes is painted with his own
    some = network.paint(images, eyes, [None, *-rows[1:]])
    assert tiny.same_pixels(some[:1], corrected[:1])
    assert tiny.same_pixels(some[1:], others[1:])
    model = GazeModel(dataclasses.replace(tiny.MODEL, palette=2), discriminators=False)
    checkpoints.restore_serving(checkpoints.latest(extended_dir), model)
    expected = model.correct(model.look(tf.constant(images / 127.5 - 1, tf.float32), tf.constant(eyes)))
    assert tiny.same_pixels(corrected, np.clip(np.round((expected.image.numpy() + 1) * 127.5), 0, 255))
