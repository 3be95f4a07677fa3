"""The local server speaks TensorFlow Serving's protocols: over real sockets, with a model whose numbers are known."""
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc,
                                     predict_pb2, prediction_service_pb2_grpc)

import tiny
from gaze_tf.cli.main import main
from gaze_tf.serving.server.local import local_server

PNG = b'\x89PNG\r\n\x1a\n\x00\xff"\\'
State = get_model_status_pb2.ModelVersionStatus


class Sums(tf.Module):
    """Signatures whose results can be told without TensorFlow; `number` tells versions apart."""

    def __init__(self, number):
        super().__init__()
        self.number = tf.Variable(float(number))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])
    def double(self, x):
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x < 100), ['x must be under 100.'])]):
            return {'y': 2 * x + self.number}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name='numbers'),
                                  tf.TensorSpec([None], tf.string, name='text')])
    def pair(self, numbers, text):
        return {'sum': tf.reduce_sum(numbers, axis=1), 'text': text, 'text_bytes': text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name='text')])
    def echo(self, text):
        return {'text': text}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.uint8, name='pixels')])
    def invert(self, pixels):
        return {'pixels': 255 - pixels, 'count': tf.size(pixels)}


def write_version(folder, number, value=None):
    model = Sums(number if value is None else value)
    tf.saved_model.save(model, str(folder / str(number)), signatures={
        'serving_default': model.double, 'pair': model.pair, 'echo': model.echo, 'invert': model.invert})


@pytest.fixture(scope='module')
def versions_dir(tmp_path_factory):
    """Versions 1, 2 and 3."""
    folder = tmp_path_factory.mktemp('versions')
    for number in (1, 2, 3):
        write_version(folder, number)
    return folder


