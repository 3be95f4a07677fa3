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

import tiny
from gaze_tf.serving.examples import examples

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
    command = [compiler, '-O0', '-w', *tf.sysconfig.get_compile_flags(), SOURCE, '-o', program, f'-L{folder}',
               '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2', f'-Wl,-rpath,{folder}']
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return program


def test_every_signature_computes_what_it_does_in_python(loader, saved_model, tmp_path):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    inputs = {name: {key: tf.constant(value) for key, value in examples(tiny.MODEL, 3)[name].items()}
              for name in signatures}
    for name, tensors in inputs.items():
        (tmp_path / name / 'out').mkdir(parents=True)
        (tmp_path / name / 'in').mkdir()
        for key, tensor in tensors.items():
            (tmp_path / name / 'in' / key).write_bytes(tf.make_tensor_proto(tensor).SerializeToString())

    result = subprocess.run([loader, saved_model, tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(result.stdout.split()) == sorted(signatures)
    for name, tensors in inputs.items():
        expected = signatures[name](**tensors)
        assert sorted(path.name for path in (tmp_path / name / 'out').iterdir()) == sorted(expected)
        for key, values in expected.items():
            proto = tensor_pb2.TensorProto.FromString((tmp_path / name / 'out' / key).read_bytes())
            found = tf.make_ndarray(proto)
            assert found.shape == values.shape and tf.as_dtype(proto.dtype) == values.dtype
            if values.dtype == tf.string:
                found, values = (np.stack([tf.io.decode_png(file) for file in files]) for files in (found, values.numpy()))
            if values.dtype == tf.float32:
                np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-5)
            else:
                assert tiny.same_pixels(found, values)


def test_what_is_no_saved_model_is_told(loader, tmp_path):
    result = subprocess.run([loader, tmp_path, tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and 'SavedModel' in result.stderr
