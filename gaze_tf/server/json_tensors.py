"""Tensors in the JSON of TensorFlow Serving's REST interface.

A request has rows, {"instances": [...]}, and gets {"predictions": [...]}; or it has columns, {"inputs": ...}, and gets
{"outputs": ...}. Bytes are {"b64": "..."} in requests, and in answers if the output's name ends in `_bytes`.
"""

import base64
import itertools
import json
import math
import re
from typing import Any

import numpy as np
import tensorflow as tf

from gaze_tf.server.errors import invalid
from gaze_tf.server.version import check_names

# of a request: nesting, and values, each of which takes a hundred times its bytes (5 faces of 256 pixels)
MAX_DEPTH = 32
MAX_VALUES = 1_000_000


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; raises RequestError."""
    _check_size(body)
    try:
        document = json.loads(body.decode())
    except ValueError as error:
        raise invalid(f'The request is not JSON: {error}.') from error
    if not isinstance(document, dict) or not isinstance(document.get('signature_name', ''), str):
        raise invalid('The request must be a JSON object; its signature_name, if any, must be a string.')
    return document


def _check_size(body):
    """Raises RequestError for a body that would take too much time or memory even to parse."""
    many = invalid(f'The request has more than {MAX_VALUES} JSON values: send fewer rows, or files as b64.')
    if body.count(b'"') > 4 * MAX_VALUES:
        raise many
    outside_strings = b''.join(body.replace(b'\\\\', b'').replace(b'\\"', b'').split(b'"')[::2])
    if max(map(outside_strings.count, (b',', b'[', b']', b'{', b'}'))) >= MAX_VALUES:
        raise many
    steps = (1 if bracket in b'[{' else -1 for bracket in re.findall(rb'[][{}]', outside_strings))
    if max(itertools.accumulate(steps), default=0) > MAX_DEPTH:
        raise invalid(f'The request is nested more than {MAX_DEPTH} levels deep.')


def read(document: dict[str, Any], infos: dict[str, Any]) -> tuple[dict[str, np.ndarray], bool]:
    """({input: array}, whether the request has rows). infos: {input: TensorInfo}. Raises RequestError."""
    rows = 'instances' in document
    if rows == ('inputs' in document):
        raise invalid('The request must have either "instances" (rows) or "inputs" (columns).')
    if not rows:
        columns = _named(document['inputs'], infos)
    elif isinstance(document['instances'], list) and document['instances']:
        named = [_named(row, infos) for row in document['instances']]
        columns = {name: [row[name] for row in named] for name in infos}
    else:
        raise invalid('"instances" must be a list with at least one row.')
    return {name: _array(name, columns[name], tf.as_dtype(info.dtype)) for name, info in infos.items()}, rows


def _named(value, infos):
    """{input: value}. The value of a signature's only input may also stand alone."""
    if len(infos) == 1 and (not isinstance(value, dict) or set(value) == {'b64'}):
        return dict.fromkeys(infos, value)
    check_names('The signature takes the inputs', infos, value if isinstance(value, dict) else ())
    return value


def _array(name, value, dtype):
    """The array in nested lists of equal lengths; raises RequestError."""
    shape, values = [], [value]
    while values and isinstance(values[0], list):
        shape.append(len(values[0]))
        if any(not isinstance(item, list) or len(item) != shape[-1] for item in values):
            raise invalid(f'Input {name} must have rows and lists of equal lengths.')
        values = [inner for item in values for inner in item]
    convert = _to_bytes if dtype == tf.string else _number_check(dtype)
    try:
        values = [convert(item) for item in values]
    except (ValueError, TypeError) as error:
        raise invalid(f'Input {name} must be {dtype.name}: {error}.') from error
    return np.array(values, dtype.as_numpy_dtype).reshape(shape)


def _to_bytes(value):
    if isinstance(value, dict) and set(value) == {'b64'}:
        return base64.b64decode(value['b64'], validate=True)
    if not isinstance(value, str):
        raise TypeError(f'{_shown(value)} is neither a string nor {{"b64": "..."}}')
    return value.encode()


def _number_check(dtype):
    """A function that returns a JSON value if it can be one of a numeric type, and raises TypeError if not."""
    if dtype == tf.bool:
        kinds, low, high = {bool}, False, True
    elif dtype.is_integer:
        kinds, low, high = {int}, dtype.min, dtype.max
    else:
        # (Python's floats compare with whole numbers of any size)
        kinds, low, high = {int, float}, float(dtype.min), float(dtype.max)

    def check(value):
        # JSON has NaN and Infinity here: the model judges them
        if type(value) in kinds and (low <= value <= high or value != value or abs(value) == math.inf):
            return value
        raise TypeError(f'{_shown(value)} is not such a number')

    return check


def _shown(value):
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + '...'


def write(outputs: dict[str, np.ndarray], rows: bool) -> str:
    """The body of the answer, as rows or columns; raises RequestError."""
    sizes = {array.shape[:1] for array in outputs.values()}
    if rows and (len(sizes) > 1 or () in sizes):
        raise invalid('The outputs of this signature are no rows: send the request as columns, with "inputs".')
    listed = {name: _listed(name, array) for name, array in outputs.items()}
    if not rows:
        return json.dumps({'outputs': listed if len(listed) > 1 else next(iter(listed.values()))})
    if len(listed) == 1:
        return json.dumps({'predictions': next(iter(listed.values()))})
    return json.dumps({'predictions': [dict(zip(listed, row)) for row in zip(*listed.values())]})


def _listed(name, array):
    """Nested lists of JSON values. Strings that are not UTF-8 need a name that ends in `_bytes`."""
    if array.dtype == object:
        as_json = (
            (lambda value: {'b64': base64.b64encode(value).decode()})
            if name.endswith('_bytes')
            else (lambda value: value.decode(errors='replace'))
        )
        listed = np.empty(array.shape, object)
        for index, value in np.ndenumerate(array):
            listed[index] = as_json(value)
        return listed.tolist()
    if array.dtype == np.float32:
        # the shortest decimal that reads as the same float32; its float64 would have 17 digits
        array = array.astype(str).astype(np.float64)
    return array.tolist()
