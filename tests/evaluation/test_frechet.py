"""FID and KID against closed forms, the reference code's numbers, and the definition in loops."""

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.metrics import frechet


def features(seed, count, size):
    """Correlated features with a mean: the rule by which the numbers below were recorded."""
    rng = np.random.RandomState(seed)
    values = rng.standard_normal((count, size)) @ rng.standard_normal((size, size)) / np.sqrt(size)
    return values + rng.standard_normal(size) * 0.3


def with_covariance(mean, deviations):
    """2 D features [2 D, D] with exactly this mean and a diagonal covariance of these standard deviations squared."""
    size = len(deviations)
    steps = np.diag(deviations) * np.sqrt((2 * size - 1) / 2)
    return np.concatenate([mean + steps, mean - steps])


def test_fid_of_diagonal_gaussians_is_the_sum_over_their_axes():
    a, b = with_covariance([0, 1, 2], [1, 2, 3]), with_covariance([2, 1, 1], [4, 2, 1])
    np.testing.assert_allclose(np.cov(a, rowvar=False), np.diag([1, 4, 9]), atol=1e-12)
    # (difference of means)² + (difference of standard deviations)²: 4 + 0 + 1 + 9 + 0 + 4
    assert frechet.fid(a, b) == pytest.approx(18)
    assert frechet.fid(b, a) == pytest.approx(18)


def test_fid_of_a_set_with_itself_is_zero_and_of_a_shifted_one_its_square():
    a = features(1, 40, 8)
    assert frechet.fid(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet.fid(a, a + 0.5) == pytest.approx(8 * 0.25)


# `calculate_frechet_distance` of pytorch-fid 0.3.0 (which is that of the original, TTUR's fid.py) with scipy 1.17.1, on
# features(1, n, d) and features(2, n + 10, d); of 24 and 34 images with 64 features each the covariances are singular,
# and its matrix root is exact to a few millionths only
@pytest.mark.parametrize(
    'count, size, recorded, tolerance', [(200, 16, 12.50295286635933, 1e-10), (24, 64, 87.36192933682065, 1e-7)]
)
def test_fid_is_that_of_the_reference_code(count, size, recorded, tolerance):
    assert frechet.fid(features(1, count, size), features(2, count + 10, size)) == pytest.approx(
        recorded, rel=tolerance
    )


def in_loops(a, b):
    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y)) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(kernel(x, y) for x in a for y in b) / (n * m)


def test_kid_of_few_images_is_the_definition():
    a, b = features(1, 9, 4), features(2, 9, 4)
    assert frechet.kid(a, b, seed=0) == (pytest.approx(in_loops(a, b)), 0)


def test_kid_is_that_of_the_reference_code():
    # `mmd2` with `kernel_poly` of torch-fidelity 0.4.0 (which are those of the paper's authors)
    assert frechet.kid(features(1, 60, 16), features(2, 60, 16), seed=0)[0] == pytest.approx(
        0.974655850385219, rel=1e-10
    )


def test_kid_over_subsets_is_near_that_of_all_and_follows_the_seed(monkeypatch):
    monkeypatch.setattr(frechet, 'SUBSET_SIZE', 20)
    a, b = features(1, 60, 16), features(2, 50, 16)
    mean, deviation = frechet.kid(a, b, seed=0)
    assert deviation > 0 and abs(mean - in_loops(a, b)) < 4 * deviation / 10
    assert frechet.kid(a, b, seed=0) == (mean, deviation) != frechet.kid(a, b, seed=1)


def test_a_single_image_is_refused():
    for measure in (frechet.fid, lambda a, b: frechet.kid(a, b, seed=0)):
        with pytest.raises(GazeError, match='at least two pictures, not of 1 and 9'):
            measure(features(1, 1, 4), features(2, 9, 4))
