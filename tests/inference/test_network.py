"""The SavedModel client: which boxes it says are painted."""

import numpy as np
import pytest

from gaze_tf.export.signatures import serving_module
from gaze_tf.inference.network import Network
from gaze_tf.models.gaze_model import GazeModel
from tests import tiny


class Unloaded(Network):
    """A Network without functions."""

    def __init__(self):
        self.config, self.img_size = tiny.MODEL, tiny.SIZE


@pytest.fixture(scope='module')
def graph():
    """The graph of a model whose untrained networks change every pixel that they may."""
    model = GazeModel(tiny.MODEL)
    return serving_module(model)


# in float32, but not in float64, adding half the width or height of a box to this rounds to a whole number
NEARLY = float(np.nextafter(np.float32(13.5), np.float32(0)))


@pytest.mark.parametrize(
    'eyes', [[9.3, 12.1, 22.7, 13.9], [NEARLY, NEARLY, 24, 16.5], [2, 1, 30.5, 31], [8.5, 12.5, 23.5, 12.5]]
)
def test_the_editor_and_the_served_graph_take_the_same_boxes(graph, eyes):
    image = np.full([tiny.SIZE, tiny.SIZE, 3], 255, np.uint8)
    eyes = np.array(eyes, np.float32)
    painted = graph.correct(image[None], eyes[None])['images'].numpy()[0]
    expected = np.zeros(image.shape[:2], bool)
    for x0, y0, x1, y1 in Unloaded().boxes(eyes):
        expected[y0:y1, x0:x1] = True
    np.testing.assert_array_equal((painted != image).any(axis=-1), expected)


def test_boxes():
    (x0, y0, x1, y1), right = Unloaded().boxes(np.array([NEARLY, NEARLY, 28, 16], np.float32))
    assert (x0, y0, x1, y1) == (6, 8, 20, 18) and NEARLY + 6.5 < 20 and NEARLY + 4.5 < 18
    # clipped at the right
    np.testing.assert_array_equal(right, (21, 11, 32, 20))
