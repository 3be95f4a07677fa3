"""LPIPS against the distances that its authors' package computes."""

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.metrics import lpips
from tests import metric_weights
from tests.paths import DATA

LINEAR = DATA / 'lpips_alex.pth'
# By the package lpips 0.1.4 under PyTorch 2.13.0 (float32, CPU), `LPIPS(net='alex', version='0.1')` with its own linear
# layers, on `pair(height, width)`; AlexNet's convolutions had the values of `metric_weights.alexnet()`, its layers were
# written out as torchvision has them. Images went in as x / 127.5 - 1.
RECORDED = {
    (31, 31): [0.00043769337935373187, 0.007529834751039743, 0.03494744375348091],
    (48, 48): [0.0006596481543965638, 0.007523133419454098, 0.04162647947669029],
    (64, 40): [0.0007810251554474235, 0.0093029560521245, 0.040308695286512375],
}


def pair(height, width):
    """Three images of noise, and each of them with noise of standard deviation 5, 20 and 60 added."""
    rng = np.random.RandomState(11)
    images, noise = rng.randint(0, 256, (3, height, width, 3)), rng.standard_normal((3, height, width, 3))
    strength = np.reshape([5, 20, 60], (3, 1, 1, 1))
    return images.astype(np.uint8), np.clip(images + strength * noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'alexnet.pth'
    metric_weights.write_torch_zip(path, metric_weights.alexnet())
    return path


@pytest.fixture(scope='module')
def distance(backbone):
    return lpips.Lpips(backbone, LINEAR)


@pytest.mark.parametrize('size', RECORDED)
def test_distances_are_those_of_the_reference(distance, size):
    found = distance(*pair(*size))
    assert found.shape == (3,)
    np.testing.assert_allclose(found, RECORDED[size], rtol=1e-4)


def test_equal_images_have_no_distance_and_order_does_not_matter(distance):
    a, b = pair(40, 33)
    assert (distance(a, a) == 0).all()
    np.testing.assert_allclose(distance(a.astype(np.float32), b), distance(b, a), rtol=1e-5)


def test_images_that_are_too_small_are_refused(distance):
    with pytest.raises(GazeError, match='at least 31 x 31 pixels.*those of 30 x 40'):
        distance(*pair(40, 30))


def test_files_in_the_wrong_place_are_named(backbone, tmp_path):
    with pytest.raises(GazeError, match=r'lpips_alex\.pth does not hold these weights: features\.0\.weight'):
        lpips.Lpips(LINEAR, LINEAR)
    with pytest.raises(GazeError, match=r'alexnet\.pth does not hold these weights: lin0\.model\.1\.weight'):
        lpips.Lpips(backbone, backbone)
    other = dict(metric_weights.alexnet(), **{'features.8.bias': np.zeros(7, np.float32)})
    metric_weights.write_torch_zip(tmp_path / 'other.pth', other)
    with pytest.raises(GazeError, match=r'other\.pth .*features\.8\.bias must have shape \[256\], .* \[7\]'):
        lpips.Lpips(tmp_path / 'other.pth', LINEAR)
    with pytest.raises(GazeError, match=r'no file of weights at .*none\.pth'):
        lpips.Lpips(tmp_path / 'none.pth', LINEAR)
