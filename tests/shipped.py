"""The model that comes with gaze_tf: a process loads it once, as its functions take seconds to trace."""

import functools

import pytest

from gaze_tf.inference import network

_load = functools.cache(network._shipped)


@pytest.fixture(scope='session', autouse=True)
def shipped_once():
    """For the tests of a file, or of a folder whose conftest.py imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, '_shipped', _load)
        yield
