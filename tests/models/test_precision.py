"""Mixed precision: 16 bits where it saves time, float32 where it decides."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.cli.main import main
from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.data.pipeline import to_uint8
from gaze_tf.export import export
from gaze_tf.export.export import load_model
from gaze_tf.export.painting import serving_variables
from gaze_tf.export.signatures import serving_module
from gaze_tf.inference.network import Network
from gaze_tf.models import layers
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.training import schedule
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import tiny

keras = tf.keras

PRECISIONS = ('bfloat16', 'float16')
BATCH = tiny.batch(0), tiny.batch(1)
# half a unit in the last place of bfloat16 and of float16
ROUNDING = {'bfloat16': 2.0**-9, 'float16': 2.0**-12}


def made(build, precision):
    """What `build` makes, with weights that are the same at each call."""
    keras.utils.set_random_seed(3)
    found = build(precision)
    tiny.randomize((found.autoencoder if isinstance(found, PamStep) else found.model).trainable_variables, 3, scale=0.1)
    return found


def pam(precision):
    return PamStep(tiny.ENCODER, PamConfig(lr_r=1e-3), precision=precision)


def gan(precision):
    # as deep as the image allows: signs of gradients of a few weights tell little
    model = dataclasses.replace(tiny.MODEL, n_layers_g=3, n_layers_d=2)
    return GanStep(model, GanConfig(lam_p=0, lr_d=1e-3, lr_g=1e-3), precision=precision)


def flat(variables):
    return np.concatenate([variable.numpy().ravel() for variable in variables])


def step_of(build, precision):
    """(step object, its terms, {name: change of the variables}) after one step."""
    # a graph of the four updates takes longest; PAM's is enough for the control flow that float16 has
    tf.config.run_functions_eagerly(build is gan)
    step = made(build, precision)
    before = {name: flat(variables) for name, variables in step.variables.items()}
    terms = step.train_step(*BATCH)
    tf.config.run_functions_eagerly(False)
    return step, terms, {name: flat(variables) - before[name] for name, variables in step.variables.items()}


@pytest.fixture(scope='module')
def in_float32():
    return {build: step_of(build, 'float32') for build in (pam, gan)}


@pytest.mark.trains
@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('build', [pam, gan])
def test_a_step_is_nearly_that_of_float32(build, precision, in_float32):
    step, terms, changes = step_of(build, precision)
    _, expected_terms, expected = in_float32[build]
    assert set(terms) == set(expected_terms)
    for name, term in terms.items():
        assert term.dtype == tf.float32
        assert float(term) == pytest.approx(float(expected_terms[name]), rel=0.05, abs=1e-3), name
    for name, change in changes.items():
        assert all(variable.dtype == tf.float32 for variable in step.variables[name])
        # Adam's first step is the sign of the gradient: most of them must agree, and none is much larger
        agreement = change @ expected[name] / np.linalg.norm(change) / np.linalg.norm(expected[name])
        assert agreement > 0.8 and np.all(np.isfinite(change)), name


@pytest.mark.parametrize('precision', PRECISIONS)
def test_it_does_compute_in_16_bits(precision):
    with layers.computing_in(precision):
        model = GazeModel(tiny.MODEL)
    assert {layer.compute_dtype for layer in model.g_x.encoder.layers if isinstance(layer, keras.layers.Conv2D)} == {
        precision
    }
    assert keras.mixed_precision.global_policy().name == 'float32'
    bottleneck, skips = model.g_x.encode(tf.zeros([1, 32, 32, 3]), tf.zeros([1, 32, 32, 1]))
    assert {x.dtype.name for x in (bottleneck, *skips)} == {precision}


@pytest.mark.parametrize('precision', PRECISIONS)
def test_instance_statistics_are_float32(precision):
    # a mean of 1000 and a deviation of 1 are lost when squares are summed in 16 bits
    x = tf.cast(1000 + tf.random.stateless_normal([2, 32, 32, 3], [1, 2]) * 30, precision)
    with layers.computing_in(precision):
        layer = layers.InstanceNorm()
        found = layer(x)
    assert found.dtype == precision and all(weight.dtype == tf.float32 for weight in layer.weights)
    exact = x.numpy().astype(np.float64)
    exact = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(
        tf.cast(found, tf.float32),
        exact * layer.gamma.numpy() + layer.beta.numpy(),
        rtol=2 * ROUNDING[precision],
        atol=2e-3,
    )


@pytest.mark.parametrize('precision', ('float32', *PRECISIONS))
@pytest.mark.parametrize('xla', [False, True])
def test_leaky_relu_and_its_gradients(precision, xla):
    rng = np.random.default_rng(5)
    x, weight, direction = (tf.constant(rng.normal(size=(3, 17)), precision) for _ in range(3))
    with layers.computing_in(precision):
        layer = layers.LeakyRelu(0.2)

    def values(x):
        with tf.GradientTape() as outer:
            outer.watch(weight)
            with tf.GradientTape() as tape:
                tape.watch(x)
                found = layer(x)
            gradient = tape.gradient(found, x, output_gradients=weight)
        # the gradient of a gradient, which penalties take
        return found, gradient, outer.gradient(gradient, weight, output_gradients=direction)

    exact = [value.numpy().astype(float) for value in (x, weight, direction)]
    slopes = np.where(exact[0] > 0, 1, 0.2)
    for found, value in zip(tf.function(values, jit_compile=xla)(x), exact):
        assert found.dtype == precision
        np.testing.assert_allclose(tf.cast(found, tf.float64), slopes * value, rtol=2.0**-7)


@pytest.mark.parametrize('precision', PRECISIONS)
def test_spectral_norms_are_float32(precision):
    with layers.computing_in(precision):
        layer = layers.conv(6, 4, 2, spectral=True)
        layer(tf.zeros([1, 8, 8, 3]))
        inside = tf.function(layer.normalized_kernel)()
    for _ in range(200):
        layer.advance()
    singular = np.linalg.svd(layer.kernel.numpy().reshape(-1, 6), compute_uv=False)[0]
    assert inside.dtype == layer.u.dtype == tf.float32
    np.testing.assert_allclose(layer.normalized_kernel(), layer.kernel.numpy() / singular, rtol=1e-5, atol=1e-7)


def test_float16_leaves_out_updates_that_overflow():
    step = made(pam, 'float16')
    inner = schedule.adam(1e-3, PamConfig(), step.variables['autoencoder'], 'float32')
    step.optimizer = keras.mixed_precision.LossScaleOptimizer(inner, initial_scale=2.0**100)
    before = flat(step.variables['autoencoder'])
    terms = step.train_step(*BATCH)
    assert np.isfinite(float(terms['loss']))
    np.testing.assert_array_equal(flat(step.variables['autoencoder']), before)
    assert float(step.optimizer.loss_scale) == 2.0**99


FACES = to_uint8(tiny.batch(5).image), tiny.batch(5).eyes


@pytest.fixture(scope='module')
def pictures(gan_dir):
    """{precision: FACES, corrected by the model as it is exported}."""
    return {
        precision: serving_module(load_model(gan_dir, precision)).correct(*FACES)['images'].numpy().astype(int)
        for precision in ('float32', *PRECISIONS)
    }


@pytest.mark.parametrize('precision', PRECISIONS)
def test_corrected_pictures_are_nearly_those_of_float32(pictures, precision):
    expected, found = pictures['float32'], pictures[precision]
    difference = np.abs(found - expected)
    # the eyes are a quarter of this picture
    assert 0 < difference[np.any(expected != FACES[0], axis=-1)].mean() < {'bfloat16': 3, 'float16': 0.5}[precision]
    assert difference.mean() < 1


def test_a_model_is_exported_in_16_bits(pictures, gan_dir, tmp_path, monkeypatch):
    # warm-up requests are those of any model
    monkeypatch.setattr(export.warmup, 'available', lambda: False)
    assert main(['export', f'--checkpoint={gan_dir}', f'--output_dir={tmp_path}/model', '--precision=float16']) == 0
    found = Network(tmp_path / 'model').correct(FACES[0].numpy(), FACES[1])
    assert tiny.same_pixels(found, pictures['float16']) and np.any(pictures['float16'] != pictures['float32'])
    # half of the float32 weights' bytes
    size = sum(path.stat().st_size for path in (tmp_path / 'model/1/variables').iterdir())
    assert size < 0.6 * sum(4 * np.prod(variable.shape) for variable in serving_variables(load_model(gan_dir)))
