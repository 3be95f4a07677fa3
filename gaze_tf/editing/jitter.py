"""How steady something is from frame to frame."""

import numpy as np


def jitter(positions):
    """How much points [N, 2] of successive frames tremble, in their unit (pixels); N is at least 3.

    The rms of second differences, per coordinate, over sqrt(6): even motion has none, and those of white noise have
    6 = 1 + 4 + 1 times its variance, so that this is the noise's standard deviation where nothing else happens.
    Acceleration counts, too: compare sequences of the same motion.
    """
    return float(np.sqrt(np.mean(np.diff(positions, n=2, axis=0) ** 2) / 6))
