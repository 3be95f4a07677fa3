"""L1, PSNR, SSIM and MS-SSIM by hand, against scikit-image, and against the papers' definition in numpy."""

import numpy as np
import pytest
from scipy import ndimage
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
    assert pixels.ssim(a[None], b[None]) == pytest.approx([expected], abs=3e-5)  # of float32


def by_the_papers(a, b):
    """MS-SSIM in numpy and float64, as Wang et al. 2003 have it; images are halved as in their reference code."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scales, kernel = pixels.scales(*a.shape[:2]), np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    c1, c2, product = (0.01 * 255) ** 2, (0.03 * 255) ** 2, np.ones(3)
    for scale, weight in enumerate(weights / weights.sum()):
        moments = np.stack([a, b, a * a, b * b, a * b])
        for axis in (1, 2):
            moments = ndimage.correlate1d(moments, kernel / kernel.sum(), axis=axis)
        x, y, xx, yy, xy = moments[:, 5:-5, 5:-5]
        contrast = (2 * (xy - x * y) + c2) / (xx - x**2 + yy - y**2 + c2)
        light = (2 * x * y + c1) / (x**2 + y**2 + c1)
        term = (light * contrast if scale == scales - 1 else contrast).mean(axis=(0, 1))
        product *= np.maximum(term, 0) ** weight
        a, b = (halved(image) for image in (a, b))
    return product.mean()


def halved(image):
    """Means of blocks of 2 x 2 pixels; the last row of an odd side is repeated."""
    image = np.pad(image, ((0, len(image) % 2), (0, image.shape[1] % 2), (0, 0)), mode='edge')
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


@pytest.mark.parametrize('size, scales', [((11, 30), 1), ((22, 23), 2), ((45, 61), 3), ((88, 101), 4), ((177, 176), 5)])
def test_ms_ssim_is_that_of_the_papers(size, scales):
    a, b = pair(*size)
    assert pixels.scales(*size) == scales
    assert pixels.ms_ssim(a[None], b[None]) == pytest.approx([by_the_papers(a, b)], abs=3e-5)


def test_scales_halve_the_picture_as_long_as_the_window_fits():
    sizes = (10, 11, 21, 22, 43, 44, 87, 88, 128, 175, 176, 256, 1000)
    assert [pixels.scales(size, 2000) for size in sizes] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5]
    assert pixels.scales(1000, 20) == 1


def test_similarity_of_flat_pictures_by_hand():
    # no contrast: what is left is (2 μa μb + C1) / (μa² + μb² + C1) with C1 = 2.55² = 6.5025, at the last scale only;
    # TensorFlow's variances are differences of large numbers in float32
    light = (2 * 100 * 110 + 6.5025) / (100**2 + 110**2 + 6.5025)
    a, b = flat(100)[None], flat(110)[None]
    assert pixels.ssim(a, b) == pytest.approx([light], abs=1e-4)
    assert pixels.ms_ssim(a, b) == pytest.approx([light ** (0.2856 / (0.0448 + 0.2856))], abs=1e-4)


def test_similarity_of_a_picture_and_its_negative():
    a = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    assert pixels.ssim(a, 255 - a) < -0.5
    assert pixels.ms_ssim(a, 255 - a) == 0
    assert pixels.ssim(a, a) == pytest.approx([1]) and pixels.ms_ssim(a, a) == pytest.approx([1])


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


def test_boxes_are_compared_apart_from_the_image():
    a, b = pair(40, 40)
    found = pixels.compare_boxes(a[None], b[None], BOXES[None])
    crops = [(a[y0:y1, x0:x1], b[y0:y1, x0:x1]) for x0, y0, x1, y1 in BOXES]
    squares = np.concatenate([np.square(x.astype(float) - y).ravel() for x, y in crops])
    expected = {
        'l1': np.average([pixels.l1(*crop) for crop in crops], weights=[12 * 12, 16 * 12]),
        'psnr': 10 * np.log10(255**2 / squares.mean()),
        'ssim': np.mean([pixels.ssim(x[None], y[None]) for x, y in crops]),
        'ms_ssim': np.mean([pixels.ms_ssim(x[None], y[None]) for x, y in crops]),
    }
    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx(expected, rel=1e-5)
    whole = pixels.compare(a[None], b[None])
    assert whole['l1'] == [pixels.l1(a, b)] and whole['psnr'] == [pixels.psnr(a, b)]
    assert whole['ssim'] == pixels.ssim(a[None], b[None]) and whole['ms_ssim'] == pixels.ms_ssim(a[None], b[None])


def test_a_batch_is_compared_face_by_face():
    """Of boxes of different sizes, in a mixed order."""
    pairs = [pair(40, 40, seed) for seed in range(3)]
    boxes = np.stack([BOXES, BOXES[::-1], BOXES + [1, 0, 0, 0]])
    a, b = (np.stack(part) for part in zip(*pairs))
    together = pixels.compare_boxes(a, b, boxes)
    for n in range(3):
        alone = pixels.compare_boxes(a[n : n + 1], b[n : n + 1], boxes[n : n + 1])
        assert {name: value[n] for name, value in together.items()} == pytest.approx(
            {name: value[0] for name, value in alone.items()}, rel=1e-5
        )


def test_nothing_that_differs_outside_the_boxes_counts_in_them():
    a, _ = pair(40, 40)
    b = a.copy()
    b[30:] = 0
    found = pixels.compare_boxes(a[None], b[None], BOXES[None])
    assert (found['l1'], found['psnr'], found['ssim']) == (0, np.inf, pytest.approx(1))
    assert pixels.compare(a[None], b[None])['l1'] > 20 and pixels.compare(a[None], b[None])['ssim'] < 0.99


def test_boxes_that_are_small_or_empty_are_left_out():
    a, b = (image[None] for image in pair(40, 40))
    whole = pixels.compare_boxes(a, b, BOXES[:1].repeat(2, axis=0)[None])
    small = pixels.compare_boxes(a, b, np.array([[BOXES[0], [0, 20, 10, 40]]]))
    assert small['ssim'] == pytest.approx(whole['ssim']) and small['l1'] != whole['l1']
    empty = pixels.compare_boxes(a, b, np.array([[BOXES[0], [40, 20, 40, 30]]]))
    for name, value in empty.items():
        assert value == pytest.approx(whole[name])
    none = pixels.compare_boxes(a, b, np.zeros((1, 2, 4), int))
    assert set(none) == {'l1', 'psnr', 'ssim', 'ms_ssim'} and all(np.isnan(value).all() for value in none.values())
    tiny = pixels.compare(a[:, :10], b[:, :10])
    assert np.isnan(tiny['ssim']).all() and np.isnan(tiny['ms_ssim']).all() and tiny['psnr'] > 0
