"""The local server over real sockets: gRPC, versions, many clients at once, the command."""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from gaze_tf.cli.main import main
from gaze_tf.server import versions
from tests import tiny
from tests.sums import PNG, Client, eventually, model_spec, serving

State = get_model_status_pb2.ModelVersionStatus


def test_predict_over_grpc(client):
    outputs, spec = client.predict({'x': np.float32([1, 2.5])})
    np.testing.assert_array_equal(outputs['y'], np.float32([5, 8]))
    assert (spec.name, spec.version.value, spec.signature_name) == ('gaze', 3, 'serving_default')
    assert outputs['y'].dtype == np.float32
    for options, number in (({'version': 1}, 1), ({'version_label': 'stable'}, 1), ({'version': 3}, 3)):
        outputs, spec = client.predict({'x': np.float32([1])}, **options)
        assert outputs['y'] == 2 + number and spec.version.value == number


def test_outputs_of_every_type_over_grpc(client):
    inputs = {'numbers': np.float32([[1, 2]]), 'text': np.array([PNG], object)}
    outputs, _ = client.predict(inputs, signature='pair')
    assert outputs['sum'] == 3 and outputs['text'][0] == outputs['text_bytes'][0] == PNG
    assert list(client.predict(inputs, signature='pair', wanted=['sum'])[0]) == ['sum']
    outputs, _ = client.predict({'pixels': np.uint8([[0, 200], [7, 255]])}, signature='invert')
    np.testing.assert_array_equal(outputs['pixels'], np.uint8([[255, 55], [248, 0]]))
    assert outputs['pixels'].dtype == np.uint8 and outputs['count'] == 4 and outputs['count'].dtype == np.int32
    # no rows at all are for the model to judge
    nothing = tf.make_tensor_proto([], tf.string)
    assert client.predict({'text': nothing}, signature='echo')[0]['text'].shape == (0,)


def test_answers_have_typed_fields(client):
    request = predict_pb2.PredictRequest(
        model_spec=model_spec('gaze'), inputs={'x': tf.make_tensor_proto(np.float32([1, 2]))}
    )
    assert list(client.stub.Predict(request).outputs['y'].float_val) == [5, 7]


@pytest.mark.parametrize(
    'inputs, options, code, words',
    [
        ({'x': [1.0]}, {'name': 'nobody'}, 'NOT_FOUND', ['"nobody"', '"gaze"']),
        ({'x': [1.0]}, {'name': ''}, 'NOT_FOUND', ['model ""']),
        ({'x': [1.0]}, {'version': 7}, 'NOT_FOUND', ['Version 7', 'versions 1, 3']),
        ({'x': [1.0]}, {'version': 2}, 'NOT_FOUND', ['Version 2']),
        ({'x': [1.0]}, {'version_label': 'canary'}, 'INVALID_ARGUMENT', ['label "canary"']),
        ({'x': [1.0]}, {'signature': 'none'}, 'FAILED_PRECONDITION', ['signature "none"', 'echo', 'serving_default']),
        ({}, {}, 'INVALID_ARGUMENT', ['takes the inputs x; the request has none']),
        ({'x': [1.0], 'z': [1.0]}, {}, 'INVALID_ARGUMENT', ['takes the inputs x; the request has x, z']),
        ({'z': [1.0]}, {}, 'INVALID_ARGUMENT', ['takes the inputs x; the request has z']),
        ({'x': [1]}, {}, 'INVALID_ARGUMENT', ['x must be float32, not int32']),
        ({'x': [[1.0]]}, {}, 'INVALID_ARGUMENT', ['x must have the shape [None]', 'not [1, 1]']),
        ({'x': [1.0]}, {'wanted': ['q']}, 'INVALID_ARGUMENT', ['has the outputs y; the request has q']),
    ],
)
def test_refusals_over_grpc(client, inputs, options, code, words):
    found, sentence = client.refused(inputs, **options)
    assert found == code and all(word in sentence for word in words)


@pytest.mark.parametrize(
    'fields',
    [
        {'tensor_shape': {'dim': [{'size': 2}]}, 'tensor_content': b'123'},
        {'tensor_shape': {'dim': [{'size': 10**12}]}, 'float_val': [1]},
        {'tensor_shape': {'dim': [{'size': -1}]}, 'float_val': [1]},
        {'tensor_shape': {'dim': [{'size': 1}]}, 'dtype': tf.resource.as_datatype_enum},
    ],
)
def test_malformed_tensors(client, fields):
    proto = tensor_pb2.TensorProto(**{'dtype': tf.float32.as_datatype_enum, **fields})
    code, sentence = client.refused({'x': proto})
    assert code == 'INVALID_ARGUMENT' and sentence.startswith('Input x is malformed')


