"""TensorFlow Lite files compute what the SavedModel does, with TFLite's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.cli.main import main
from tests import tiny

ALPHAS = np.array([[0, 0.4, 1, 1.3]], np.float32)
# by how many gray levels a file may differ from the SavedModel on average; anywhere, by one at most
MEAN = {'gaze_float32.tflite': 0.001, 'gaze_float16.tflite': 0.05}


@pytest.fixture(scope='module')
def folder(gan_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp('runs') / 'lite'
    assert main(['lite', *tiny.arguments(checkpoint=gan_dir, output_dir=path)]) == 0
    return path


@pytest.fixture(scope='module', params=MEAN)
def name(request):
    return request.param


@pytest.fixture(scope='module')
def interpreter(folder, name):
    return tf.lite.Interpreter(str(folder / name))


@pytest.fixture(scope='module')
def loaded(saved_model):
    return tf.saved_model.load(str(saved_model))


def faces():
    """Faces one by one, {name: value}: the last has an eye at the border."""
    rng = np.random.default_rng(5)
    eyes = tiny.eyes_of(rng, 3)
    eyes[-1] = [2, 3, 30, 31]
    for centres in eyes:
        yield {'images': rng.integers(0, 256, (1, tiny.SIZE, tiny.SIZE, 3), np.uint8), 'eyes': centres[None]}


def as_tensors(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}


def test_signatures(interpreter):
    assert interpreter.get_signature_list() == {
        'correct': {'inputs': ['eyes', 'images'], 'outputs': ['images']},
        'animate': {'inputs': ['alphas', 'eyes', 'images'], 'outputs': ['frames']},
    }


def agree(name, found, expected):
    difference = np.abs(found.astype(int) - np.asarray(expected, int))
    return difference.max() <= 1 and difference.mean() < MEAN[name]


def test_correct_is_the_saved_models(name, interpreter, loaded):
    run = interpreter.get_signature_runner('correct')
    for face in faces():
        found = run(**face)['images']
        expected = loaded.signatures['correct'](**as_tensors(face))['images']
        assert found.dtype == np.uint8 and agree(name, found, expected)
        outside = ~tiny.inside_boxes(face['eyes'][0], tiny.MODEL)
        np.testing.assert_array_equal(found[0][outside], face['images'][0][outside])
        assert np.mean(found != face['images']) > 0.1


def test_animate_is_the_saved_models(name, interpreter, loaded):
    run = interpreter.get_signature_runner('animate')
    for count, face in enumerate(faces(), start=2):
        inputs = {**face, 'alphas': ALPHAS[:, :count]}
        found = run(**inputs)['frames']
        expected = loaded.signatures['animate'](**as_tensors(inputs))['frames']
        assert found.dtype == np.uint8 and found.shape == (1, count, tiny.SIZE, tiny.SIZE, 3)
        assert agree(name, found, expected)
        assert np.any(found[0, 0] != found[0, -1])


def test_only_operations_of_tflite_itself(folder, capfd):
    for name in MEAN:
        tf.lite.experimental.Analyzer.analyze(model_path=str(folder / name))
        listing = capfd.readouterr().out
        assert 'TRANSPOSE_CONV' in listing and 'WHILE' in listing
        assert 'Flex' not in listing and 'CUSTOM' not in listing


def test_weights_are_stored_once(folder, saved_model):
    found = tf.train.list_variables(str(saved_model / 'variables/variables'))
    weights = sum(int(np.prod(shape)) for name, shape in found if name != '_CHECKPOINTABLE_OBJECT_GRAPH')
    for name, bytes_each in (('gaze_float32.tflite', 4), ('gaze_float16.tflite', 2)):
        # beside the weights: operations, names, constants
        assert 0 < (folder / name).stat().st_size - bytes_each * weights < 2**20
    assert sorted(path.name for path in folder.iterdir()) == sorted(MEAN)


def test_a_folder_that_exists_is_not_overwritten(gan_dir, tmp_path, capsys):
    assert main(['lite', *tiny.arguments(checkpoint=gan_dir, output_dir=tmp_path)]) == 1
    assert 'exists already' in capsys.readouterr().err and list(tmp_path.iterdir()) == []
