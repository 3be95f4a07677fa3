"""The networks: sizes, initial values, normalisations, and what they leave untouched."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.config import ModelConfig
from gaze_tf.models import layers
from gaze_tf.models.autoencoder import pam_autoencoder
from gaze_tf.models.encoders import content_encoder
from gaze_tf.models.gaze_model import GazeModel
from tests import tiny

keras = tf.keras
# odd and even, apart, overlapping, cut off at each border of a 32-pixel image
EYES = tf.constant([[9, 12, 22, 13], [12, 12, 18, 15], [1, 2, 30, 29], [2, 30, 29, 1], [15, 0, 16, 31]], tf.float32)


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.fixture(scope='module')
def paper():
    """The model of the paper's size."""
    tf.keras.utils.set_random_seed(1)
    return GazeModel(ModelConfig())


@pytest.fixture(scope='module')
def model():
    """A tiny model with weights that are not the initial ones."""
    tf.keras.utils.set_random_seed(2)
    model = GazeModel(tiny.MODEL)
    tiny.randomize(model.trainable_variables, seed=5)
    return model


@pytest.fixture(scope='module')
def faces(model):
    image = np.random.default_rng(0).uniform(-1, 1, (len(EYES), 32, 32, 3)).astype(np.float32)
    return model.look(tf.constant(image), EYES)


@pytest.mark.parametrize(
    'name, expected',
    [
        ('content_encoder', 2_272_512),
        ('angle_encoder', 452_834),
        ('g_x', 22_039_347),
        ('g_y', 22_072_115),
        ('d_x', 10_560_449),
        ('d_y', 10_560_449),
    ],
)
def test_parameters_at_the_papers_size(paper, name, expected):
    assert count(getattr(paper, name).trainable_variables) == expected


def test_nothing_but_u_is_not_trainable(paper):
    others = [variable for variable in paper.variables if not variable.trainable]
    # 5 + 5 convolutions and 4 dense layers in each discriminator
    assert len(others) == 28 and all('/u:' in variable.name for variable in others)


def test_without_spectral_normalisation_nothing_is_stored():
    model = GazeModel(dataclasses.replace(tiny.MODEL, use_sp=False))
    assert all(variable.trainable for variable in model.variables)
    assert layers.spectral_layers(model) == []


def test_the_papers_autoencoder():
    config = ModelConfig()
    encoder = content_encoder(config)
    autoencoder = pam_autoencoder(encoder)
    assert autoencoder.output_shape == (None, 64, 64, 3)
    shapes = [activation.shape[1:] for activation in encoder.output[1]]
    assert shapes == [(32, 32, 32), (16, 16, 64), (8, 8, 128)]
    decoder = [layer for layer in autoencoder.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert [layer.filters for layer in decoder] == [128, 64, 32]
    assert layers.spectral_layers(autoencoder) == decoder


def test_initial_values(paper):
    large = 0
    for network in (paper.g_x.encoder, paper.d_x, paper.angle_encoder):
        for layer in network.layers:
            for variable in layer.trainable_variables:
                values = variable.numpy()
                if 'kernel' in variable.name and values.size > 20_000:
                    large += 1
                    fan_in = np.prod(values.shape[:-1])
                    assert abs(values.mean()) < 0.02 * np.sqrt(2 / fan_in)
                    np.testing.assert_allclose(values.var(), 2 / fan_in, rtol=0.05)
                    # truncated at two standard deviations of the normal it is cut from
                    assert np.abs(values).max() < 2.3 * np.sqrt(2 / fan_in)
                elif 'bias' in variable.name or 'beta' in variable.name:
                    assert not values.any()
    assert large > 10


def test_initial_instance_norm_scales(paper):
    scales = np.concatenate([variable.numpy() for variable in paper.trainable_variables if 'gamma' in variable.name])
    assert len(scales) > 1000
    np.testing.assert_allclose([scales.mean(), scales.std()], [1, 0.02], atol=0.003)


def test_instance_norm():
    rng = np.random.default_rng(1)
    x = rng.normal(3, 2, (2, 5, 4, 3)).astype(np.float32)
    inputs = keras.Input([5, 4, 3])
    network = keras.Model(inputs, layers.instance_norm(inputs))
    tiny.randomize(network.trainable_variables, seed=1)
    parameters = {variable.name.split('/')[-1]: variable.numpy() for variable in network.trainable_variables}
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5) * parameters['gamma:0'] + parameters['beta:0']
    np.testing.assert_allclose(network(x), expected, atol=1e-5)


