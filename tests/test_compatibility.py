"""Weights keep their meaning: what an earlier version wrote, or another TensorFlow, loads and computes the same."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.export import export
from tests import archives, tiny
from tests.conftest import why_no_face_models
from tests.paths import DATA

# one archive for each version that changed what is written; none is ever changed or removed
ARCHIVES = sorted(DATA.glob('model_*.zip'))


@pytest.fixture(scope='module', params=ARCHIVES, ids=lambda path: path.stem)
def earlier(request, tmp_path_factory):
    """(folder with gaze/, pam/ and saved_model/, what was given and computed when it was made)."""
    folder = tmp_path_factory.mktemp(request.param.stem)
    return folder, archives.unpack(request.param, folder)


def test_there_are_archives_of_an_earlier_version_and_of_another_tensorflow():
    assert {'model_0.1', 'model_tf2.19'} <= {path.stem for path in ARCHIVES}


def test_checkpoint(earlier):
    folder, expected = earlier
    found = archives.computed(export.load_model(folder / 'gaze'), expected)
    for name in ('content', 'angle'):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
    for name in ('corrected', 'frames'):
        assert tiny.same_pixels(found[name], expected[name])


def test_saved_model(earlier):
    folder, expected = earlier
    signatures = tf.saved_model.load(str(folder / 'saved_model')).signatures
    given = {name: tf.constant(expected[name]) for name in ('images', 'eyes', 'alphas')}
    assert tiny.same_pixels(signatures['animate'](**given)['frames'], expected['frames'])
    del given['alphas']
    assert tiny.same_pixels(signatures['correct'](**given)['images'], expected['corrected'])


def test_saved_model_in_a_command(earlier, tmp_path):
    folder, expected = earlier
    Image.fromarray(expected['images'][0]).save(tmp_path / 'face.png')
    eyes = ','.join(f'{value:g}' for value in expected['eyes'][0])
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model=folder / 'saved_model',
                    input=tmp_path / 'face.png',
                    eyes=eyes,
                    blend='hard',
                    output=tmp_path / 'out.png',
                ),
            ]
        )
        == 0
    )
    assert tiny.same_pixels(Image.open(tmp_path / 'out.png'), expected['corrected'][0])


@pytest.mark.trains
@pytest.mark.parametrize('run', ['gaze', 'pam'])
def test_training_goes_on(earlier, run, request):
    folder, given = earlier
    archive = request.node.callspec.params['earlier']
    with np.load(archives.recording(archive)) as file:
        expected = {name.removeprefix(f'{run}/'): file[name] for name in file.files if name.startswith(f'{run}/')}
    found = archives.resumed(folder, run, given)
    assert set(found) == set(expected)
    for name, value in found.items():
        # changes are differences of weights, which are rounded
        np.testing.assert_allclose(value, expected[name], rtol=2e-3, atol=3e-7, err_msg=name)


@pytest.mark.parametrize(
    'version, installed, skipped',
    [
        ((3, 13, 0), {'mediapipe'}, True),
        ((3, 13, 0), set(), True),
        ((3, 13, 0), {'mediapipe', 'mediapipe.python'}, False),
        # without it, tests fail
        ((3, 12, 9), {'mediapipe'}, False),
        ((3, 11, 7), set(), False),
    ],
)
def test_only_where_mediapipe_has_no_models_tests_of_faces_are_skipped(version, installed, skipped):
    assert bool(why_no_face_models(version, lambda name: name in installed)) == skipped
