"""TensorFlow Serving's JSON forms of tensors, read and written as its `json_tensor.cc` does.

A request has rows, {"instances": [...]}, answered by {"predictions": [...]}, or columns, {"inputs": ...}, answered by
{"outputs": ...}. Bytes are {"b64": "..."} in requests; in answers only if the output's name ends in `_bytes`. Other strings
are written byte by byte as they are, which is no UTF-8 if they are not.
"""

import base64
import binascii
import itertools
import json
import math
import re

import numpy as np
import tensorflow as tf

from gaze_tf.server.errors import RequestError, invalid
from gaze_tf.server.version import dtype_name

# of a request: brackets within each other, and values, which take a hundred times their bytes (5 faces of 256 pixels)
MAX_DEPTH = 32
MAX_VALUES = 1_000_000
JSON_TYPES = {type(None): 'Null', dict: 'Object', list: 'Array', str: 'String', int: 'Number', float: 'Number'}


def parse(body):
    """The object in a request's body; raises RequestError."""
    if not body:
        raise invalid('JSON Parse error: The document is empty')
    _check_size(body)
    try:
        # bytes that are no UTF-8 reach the model as they are
        document = json.loads(body.decode('utf-8', 'surrogateescape'))
    except json.JSONDecodeError as error:
        raise invalid(f'JSON Parse error: {error.msg} at offset: {error.pos}') from error
    except (ValueError, RecursionError) as error:
        raise invalid(f'JSON Parse error: {error}') from error
    if not isinstance(document, dict):
        raise invalid(f'JSON Value: {_shown(document)} Is not object')
    if not isinstance(document.get('signature_name', ''), str):
        raise invalid(
            f"JSON Value: {_shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return document


def _check_size(body):
    """Raises RequestError for what must not even be parsed."""
    many = invalid(
        f'JSON Parse error: The document has more than {MAX_VALUES} values: send fewer rows, or files as b64.'
    )
    if body.count(b'"') > 4 * MAX_VALUES:
        raise many
    outside = b''.join(body.replace(b'\\\\', b'').replace(b'\\"', b'').split(b'"')[::2])  # of strings
    if max(map(outside.count, (b',', b'[', b']', b'{', b'}'))) >= MAX_VALUES:
        raise many
    steps = (1 if bracket in b'[{' else -1 for bracket in re.findall(rb'[][{}]', outside))
    if max(itertools.accumulate(steps), default=0) > MAX_DEPTH:
        raise invalid(f'JSON Parse error: The document has more than {MAX_DEPTH} brackets within each other.')


def read(document, infos):
    """(inputs as {name: numpy array}, whether they came in rows) of a request; infos: {name: TensorInfo}."""
    if 'instances' in document and 'inputs' in document:
        raise invalid(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            'keys to exist '
        )
    if 'inputs' in document:
        return _from_columns(document['inputs'], infos), False
    if 'instances' not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    rows = document['instances']
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {_shown(document)} Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {_shown(document)} No values in 'instances' array")
    return _from_rows(rows, infos), True


def _from_columns(value, infos):
    if isinstance(value, dict) and not _is_base64(value):
        for name in infos:
            if name not in value:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        columns = {name: value[name] for name in infos}
    elif len(infos) > 1:
        raise invalid(
            'inputs is a plain value/list, but expecting an object as multiple input tensors required as per '
            'tensorinfo_map'
        )
    else:
        columns = {next(iter(infos)): value}
    return {name: _array(*_flat(column, infos[name].dtype), infos[name].dtype) for name, column in columns.items()}


def _from_rows(rows, infos):
    if len(infos) > 1 and not isinstance(rows[0], dict):
        raise invalid(
            'instances is a plain list, but expecting list of objects as multiple input tensors required as per '
            'tensorinfo_map'
        )
    named = _is_named(rows[0])
    columns = {name: ([], []) for name in infos}  # {name: (shape of a row, values of all rows)}
    for index, row in enumerate(rows):
        if _is_named(row) != named:
            found = 'Expecting object but got list' if named else 'Expecting value/list but got object'
            raise invalid(f'{found} at item {index} of input list')
        for name, value in row.items() if named else [(next(iter(infos)), row)]:
            try:
                _add_row(value, name, infos, columns, first=not index)
            except RequestError as error:
                key = f' key: {name}' if named else ''
                raise invalid(f"Failed to process element: {index}{key} of 'instances' list. Error: {error}") from error
        if named and set(row) != set(infos):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {_shown(row)} keys must be "
                f'equal to: {",".join(sorted(infos))}'
            )
    return {name: _array([len(rows), *shape], values, infos[name].dtype) for name, (shape, values) in columns.items()}