def test_shapes(model, faces):
    assert faces.image.shape == (5, 32, 32, 3) and faces.mask.shape == (5, 32, 32, 1)
    assert faces.left.shape == faces.right.shape == (5, 8, 8, 3)
    assert faces.content.shape == (5, 2 * tiny.MODEL.code_size) and model.angle(faces).shape == (5, 2)
    assert model.d_x([faces.image, faces.left, faces.right]).shape == (5, 1)


def test_content_is_of_each_eye_by_itself(model, faces):
    for crop, code in zip((faces.left, faces.right), tf.split(faces.content, 2, axis=1)):
        np.testing.assert_allclose(code, model.content_encoder(crop)[0], atol=1e-5)
    assert np.std(faces.content, axis=0).min() > 1e-3


def test_pixels_outside_the_boxes_stay(model, faces):
    repainted = [model.correct(faces), model.animate(model.canvas(faces), like=faces)]
    for eyes, *images in zip(EYES.numpy(), faces.image.numpy(), *(face.image.numpy() for face in repainted)):
        inside = tiny.inside_boxes(eyes, tiny.MODEL)
        for image in images[1:]:
            np.testing.assert_array_equal(image[~inside], images[0][~inside])
            assert np.mean(image[inside] != images[0][inside]) > 0.9


def test_repainted_faces_do_not_depend_on_the_eyes_that_were_there(model, faces):
    other = faces._replace(image=tf.where(faces.mask > 0, -faces.image, faces.image))
    np.testing.assert_array_equal(model.correct(other).image, model.correct(faces).image)


def test_interpolation_ends(model, faces):
    canvas, corrected = model.canvas(faces), model.correct(faces)
    for alpha, like in ((0.0, faces), (1.0, corrected)):
        expected = model.animate(canvas, like=like)
        found = model.interpolate(canvas, corrected, alpha)
        np.testing.assert_array_equal(found.image, expected.image)
    ends = [model.animate(canvas, like=other).image for other in (faces, corrected)]
    assert np.abs(ends[0] - ends[1]).max() > 1e-4


def test_interpolation_of_each_face_by_itself(model, faces):
    canvas, corrected = model.canvas(faces), model.correct(faces)
    alphas = [0.0, 0.5, 1.0, 1.4, -0.3]
    found = model.interpolate(canvas, corrected, tf.constant(alphas)[:, None]).image
    for i, alpha in enumerate(alphas):
        np.testing.assert_allclose(found[i], model.interpolate(canvas, corrected, alpha).image[i], atol=1e-5)


@pytest.mark.parametrize('xla', [False, True])
def test_eyes_are_painted_as_if_by_a_convolution_of_the_whole_image(xla):
    rng = np.random.default_rng(4)
    windows = layers.EyeWindows((tiny.MODEL.crop_h, tiny.MODEL.crop_w), halo=3)
    normalize, painter = layers.InstanceNorm(), layers.EyePainter(7, 32)
    features = tf.constant(rng.normal(size=(len(EYES), 32, 32, 4)), tf.float32)
    weight = tf.constant(rng.normal(size=(len(EYES), 32, 32, 3)), tf.float32)
    boxes = eye_boxes(EYES, tiny.MODEL)

    def in_windows(features):
        return painter([windows([features, boxes]), boxes])

    in_windows(features), normalize(features)
    tiny.randomize(painter.trainable_variables, seed=3, scale=0.05)
    tiny.randomize(windows.trainable_variables, seed=4, scale=0.5)
    normalize.set_weights(windows.get_weights())
    kernel, bias = painter.trainable_variables
    mask = np.stack([tiny.inside_boxes(eyes, tiny.MODEL) for eyes in EYES.numpy()])
    mask = mask[..., None].astype(np.float32)

    def whole(features):
        return tf.tanh(tf.nn.conv2d(tf.nn.relu(normalize(features)), kernel, 1, 'SAME') + bias) * mask

    def values_and_gradients(paint):
        with tf.GradientTape() as tape:
            tape.watch(features)
            painted = paint(features)
            loss = tf.reduce_sum(painted * weight)
        return [painted, *tape.gradient(loss, [features, kernel, bias])]

    found = tf.function(lambda: values_and_gradients(in_windows), jit_compile=xla)()
    for a, b in zip(found, values_and_gradients(whole)):
        np.testing.assert_allclose(a, b, atol=2e-4)
    np.testing.assert_array_equal(found[0].numpy()[np.repeat(mask, 3, axis=-1) == 0], 0)


