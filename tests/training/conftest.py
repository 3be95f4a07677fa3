"""What tests of training share."""

import pytest
import tensorflow as tf


@pytest.fixture
def eagerly():
    """Functions run without being compiled."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