def _add_row(value, name, infos, columns, first):
    if name not in infos:
        raise invalid(f'JSON object: does not have named input: {name}')
    shape, values = _flat(value, infos[name].dtype)
    expected, all_values = columns[name]
    if first:
        expected[:] = shape
    elif math.prod(shape) != math.prod(expected):
        raise invalid(f'Expecting tensor size: {math.prod(expected)} but got: {math.prod(shape)}')
    elif shape != expected:
        raise invalid(f'Expecting shape {_shown(expected)} but got: {_shown(shape)}')
    all_values.extend(values)


def _flat(value, dtype):
    """(shape, list of values) of a nested list, which must be regular."""
    shape, inner, values = [], value, []
    while isinstance(inner, list):
        shape.append(len(inner))
        if not inner:
            break
        inner = inner[0]
    _fill(value, 0, shape, tf.as_dtype(dtype), values)
    return shape, values


def _fill(value, level, shape, dtype, values):
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f'JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at '
                f'level: {len(shape)}'
            )
        values.append(_converted(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f'Encountered list at unexpected level: {level} expected < {len(shape)}')
    if len(value) != shape[level]:
        raise invalid(
            f'Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}'
        )
    for item in value:
        _fill(item, level + 1, shape, dtype, values)


def _converted(value, dtype):
    """One JSON value as a value of a dtype, if it can be one without loss."""
    kind = type(value)
    if dtype == tf.string and kind is dict:
        return _decoded(value)
    if dtype == tf.string and kind is str:
        try:
            return value.encode('utf-8', 'surrogateescape')
        except UnicodeEncodeError as error:
            raise invalid('JSON Parse error: The surrogate pair in string is invalid.') from error
    if dtype == tf.bool and kind is bool:
        return value
    if dtype.is_integer and kind is int and dtype.min <= value <= dtype.max:
        return value
    if dtype in (tf.float32, tf.float64) and kind in (int, float):
        # whole numbers are exact up to the length of the mantissa
        largest = dtype.max if kind is float else 2 ** (24 if dtype == tf.float32 else 53) - 1
        if kind is float and not math.isfinite(value) or abs(value) <= largest:
            return value
        raise invalid(f'Cannot convert JSON value: {_shown(value)} to {dtype_name(dtype)} without loss of precision.')
    shown = str(value) if kind is bool else JSON_TYPES[kind]
    raise invalid(f'JSON Value: {_shown(value)} Type: {shown} is not of expected type: {dtype_name(dtype)}')


def _is_base64(value):
    return isinstance(value, dict) and set(value) == {'b64'} and isinstance(value['b64'], str)


def _is_named(row):
    return isinstance(row, dict) and not _is_base64(row)


def _decoded(value):
    if not _is_base64(value):
        raise invalid(f'JSON Value: {_shown(value)} not formatted correctly for base64 data')
    text = ''.join(value['b64'].split()).rstrip('=')
    try:
        return base64.b64decode(text + '=' * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid('Unable to base64 decode') from error


def _array(shape, values, dtype):
    return np.array(values, tf.as_dtype(dtype).as_numpy_dtype).reshape(shape)


def _shown(value):
    """A value in a message; whoever sent megabytes does not want them back."""
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + '...'


def write(outputs, rows):
    """The body of an answer: outputs {name: numpy array} in rows or columns; raises RequestError."""
    if not rows:
        values = {name: _listed(name, array) for name, array in outputs.items()}
        return _dump({'outputs': values if len(values) > 1 else next(iter(values.values()))})
    size = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f'Tensor name: {name} has no shape information ')
        if size not in (None, len(array)):
            raise invalid(f'Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}')
        size = len(array)
    columns = [_listed(name, array) for name, array in outputs.items()]
    if len(columns) == 1:
        return _dump({'predictions': columns[0]})
    return _dump({'predictions': [dict(zip(outputs, row)) for row in zip(*columns)]})


def _listed(name, array):
    """Nested lists of JSON values; strings as one character for each byte."""
    dtype = tf.as_dtype(array.dtype)
    if dtype == tf.string:
        listed = np.empty(array.shape, object)
        for index, value in np.ndenumerate(array):
            listed[index] = (
                {'b64': base64.b64encode(value).decode()} if name.endswith('_bytes') else value.decode('latin-1')
            )
        return listed.tolist()
    if dtype == tf.float32:
        # the shortest number that is read as the same float32, not the 17 digits of its float64
        return array.astype(str).astype(np.float64).tolist()
    if dtype.is_integer or dtype in (tf.float64, tf.bool):
        return array.tolist()
    raise invalid(f'Failed to write JSON value for tensor type: {dtype_name(dtype)}')


def _dump(document):
    return json.dumps(document, ensure_ascii=False).encode('latin-1')
