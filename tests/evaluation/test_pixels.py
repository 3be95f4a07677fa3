"""L1, PSNR, SSIM and MS-SSIM by hand and against scikit-image and TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gaze_tf.evaluation.metrics import pixels

BOXES = np.array([[2, 3, 14, 15], [20, 5, 36, 17]])


def pair(height, width, seed=0):
    """A smooth picture with some noise, and the same with more."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width][..., None] / 9
    picture = 128 + 60 * np.sin(x + [0, 1, 2]) * np.cos(y) + rng.normal(0, 8, (height, width, 3))
    return [np.clip(image, 0, 255).astype(np.uint8) for image in (picture, picture + rng.normal(0, 25, picture.shape))]


def flat(value, size=32):
    return np.full((size, size, 3), value, np.uint8)


@pytest.mark.parametrize('size', [(11, 11), (48, 40), (41, 67)])
def test_ssim_is_that_of_scikit_image(size):
    a, b = pair(*size)
    expected = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
    )
    assert pixels.ssim(a, b) == pytest.approx(expected, abs=1e-9)


# odd sides, which are halved with their last row repeated, too
@pytest.mark.parametrize('size, scales', [((11, 30), 1), ((22, 23), 2), ((45, 61), 3), ((88, 101), 4), ((177, 176), 5)])
def test_ms_ssim_is_that_of_tensorflow(size, scales):
    a, b = pair(*size)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    expected = tf.image.ssim_multiscale(a[None], b[None], 255, power_factors=weights / weights.sum())
    assert pixels.scales(*size) == scales
    assert pixels.ms_ssim(a, b) == pytest.approx(float(expected[0]), abs=3e-5)  # TensorFlow's is of float32


def test_scales_halve_the_picture_as_long_as_the_window_fits():
    sizes = (10, 11, 21, 22, 43, 44, 87, 88, 128, 175, 176, 256, 1000)
    assert [pixels.scales(size, 2000) for size in sizes] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5]
    assert pixels.scales(1000, 20) == 1


def test_similarity_of_flat_pictures_by_hand():
    # no contrast: what is left is (2 μa μb + C1) / (μa² + μb² + C1) with C1 = 2.55² = 6.5025, at the last scale only
    light = (2 * 100 * 110 + 6.5025) / (100**2 + 110**2 + 6.5025)
    assert pixels.ssim(flat(100), flat(110)) == pytest.approx(light)
    assert pixels.ms_ssim(flat(100), flat(110)) == pytest.approx(light ** (0.2856 / (0.0448 + 0.2856)))


def test_similarity_of_a_picture_and_its_negative():
    a = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert pixels.ssim(a, 255 - a) < -0.5
    assert pixels.ms_ssim(a, 255 - a) == 0
    assert pixels.ssim(a, a) == pixels.ms_ssim(a, a) == 1


def test_l1_and_psnr_by_hand():
    # 10 log10(255² / 16²) = 24.0484; half of the values differ by 16: mean square 128, 27.0587
    assert pixels.l1(flat(100), flat(116)) == 16
    assert pixels.psnr(flat(100), flat(116)) == pytest.approx(24.0484, abs=1e-4)
    b = flat(100)
    b[:16] = 84
    assert pixels.l1(flat(100), b) == 8
    assert pixels.psnr(flat(100), b) == pytest.approx(27.0587, abs=1e-4)
    assert pixels.psnr(b, b) == np.inf
    a, b = pair(30, 30)
    assert pixels.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))


def test_a_comparison_tells_the_boxes_from_the_image():
    a, b = pair(40, 40)
    found = pixels.compare(a, b, BOXES)
    crops = [(a[y0:y1, x0:x1], b[y0:y1, x0:x1]) for x0, y0, x1, y1 in BOXES]
    squares = np.concatenate([np.square(x.astype(float) - y).ravel() for x, y in crops])
    assert found == pytest.approx(
        {
            'l1_boxes': np.average([pixels.l1(*crop) for crop in crops], weights=[12 * 12, 16 * 12]),
            'psnr_boxes': 10 * np.log10(255**2 / squares.mean()),
            'ssim_boxes': np.mean([pixels.ssim(*crop) for crop in crops]),
            'ms_ssim_boxes': np.mean([pixels.ms_ssim(*crop) for crop in crops]),
            'l1_image': pixels.l1(a, b),
            'psnr_image': pixels.psnr(a, b),
            'ssim_image': pixels.ssim(a, b),
            'ms_ssim_image': pixels.ms_ssim(a, b),
        }
    )
    assert all(type(value) is float for value in found.values())


def test_nothing_that_differs_outside_the_boxes_counts_in_them():
    a, _ = pair(40, 40)
    b = a.copy()
    b[30:] = 0
    found = pixels.compare(a, b, BOXES)
    assert (found['l1_boxes'], found['psnr_boxes'], found['ssim_boxes']) == (0, np.inf, 1)
    assert found['l1_image'] > 20 and found['ssim_image'] < 1


def test_boxes_that_are_small_or_empty_are_left_out():
    a, b = pair(40, 40)
    whole = pixels.compare(a, b, BOXES[:1].repeat(2, axis=0))
    small = pixels.compare(a, b, np.array([BOXES[0], [0, 20, 10, 40]]))
    assert small['ssim_boxes'] == pytest.approx(whole['ssim_boxes']) and small['l1_boxes'] != whole['l1_boxes']
    empty = pixels.compare(a, b, np.array([BOXES[0], [40, 20, 40, 30]]))
    assert {name: empty[name] for name in empty} == pytest.approx(whole)
    none = pixels.compare(a, b, np.zeros((2, 4), int))
    assert [name for name, value in none.items() if np.isnan(value)] == [
        'l1_boxes',
        'psnr_boxes',
        'ssim_boxes',
        'ms_ssim_boxes',
    ]
    tiny = pixels.compare(a[:10], b[:10], np.array([[0, 0, 10, 10]] * 2))
    assert np.isnan(tiny['ssim_image']) and np.isnan(tiny['ms_ssim_image']) and tiny['psnr_image'] > 0
