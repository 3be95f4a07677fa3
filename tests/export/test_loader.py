"""The loader of TensorFlow Serving, in a C++ program without Python, gets Python's numbers from a SavedModel.

So an operation of tensorflow-addons or of Python, or one that a plain server lacks, would be noticed here.
"""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from gaze_tf.export.examples import examples
from tests import tiny

pytestmark = pytest.mark.slow  # for a minute: it compiles against TensorFlow's headers
SOURCE = pathlib.Path(__file__).with_name('loader.cc')


@pytest.fixture(scope='module')
def loader(tmp_path_factory):
    """The program, compiled against the headers and the library of the TensorFlow wheel."""
    compiler = shutil.which('g++')
    if not compiler:
        pytest.skip('there is no C++ compiler (g++)')
    program = tmp_path_factory.mktemp('loader') / 'loader'
    folder = tf.sysconfig.get_lib()
    # -w: for TensorFlow's headers
    command = [
        compiler,
        '-O0',
        '-w',
        *tf.sysconfig.get_compile_flags(),
        SOURCE,
        '-o',
        program,
        f'-L{folder}',
        '-l:libtensorflow_cc.so.2',
        '-l:libtensorflow_framework.so.2',
        f'-Wl,-rpath,{folder}',
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return program


def refused():
    """[(signature, {input: value})] that must not be computed with.

    A server's session does not compare shapes with the signature's, as Python does.
    """
    good = examples(tiny.MODEL, 2)
    face, photo = good['correct'], good['correct_encoded']
    return [
        ('correct', {**face, 'images': face['images'][:, ::2, ::2]}),
        ('correct', {**face, 'images': face['images'][:, :1, :1]}),
        ('correct', {**face, 'images': face['images'][..., :1]}),
        ('correct', {**face, 'images': face['images'][0]}),
        ('correct', {**face, 'eyes': face['eyes'][:, :2]}),
        ('correct', {**face, 'eyes': face['eyes'][0]}),
        ('animate', {**face, 'alphas': np.float32([0.5])}),
        ('encode', {key: value[:0] for key, value in face.items()}),
        ('correct_encoded', {**photo, 'image': photo['image'][:, None]}),
        ('correct_encoded', {**photo, 'eyes': np.tile(photo['eyes'], [1, 2])}),
        ('correct_encoded', {**photo, 'eyes': photo['eyes'] * np.nan}),
        ('serving_default', {**photo, 'image': np.array([b'text', b'text'], object)}),
    ]


@pytest.fixture(scope='module')
def computed(loader, saved_model, tmp_path_factory):
    """Of one process, which refuses first: [(signature, {input: value}, its line, {output: TensorProto})]."""
    good = examples(tiny.MODEL, 3)
    requests = [*refused(), *((name, good[name]) for name in tf.saved_model.load(str(saved_model)).signatures)]
    root, arguments = tmp_path_factory.mktemp('requests'), []
    for number, (name, inputs) in enumerate(requests):
        folder = root / str(number)
        (folder / 'out').mkdir(parents=True)
        (folder / 'in').mkdir()
        for key, value in inputs.items():
            (folder / 'in' / key).write_bytes(tf.make_tensor_proto(value).SerializeToString())
        arguments += [name, folder]
    result = subprocess.run([loader, saved_model, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    outputs = [
        {path.name: tensor_pb2.TensorProto.FromString(path.read_bytes()) for path in (folder / 'out').iterdir()}
        for folder in arguments[1::2]
    ]
    return [(*request, line, found) for request, line, found in zip(requests, result.stdout.splitlines(), outputs)]


def test_every_signature_computes_what_it_does_in_python(computed, saved_model):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    answers = computed[len(refused()) :]
    assert [(name, line) for name, _, line, _ in answers] == [(name, 'OK') for name in signatures]
    for name, inputs, _, protos in answers:
        expected = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert sorted(protos) == sorted(expected)
        for key, values in expected.items():
            found = tf.make_ndarray(protos[key])
            assert found.shape == values.shape and tf.as_dtype(protos[key].dtype) == values.dtype
            if values.dtype == tf.string:
                found, values = (
                    np.stack([tf.io.decode_png(file) for file in files]) for files in (found, values.numpy())
                )
            if values.dtype == tf.float32:
                np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-5)
            else:
                assert tiny.same_pixels(found, values)


def test_what_python_would_not_let_through_is_refused(computed):
    for name, _, line, outputs in computed[: len(refused())]:
        assert line.startswith('INVALID_ARGUMENT:') and not outputs, (name, line)


def test_what_is_no_saved_model_is_told(loader, tmp_path):
    result = subprocess.run([loader, tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and 'SavedModel' in result.stderr
