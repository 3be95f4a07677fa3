"""Loss values against formulas written out in numpy."""

import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.losses import adversarial, perceptual, reconstruction

RNG = np.random.default_rng(1)
REAL, FAKE = RNG.normal(0, 2, (2, 7, 1)).astype(np.float32)


def softplus(x):
    return np.log(1 + np.exp(np.float64(x)))


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


# (d(real, fake), g(fake)) per face
EXPECTED = {
    'softplus': (softplus(-REAL) + softplus(FAKE), softplus(-FAKE)),
    'hinge': (np.maximum(1 - REAL, 0) + np.maximum(1 + FAKE, 0), -FAKE),
    'lsgan': ((REAL - 0.9) ** 2 + FAKE**2, (FAKE - 0.9) ** 2),
    'lsgan_original': (2 * (REAL - 0.9) + 2 * FAKE, 2 * (FAKE - 0.9)),
    'wgan': (-REAL + FAKE, -FAKE),
    'gan': (-np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)), -np.log(sigmoid(FAKE))),
}


def test_every_loss_is_covered():
    assert set(EXPECTED) == set(adversarial.LOSSES)


@pytest.mark.parametrize('name', EXPECTED)
def test_adversarial(name):
    on_discriminator, on_generator = EXPECTED[name]
    d = adversarial.discriminator_loss(name, tf.constant(REAL), tf.constant(FAKE))
    g = adversarial.generator_loss(name, tf.constant(FAKE))
    assert d.shape == g.shape == ()
    np.testing.assert_allclose(d, on_discriminator.mean(), rtol=1e-5)
    np.testing.assert_allclose(g, on_generator.mean(), rtol=1e-5)


