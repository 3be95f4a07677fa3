"""The training steps: what they compute, in which order, and what they move."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.data.pipeline import mirror
from gaze_tf.models import geometry, layers
from gaze_tf.training import schedule
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import tiny

keras = tf.keras

STEPS = 2
# rates that differ and decay from the second step on, weights that are not 1
GAN = GanConfig(steps=4, batch_size=2, lr_d=2e-3, lr_g=1e-3, decay_start=0, decay_every=1, lam_r=2.0, lam_p=5.0)
RATES = {'d_x': (2e-3, 1.5e-3), 'd_y': (2e-3, 1.5e-3), 'g_x': (1e-3, 0.75e-3), 'g_y': (1e-3, 0.75e-3)}
pytestmark = pytest.mark.trains
BATCHES = [(tiny.batch(2 * i), tiny.batch(2 * i + 1)) for i in range(STEPS)]
# the same faces as streams give them: mirrored by the step, some of them
MARKED = [(mirror(x)._replace(mirrored=tf.constant(True)), y._replace(mirrored=tf.constant(False))) for x, y in BATCHES]


def small_vgg():
    """Stands in for VGG-16: five feature maps of a crop from frozen random convolutions."""
    x = inputs = keras.Input([tiny.MODEL.crop_px, tiny.MODEL.crop_px, 3])
    found = []
    for width, stride in ((3, 1), (4, 1), (4, 2), (5, 1), (6, 2)):
        x = keras.layers.Conv2D(
            width, 3, stride, 'same', activation='relu', kernel_initializer=keras.initializers.HeNormal(seed=width)
        )(x)
        found.append(x)
    model = keras.Model(inputs, found)
    model.trainable = False
    return model


def make(step_class, seed=11, **options):
    """A step whose weights are not the initial ones, the same at each call."""
    tf.keras.utils.set_random_seed(seed)
    step = step_class(**options)
    network = step.model if isinstance(step, GanStep) else step.autoencoder
    tiny.randomize(network.trainable_variables, seed, scale=0.1)
    return step


def values_of(variables):
    return [variable.numpy() for variable in variables]


def run(step, batches=BATCHES):
    """The terms of each step."""
    return [{name: float(value) for name, value in step.train_step(x, y).items()} for x, y in batches]


@pytest.fixture(scope='module')
def trained():
    """(step, its features' weights, variables of the model before, after, terms of each step), compiled."""
    vgg = small_vgg()
    step = make(GanStep, model_config=tiny.MODEL, config=GAN, vgg=lambda: vgg)
    frozen = values_of(vgg.variables)
    before = values_of(step.model.variables)
    terms = run(step)
    for variable, value in zip(vgg.variables, frozen):
        np.testing.assert_array_equal(variable, value)
    return step, before, values_of(step.model.variables), terms


def close_updates(before, found, expected, names, rate):
    """Whether variables moved alike. Adam magnifies gradients that are nothing but rounding (a bias before
    instance normalisation has none): such variables need only have moved as little as they may."""
    for name, start, a, b in zip(names, before, found, expected):
        moved, missed = np.linalg.norm(b - start), np.linalg.norm(a - b)
        rounding = rate * np.sqrt(a.size) if 'bias' in name else 0
        assert missed <= 0.05 * moved + rounding + 1e-6, f'{name}: {missed} of {moved}'


def gradients(tape, loss, variables):
    return tape.gradient(loss, variables, unconnected_gradients='zero')


def without_effect(model):
    """The ids of variables that are never used: biases that an instance normalization removes."""
    return {id(layer.bias) for layer in model.submodules if isinstance(layer, layers.Upconvolution)}


# --- an independent step: four full forward passes, each loss written out, Adam in numpy ---------------


def softplus(x):
    return tf.math.log(1 + tf.exp(x))


def boxes_of(batch):
    """Pixel boxes, by hand; the batches' boxes lie in the image."""
    half = np.array([tiny.MODEL.crop_h, tiny.MODEL.crop_w]) / 2
    centres = batch.eyes.numpy().reshape(-1, 2, 2)[:, :, ::-1]
    return np.trunc(np.concatenate([centres - half, centres + half], axis=-1)).astype(np.float32)


class Reference:
    """The step of the paper from the networks of a model; holds nothing else of the package."""

    def __init__(self, model, vgg):
        self.model, self.vgg = model, vgg
        self.moments = {}

    def crops(self, image, boxes):
        return [
            tf.image.crop_and_resize(image, boxes[:, i] / tiny.SIZE, np.arange(len(boxes)), [8, 8]) for i in range(2)
        ]

    def content(self, image, boxes):
        return tf.concat([self.model.content_encoder(crop)[0] for crop in self.crops(image, boxes)], axis=1)

    def angle(self, image, boxes):
        return self.model.angle_encoder(self.crops(image, boxes))

    def logit(self, discriminator, image, boxes):
        return discriminator([image, *self.crops(image, boxes)])

    def repaint(self, generator, image, mask, boxes, *codes):
        painted = generator.paint(generator.encode(image * (1 - mask), mask), boxes, *codes)
        return image * (1 - mask) + painted * mask

    def forward(self, x, y):
        """Every image of the paper, from the present weights."""
        found = {}
        for name, batch in (('x', x), ('y', y)):
            boxes = boxes_of(batch)
            mask = np.stack([tiny.inside_boxes(eyes, tiny.MODEL) for eyes in batch.eyes.numpy()])
            found[name] = batch.image, mask[..., None].astype(np.float32), boxes
        (image_x, _, boxes_x), (image_y, _, boxes_y) = found['x'], found['y']
        x_rec = self.repaint(self.model.g_x, *found['x'], self.content(image_x, boxes_x))
        y_rec = self.repaint(self.model.g_y, *found['y'], self.angle(image_y, boxes_y), self.content(image_y, boxes_y))
        y_cor = self.repaint(self.model.g_x, *found['y'], self.content(image_y, boxes_y))
        y_hat = self.repaint(self.model.g_y, *found['y'], self.angle(y_cor, boxes_y), self.content(y_cor, boxes_y))
        return image_x, boxes_x, image_y, boxes_y, x_rec, y_rec, y_cor, y_hat

    def local_l1(self, a, b):
        return tf.reduce_sum(tf.abs(a - b)) / len(a) / (tiny.MODEL.crop_w * tiny.MODEL.crop_h * 3)

    def percep(self, a, b, boxes):
        """Style + content, eye by eye and layer by layer."""
        total = 0.0
        for eye_a, eye_b in zip(self.crops(a, boxes), self.crops(b, boxes)):
            pairs = list(zip(self.vgg(eye_a), self.vgg(eye_b)))
            for i, (f, g) in enumerate(pairs):
                size = float(np.prod(f.shape))
                if i == len(pairs) - 1:
                    total += tf.reduce_sum((f - g) ** 2) / size
                else:
                    grams = [tf.einsum('nhwc,nhwd->ncd', t, t) * len(f) / size for t in (f, g)]
                    total += tf.reduce_sum((grams[0] - grams[1]) ** 2) / size
        return total

    def losses(self, x, y):
        image_x, boxes_x, image_y, boxes_y, x_rec, y_rec, y_cor, y_hat = self.forward(x, y)
        d_x, d_y, mean = self.model.d_x, self.model.d_y, tf.reduce_mean
        real = mean(softplus(-self.logit(d_x, image_x, boxes_x)))
        content = [
            mean(tf.abs(self.content(a, boxes_y) - self.content(b, boxes_y)))
            for a, b in ((y_cor, y_hat), (image_y, y_rec))
        ]
        perceptual = self.percep(image_y, y_rec, boxes_y) + self.percep(y_cor, y_hat, boxes_y)
        of_x_rec, of_y_hat = self.logit(d_x, x_rec, boxes_x), self.logit(d_x, y_hat, boxes_y)
        of_y, of_y_rec = self.logit(d_y, image_y, boxes_y), self.logit(d_y, y_rec, boxes_y)
        return {
            'd_x': 2 * real + mean(softplus(of_x_rec)) + mean(softplus(of_y_hat)),
            'd_y': mean(softplus(-of_y)) + mean(softplus(of_y_rec)),
            'g_x': (
                mean(softplus(-of_x_rec)) + 2 * self.local_l1(x_rec, image_x) + 5 * self.percep(image_x, x_rec, boxes_x)
            ),
            'g_y': (
                mean(softplus(-of_y_rec))
                + mean(softplus(-of_y_hat))
                + 2 * self.local_l1(y_rec, image_y)
                + 2 * self.local_l1(y_cor, y_hat)
                + sum(content)
                + 5 * perceptual
            ),
        }

    def step(self, number, x, y):
        """Step `number` (from 1): the totals of the four losses as each update saw them."""
        totals = {}
        groups = {
            'd_x': [self.model.d_x],
            'd_y': [self.model.d_y],
            'g_x': [self.model.g_x],
            'g_y': [self.model.g_y, self.model.angle_encoder],
        }
        for name, networks in groups.items():
            variables = [variable for network in networks for variable in network.trainable_variables]
            with tf.GradientTape() as tape:
                totals[name] = self.losses(x, y)[name]
            for i, (variable, gradient) in enumerate(zip(variables, gradients(tape, totals[name], variables))):
                gradient = gradient.numpy().astype(np.float64)
                m, v = self.moments.get((name, i), (0, 0))
                m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * gradient**2
                self.moments[name, i] = m, v
                rate = RATES[name][number - 1] * np.sqrt(1 - 0.999**number) / (1 - 0.5**number)
                variable.assign_sub((rate * m / (np.sqrt(v) + 1e-8)).astype(np.float32))
        for layer in layers.spectral_layers(self.model):
            matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
            v = matrix.T @ layer.u.numpy()
            u = matrix @ (v / np.linalg.norm(v))
            layer.u.assign(u / np.linalg.norm(u))
        return {name: float(total) for name, total in totals.items()}


def test_a_step_is_four_updates_in_order(trained):
    step, before, after, terms = trained
    model = make(GanStep, model_config=tiny.MODEL, config=dataclasses.replace(GAN, lam_p=0.0)).model
    for variable, value in zip(model.variables, before):
        np.testing.assert_array_equal(variable, value)
    reference = Reference(model, small_vgg())
    for number, (batch, found) in enumerate(zip(BATCHES, terms), start=1):
        totals = reference.step(number, *batch)
        expected = {
            'd_x': found['d_x/rec'] + found['d_x/hat'],
            'd_y': found['d_y/rec'],
            'g_x': found['g_x/adversarial'] + 2 * found['g_x/reconstruction'] + 5 * found['g_x/perceptual'],
            'g_y': (
                found['g_y/adversarial']
                + found['g_y/adversarial_hat']
                + found['g_y/content']
                + found['g_y/content_hat']
                + 2 * found['g_y/reconstruction']
                + 2 * found['g_y/reconstruction_hat']
                + 5 * found['g_y/perceptual']
            ),
        }
        for name, total in totals.items():
            np.testing.assert_allclose(total, expected[name], rtol=2e-4, err_msg=f'{name}, step {number}')
    close_updates(before, after, values_of(model.variables), [variable.name for variable in step.model.variables], 2e-3)


def test_a_step_moves_what_it_trains_and_nothing_else(trained):
    step, before, after, terms = trained
    model = step.model
    moved = {id(variable) for variable, a, b in zip(model.variables, before, after) if not np.array_equal(a, b)}
    trained_networks = (model.d_x, model.d_y, model.g_x, model.g_y, model.angle_encoder)
    expected = {id(variable) for network in trained_networks for variable in network.variables}
    assert moved == expected - without_effect(model)
    assert moved.isdisjoint(id(variable) for variable in model.content_encoder.variables)
    assert all(value > 0 for row in terms for value in row.values())


def test_variables_of_the_four_updates(trained):
    step = trained[0]
    model = step.model
    expected = {'d_x': [model.d_x], 'd_y': [model.d_y], 'g_x': [model.g_x], 'g_y': [model.g_y, model.angle_encoder]}
    assert list(step.variables) == list(expected)
    for name, networks in expected.items():
        assert {id(variable) for variable in step.variables[name]} == {
            id(variable) for network in networks for variable in network.trainable_variables
        }


def test_eager_is_graph(trained, eagerly):
    compiled, before, after, terms = trained
    step = make(GanStep, model_config=tiny.MODEL, config=GAN, vgg=small_vgg)
    for found, expected in zip(run(step), terms):
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-6)
    close_updates(
        before, values_of(step.model.variables), after, [variable.name for variable in compiled.model.variables], 2e-3
    )


