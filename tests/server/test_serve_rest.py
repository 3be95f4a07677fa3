"""The local server's REST interface: TensorFlow Serving's paths, JSON forms and errors."""

import base64
import json
import time

import numpy as np
import pytest

from gaze_tf.server.local import local_server
from tests import sums
from tests.sums import PNG


@pytest.fixture(scope='module')
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp('versions')
    for number in (1, 3):
        sums.write_version(folder, number)
    with local_server(folder, labels={'stable': 1}) as server:
        yield sums.Client(server)


def test_rows_and_columns(client):
    assert client.doubled({'instances': [1, 2.5]}) == (200, {'predictions': [5, 8]})
    assert client.doubled({'instances': [{'x': 1}, {'x': 2.5}]}) == (200, {'predictions': [5, 8]})
    assert client.doubled({'inputs': [1, 2.5]}) == (200, {'outputs': [5, 8]})
    assert client.doubled({'inputs': {'x': [1, 2.5]}}) == (200, {'outputs': [5, 8]})
    assert client.doubled({'signature_name': 'invert', 'inputs': [[0, 200], [7, 255]]}) == (
        200,
        {'outputs': {'pixels': [[255, 55], [248, 0]], 'count': 4}},
    )
    for path, number in (('/versions/1', 1), ('/versions/3', 3), ('/labels/stable', 1)):
        assert client.json(f'/v1/models/gaze{path}:predict', {'instances': [1]}) == (200, {'predictions': [2 + number]})


def test_strings_and_bytes_over_rest(client):
    encoded = {'b64': base64.b64encode(PNG).decode()}
    rows = [
        {'numbers': [1, 2], 'text': 'ä"\n'},
        {'numbers': [3, 4], 'text': {'b64': base64.b64encode(b'plain').decode()}},
    ]
    status, answer = client.doubled({'signature_name': 'pair', 'instances': rows})
    assert status == 200 and answer['predictions'] == [
        {'sum': 3, 'text': 'ä"\n', 'text_bytes': {'b64': base64.b64encode('ä"\n'.encode()).decode()}},
        {'sum': 7, 'text': 'plain', 'text_bytes': {'b64': base64.b64encode(b'plain').decode()}},
    ]
    columns = {'signature_name': 'pair', 'inputs': {'numbers': [[1, 2]], 'text': [encoded]}}
    _, body = client.rest('/v1/models/gaze:predict', columns)
    # an output whose name does not end in _bytes is written as it is, which is no UTF-8
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    answer = json.loads(body.decode('latin-1'))['outputs']
    assert answer['text'][0].encode('latin-1') == PNG and answer['text_bytes'] == [encoded]


def test_numbers_come_back_as_they_are(client):
    values = np.float32([0.1, 1 / 3, -1e-30, 3e38, 16777216, np.nan, np.inf, -np.inf])
    inputs = {
        'numbers': np.stack([values, 0 * np.nan_to_num(values)], axis=1),
        'text': np.array([b''] * len(values), object),
    }
    expected = client.predict(inputs, signature='pair')[0]['sum']
    request = {
        'signature_name': 'pair',
        'inputs': {'numbers': [[float(value), 0] for value in values], 'text': [''] * 8},
    }
    _, body = client.rest('/v1/models/gaze:predict', request)
    assert b'[0.1, ' in body and b'NaN, Infinity, -Infinity]' in body
    np.testing.assert_array_equal(np.float32(json.loads(body)['outputs']['sum']), expected)
    np.testing.assert_array_equal(expected, values)