# the original's lsgan is linear: D would push both down
@pytest.mark.parametrize('name', sorted(set(EXPECTED) - {'lsgan_original'}))
def test_losses_pull_the_right_way(name):
    real, fake = tf.constant([[-0.5]]), tf.constant([[0.5]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d = adversarial.discriminator_loss(name, real, fake)
        g = adversarial.generator_loss(name, fake)
    assert tape.gradient(d, real) < 0 < tape.gradient(d, fake)
    assert tape.gradient(g, fake) < 0


def test_gradient_penalty_of_a_linear_discriminator():
    weights = [RNG.normal(0, 0.1, shape).astype(np.float32) for shape in ((6, 6, 3), (4, 4, 3), (4, 4, 3))]
    norm = np.sqrt(sum((w.astype(np.float64) ** 2).sum() for w in weights))

    def discriminator(views):
        return tf.add_n([tf.reduce_sum(x * w, axis=[1, 2, 3]) for x, w in zip(views, weights)])[:, None]

    real, fake = ([tf.constant(RNG.normal(size=(3, *w.shape)), tf.float32) for w in weights] for _ in range(2))
    mix = tf.reshape([0.1, 0.5, 0.9], [3, 1, 1, 1])
    penalty = adversarial.gradient_penalty(discriminator, real, fake, mix)
    np.testing.assert_allclose(penalty, (norm - 1) ** 2, rtol=1e-4)


def test_gradient_penalty_between_real_and_fake():
    # of a square the gradient is 2x, so its norm tells where between the two it was taken
    def discriminator(views):
        return tf.reduce_sum(tf.square(views[0]), axis=[1, 2, 3])[:, None]

    real, fake = tf.fill([2, 1, 1, 1], 3.0), tf.fill([2, 1, 1, 1], 1.0)
    mix = tf.reshape([0.25, 1.0], [2, 1, 1, 1])
    penalty = adversarial.gradient_penalty(discriminator, [real], [fake], mix)
    places = np.array([0.25 * 3 + 0.75 * 1, 3.0])
    np.testing.assert_allclose(penalty, np.mean((2 * places - 1) ** 2), rtol=1e-5)


def test_gradient_penalty_has_finite_gradients_where_the_discriminator_is_flat():
    scale = tf.Variable(0.0)
    image = tf.ones([2, 4, 4, 3])

    def discriminator(views):
        return scale * tf.reduce_sum(views[0], axis=[1, 2, 3])[:, None]

    with tf.GradientTape() as tape:
        penalty = adversarial.gradient_penalty(discriminator, [image], [-image], tf.fill([2, 1, 1, 1], 0.5))
    assert np.isfinite(tape.gradient(penalty, scale))
    np.testing.assert_allclose(penalty, 1, atol=1e-5)


def test_local_l1():
    a, b = RNG.uniform(-1, 1, (2, 3, 8, 8, 3)).astype(np.float32)
    expected = np.mean([np.abs(a[i] - b[i]).sum() / (5 * 4 * 3) for i in range(3)])
    found = reconstruction.local_l1(tf.constant(a), tf.constant(b), 5, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_mean_l1():
    a, b = RNG.normal(size=(2, 3, 5)).astype(np.float32)
    found = reconstruction.mean_l1(tf.constant(a), tf.constant(b))
    np.testing.assert_allclose(found, np.abs(a - b).mean(), rtol=1e-5)


@pytest.mark.parametrize('loss', [lambda a, b: reconstruction.local_l1(a, b, 2, 2), reconstruction.mean_l1])
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError):
        loss(tf.zeros([2, 4, 4, 3]), tf.zeros([2, 4, 4, 1]))


def test_mirror():
    left, right = RNG.uniform(-1, 1, (2, 3, 6, 6, 3)).astype(np.float32)

    def autoencoder(x):
        return 0.5 * x**2 - 0.1

    def error(source, target):
        return np.abs(autoencoder(source) - target).mean()

    terms = reconstruction.mirror(autoencoder, tf.constant(left), tf.constant(right))
    assert set(terms) == {'self', 'mirror'}
    np.testing.assert_allclose(terms['self'], error(left, left) + error(right, right), rtol=1e-5)
    mirrored = error(right[:, :, ::-1], left) + error(left[:, :, ::-1], right)
    np.testing.assert_allclose(terms['mirror'], mirrored, rtol=1e-5)


def features(rng, count):
    """Five feature tensors of `count` crops, of sizes all different."""
    return [
        rng.normal(size=(count, *shape)).astype(np.float32)
        for shape in ((8, 6, 2), (4, 3, 3), (4, 2, 5), (2, 2, 4), (2, 3, 6))
    ]


def expected_perceptual(a, b):
    """Style + content of one batch of crops, image by image."""
    total = 0
    for x, y in zip(a[:-1], b[:-1]):
        grams = []
        for tensor in (x, y):
            _, height, width, channels = tensor.shape
            flat = tensor.astype(np.float64).reshape(len(tensor), -1, channels)
            grams.append([f.T @ f / (height * width * channels) for f in flat])
        total += ((np.array(grams[0]) - np.array(grams[1])) ** 2).sum() / x.size
    return total + ((np.float64(a[-1]) - b[-1]) ** 2).sum() / a[-1].size


def test_perceptual_of_one_eye():
    a, b = features(RNG, 3), features(RNG, 3)
    value = perceptual.perceptual([*map(tf.constant, a)], [*map(tf.constant, b)], 3.0)
    np.testing.assert_allclose(value, expected_perceptual(a, b), rtol=1e-4)


def test_perceptual_of_both_eyes_is_the_sum_of_each():
    left_a, left_b, right_a, right_b = (features(RNG, 3) for _ in range(4))
    stacked = [
        [tf.constant(np.concatenate(pair)) for pair in zip(left, right)]
        for left, right in ((left_a, right_a), (left_b, right_b))
    ]
    value = perceptual.perceptual(*stacked, 3.0)
    expected = expected_perceptual(left_a, left_b) + expected_perceptual(right_a, right_b)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


@pytest.fixture(scope='module')
def reference_vgg():
    """Keras' own VGG-16 of known weights, without its top."""
    tf.keras.utils.set_random_seed(3)
    return tf.keras.applications.VGG16(include_top=False, weights=None)


@pytest.fixture(scope='module')
def notop(reference_vgg, tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg') / 'notop.h5'
    reference_vgg.save_weights(path)
    return path


def features_by_hand(vgg, image):
    """The five features of an RGB image by Keras' weights: BGR, as `preprocess_input` makes it; conv, relu; pool
    between blocks."""
    found, x = [], image[..., ::-1]
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        if found:
            x = tf.nn.max_pool2d(x, 2, 2, 'VALID')
        for i in range(1, count + 1):
            kernel, bias = vgg.get_layer(f'block{block}_conv{i}').get_weights()
            x = np.maximum(tf.nn.conv2d(x, kernel, 1, 'SAME') + bias, 0)
        found.append(x)
    return found


def test_vgg_features(reference_vgg, notop):
    vgg = perceptual.vgg16(str(notop))
    assert vgg.count_params() == 14_714_688 and vgg.trainable_weights == []
    image = RNG.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    found, expected = vgg(image), features_by_hand(reference_vgg, image)
    assert len(found) == 5
    for a, b in zip(found, expected):
        assert np.min(a) >= 0 < np.max(a)
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.max(b))


def test_official_file_with_top(reference_vgg, tmp_path):
    # written by hand in the layout of vgg16_weights_tf_dim_ordering_tf_kernels.h5 (its three dense layers
    # tiny, as nothing reads them)
    path = tmp_path / 'with_top.h5'
    weights = {layer.name: layer.get_weights() for layer in reference_vgg.layers[1:]}
    weights['flatten'] = []
    weights.update({name: [np.zeros([2, 2]), np.zeros(2)] for name in ('fc1', 'fc2', 'predictions')})
    with h5py.File(path, 'w') as file:
        file.attrs['layer_names'] = [name.encode() for name in weights]
        for name, values in weights.items():
            group = file.create_group(name)
            group.attrs['weight_names'] = [f'{name}_{kind}_1:0'.encode() for kind, _ in zip('Wb', values)]
            for weight_name, value in zip(group.attrs['weight_names'], values):
                group[weight_name] = value
    convolutions = [layer for layer in perceptual.vgg16(str(path)).layers if layer.weights]
    assert len(convolutions) == 13
    for layer in convolutions:
        for mine, theirs in zip(layer.get_weights(), weights[layer.name]):
            # ours takes RGB
            np.testing.assert_array_equal(
                mine, theirs[:, :, ::-1] if layer.name == 'block1_conv1' and theirs.ndim == 4 else theirs
            )


@pytest.mark.parametrize('older', [False, True])
def test_slim_checkpoint_gives_the_features_of_the_keras_file(reference_vgg, notop, tmp_path, older):
    # the layout of vgg_16.ckpt, which takes RGB; published as one file of the older format
    values = {
        'vgg_16/fc8/biases': np.zeros(1000, np.float32),
        'vgg_16/mean_rgb': np.zeros(3, np.float32),
        'global_step': np.int64(0),
    }
    for layer in reference_vgg.layers:
        if layer.weights:
            block, number = layer.name[5], layer.name[-1]
            kernel, bias = layer.get_weights()
            scope = f'vgg_16/conv{block}/conv{block}_{number}'
            values.update(
                {f'{scope}/weights': kernel[:, :, ::-1] if block + number == '11' else kernel, f'{scope}/biases': bias}
            )
    path = str(tmp_path / 'vgg_16.ckpt')
    if older:
        tf.raw_ops.Save(filename=path, tensor_names=list(values), data=list(values.values()))
    else:
        tf.raw_ops.SaveV2(
            prefix=path, tensor_names=list(values), shape_and_slices=[''] * len(values), tensors=list(values.values())
        )
    image = RNG.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    for found, expected in zip(perceptual.vgg16(path)(image), perceptual.vgg16(str(notop))(image)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    'values, message',
    [
        ({'vgg_16/conv1/conv1_2/weights': np.zeros([3, 3, 64, 64], np.float32)}, 'vgg_16/conv1/conv1_1/weights'),
        ({'vgg_16/conv1/conv1_1/weights': np.zeros([3, 3, 3, 32], np.float32)}, 'vgg_16/conv1/conv1_1/weights'),
    ],
)
def test_slim_checkpoint_of_another_network(tmp_path, values, message):
    path = str(tmp_path / 'vgg_16.ckpt')
    tf.raw_ops.SaveV2(prefix=path, tensor_names=list(values), shape_and_slices=[''], tensors=list(values.values()))
    with pytest.raises(GazeError, match=message):
        perceptual.vgg16(path)


def test_vgg_without_weights_is_random(reference_vgg):
    kernels = [model.get_layer('block3_conv2').get_weights()[0] for model in (perceptual.vgg16(), reference_vgg)]
    assert kernels[0].std() > 0 and not np.allclose(*kernels)


def test_vgg_weights_that_are_not_there(tmp_path):
    for name in ('nowhere.h5', 'nowhere.ckpt'):
        with pytest.raises(GazeError, match=name):
            perceptual.vgg16(str(tmp_path / name))


def test_vgg_weights_that_are_no_h5(tmp_path):
    path = tmp_path / 'text.h5'
    path.write_text('not weights')
    with pytest.raises(GazeError, match='text.h5'):
        perceptual.vgg16(str(path))


def test_vgg_weights_of_another_network(tmp_path):
    path = tmp_path / 'other.h5'
    tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=[3])]).save_weights(path)
    with pytest.raises(GazeError, match='other.h5'):
        perceptual.vgg16(str(path))


def test_vgg_weights_of_other_shapes(notop, tmp_path):
    path = tmp_path / 'shapes.h5'
    shutil.copy(notop, path)
    with h5py.File(path, 'r+') as file:
        group = file['block1_conv1']
        name = group.attrs['weight_names'][0]
        del group[name]
        group[name] = np.zeros([5, 5, 3, 64], np.float32)
    with pytest.raises(GazeError, match='shapes.h5'):
        perceptual.vgg16(str(path))
