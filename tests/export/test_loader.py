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
        # operations register themselves: in TensorFlow 2.21, nothing else refers to their library
        '-Wl,--no-as-needed',
        '-l:libtensorflow_cc.so.2',
        '-l:libtensorflow_framework.so.2',
        f'-Wl,-rpath,{folder}',
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return program


@pytest.fixture
def load(loader, saved_model, tmp_path):
    """[(signature, {input: value})] → (a line for each, {output: TensorProto} of each)."""

    def run(requests):
        arguments = []
        for number, (name, inputs) in enumerate(requests):
            folder = tmp_path / str(number)
            (folder / 'out').mkdir(parents=True)
            (folder / 'in').mkdir()
            for key, value in inputs.items():
                (folder / 'in' / key).write_bytes(tf.make_tensor_proto(value).SerializeToString())
            arguments += [name, folder]
        result = subprocess.run([loader, saved_model, *arguments], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines(), [
            {path.name: tensor_pb2.TensorProto.FromString(path.read_bytes()) for path in (folder / 'out').iterdir()}
            for folder in arguments[1::2]
        ]

    return run


def test_every_signature_computes_what_it_does_in_python(load, saved_model):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    inputs = {name: examples(tiny.MODEL, 3)[name] for name in signatures}
    lines, outputs = load(list(inputs.items()))
    assert lines == ['OK'] * len(signatures)
    for (name, values), protos in zip(inputs.items(), outputs):
        expected = signatures[name](**{key: tf.constant(value) for key, value in values.items()})
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


def test_what_python_would_not_let_through_is_refused(load):
    # a server's session does not compare shapes with the signature's: a wrong one must not be computed with
    good = examples(tiny.MODEL, 2)
    face, photo = good['correct'], good['correct_encoded']
    bad = [
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
    lines, outputs = load([*bad, ('correct', face)])
    assert [line.partition(':')[0] for line in lines] == ['INVALID_ARGUMENT'] * len(bad) + ['OK']
    assert not any(outputs[:-1]) and outputs[-1]


def test_what_is_no_saved_model_is_told(loader, tmp_path):
    result = subprocess.run([loader, tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and 'SavedModel' in result.stderr
