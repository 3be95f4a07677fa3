"""How much positions tremble."""

import numpy as np
import pytest

from gaze_tf.editing.jitter import jitter


def test_jitter():
    noise = np.random.default_rng(6).normal(0, 0.7, (5000, 2))
    assert jitter(noise) == pytest.approx(0.7, rel=0.05)
    motion = np.stack([3.0 * np.arange(5000), 100 - 0.5 * np.arange(5000)], 1)
    assert jitter(motion) < 1e-9 and jitter(motion + noise) == pytest.approx(jitter(noise))
    assert jitter([[0, 0], [1, 0], [0, 0]]) == pytest.approx(np.sqrt(4 / 2 / 6))