def test_a_sentence_from_the_graph(client):
    assert client.refused({'x': [1.0, 500.0]}) == ('INVALID_ARGUMENT', 'x must be under 100.')
    assert client.doubled({'instances': [1.0, 500.0]}) == (400, {'error': 'x must be under 100.'})
    # TensorFlow itself fails over a message that quotes bytes
    code, message = client.refused({'text': np.array([PNG * 10], object)}, signature='echo')
    assert code == 'INVALID_ARGUMENT' and message.startswith('text is too long: [\\x89PNG')


def test_what_is_too_large(client):
    code, _ = client.refused({'x': np.zeros(300_000, np.float32)})
    assert code == 'RESOURCE_EXHAUSTED'
    status, answer = client.json('/v1/models/gaze:predict', b' ' * (1 << 21))
    assert status == 413 and '1048576 bytes' in answer['error']
    assert client.doubled({'instances': [1.0]}) == (200, {'predictions': [5]})


def test_other_methods_are_unimplemented(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.stub.Classify(classification_pb2.ClassificationRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    status, answer = client.json('/v1/models/gaze:classify', {})
    assert status == 404 and 'gaze:classify' in answer['error']


def test_status(client):
    one, three = (
        {'version': number, 'state': 'AVAILABLE', 'status': {'error_code': 'OK', 'error_message': ''}}
        for number in '13'
    )
    assert client.json('/v1/models/gaze') == (200, {'model_version_status': [three, one]})
    assert (
        client.json('/v1/models/gaze/labels/stable')
        == client.json('/v1/models/gaze/versions/1')
        == (200, {'model_version_status': [one]})
    )
    response = client.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec('gaze')))
    assert [(status.version, status.state) for status in response.model_version_status] == [
        (3, State.AVAILABLE),
        (1, State.AVAILABLE),
    ]
    with pytest.raises(grpc.RpcError) as caught:
        client.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest())
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_metadata(client):
    response = client.stub.GetModelMetadata(
        get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_spec('gaze', 1), metadata_field=['signature_def']
        )
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata['signature_def'].Unpack(signatures) and response.model_spec.version.value == 1
    info = signatures.signature_def['pair'].inputs['numbers']
    assert info.dtype == tf.float32.as_datatype_enum and [dim.size for dim in info.tensor_shape.dim] == [-1, 2]
    status, answer = client.json('/v1/models/gaze/metadata')
    assert status == 200 and answer['model_spec']['name'] == 'gaze' and answer['model_spec']['version'] == '3'
    found = answer['metadata']['signature_def']['signature_def']['pair']
    assert found['inputs']['numbers']['tensor_shape']['dim'] == [{'size': '-1', 'name': ''}, {'size': '2', 'name': ''}]
    assert found['outputs']['text_bytes']['dtype'] == 'DT_STRING'
    for fields in ([], ['weights']):
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=model_spec('gaze'), metadata_field=fields)
        with pytest.raises(grpc.RpcError, match='signature_def') as caught:
            client.stub.GetModelMetadata(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_versions_come_and_go(versions_dir, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(versions, 'RETRY', 0.1)
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    with serving(tmp_path, poll_seconds=0.02) as server:
        client = Client(server)

        def answer():
            return client.doubled({'instances': [0]})[1]['predictions']

        def states():
            return {
                status['version']: status['state']
                for status in client.json('/v1/models/gaze')[1]['model_version_status']
            }

        assert answer() == [1]
        # being written: no number yet
        shutil.copytree(versions_dir / '2', tmp_path / '.2.1234')
        (tmp_path / '3.tmp').mkdir()
        (tmp_path / '5').mkdir()
        (tmp_path / '5' / 'saved_model.pb').write_bytes(b'no model')
        eventually(lambda: states().get('5') == 'END')
        assert answer() == [1] and states() == {'1': 'AVAILABLE', '5': 'END'}
        os.rename(tmp_path / '.2.1234', tmp_path / '2')
        eventually(lambda: answer() == [2])
        eventually(lambda: states() == {'2': 'AVAILABLE', '5': 'END'})
        assert client.json('/v1/models/gaze/versions/1:predict', {'instances': [0]})[0] == 404
        # taking the newest one away is rolling back
        shutil.rmtree(tmp_path / '2')
        eventually(lambda: answer() == [1])
        # a broken one is tried again
        shutil.copytree(versions_dir / '3', tmp_path / '5', dirs_exist_ok=True)
        eventually(lambda: answer() == [3])
    assert f'{tmp_path / "5"} cannot be loaded: ' in caplog.text


def test_many_at_once_and_bad_ones_among_them(client):
    def call(index):
        bad, value = index % 10 == 0, float(index % 90)
        if index % 2:
            status, answer = client.doubled({'instances': [value, 'no number' if bad else 1.0]})
            return status == 400 if bad else answer == {'predictions': [2 * value + 3, 5]}
        if bad:
            return client.refused({'x': [1000.0]})[0] == 'INVALID_ARGUMENT'
        return client.predict({'x': [value, 1.0]})[0]['y'].tolist() == [2 * value + 3, 5]

    with futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(400)))
    assert client.doubled({'instances': [1]}) == (200, {'predictions': [5]})