def test_xla_is_graph_and_one_program(trained):
    compiled, before, after, terms = trained
    step = make(GanStep, model_config=tiny.MODEL, config=GAN, vgg=small_vgg, xla=True)
    for found, expected in zip(run(step, MARKED), terms):
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-6)
    close_updates(
        before, values_of(step.model.variables), after, [variable.name for variable in compiled.model.variables], 2e-3
    )
    # what XLA itself is given: nothing that it would have to call back for
    program = step.train_step.experimental_get_compiler_ir(*MARKED[0])(stage='hlo')
    assert program.count('ENTRY') == 1 and 'custom-call' not in program and 'host-' not in program


@pytest.mark.parametrize('loss_type', ['hinge', 'wgan'])
def test_other_losses_train(eagerly, loss_type):
    # one of them without spectral normalisation, as it is used with a gradient penalty
    model_config = dataclasses.replace(tiny.MODEL, use_sp=loss_type != 'wgan')
    config = dataclasses.replace(GAN, lam_p=0.0, loss_type=loss_type)
    step = make(GanStep, model_config=model_config, config=config)
    before = values_of(step.model.d_x.trainable_variables)
    for row in run(step):
        assert np.all(np.isfinite(list(row.values())))
        penalties = {name: value for name, value in row.items() if 'penalty' in name}
        assert set(penalties) == ({'d_x/penalty', 'd_y/penalty'} if loss_type == 'wgan' else set())
        assert all(value > 0 for value in penalties.values())
    for variable, value in zip(step.model.d_x.trainable_variables, before):
        assert np.all(np.isfinite(variable))
        # the last bias cancels where real and fake logits weigh the same
        assert 'bias' in variable.name or not np.array_equal(variable, value)


