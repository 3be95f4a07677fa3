"""How far apart two sets of pictures lie as wholes, by their Inception features: FID and KID.

FID: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", eq. 6.
KID: Binkowski et al. 2018, "Demystifying MMD GANs", section 4.

FID is biased: with fewer images it comes out larger, so compare only values for the same number of images. Below 2,049
images the covariance of 2,048 features does not have full rank; with a few hundred images FID says little. KID is not
biased: read that one.
"""

from typing import Any

import numpy as np

from gaze_tf.errors import GazeError

SUBSETS, SUBSET_SIZE = 100, 1000


def fid(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared Fréchet distance of Gaussians with the means and covariances of features [N, D] and [M, D].

    |mean_a - mean_b|² + tr(S_a + S_b - 2 (S_a S_b)^½) with covariances that divide by N - 1, as in the reference code.
    With centered features A, S_a = AᵀA / (N - 1), the trace of the root is the sum of the singular values of
    A Bᵀ / √((N - 1)(M - 1)). That is exact where the covariances are singular, for which the reference code falls back
    on adding to their diagonals, and takes N x M numbers instead of the root of a D x D matrix: for 100 images a
    hundredth of a second instead of a minute and a half. Needs at least two of each; raises GazeError.
    """
    a, b = _checked(features_a, features_b)
    means = a.mean(axis=0) - b.mean(axis=0)
    a, b = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    spread = np.sum(a**2) + np.sum(b**2)
    # of many images, the triangular factor stands for them: RᵀR = AᵀA
    factors: list[Any] = [np.linalg.qr(x, mode='r') if len(x) > x.shape[1] else x for x in (a, b)]
    root = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    return float(means @ means + spread - 2 * root)


def kid(features_a: np.ndarray, features_b: np.ndarray, seed: int) -> tuple[float, float]:
    """(mean, standard deviation) of the unbiased MMD² over 100 pairs of subsets of features [N, D] and [M, D].

    The kernel is (x·y / D + 1)³; subsets have min(1000, N, M) features each, drawn without replacement by `seed`. The
    deviation is between subsets: with N = M ≤ 1000 there is but one, and it is 0. The mean may be slightly below 0.
    Needs at least two of each; raises GazeError.
    """
    a, b = _checked(features_a, features_b)
    size = min(SUBSET_SIZE, len(a), len(b))
    rng = np.random.default_rng(seed)
    number = 1 if size == len(a) == len(b) else SUBSETS  # all the same otherwise
    values = [_mmd(*(x[rng.choice(len(x), size, replace=False)] for x in (a, b))) for _ in range(number)]
    return float(np.mean(values)), float(np.std(values))


def _mmd(a, b):
    """Unbiased MMD² of as many features each, [N, D]: means of the kernel without that of a feature with itself."""
    count = len(a)
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(a, a), _kernel(b, b)))
    return within / (count * (count - 1)) - 2 * _kernel(a, b).mean()


def _kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def _checked(features_a, features_b):
    """Both as float64; raises GazeError if they are too few to have a covariance."""
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if min(len(a), len(b)) < 2:
        raise GazeError(f'FID and KID compare sets of at least two pictures, not of {len(a)} and {len(b)}.')
    return a, b
