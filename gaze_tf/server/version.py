"""One loaded version of a SavedModel, and its signatures on numpy arrays."""

import pathlib

import grpc
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from gaze_tf.server.errors import RequestError, invalid, of_tensorflow

DEFAULT_SIGNATURE = 'serving_default'


def dtype_name(dtype):
    """A dtype as TensorFlow Serving's messages name it: float, uint8, string."""
    return types_pb2.DataType.Name(tf.as_dtype(dtype).as_datatype_enum)[3:].lower()


class Version:
    """A SavedModel in memory. Threads may call it at once.

    number: of the version. signature_defs: {name: SignatureDef} of all its signatures.
    """

    def __init__(self, number, folder):
        """Loads it; raises what TensorFlow raises if it cannot be loaded."""
        self.number = number
        # kept, because the signatures alone do not keep its variables alive
        self._model = tf.saved_model.load(str(folder), tags='serve')
        self._functions = self._model.signatures
        proto = saved_model_pb2.SavedModel.FromString((pathlib.Path(folder) / 'saved_model.pb').read_bytes())
        graph = next(graph for graph in proto.meta_graphs if 'serve' in graph.meta_info_def.tags)
        self.signature_defs = dict(graph.signature_def)

    def run(self, signature_name, inputs, wanted=()):
        """{input: numpy array} → {output: numpy array}, of all outputs or those in `wanted`; raises RequestError."""
        name = signature_name or DEFAULT_SIGNATURE
        if name not in self.signature_defs or name not in self._functions:
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        signature = self.signature_defs[name]
        _check_names(signature, inputs)
        _check_wanted(signature, wanted)
        for index, key in enumerate(sorted(inputs)):
            _check_array(index, key, signature.inputs[key], inputs[key])
        try:
            outputs = self._functions[name](
                **{key: tf.constant(array, signature.inputs[key].dtype) for key, array in inputs.items()}
            )
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise of_tensorflow(error) from error
        return {key: outputs[key].numpy() for key in wanted or outputs}


def _set(names):
    return '{' + ','.join(sorted(names)) + '}'


def _check_names(signature, inputs):
    sent, expected = set(inputs), set(signature.inputs)
    if len(sent) != len(expected):
        raise invalid(
            f'input size does not match signature: {len(sent)}!={len(expected)} len({_set(sent)}) != '
            f'len({_set(expected)}). Sent extra: {_set(sent - expected)}. Missing but required: '
            f'{_set(expected - sent)}.'
        )
    for key in sorted(expected - sent):
        raise invalid(
            f'Signature input alias: {key}(feed name: {signature.inputs[key].name}) not found in request and no '
            f'default value provided. Inputs expected to be in the request {_set(sent)}, or default input '
            'alias set: {}'
        )


def _check_wanted(signature, wanted):
    for index, key in enumerate(wanted):
        if key not in signature.outputs:
            raise invalid(
                f'output tensor alias not found in signature: {key} Outputs expected to be in the set '
                f'{_set(signature.outputs)}.'
            )
        if key in wanted[:index]:
            raise invalid(f'duplicate output tensor alias: {key}')


def _check_array(index, key, info, array):
    expected, shape = dtype_name(info.dtype), info.tensor_shape
    if dtype_name(array.dtype) != expected:
        raise invalid(f'Expects arg[{index}] to be {expected} but {dtype_name(array.dtype)} is provided: input {key}')
    if not tf.TensorShape(shape).is_compatible_with(array.shape):
        raise invalid(
            f'The shape of input {key} must be {[dim.size for dim in shape.dim]} (-1: any), not {list(array.shape)}.'
        )