# --- PAM -----------------------------------------------------------------------------------------------

PAM = PamConfig(steps=10, lr_r=2e-3)


def pam_loss(step, *batches):
    """The paper's four terms, eye by eye, summed over the domains: (from itself, from the mirrored other one)."""

    def error(source, target):
        return tf.reduce_mean(tf.abs(step.autoencoder(source) - target))

    from_self = from_mirror = 0.0
    for batch in batches:
        left, right = geometry.eye_crops(batch.image, boxes_of(batch), 8)
        from_self += error(left, left) + error(right, right)
        from_mirror += error(right[:, :, ::-1], left) + error(left[:, :, ::-1], right)
    return from_self, from_mirror


@pytest.fixture(scope='module')
def pretrained():
    """(step, variables before, after, terms of each step), compiled."""
    step = make(PamStep, encoder_config=tiny.ENCODER, config=PAM)
    before = values_of(step.autoencoder.variables)
    return step, before, run(step), values_of(step.autoencoder.variables)


def test_pam_step(pretrained):
    step, before, terms, after = pretrained
    other = make(PamStep, encoder_config=tiny.ENCODER, config=PAM)
    variables, moments = other.autoencoder.trainable_variables, {}
    for number, (batch, found) in enumerate(zip(BATCHES, terms), start=1):
        with tf.GradientTape() as tape:
            from_self, from_mirror = pam_loss(other, *batch)
            loss = from_self + from_mirror
        expected = {'self': float(from_self), 'mirror': float(from_mirror), 'loss': float(loss)}
        assert found == pytest.approx(expected, rel=1e-4)
        for i, (variable, gradient) in enumerate(zip(variables, gradients(tape, loss, variables))):
            m, v = moments.get(i, (0, 0))
            moments[i] = m, v = 0.5 * m + 0.5 * gradient.numpy(), 0.999 * v + 0.001 * gradient.numpy() ** 2
            rate = 2e-3 * np.sqrt(1 - 0.999**number) / (1 - 0.5**number)
            variable.assign_sub(rate * m / (np.sqrt(v) + 1e-8))
        for layer in layers.spectral_layers(other.autoencoder):
            layer.advance()
    close_updates(
        before,
        after,
        values_of(other.autoencoder.variables),
        [variable.name for variable in step.autoencoder.variables],
        2e-3,
    )