class Client:
    """Calls a running server over gRPC and REST."""

    def __init__(self, server):
        self.address = f'http://127.0.0.1:{server.rest_port}'
        self.channel = grpc.insecure_channel(f'127.0.0.1:{server.port}')
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, inputs, name='gaze', signature='', wanted=(), **spec):
        """{output: array} and the answer's ModelSpec."""
        request = predict_pb2.PredictRequest(
            model_spec=model_spec(name, signature_name=signature, **spec), output_filter=wanted,
            inputs={key: value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
                    for key, value in inputs.items()})
        response = self.stub.Predict(request, timeout=30)
        return {key: tf.make_ndarray(proto) for key, proto in response.outputs.items()}, response.model_spec

    def refused(self, inputs, **options):
        """(status code, sentence) of a call that must fail."""
        with pytest.raises(grpc.RpcError) as caught:
            self.predict(inputs, **options)
        return caught.value.code().name, caught.value.details()

    def rest(self, path, body=None, method=None):
        """(status, body); a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            assert error.headers['Content-Type'] == 'application/json'
            return error.code, error.read()

    def json(self, path, body=None, method=None):
        status, answer = self.rest(path, body, method)
        return status, json.loads(answer)

    def doubled(self, body):
        return self.json('/v1/models/gaze:predict', body)


def model_spec(name, version=None, **fields):
    spec = predict_pb2.PredictRequest().model_spec
    spec.name = name
    for key, value in fields.items():
        setattr(spec, key, value)
    if version is not None:
        spec.version.value = version
    return spec


@pytest.fixture(scope='module')
def client(versions_dir):
    with local_server(versions_dir, labels={'stable': 1}, max_bytes=1 << 20) as server:
        yield Client(server)


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
    request = predict_pb2.PredictRequest(model_spec=model_spec('gaze'), inputs={'x': tf.make_tensor_proto(np.float32([1, 2]))})
    assert list(client.stub.Predict(request).outputs['y'].float_val) == [5, 7]


@pytest.mark.parametrize('inputs, options, code, message', [
    ({'x': [1.]}, {'name': 'nobody'}, 'NOT_FOUND', 'Servable not found for request: Latest(nobody)'),
    ({'x': [1.]}, {'version': 7}, 'NOT_FOUND', 'Servable not found for request: Specific(gaze, 7)'),
    ({'x': [1.]}, {'version': 2}, 'NOT_FOUND', 'Servable not found for request: Specific(gaze, 2)'),
    ({'x': [1.]}, {'version_label': 'canary'}, 'INVALID_ARGUMENT', 'Unrecognized servable version label: canary'),
    ({'x': [1.]}, {'name': ''}, 'INVALID_ARGUMENT', 'ModelSpec has no name specified.'),
    ({'x': [1.]}, {'signature': 'none'}, 'FAILED_PRECONDITION', 'Serving signature key "none" not found.'),
    ({}, {}, 'INVALID_ARGUMENT', 'input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but '
                                 'required: {x}.'),
    ({'x': [1.], 'z': [1.]}, {}, 'INVALID_ARGUMENT', 'Sent extra: {z}. Missing but required: {}.'),
    ({'z': [1.]}, {}, 'INVALID_ARGUMENT', 'Signature input alias: x(feed name: serving_default_x:0) not found in request'),
    ({'x': [1]}, {}, 'INVALID_ARGUMENT', 'Expects arg[0] to be float but int32 is provided'),
    ({'x': [[1.]]}, {}, 'INVALID_ARGUMENT', 'The shape of input x must be [-1] (-1: any), not [1, 1].'),
    ({'x': [1.]}, {'wanted': ['q']}, 'INVALID_ARGUMENT', 'output tensor alias not found in signature: q Outputs expected to be '
                                                         'in the set {y}.'),
    ({'x': [1.]}, {'wanted': ['y', 'y']}, 'INVALID_ARGUMENT', 'duplicate output tensor alias: y')])
def test_refusals_over_grpc(client, inputs, options, code, message):
    found = client.refused(inputs, **options)
    assert found[0] == code and message in found[1]


@pytest.mark.parametrize('fields', [
    {'tensor_shape': {'dim': [{'size': 2}]}, 'tensor_content': b'123'},
    {'tensor_shape': {'dim': [{'size': 10 ** 12}]}, 'float_val': [1]},
    {'tensor_shape': {'dim': [{'size': -1}]}, 'float_val': [1]}])
def test_tensors_that_are_none(client, fields):
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, **fields)
    assert client.refused({'x': proto}) == ('INVALID_ARGUMENT', 'tensor parsing error: x')


def test_a_sentence_from_the_graph(client):
    assert client.refused({'x': [1., 500.]}) == ('INVALID_ARGUMENT', 'assertion failed: [x must be under 100.]')
    assert client.doubled({'instances': [1., 500.]}) == (400, {'error': 'assertion failed: [x must be under 100.]'})


def test_what_is_too_large(client):
    code, _ = client.refused({'x': np.zeros(300_000, np.float32)})
    assert code == 'RESOURCE_EXHAUSTED'
    status, answer = client.json('/v1/models/gaze:predict', b' ' * (1 << 21))
    assert status == 413 and '1048576 bytes' in answer['error']
    assert client.doubled({'instances': [1.]}) == (200, {'predictions': [5]})


def test_other_methods_are_unimplemented(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.stub.Classify(classification_pb2.ClassificationRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert client.json('/v1/models/gaze:classify', {})[0] == 501


def test_rows_and_columns(client):
    assert client.doubled({'instances': [1, 2.5]}) == (200, {'predictions': [5, 8]})
    assert client.doubled({'instances': [{'x': 1}, {'x': 2.5}]}) == (200, {'predictions': [5, 8]})
    assert client.doubled({'inputs': [1, 2.5]}) == (200, {'outputs': [5, 8]})
    assert client.doubled({'inputs': {'x': [1, 2.5]}}) == (200, {'outputs': [5, 8]})
    assert client.doubled({'signature_name': 'invert', 'inputs': [[0, 200], [7, 255]]}) == (
        200, {'outputs': {'pixels': [[255, 55], [248, 0]], 'count': 4}})
    for path, number in (('/versions/1', 1), ('/versions/3', 3), ('/labels/stable', 1)):
        assert client.json(f'/v1/models/gaze{path}:predict', {'instances': [1]}) == (200, {'predictions': [2 + number]})


def test_strings_and_bytes_over_rest(client):
    encoded = {'b64': base64.b64encode(PNG).decode()}
    rows = [{'numbers': [1, 2], 'text': 'ä"\n'}, {'numbers': [3, 4], 'text': {'b64': base64.b64encode(b'plain').decode()}}]
    status, answer = client.doubled({'signature_name': 'pair', 'instances': rows})
    assert status == 200 and answer['predictions'] == [
        {'sum': 3, 'text': 'ä"\n', 'text_bytes': {'b64': base64.b64encode('ä"\n'.encode()).decode()}},
        {'sum': 7, 'text': 'plain', 'text_bytes': {'b64': base64.b64encode(b'plain').decode()}}]
    columns = {'signature_name': 'pair', 'inputs': {'numbers': [[1, 2]], 'text': [encoded]}}
    _, body = client.rest('/v1/models/gaze:predict', columns)
    # an output whose name does not end in _bytes is written as it is, which is no UTF-8
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    answer = json.loads(body.decode('latin-1'))['outputs']
    assert answer['text'][0].encode('latin-1') == PNG and answer['text_bytes'] == [encoded]


def test_numbers_come_back_as_they_are(client):
    values = np.float32([0.1, 1 / 3, -1e-30, 3e38, 16777216, np.nan, np.inf, -np.inf])
    inputs = {'numbers': np.stack([values, 0 * np.nan_to_num(values)], axis=1), 'text': np.array([b''] * len(values), object)}
    expected = client.predict(inputs, signature='pair')[0]['sum']
    request = {'signature_name': 'pair', 'inputs': {'numbers': [[float(value), 0] for value in values], 'text': [''] * 8}}
    _, body = client.rest('/v1/models/gaze:predict', request)
    assert b'[0.1, ' in body and b'NaN, Infinity, -Infinity]' in body
    np.testing.assert_array_equal(np.float32(json.loads(body)['outputs']['sum']), expected)
    np.testing.assert_array_equal(expected, values)


@pytest.mark.parametrize('body, message', [
    (b'', 'JSON Parse error: The document is empty'),
    (b'{"instances": [1', 'JSON Parse error: '),
    (b'[' * 100_000, 'JSON Parse error: '),
    (b'[1]', 'Is not object'),
    ({}, "Missing 'inputs' or 'instances' key"),
    ({'instances': [1], 'inputs': [1]}, "only one of 'inputs' or 'instances'"),
    ({'instances': 1}, "Excepting 'instances' to be an list/array"),
    ({'instances': []}, "No values in 'instances' array"),
    ({'instances': [1], 'signature_name': 3}, "'signature_name' key must be a string value."),
    ({'instances': [1], 'signature_name': 'none'}, 'Serving signature name: "none" not found in signature def'),
    ({'instances': ['one']}, 'JSON Value: "one" Type: String is not of expected type: float'),
    ({'instances': [True]}, 'JSON Value: true Type: True is not of expected type: float'),
    ({'instances': [None]}, 'Type: Null is not of expected type: float'),
    ({'instances': [16777217]}, 'Cannot convert JSON value: 16777217 to float without loss of precision.'),
    ({'instances': [1, [2]]}, 'Expecting shape [] but got: [1]'),
    ({'instances': [[1], [2]]}, 'The shape of input x must be [-1]'),
    ({'inputs': [[1, 2], [3]]}, 'Encountered list at unexpected size: 1 at level: 1 expected size: 2'),
    ({'inputs': [[1], 2]}, 'found at incorrect level: 2'),
    ({'inputs': [1, [2]]}, 'Encountered list at unexpected level: 1 expected < 1'),
    ({'inputs': {'z': [1]}}, "Missing named input: x in 'inputs' object."),
    ({'instances': [{'z': 1}]}, "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: "
                                'does not have named input: z'),
    ({'instances': [{'x': 1}, 2]}, 'Expecting object but got list at item 1 of input list'),
    ({'instances': [1], 'signature_name': 'pair'}, 'instances is a plain list, but expecting list of objects'),
    ({'instances': [{'text': 'a'}], 'signature_name': 'pair'}, 'keys must be equal to: numbers,text'),
    ({'inputs': [1], 'signature_name': 'pair'}, 'inputs is a plain value/list, but expecting an object'),
    ({'inputs': [[256]], 'signature_name': 'invert'}, 'is not of expected type: uint8'),
    ({'inputs': [[1.5]], 'signature_name': 'invert'}, 'is not of expected type: uint8'),
    ({'instances': [{'b64': '*'}], 'signature_name': 'echo'}, 'Unable to base64 decode'),
    ({'inputs': [{'b65': 'abcd'}], 'signature_name': 'echo'}, 'not formatted correctly for base64 data'),
    ({'instances': [[1, 2], [3, 4]], 'signature_name': 'invert'}, 'Tensor name: count has no shape information')])
def test_refusals_over_rest(client, body, message):
    status, answer = client.doubled(body)
    assert status == 400 and message in answer['error']


@pytest.mark.parametrize('path, body, method, status, message', [
    ('/v1/models/nobody:predict', {'instances': [1]}, None, 404, 'Servable not found for request: Latest(nobody)'),
    ('/v1/models/gaze/versions/7:predict', {'instances': [1]}, None, 404, 'Servable not found for request: Specific(gaze, 7)'),
    ('/v1/models/gaze/labels/canary:predict', {'instances': [1]}, None, 400, 'Unrecognized servable version label: canary'),
    (f'/v1/models/gaze/versions/{10 ** 30}:predict', {'instances': [1]}, None, 400, 'Failed to convert version: 1000'),
    ('/v1/models/gaze:explain', {}, None, 400, 'Malformed request: POST /v1/models/gaze:explain'),
    ('/v1/models/gaze:predict', None, None, 400, 'Malformed request: GET /v1/models/gaze:predict'),
    ('/v1/models/gaze', None, 'DELETE', 400, 'Malformed request: DELETE /v1/models/gaze'),
    ('/v1/models', None, None, 400, 'Missing model name in request.'),
    ('/v1/models/nobody', None, None, 404, 'Could not find any versions of model nobody'),
    ('/v1/models/gaze/versions/7', None, None, 404, 'Could not find version 7 of model gaze'),
    ('/v1/models/nobody/metadata', None, None, 404, 'Servable not found for request: Latest(nobody)'),
    ('/', None, None, 404, 'Not found: /')])
def test_paths_that_lead_nowhere(client, path, body, method, status, message):
    found, answer = client.json(path, body, method)
    assert found == status and message in answer['error']


def test_status(client):
    one, three = ({'version': number, 'state': 'AVAILABLE', 'status': {'error_code': 'OK', 'error_message': ''}}
                  for number in '13')
    assert client.json('/v1/models/gaze') == (200, {'model_version_status': [three, one]})
    assert client.json('/v1/models/gaze/labels/stable') == client.json('/v1/models/gaze/versions/1') == (
        200, {'model_version_status': [one]})
    response = client.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec('gaze')))
    assert [(status.version, status.state) for status in response.model_version_status] == [
        (3, State.AVAILABLE), (1, State.AVAILABLE)]
    with pytest.raises(grpc.RpcError) as caught:
        client.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest())
    assert caught.value.details() == 'Missing ModelSpec'


def test_metadata(client):
    response = client.stub.GetModelMetadata(get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=model_spec('gaze', 1), metadata_field=['signature_def']))
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata['signature_def'].Unpack(signatures) and response.model_spec.version.value == 1
    info = signatures.signature_def['pair'].inputs['numbers']
    assert info.dtype == tf.float32.as_datatype_enum and [dim.size for dim in info.tensor_shape.dim] == [-1, 2]
    status, answer = client.json('/v1/models/gaze/metadata')
    assert status == 200 and answer['model_spec']['name'] == 'gaze' and answer['model_spec']['version'] == '3'
    found = answer['metadata']['signature_def']['signature_def']['pair']
    assert found['inputs']['numbers']['tensor_shape']['dim'] == [{'size': '-1', 'name': ''}, {'size': '2', 'name': ''}]
    assert found['outputs']['text_bytes']['dtype'] == 'DT_STRING'
    for fields, message in (([], 'at least one metadata_field'), (['weights'], 'Metadata field weights is not supported')):
        with pytest.raises(grpc.RpcError, match=message):
            client.stub.GetModelMetadata(get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=model_spec('gaze'), metadata_field=fields))


def eventually(condition):
    """Waits until a condition holds; how long that takes is not what is tested."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_versions_come_and_go(versions_dir, tmp_path, capfd):
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    with local_server(tmp_path, poll_seconds=0.02) as server:
        client = Client(server)

        def answer():
            return client.doubled({'instances': [0]})[1]['predictions']

        def states():
            return {status['version']: status['state'] for status in client.json('/v1/models/gaze')[1]['model_version_status']}

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
        eventually(lambda: states() == {'1': 'END', '2': 'AVAILABLE', '5': 'END'})
        assert client.json('/v1/models/gaze/versions/1:predict', {'instances': [0]})[0] == 404
        # taking the newest one away is rolling back
        shutil.rmtree(tmp_path / '2')
        eventually(lambda: answer() == [1])
        # a broken one whose files change is tried again
        shutil.copytree(versions_dir / '3', tmp_path / '5', dirs_exist_ok=True)
        eventually(lambda: answer() == [3])
    assert 'gaze-tf serve: ' + str(tmp_path / '5') + ' cannot be loaded: ' in capfd.readouterr().err


