"""The loader of TensorFlow Serving, in a C++ program without Python, gets Python's numbers from a SavedModel.

So an operation of tensorflow-addons or of Python, or one that a plain server lacks, would be noticed here.
"""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from gaze_tf.export.examples import examples
from tests import tiny

pytestmark = pytest.mark.slow  # it compiles against TensorFlow
SOURCE = pathlib.Path(__file__).with_name('loader.cc')


@pytest.fixture(scope='module')
def loader(tmp_path_factory):
    """The program, compiled against the headers and the library of the TensorFlow wheel."""
    compiler = shutil.which('g++')
    if not compiler:
        pytest.skip('there is no C++ compiler (g++)')
    program = tmp_path_factory.mktemp('loader') / 'loader'
    folder = tf.sysconfig.get_lib()
    command = [
        compiler,
        '-std=c++17',
        '-O0',
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


def write(path, value):
    """An array as the program reads it."""
    dtype = tf.as_dtype(value.dtype if value.dtype != object else tf.string)
    header = np.int32([dtype.as_datatype_enum, value.ndim]).tobytes() + np.int64(value.shape).tobytes()
    if dtype == tf.string:
        path.write_bytes(header + b''.join(np.int64(len(text)).tobytes() + text for text in value.flat))
    else:
        path.write_bytes(header + value.tobytes())


def read(path):
    """What the program wrote, an array; None if it wrote nothing."""
    content = path.read_bytes()
    if not content:
        return None
    dtype, rank = np.frombuffer(content, np.int32, 2)
    shape, content = np.frombuffer(content, np.int64, rank, 8), content[8 + 8 * rank :]
    if dtype != tf.string.as_datatype_enum:
        return np.frombuffer(content, tf.as_dtype(dtype).as_numpy_dtype).reshape(shape)
    texts = []
    while content:
        size = int(np.frombuffer(content, np.int64, 1)[0])
        texts.append(content[8 : 8 + size])
        content = content[8 + size :]
    return np.array(texts, object).reshape(shape)


@pytest.fixture(scope='module')
def computed(loader, saved_model, tmp_path_factory):
    """Of one process, which refuses first: [(signature, {input: value}, its line, {output: array, or None})]."""
    proto = saved_model_pb2.SavedModel.FromString((saved_model / 'saved_model.pb').read_bytes())
    signatures = {name: signature for name, signature in proto.meta_graphs[0].signature_def.items() if name[:2] != '__'}
    good = examples(tiny.MODEL, 3)
    requests = [*refused(), *((name, good[name]) for name in signatures)]
    root, folders = tmp_path_factory.mktemp('requests'), []
    for number, (name, inputs) in enumerate(requests):
        folders.append(root / str(number))
        for part in ('in', 'out'):
            (folders[-1] / part).mkdir(parents=True)
        for key, value in inputs.items():
            write(folders[-1] / 'in' / signatures[name].inputs[key].name, value)
        for info in signatures[name].outputs.values():
            (folders[-1] / 'out' / info.name).touch()
    result = subprocess.run([loader, saved_model, *folders], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    outputs = [
        {key: read(folder / 'out' / info.name) for key, info in signatures[name].outputs.items()}
        for (name, _), folder in zip(requests, folders)
    ]
    return [(*request, line, found) for request, line, found in zip(requests, result.stdout.splitlines(), outputs)]


def test_every_signature_computes_what_it_does_in_python(computed, saved_model):
    signatures = tf.saved_model.load(str(saved_model)).signatures
    answers = computed[len(refused()) :]
    assert {name: line for name, _, line, _ in answers} == {name: 'OK' for name in signatures}
    for name, inputs, _, outputs in answers:
        expected = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert sorted(outputs) == sorted(expected)
        for key, values in expected.items():
            found = outputs[key]
            assert found.shape == values.shape
            assert found.dtype == (object if values.dtype == tf.string else values.dtype.as_numpy_dtype)
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
        assert line.startswith(f'{tf.errors.INVALID_ARGUMENT}: '), (name, line)
        assert set(outputs.values()) == {None}


def test_what_is_no_saved_model_is_told(loader, tmp_path):
    result = subprocess.run([loader, tmp_path], capture_output=True, text=True)
    assert result.returncode == 1 and 'SavedModel' in result.stderr