def test_pam_moves_all_of_the_autoencoder(pretrained):
    step, before, _, after = pretrained
    moved = {
        id(variable) for variable, a, b in zip(step.autoencoder.variables, before, after) if not np.array_equal(a, b)
    }
    assert moved == {id(variable) for variable in step.autoencoder.variables} - without_effect(step.autoencoder)
    autoencoder = {id(variable) for variable in step.autoencoder.variables}
    assert autoencoder >= {id(variable) for variable in step.content_encoder.variables}
    assert {id(variable) for variable in step.variables['autoencoder']} < autoencoder


@pytest.mark.parametrize('xla', [False, True])
def test_pam_eager_is_graph_is_xla(pretrained, xla):
    step, before, terms, after = pretrained
    other = make(PamStep, encoder_config=tiny.ENCODER, config=PAM, xla=xla)
    tf.config.run_functions_eagerly(not xla)
    found = run(other, MARKED)
    tf.config.run_functions_eagerly(False)
    for a, b in zip(found, terms):
        assert a == pytest.approx(b, rel=2e-4)
    close_updates(
        before,
        values_of(other.autoencoder.variables),
        after,
        [variable.name for variable in step.autoencoder.variables],
        2e-3,
    )


def test_a_deeper_encoder_trains(eagerly):
    config = dataclasses.replace(tiny.ENCODER, crop_px=16, n_layers_r=2, code_size=9)
    step = make(PamStep, encoder_config=config, config=PAM)
    assert step.autoencoder.output_shape == (None, 16, 16, 3)
    assert all(np.isfinite(value) for row in run(step) for value in row.values())


