"""The Inception features, on a small graph in the layout, with the operations and of the version of the real one."""

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.metrics import inception
from tests import metric_weights

IMAGES = np.random.RandomState(0).randint(0, 256, (3, 16, 24, 3)).astype(np.uint8)


def written(path, definition):
    path.write_bytes(definition.SerializeToString())
    return path


@pytest.fixture(scope='module')
def features(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'classify_image_graph_def.pb'
    return inception.Inception(written(path, metric_weights.inception()))


def test_features_are_the_graphs_with_its_own_preprocessing(features):
    # resizing 16 x 24 to 8 x 8 without antialiasing takes every second row and every third column
    pixels = (IMAGES[:, ::2, ::3].astype(np.float64) - 128) * 0.0078125
    expected = np.maximum(pixels @ metric_weights.inception_kernel()[0, 0] / np.sqrt(1.001), 0).mean(axis=(1, 2))
    found = features(IMAGES)
    assert found.shape == (3, 2048) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_batch_gives_what_its_images_give_one_by_one(features):
    one_by_one = np.concatenate([features(IMAGES[k : k + 1]) for k in range(3)])
    np.testing.assert_allclose(features(IMAGES), one_by_one, atol=1e-6)
    np.testing.assert_array_equal(features(IMAGES.astype(np.float32)), features(IMAGES))


def test_images_of_other_sizes_follow(features):
    assert features(IMAGES[:2, :9, :9]).shape == (2, 2048)


def test_other_files_are_named(tmp_path):
    with pytest.raises(GazeError, match=r'no Inception graph at .*none\.pb'):
        inception.Inception(tmp_path / 'none.pb')
    (tmp_path / 'bad.pb').write_bytes(b'no graph')
    narrow, unnamed, unknown = metric_weights.inception(7), tf.compat.v1.GraphDef(), metric_weights.inception()
    next(node for node in unknown.node if node.name == 'norm').op = 'NoSuchOperation'
    for name, definition in (('narrow', narrow), ('unnamed', unnamed), ('unknown', unknown)):
        written(tmp_path / f'{name}.pb', definition)
    for name in ('bad', 'narrow', 'unnamed', 'unknown'):
        with pytest.raises(
            GazeError, match=rf'{name}\.pb is not the Inception graph of FID .*inception-2015-12-05\.tgz'
        ):
            inception.Inception(tmp_path / f'{name}.pb')