SPECTRAL = {
    'conv': (layers.conv(6, 4, 2, spectral=True), (2, 8, 8, 5)),
    'dense': (layers.dense(6, spectral=True), (3, 7)),
    'deconv': (layers.deconv(6, spectral=True), (2, 4, 4, 5)),
}


def plain(layer, x, kernel):
    """The layer's function with another kernel, by TensorFlow's own operations."""
    if isinstance(layer, keras.layers.Dense):
        return x @ kernel + layer.bias
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return tf.nn.conv2d_transpose(x, kernel, [len(x), 8, 8, 6], 2, 'SAME')  # normalization removes biases
    return tf.nn.conv2d(x, kernel, 2, 'SAME') + layer.bias


@pytest.fixture(params=SPECTRAL)
def spectral(request):
    """A spectrally normalised layer with random weights, and an input."""
    layer, shape = SPECTRAL[request.param]
    rng = np.random.default_rng(8)
    x = tf.constant(rng.normal(size=shape), tf.float32)
    layer(x)
    layer.kernel.assign(rng.normal(size=layer.kernel.shape).astype(np.float32))
    layer.bias.assign(rng.normal(size=layer.bias.shape).astype(np.float32))
    layer.u.assign(rng.normal(size=layer.u.shape).astype(np.float32))
    return layer, x


def one_iteration(layer):
    """(u, v) after one power iteration from the stored u, and the kernel as a matrix; float64."""
    matrix = layer.kernel.numpy().astype(np.float64).reshape(-1, layer.kernel.shape[-1])
    v = matrix.T @ layer.u.numpy()
    v /= np.linalg.norm(v)
    u = matrix @ v
    return u / np.linalg.norm(u), v, matrix


def test_spectral_output_is_one_power_iteration_away(spectral):
    layer, x = spectral
    u, v, matrix = one_iteration(layer)
    before = layer.u.numpy()
    expected = plain(layer, x, layer.kernel / np.float32(u @ matrix @ v))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer.u, before)


def test_spectral_advance_stores_the_iterated_u(spectral):
    layer, _ = spectral
    u, _, _ = one_iteration(layer)
    layer.advance()
    np.testing.assert_allclose(layer.u, u, atol=1e-5)


def test_spectral_norm_is_one_once_converged(spectral):
    layer, x = spectral
    for _ in range(200):
        layer.advance()
    largest = np.linalg.svd(layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1]), compute_uv=False)[0]
    np.testing.assert_allclose(layer(x), plain(layer, x, layer.kernel / largest), rtol=1e-3, atol=1e-3)


def test_spectral_gradient_flows_through_sigma(spectral):
    layer, x = spectral
    weight = tf.constant(np.random.default_rng(9).normal(size=layer(x).shape), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * weight)
    found = tape.gradient(loss, layer.kernel).numpy()

    # d(W/σ) with σ = uᵀWv, u and v fixed: G/σ − ⟨G, W⟩/σ² · uvᵀ for the gradient G at W/σ
    u, v, matrix = one_iteration(layer)
    sigma = u @ matrix @ v
    scaled = tf.constant(layer.kernel / np.float32(sigma))
    with tf.GradientTape() as tape:
        tape.watch(scaled)
        loss = tf.reduce_sum(plain(layer, x, scaled) * weight)
    at_scaled = tape.gradient(loss, scaled).numpy().astype(np.float64).reshape(matrix.shape)
    expected = at_scaled / sigma - (at_scaled * matrix).sum() / sigma**2 * np.outer(u, v)
    np.testing.assert_allclose(found.reshape(matrix.shape), expected, atol=1e-4 * np.abs(expected).max())