def test_many_at_once_and_bad_ones_among_them(client):
    def call(index):
        bad, value = index % 10 == 0, float(index % 90)
        if index % 2:
            status, answer = client.doubled({'instances': [value, 'no number' if bad else 1.]})
            return status == 400 if bad else answer == {'predictions': [2 * value + 3, 5]}
        if bad:
            return client.refused({'x': [1000.]})[0] == 'INVALID_ARGUMENT'
        return client.predict({'x': [value, 1.]})[0]['y'].tolist() == [2 * value + 3, 5]

    with futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(400)))
    assert client.doubled({'instances': [1]}) == (200, {'predictions': [5]})


def test_served_numbers_are_the_models(saved_model, tmp_path):
    versioned = saved_model / '1' if (saved_model / '1').is_dir() else saved_model
    shutil.copytree(versioned, tmp_path / '1')
    rng = np.random.default_rng(3)
    faces = {'images': rng.integers(0, 256, (2, tiny.SIZE, tiny.SIZE, 3), np.uint8), 'eyes': tiny.eyes_of(rng, 2)}
    model = tf.saved_model.load(str(versioned))
    expected = {name: model.signatures[name](**{key: tf.constant(value) for key, value in faces.items()})
                for name in ('correct', 'encode')}
    with local_server(tmp_path, 'eyes') as server:
        client = Client(server)
        for name, outputs in expected.items():
            over_grpc, _ = client.predict(faces, 'eyes', signature=name)
            status, answer = client.json('/v1/models/eyes:predict', {
                'signature_name': name, 'inputs': {key: value.tolist() for key, value in faces.items()}})
            assert status == 200 and set(over_grpc) == set(outputs)
            for key, output in outputs.items():
                over_rest = answer['outputs'] if len(outputs) == 1 else answer['outputs'][key]
                np.testing.assert_allclose(over_grpc[key], output, rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(np.array(over_rest, over_grpc[key].dtype), output, rtol=1e-5, atol=1e-6)


def test_the_command_runs_until_it_is_told_to_stop(versions_dir):
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_tf.cli.main', 'serve', f'--model={versions_dir}', '--port=0', '--rest_port=0',
         '--name=sums', '--labels=stable:1,canary:2'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith('Serving sums, version 1, 2, 3: gRPC on 127.0.0.1:')
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


@pytest.mark.parametrize('prepare, options, message', [
    (lambda folder: folder.rmdir(), {}, 'there is no folder'),
    (lambda folder: (folder / 'latest').mkdir(), {}, 'there is no version (a sub-folder whose name is a number) in'),
    (lambda folder: (folder / 'saved_model.pb').touch(), {}, 'is itself a version'),
    (broken, {}, 'can be loaded'),
    (broken, {'labels': 'stable:4'}, '--labels=stable:4: there is no version 4 in'),
    (broken, {'labels': 'stable'}, '--labels=stable must be a label and a version'),
    (broken, {'name': 'a/b'}, '--name=a/b must have no /'),
    (broken, {'poll_seconds': 'nan'}, '--poll_seconds=nan')])
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