# --- Adam and its schedule -----------------------------------------------------------------------------


def test_adam_is_tensorflow_ones():
    # gradients down to 1e-9, where epsilon decides
    scales = np.array([1e-9, 1e-8, 1e-7, 1e-3, 1.0, 100.0], np.float32)
    variable = tf.Variable(np.ones_like(scales))
    optimizer = schedule.adam(0.01, PamConfig(), [variable], 'float32')
    reference = tf.compat.v1.train.AdamOptimizer(0.01, beta1=0.5, beta2=0.999, epsilon=1e-8)
    other = tf.Variable(np.ones_like(scales))
    expected, m, v = np.ones(len(scales)), 0, 0
    rng = np.random.default_rng(0)
    for t in range(1, 8):
        gradient = rng.normal(1, 0.5, len(scales)).astype(np.float32) * scales
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        reference.apply_gradients([(tf.constant(gradient), other)])
        m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * np.float64(gradient) ** 2
        expected -= 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.5**t) * m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(1 - variable.numpy(), 1 - expected, rtol=1e-2, atol=5e-7)
        np.testing.assert_allclose(variable, other, atol=1e-6)
    assert 1 - expected[0] < 0.2 * (1 - expected[3])


@pytest.mark.parametrize(
    'step, expected',
    [
        (0, 1e-4),
        (1, 1e-4),
        (2_000, 1e-4),
        (19_999, 1e-4),
        (20_000, 1e-4),
        (21_999, 1e-4),
        (22_000, 1e-4 * 178 / 180),
        (23_999, 1e-4 * 178 / 180),
        (110_000, 0.5e-4),
        (199_999, 1e-4 * 2 / 180),
        (200_000, 0),
    ],
)
def test_linear_decay(step, expected):
    decay = schedule.LinearDecay(1e-4, 200_000, 20_000, 2_000)
    np.testing.assert_allclose(decay(tf.constant(step, tf.int64)), expected, rtol=1e-5, atol=1e-12)


def test_a_run_shorter_than_the_constant_part_never_decays():
    decay = schedule.LinearDecay(1e-4, 1_000, 20_000, 2_000)
    for step in (0, 500, 999):
        np.testing.assert_allclose(decay(tf.constant(step, tf.int64)), 1e-4, rtol=1e-6)