def columns(array):
    """An array as JSON."""
    return [{'b64': base64.b64encode(value).decode()} for value in array] if array.dtype == object else array.tolist()


def test_served_numbers_are_the_models(saved_model, tmp_path):
    versioned = saved_model / '1' if (saved_model / '1').is_dir() else saved_model
    shutil.copytree(versioned, tmp_path / '1')
    rng = np.random.default_rng(3)
    faces = {'images': rng.integers(0, 256, (2, tiny.SIZE, tiny.SIZE, 3), np.uint8), 'eyes': tiny.eyes_of(rng, 2)}
    file = io.BytesIO()
    Image.fromarray(tiny.smooth_image(rng, 48)).save(file, 'png')
    photos = {'image': np.array([file.getvalue()] * 2, object), 'eyes': faces['eyes'] * 1.5}
    requests = {'encode': faces, 'correct_encoded': photos}
    model = tf.saved_model.load(str(versioned))
    expected = {
        name: model.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        for name, inputs in requests.items()
    }
    with serving(tmp_path, name='eyes') as server:
        client = Client(server)
        for name, outputs in expected.items():
            over_grpc, _ = client.predict(requests[name], 'eyes', signature=name)
            status, answer = client.json(
                '/v1/models/eyes:predict',
                {'signature_name': name, 'inputs': {key: columns(value) for key, value in requests[name].items()}},
            )
            assert status == 200 and set(over_grpc) == set(outputs)
            for key, output in outputs.items():
                over_rest = answer['outputs'] if len(outputs) == 1 else answer['outputs'][key]
                if output.dtype == tf.string:
                    assert (
                        list(over_grpc[key])
                        == [base64.b64decode(value['b64']) for value in over_rest]
                        == list(output.numpy())
                    )
                else:
                    np.testing.assert_array_equal(over_grpc[key], output)
                    np.testing.assert_array_equal(np.array(over_rest, over_grpc[key].dtype), output)
        bad = {**photos, 'image': np.array([b'\x89no photo'] * 2, object)}
        code, message = client.refused(bad, name='eyes', signature='correct_encoded')
        assert code == 'INVALID_ARGUMENT' and 'image must be a JPEG or PNG file' in message and '{{' not in message


def test_the_command_runs_until_it_is_told_to_stop(versions_dir):
    process = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'gaze_tf.cli.main',
            'serve',
            f'--model={versions_dir}',
            '--port=0',
            '--rest_port=0',
            '--name=sums',
            '--labels=stable:1,canary:2',
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith('Serving sums, versions 1, 2, 3: gRPC on 127.0.0.1:')
        url = line.split()[-1]
        with urllib.request.urlopen(f'{url}/labels/canary:predict', b'{"instances": [1]}') as response:
            assert json.load(response) == {'predictions': [4]}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143 and out == '' and 'Traceback' not in err


def broken(folder):
    (folder / '1').mkdir()
    (folder / '1' / 'saved_model.pb').write_bytes(b'no model')


@pytest.mark.parametrize(
    'prepare, options, message',
    [
        (lambda folder: folder.rmdir(), {}, 'there is no such folder'),
        (lambda folder: (folder / 'latest').mkdir(), {}, 'there is no version in this folder'),
        (lambda folder: (folder / 'saved_model.pb').touch(), {}, 'is a version itself'),
        (broken, {}, 'none of the versions'),
        (broken, {'labels': 'stable:4'}, '--labels=stable:4: there is no version 4 in'),
        (broken, {'labels': 'stable'}, '--labels=stable must be a label and a version'),
        (broken, {'name': 'a/b'}, '--name=a/b must have no /'),
        (broken, {'poll_seconds': 'nan'}, '--poll_seconds=nan'),
    ],
)
def test_what_cannot_be_served(tmp_path, capsys, prepare, options, message):
    folder = tmp_path / 'model'
    folder.mkdir()
    prepare(folder)
    assert main(['serve', *tiny.arguments(model=folder, port=0, rest_port=0, **options)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('gaze-tf serve: ') and message in error


@pytest.mark.parametrize('flag', ['port', 'rest_port'])
def test_a_port_in_use(versions_dir, capfd, flag):
    with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as taken:
        options = {'port': 0, 'rest_port': 0, flag: taken.getsockname()[1]}
        assert main(['serve', *tiny.arguments(model=versions_dir, **options)]) == 1
    error = capfd.readouterr().err
    assert f'--{flag}=' in error and 'Address already in use' in error and error.count('\n') == 1
