"""The local server's REST interface: paths, JSON forms and errors."""

import base64
import json
import time

import numpy as np
import pytest

from tests import sums
from tests.sums import PNG


@pytest.fixture(scope='module')
def client(versions_dir):
    """A client of a server that takes messages of 64 MiB."""
    with sums.serving(versions_dir, labels=('stable:1',)) as server:
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
    answer = json.loads(body)['outputs']
    assert answer['text_bytes'] == [encoded]


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
    'body, words',
    [
        (b'', 'is not JSON'),
        (b'{"instances": [1', 'is not JSON'),
        (b'{"instances": ["\xff"]}', 'is not JSON'),
        (b'[' * 100_000, 'levels deep'),
        (b'[1]', 'must be a JSON object'),
        ({}, 'either "instances" (rows) or "inputs" (columns)'),
        ({'instances': [1], 'inputs': [1]}, 'either "instances" (rows) or "inputs" (columns)'),
        ({'instances': 1}, '"instances" must be a list'),
        ({'instances': []}, 'at least one row'),
        ({'instances': [1], 'signature_name': 3}, 'signature_name'),
        ({'instances': [1], 'signature_name': 'none'}, 'no signature "none"'),
        ({'instances': [1], 'signature_name': '__saved_model_init_op'}, 'no signature'),
        ({'instances': ['one']}, 'x must be float32: "one"'),
        ({'instances': ['\ud800'], 'signature_name': 'echo'}, 'text must be string'),
        ({'instances': [True]}, 'x must be float32: true'),
        ({'instances': [None]}, 'x must be float32: null'),
        ({'instances': [1e39]}, 'x must be float32: 1e+39'),
        ({'instances': [10**400]}, 'x must be float32: 1000'),
        ({'instances': [[1], [2]]}, 'x must have the shape [None]'),
        ({'inputs': [[1, 2], [3]]}, 'x must have rows and lists of equal lengths'),
        ({'inputs': [[1], 2]}, 'x must have rows and lists of equal lengths'),
        ({'inputs': [1, [2]]}, 'x must be float32: [2]'),
        ({'inputs': {'z': [1]}}, 'takes the inputs x; the request has z'),
        ({'instances': [{'z': 1}]}, 'takes the inputs x; the request has z'),
        ({'instances': [1], 'signature_name': 'pair'}, 'takes the inputs numbers, text; the request has none'),
        ({'instances': [{'text': 'a'}], 'signature_name': 'pair'}, 'numbers, text; the request has text'),
        ({'inputs': [1], 'signature_name': 'pair'}, 'takes the inputs numbers, text; the request has none'),
        ({'inputs': [[256]], 'signature_name': 'invert'}, 'pixels must be uint8: 256'),
        ({'inputs': [[1.5]], 'signature_name': 'invert'}, 'pixels must be uint8: 1.5'),
        ({'instances': [{'b64': '*'}], 'signature_name': 'echo'}, 'text must be string'),
        ({'inputs': [{'b64': 1}], 'signature_name': 'echo'}, 'text must be string'),
        ({'inputs': [{'b65': 'abcd'}], 'signature_name': 'echo'}, '{"b65": "abcd"}'),
        ({'instances': [[1, 2], [3, 4]], 'signature_name': 'invert'}, 'send the request as columns'),
    ],
)
def test_refusals_over_rest(client, body, words):
    status, answer = client.doubled(body)
    assert status == 400 and words in answer['error']


@pytest.mark.parametrize(
    'path, body, method, status, words',
    [
        ('/v1/models/nobody:predict', {'instances': [1]}, None, 404, 'no model "nobody"'),
        ('/v1/models/gaze/versions/7:predict', {'instances': [1]}, None, 404, 'Version 7'),
        ('/v1/models/gaze/labels/canary:predict', {'instances': [1]}, None, 400, 'label "canary"'),
        (f'/v1/models/gaze/versions/{10**30}:predict', {'instances': [1]}, None, 404, 'versions/1000'),
        (f'/v1/models/gaze/versions/{"9" * 18}', None, None, 404, 'Version 999'),
        (f'/v1/models/gaze/versions/{"9" * 5000}', None, None, 404, 'versions/999'),
        ('/v1/models/gaze:explain', {}, None, 404, 'POST /v1/models/gaze:explain'),
        ('/v1/models/gaze:predict', None, None, 404, 'GET /v1/models/gaze:predict'),
        ('/v1/models/gaze', None, 'DELETE', 404, 'DELETE /v1/models/gaze'),
        ('/v1/models/nobody', None, None, 404, 'no model "nobody"'),
        ('/v1/models/gaze/versions/7', None, None, 404, 'Version 7'),
        ('/v1/models/nobody/metadata', None, None, 404, 'no model "nobody"'),
        ('/', None, None, 404, 'GET /'),
    ],
)
def test_paths_that_lead_nowhere(client, path, body, method, status, words):
    found, answer = client.json(path, body, method)
    assert found == status and words in answer['error']


@pytest.mark.parametrize(
    'body, message',
    [
        (b'{"instances": ' + b'[' * 33 + b']' * 33 + b'}', 'more than 32 levels deep'),
        (b'{"instances": ' + b'[' * 31 + b'1' + b']' * 31 + b'}', 'x must have the shape [None]'),
        (b'[' * 20_000_000, 'more than 1000000 JSON values'),
        (b'{"instances": [' + b'1,' * 20_000_000 + b'1]}', 'more than 1000000 JSON values'),
        (b'"' * 20_000_000, 'more than 1000000 JSON values'),
        (b'{"a": ' + b'9' * 5000 + b'}', 'is not JSON'),
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
