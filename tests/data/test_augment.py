"""Random alterations of training faces."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.config import AugmentConfig
from gaze_tf.data import pipeline
from gaze_tf.data.augment import augment
from gaze_tf.training.pam_step import PamStep

SIZE = 128
EYES = np.array([48, 52, 80, 55], np.float32)
# what docs/training.md gives for people
PEOPLE = {
    'aug_color': 0.1,
    'aug_saturation': 0.5,
    'aug_exposure': 0.5,
    'aug_gray': 0.1,
    'aug_low_light': 0.05,
    'aug_blur': 0.25,
    'aug_scale_down': 0.25,
    'aug_jpeg': 0.3,
    'aug_noise': 0.3,
    'aug_shift': 1.0,
}
STRENGTHS = 'aug_color', 'aug_saturation', 'aug_exposure', 'aug_shift'  # the others are probabilities
ALWAYS = {name: value if name in STRENGTHS else 1.0 for name, value in PEOPLE.items()}


def portrait():
    with Image.open('tests/data/portrait.png') as image:
        return np.asarray(image.convert('RGB').resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def flat(*colour):
    return np.broadcast_to(np.array(colour, np.uint8), (SIZE, SIZE, 3))


def altered(options, count, *images, eyes=EYES):
    """uint8 [count, images, S, S, 3], each of the `count` by a seed of its own."""
    settings = AugmentConfig(**options)
    numbers = tf.data.Dataset.range(count)
    stream = numbers.map(
        lambda number: tf.stack(
            augment(tuple(map(tf.constant, images)), tf.constant(eyes), tf.stack([7, number]), settings)
        )
    )
    return np.array(list(stream.as_numpy_iterator()))


def detail(image):
    """The mean square of the differences between neighbours."""
    return np.mean(np.diff(np.asarray(image, float), axis=0) ** 2) + np.mean(
        np.diff(np.asarray(image, float), axis=1) ** 2
    )


@pytest.mark.parametrize('name', PEOPLE)
def test_each_option_alone_changes_pictures_by_seed(name):
    plain = portrait()
    found = altered({name: ALWAYS[name]}, 4, plain)[:, 0]
    assert found.dtype == np.uint8 and found.shape == (4, SIZE, SIZE, 3)
    for image in found:
        assert np.any(image != plain)
        # still that face
        assert np.corrcoef(image.ravel(), plain.ravel())[0, 1] > 0.7
    if name != 'aug_gray':
        assert len({image.tobytes() for image in found}) == 4
    np.testing.assert_array_equal(found, altered({name: ALWAYS[name]}, 4, plain)[:, 0])


@pytest.mark.parametrize('name', [name for name in PEOPLE if name not in STRENGTHS])
def test_probabilities(name):
    changed = [np.any(image != portrait()) for image in altered({name: 0.3}, 200, portrait())[:, 0]]
    # 60 of 200, give or take four standard deviations
    assert 34 <= sum(changed) <= 86


def test_color():
    red, green, blue = altered({'aug_color': 0.2}, 300, flat(100, 100, 100))[:, 0, 0, 0].T
    assert np.all(green == 100)
    for channel in (red, blue):
        gains = np.log2(channel / 100)
        assert abs(gains.mean()) < 0.05 and 0.17 < gains.std() < 0.23
    assert abs(np.corrcoef(red.astype(float), blue)[0, 1]) < 0.25


def test_saturation():
    colour = np.array([130, 100, 90])
    luma = np.dot(colour, [0.299, 0.587, 0.114])
    found = altered({'aug_saturation': 0.5}, 300, flat(*colour))[:, 0, 0, 0].astype(float)
    factors = (found[:, 0] - found[:, 2]) / 40
    assert 2**-0.5 - 0.03 < factors.min() < 0.74 and 1.37 < factors.max() < 2**0.5 + 0.03
    np.testing.assert_allclose(found, luma + factors[:, None] * (colour - luma), atol=1)
    assert np.all(altered({'aug_saturation': 0.5}, 3, flat(80, 80, 80)) == 80)


def test_exposure():
    # white is dimmed by exposure alone, to a level of 2 to the power of stops / 2.2
    black, white = (altered({'aug_exposure': 0.5}, 300, flat(*[level] * 3))[:, 0, 0, 0, 0] for level in (0, 255))
    assert np.all(black == 0) and white.min() == pytest.approx(255 * 2 ** (-0.5 / 2.2), abs=2)
    assert 120 < np.sum(white == 255) < 180
    grey = altered({'aug_exposure': 0.5}, 300, flat(128, 128, 128))[:, 0, 0, 0, 0]
    # gamma 2 ** 0.25 with the least exposure, 2 ** -0.25 with the most
    darkest, brightest = (255 * (128 / 255) ** 2 ** (sign / 4) * 2 ** (-sign * 0.5 / 2.2) for sign in (1, -1))
    assert darkest <= grey.min() < darkest + 10 and brightest - 12 < grey.max() <= brightest + 1


def test_low_light_is_dark_and_noisy():
    found = altered({'aug_low_light': 1.0}, 40, flat(200, 200, 200))[:, 0].astype(float)
    levels = found.mean(axis=(1, 2, 3)) / 200
    assert 0.19 < levels.min() < 0.25 and 0.45 < levels.max() < 0.51
    assert np.all(found.std(axis=(1, 2, 3)) > 1.5)


def test_noise():
    found = altered({'aug_noise': 1.0}, 40, flat(128, 128, 128))[:, 0].astype(float)
    deviations = found.std(axis=(1, 2, 3))
    assert deviations.max() < 8.5 and np.median(deviations) == pytest.approx(4, abs=1.5)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 128, atol=0.3)
    shared = [np.ptp(image, axis=-1).max() == 0 for image in found]
    assert 8 <= sum(shared) <= 32


@pytest.mark.parametrize('name', ['aug_blur', 'aug_scale_down'])
def test_less_detail_in_the_same_place(name):
    plain = portrait()
    for image in altered({name: 1.0}, 8, plain)[:, 0]:
        assert detail(image) < detail(plain)
        # what is symmetrical stays so
        np.testing.assert_allclose(image.mean(axis=(0, 1)), plain.mean(axis=(0, 1)), atol=1)
    symmetrical = np.concatenate([plain, plain[:, ::-1]], axis=1)[:, 64:192]
    for image in altered({name: 1.0}, 4, symmetrical)[:, 0].astype(int):
        assert np.abs(image - image[:, ::-1]).max() <= 1


def test_blur_is_gaussian():
    edge = np.concatenate([flat(0, 0, 0)[:, :64], flat(200, 200, 200)[:, 64:]], axis=1)
    profiles = altered({'aug_blur': 1.0}, 30, edge)[:, 0, 64, :, 0].astype(float)
    # the derivative of a blurred edge is the kernel
    place, kernels = np.arange(127) - 63, np.diff(profiles, axis=1) / 200
    sigmas = np.sqrt((kernels * place**2).sum(axis=1))
    assert sigmas.max() < 3.05 and sigmas.max() > 2 and sigmas.min() < 0.5
    np.testing.assert_allclose((kernels * place).sum(axis=1), 0, atol=0.02)


def test_grey_stays_grey():
    found = altered({**ALWAYS, 'aug_gray': 1.0}, 20, portrait())[:, 0]
    assert np.all(found == found[..., :1])
    image = altered({'aug_gray': 1.0}, 1, portrait())[0, 0]
    expected = np.asarray(Image.fromarray(portrait()).convert('L'), int)
    assert np.abs(image[..., 0] - expected).max() <= 1


def spot(eyes):
    """A face of two Gaussian blobs, centred on the eyes."""
    place = np.arange(SIZE) + 0.5
    blobs = [
        np.exp(-((place - y) ** 2)[:, None] / 18 - ((place - x) ** 2)[None] / 18) for x, y in np.reshape(eyes, (2, 2))
    ]
    return np.repeat(np.uint8(np.round(200 * sum(blobs)))[..., None], 3, axis=-1)


def centres(image):
    """Where the blobs of `spot` are: (x, y, x, y), in pixels from the edge of the image."""
    found, place = [], np.arange(SIZE) + 0.5
    for part, first in ((image[:, :64, 0], 0), (image[:, 64:, 0], 64)):
        weights = np.where(part > 5, part, 0).astype(float)
        found += [
            (weights.sum(axis=0) * place[first : first + 64]).sum() / weights.sum(),
            (weights.sum(axis=1) * place).sum() / weights.sum(),
        ]
    return np.array(found)


def test_eyes_err_by_aug_shift():
    errors = np.array([centres(image) for image in altered({'aug_shift': 1.5}, 300, spot(EYES))[:, 0]]) - EYES
    assert np.abs(errors.mean(axis=0)).max() < 0.35
    np.testing.assert_allclose(errors.std(axis=0), 1.5, atol=0.25)
    # each eye for itself, each coordinate for itself
    assert np.abs(np.corrcoef(errors.T) - np.eye(4)).max() < 0.25


def test_faces_keep_their_shape_when_eyes_err():
    mouth = np.array([50, 90, 78, 92], np.float32)

    def points(row):
        return row[::2] + 1j * row[1::2]

    for face, other in altered({'aug_shift': 2.0}, 20, spot(EYES), spot(mouth)):
        before, after = points(EYES), points(centres(face))
        scale = (after[1] - after[0]) / (before[1] - before[0])
        expected = after[0] + scale * (points(mouth) - before[0])
        np.testing.assert_allclose(np.abs(points(centres(other)) - expected), 0, atol=0.15)


def test_small_errors_leave_pictures_as_sharp_as_they_were():
    plain = portrait()
    np.testing.assert_allclose(altered({'aug_shift': 1e-6}, 1, plain)[0, 0].astype(int), plain, atol=25)
    ratios = [detail(image) / detail(plain) for image in altered({'aug_shift': 1.0}, 20, plain)[:, 0]]
    assert np.mean(ratios) > 0.7


def test_the_images_of_a_scene_are_altered_alike():
    plain = portrait()
    twin = plain.copy()
    twin[48:56, 44:52] = 90
    for options in (
        {'aug_color': 0.2, 'aug_exposure': 0.5, 'aug_low_light': 0.5, 'aug_noise': 0.5, 'aug_gray': 0.3},
        {**PEOPLE, 'aug_jpeg': 0.0, 'aug_blur': 0.0, 'aug_scale_down': 0.0, 'aug_shift': 0.0},
    ):
        for face, other in altered(options, 20, plain, twin):
            differ = np.any(face != other, axis=-1)
            assert differ.any() and not differ[:48].any() and not differ[56:].any()
            assert not differ[:, :44].any() and not differ[:, 52:].any()
    for face, other in altered(ALWAYS, 10, plain, plain):
        np.testing.assert_array_equal(face, other)
    # and a twin changes nothing in a face
    np.testing.assert_array_equal(altered(PEOPLE, 10, plain, twin)[:, 0], altered(PEOPLE, 10, plain)[:, 0])


# --- streams ---------------------------------------------------------------------------------------------


def stream(records_dir, options, **changes):
    """(images, eyes) of the first 12 batches of 4, or as `changes` say."""
    count = changes.pop('count', 12)
    settings = {'domain': 'x', 'img_size': 32, 'batch_size': 4, 'seed': 3, **changes}
    batches = pipeline.train_stream(records_dir, **settings, augment=AugmentConfig(**options)).take(count)
    return tuple(np.array(values) for values in zip(*((batch.image, batch.eyes) for batch in batches)))


def assert_same(found, expected):
    for values, others in zip(found, expected):
        np.testing.assert_array_equal(values, others)


def test_streams(records_dir):
    plain, once = stream(records_dir, {}), stream(records_dir, PEOPLE)
    tf.random.set_seed(99)
    assert_same(stream(records_dir, PEOPLE), once)
    # same faces in the same order, altered
    np.testing.assert_array_equal(once[1], plain[1])
    assert np.all(np.any(once[0] != plain[0], axis=(2, 3, 4)))
    assert np.any(stream(records_dir, PEOPLE, seed=4)[0] != once[0])
    # the 12 batches show each of 6 faces 8 times, never twice alike
    assert len({image.tobytes() for image in once[0].reshape(48, -1)}) == 48


def test_off_reads_what_is_stored(records_dir):
    stored = pipeline.fixed_batch(records_dir, 'x', 'train', 32, 6)
    images = {image.tobytes() for image in stored.image.numpy()}
    assert {image.tobytes() for image in stream(records_dir, {})[0].reshape(-1, 32, 32, 3)} == images
    face = tf.constant(portrait())
    assert augment((face,), tf.constant(EYES), tf.constant([1, 2]), AugmentConfig())[0] is face


@pytest.mark.parametrize('start_step', [1, 5, 11])
def test_resumed_is_uninterrupted(records_dir, start_step):
    whole = stream(records_dir, PEOPLE)
    assert_same(
        stream(records_dir, PEOPLE, start_step=start_step, count=12 - start_step),
        [values[start_step:] for values in whole],
    )


def test_parts_are_the_batches(records_dir):
    whole = stream(records_dir, PEOPLE, start_step=2)
    parts = [stream(records_dir, PEOPLE, start_step=2, parts=2, own=range(part, part + 1)) for part in range(2)]
    assert_same([np.concatenate(values, axis=1) for values in zip(*parts)], whole)


def test_training_with_it(pretrain_command, pam_dir, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(PamStep, 'pictures', lambda self, x, y: seen.append(x.image.numpy()) or {})
    assert main(pretrain_command(tmp_path, steps=2, aug_blur=1, aug_shift=0.5)) == 0
    written = config.load(tmp_path / 'config.json')
    assert written['augment'] == AugmentConfig(aug_blur=1, aug_shift=0.5)
    blurred, plain = (
        tf.train.load_variable(str(path), 'stage/autoencoder/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE')
        for path in (tmp_path / 'step-2', pam_dir / 'step-2')
    )
    assert np.any(blurred != plain)
    # held-out faces stay as they are
    held_out = pipeline.fixed_batch(written['data'].data_dir, 'x', 'test', 32, 2).image
    np.testing.assert_array_equal(seen[0], held_out)


def test_runs_from_before_it_go_on(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    groups = json.loads((folder / 'config.json').read_text())
    assert set(groups.pop('augment').values()) == {0}
    (folder / 'config.json').write_text(json.dumps(groups))
    assert main(pretrain_command(folder, steps=5)) == 0
    assert 'changed options' not in capsys.readouterr().out
    (folder / 'config.json').write_text(json.dumps(groups))
    assert main(pretrain_command(folder, steps=6, aug_blur=0.5)) == 0
    assert '--aug_blur 0.0 -> 0.5' in capsys.readouterr().out
