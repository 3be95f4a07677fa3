"""--match_detail: painted eyes with as much detail as the photo's own."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as flags_lib
from scipy.ndimage import gaussian_filter

from gaze_tf import config
from gaze_tf.cli import option_flags
from gaze_tf.errors import GazeError
from gaze_tf.models import detail
from gaze_tf.models.gaze_model import GazeModel
from tests import tiny


@pytest.fixture(scope='module')
def photo():
    """[1, 48, 48, 3] in [-1, 1], with detail of several sizes."""
    noise = np.random.default_rng(0).normal(size=(48, 48, 3))
    values = noise + sum(20 * gaussian_filter(noise, (sigma, sigma, 0)) for sigma in (1, 3))
    return (0.5 * values / np.abs(values).max()).astype(np.float32)[None]


MASK = np.zeros((1, 48, 48, 1), np.float32)
MASK[:, 12:36, 8:40] = 1


def energy(images):
    """Root mean square of the differences of neighbours inside the mask."""
    grey = images[0, 12:36, 8:40].mean(-1)
    return np.sqrt(sum(np.mean(np.diff(grey, axis=axis) ** 2) for axis in (0, 1)))


def blurred(images, sigma):
    return gaussian_filter(images, (0, sigma, sigma, 0))


def matched(painted, photo):
    return detail.match(tf.constant(painted), tf.constant(photo), tf.constant(MASK)).numpy()


def test_what_is_as_sharp_stays(photo):
    np.testing.assert_allclose(matched(photo, photo), photo, atol=1e-6)


def test_soft_eyes_in_a_sharp_photo_become_sharper(photo):
    soft = blurred(photo, 0.5)
    assert energy(soft) < 0.85 * energy(photo)
    assert energy(matched(soft, photo)) == pytest.approx(energy(photo), rel=0.08)


def test_sharp_eyes_in_a_soft_photo_become_softer(photo):
    soft = blurred(photo, 1.0)
    assert energy(photo) > 1.8 * energy(soft)
    assert energy(matched(photo, soft)) < 1.25 * energy(soft)


def test_nothing_changes_outside_the_mask_nor_beyond_the_range(photo):
    result = matched(2 * blurred(photo, 0.6), photo)
    assert np.abs(result * MASK).max() <= 1
    np.testing.assert_array_equal(result * (1 - MASK), 2 * blurred(photo, 0.6) * (1 - MASK))


def test_grey_eyes_stay_grey(photo):
    grey = np.repeat(photo.mean(-1, keepdims=True), 3, axis=-1)
    assert np.ptp(matched(blurred(grey, 0.6), photo), axis=-1).max() < 1e-6


def test_flat_photos_and_flat_eyes_give_numbers(photo):
    flat = np.zeros_like(photo)
    assert energy(matched(photo, flat)) < 0.35 * energy(photo)
    np.testing.assert_allclose(matched(flat, photo), flat, atol=1e-6)


def test_a_model_with_it_paints_with_it():
    plain, with_it = (GazeModel(dataclasses.replace(tiny.MODEL, match_detail=match)) for match in (False, True))
    for ours, others in zip(with_it.variables, plain.variables):
        ours.assign(others)
    size = tiny.MODEL.img_size
    image = tf.random.stateless_uniform([2, size, size, 3], [0, 0], -1, 1)
    eyes = tf.constant([[0.3, 0.4, 0.7, 0.4]] * 2) * size
    faces = plain.look(image, eyes)
    expected = detail.match(plain.correct(faces).image, image, faces.mask)
    np.testing.assert_allclose(with_it.correct(faces).image, expected, atol=1e-5)
    assert np.abs(expected - plain.correct(faces).image).max() > 0.01


def test_trained_weights_may_go_on_with_it_but_not_with_other_shapes():
    def flags(*given):
        values = flags_lib.FlagValues()
        option_flags.define(values, config.ModelConfig)
        values(['train', *given])
        return values

    trained = config.ModelConfig(ngf=8)
    assert option_flags.read_trained(flags('--match_detail'), config.ModelConfig, trained, 'it') == dataclasses.replace(
        trained, match_detail=True
    )
    assert option_flags.read_trained(
        flags(), config.ModelConfig, dataclasses.replace(trained, match_detail=True), 'it'
    ).match_detail
    with pytest.raises(GazeError, match='--ngf=4, but it was trained with 8'):
        option_flags.read_trained(flags('--ngf=4'), config.ModelConfig, trained, 'it')
