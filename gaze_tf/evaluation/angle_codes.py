"""What a model's angle codes mean in degrees: polynomials, fitted to faces whose eyes look in known directions.

E_r learns angle codes without labels. On faces of truth.csv, whose eyes were turned by known angles, this measures how
the code depends on them. A code is taken as an offset from the code of the same eyes after correction, so that neither
the person nor the head's turn counts.
"""

from typing import NamedTuple

import numpy as np

from gaze_tf.calibration import Calibration
from gaze_tf.errors import GazeError
from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.network import Network
from gaze_tf.models.degrees import terms

MIN_FACES = 50
# the least share of the variance of yaw, and of pitch, that codes must explain
MIN_R2 = 0.5
_FOLDS = 5
_BATCH = 16


class Fitted(NamedTuple):
    """A calibration, and how well it tells directions of people it was not fitted to.

    calibration: the Calibration, fitted to all faces. errors: mean absolute error of (yaw, pitch) in degrees; r2:
    shares of their variances that are explained. faces: how many.
    """

    calibration: Calibration
    errors: np.ndarray
    r2: np.ndarray
    faces: int


def measure(network: Network, samples: Samples) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(offsets [N, 2] of the angle codes of held-out Y, their directions [N, 2] in degrees, their identities [N])."""
    offsets, directions, people = [], [], []
    for batch in samples.batches('y', _BATCH):
        truths = [one.truth for one in batch if one.truth]
        images, eyes = np.stack([one.image for one in batch]), np.stack([one.eyes for one in batch])
        codes = [network.encode(faces, eyes)['angle'] for faces in (images, network.correct(images, eyes))]
        offsets.append(codes[0] - codes[1])
        directions += [truth.gaze for truth in truths]
        people += [truth.identity for truth in truths]
    return np.concatenate(offsets), np.stack(directions), people


def fit(offsets: np.ndarray, directions: np.ndarray, people: list[str], step: int = 0) -> Fitted:
    """The Fitted of `measure`'s results. Raises GazeError: too few faces, or codes that do not tell both angles."""
    names = np.array(sorted(set(people)))
    if len(offsets) < MIN_FACES or len(names) < _FOLDS:
        raise GazeError(
            f'A calibration takes at least {MIN_FACES} faces of {_FOLDS} people with known directions; there are '
            f'{len(offsets)} of {len(names)}.'
        )
    fold = np.array([np.flatnonzero(names == name)[0] % _FOLDS for name in people])
    predicted = np.empty_like(directions)
    for k in range(_FOLDS):
        predicted[fold == k] = _values(_coefficients(offsets[fold != k], directions[fold != k]), offsets[fold == k])
    missed = directions - predicted
    r2 = 1 - (missed**2).sum(0) / ((directions - directions.mean(0)) ** 2).sum(0)
    if not (r2 >= MIN_R2).all():
        raise GazeError(
            "The model's angle code does not tell both angles: for people that it was not fitted to, it explains "
            f'{r2[0]:.0%} of the variance of yaw and {r2[1]:.0%} of that of pitch, and at least {MIN_R2:.0%} of both '
            'is needed. Train G_y and E_r with `gaze_free_content`.'
        )
    reach = float(np.floor(np.percentile(np.hypot(*directions.T), 90)))
    calibration = Calibration(
        step,
        reach,
        tuple(_coefficients(directions, offsets).ravel().tolist()),
        tuple(_coefficients(offsets, directions).ravel().tolist()),
    )
    return Fitted(calibration, np.abs(missed).mean(0), r2, len(offsets))


def _coefficients(values, results):
    """Coefficients [TERMS, 2] of the polynomials of values [N, 2] that fit results [N, 2] best."""
    found = terms(values.astype(np.float64)).numpy()
    # of equal size, so that high powers of degrees lose no digits
    scale = np.abs(found).max(0)
    scale[scale == 0] = 1
    return np.linalg.lstsq(found / scale, results, rcond=None)[0] / scale[:, None]


def _values(coefficients, values):
    return terms(values.astype(np.float64)).numpy() @ coefficients