@pytest.mark.parametrize(
    'body, message',
    [
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
        ({'instances': [1], 'signature_name': '__saved_model_init_op'}, 'Failed to get input map for signature: '),
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
        (
            {'instances': [{'z': 1}]},
            "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: "
            'does not have named input: z',
        ),
        ({'instances': [{'x': 1}, 2]}, 'Expecting object but got list at item 1 of input list'),
        ({'instances': [1], 'signature_name': 'pair'}, 'instances is a plain list, but expecting list of objects'),
        ({'instances': [{'text': 'a'}], 'signature_name': 'pair'}, 'keys must be equal to: numbers,text'),
        ({'inputs': [1], 'signature_name': 'pair'}, 'inputs is a plain value/list, but expecting an object'),
        ({'inputs': [[256]], 'signature_name': 'invert'}, 'is not of expected type: uint8'),
        ({'inputs': [[1.5]], 'signature_name': 'invert'}, 'is not of expected type: uint8'),
        ({'instances': [{'b64': '*'}], 'signature_name': 'echo'}, 'Unable to base64 decode'),
        ({'inputs': [{'b65': 'abcd'}], 'signature_name': 'echo'}, 'not formatted correctly for base64 data'),
        ({'instances': [[1, 2], [3, 4]], 'signature_name': 'invert'}, 'Tensor name: count has no shape information'),
    ],
)
def test_refusals_over_rest(client, body, message):
    status, answer = client.doubled(body)
    assert status == 400 and message in answer['error']


@pytest.mark.parametrize(
    'path, body, method, status, message',
    [
        ('/v1/models/nobody:predict', {'instances': [1]}, None, 404, 'Servable not found for request: Latest(nobody)'),
        (
            '/v1/models/gaze/versions/7:predict',
            {'instances': [1]},
            None,
            404,
            'Servable not found for request: Specific(gaze, 7)',
        ),
        (
            '/v1/models/gaze/labels/canary:predict',
            {'instances': [1]},
            None,
            400,
            'Unrecognized servable version label: canary',
        ),
        (
            f'/v1/models/gaze/versions/{10**30}:predict',
            {'instances': [1]},
            None,
            400,
            'Failed to convert version: 1000',
        ),
        ('/v1/models/gaze:explain', {}, None, 400, 'Malformed request: POST /v1/models/gaze:explain'),
        ('/v1/models/gaze:predict', None, None, 400, 'Malformed request: GET /v1/models/gaze:predict'),
        ('/v1/models/gaze', None, 'DELETE', 400, 'Malformed request: DELETE /v1/models/gaze'),
        ('/v1/models', None, None, 400, 'Missing model name in request.'),
        ('/v1/models/nobody', None, None, 404, 'Could not find any versions of model nobody'),
        ('/v1/models/gaze/versions/7', None, None, 404, 'Could not find version 7 of model gaze'),
        ('/v1/models/nobody/metadata', None, None, 404, 'Servable not found for request: Latest(nobody)'),
        ('/', None, None, 404, 'Not found: /'),
    ],
)
def test_paths_that_lead_nowhere(client, path, body, method, status, message):
    found, answer = client.json(path, body, method)
    assert found == status and message in answer['error']


@pytest.mark.parametrize(
    'body, message',
    [
        (b'{"instances": ' + b'[' * 33 + b']' * 33 + b'}', 'more than 32 brackets within each other'),
        (b'{"instances": ' + b'[' * 31 + b'1' + b']' * 31 + b'}', 'The shape of input x must be [-1]'),
        (b'[' * 20_000_000, 'more than 1000000 values'),
        (b'{"instances": [' + b'1,' * 20_000_000 + b'1]}', 'more than 1000000 values'),
        (b'"' * 20_000_000, 'more than 1000000 values'),
        (b'{"a": ' + b'9' * 5000 + b'}', 'JSON Parse error'),
        # brackets and commas in strings count for nothing
        ({'instances': ['\\"[[,,' * 200_000], 'signature_name': 'echo'}, 'text is too long'),
    ],
    ids=['deep', 'as deep as may be', 'brackets', 'numbers', 'quotes', 'digits', 'a string'],
)
def test_requests_that_ask_for_too_much(client, body, message):
    start = time.monotonic()
    status, answer = client.doubled(body)
    assert status == 400 and message in answer['error'] and time.monotonic() - start < 20
    assert client.doubled({'instances': [1]}) == (200, {'predictions': [5]})


@pytest.mark.parametrize('digits', [19, 5000])
def test_versions_of_many_digits(client, digits):
    status, answer = client.json(f'/v1/models/gaze/versions/{"9" * digits}')
    assert status == 400 and answer['error'].startswith('Failed to convert version: 999')
