"""One version of a SavedModel in memory, called with NumPy arrays."""

import pathlib
from collections.abc import Sequence

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from gaze_tf.server.errors import RequestError, from_tensorflow, invalid

DEFAULT_SIGNATURE = 'serving_default'


class Version:
    """A loaded SavedModel. Threads may call it at the same time.

    Attributes:
      number: the version's number.
      signature_defs: {name: SignatureDef} of all its signatures.
    """

    def __init__(self, number: int, folder: pathlib.Path):
        """Loads the SavedModel in `folder`; raises whatever TensorFlow raises if that fails."""
        self.number = number
        # the signatures alone do not keep the variables alive
        self._model = tf.saved_model.load(str(folder), tags='serve')
        proto = saved_model_pb2.SavedModel.FromString((folder / 'saved_model.pb').read_bytes())
        graph = next(graph for graph in proto.meta_graphs if 'serve' in graph.meta_info_def.tags)
        self.signature_defs = {name: graph.signature_def[name] for name in self._model.signatures}

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """The signature of this name; raises RequestError."""
        if name not in self.signature_defs:
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Version {self.number} has no signature "{name}", only {", ".join(sorted(self.signature_defs))}.',
            )
        return self.signature_defs[name]

    def run(self, name: str, inputs: dict[str, np.ndarray], outputs: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Calls the signature `name`; returns its outputs, or only those named. Raises RequestError."""
        signature = self.signature(name)
        check_names(f'Signature "{name}" takes the inputs', signature.inputs, inputs)
        if not set(outputs) <= set(signature.outputs):
            check_names(f'Signature "{name}" has the outputs', signature.outputs, outputs)
        for key, array in inputs.items():
            _check_array(key, signature.inputs[key], array)
        try:
            found = self._model.signatures[name](
                **{key: tf.constant(array, signature.inputs[key].dtype) for key, array in inputs.items()}
            )
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise from_tensorflow(error) from error
        return {key: found[key].numpy() for key in outputs or found}


def check_names(what, expected, found) -> None:
    """Raises RequestError unless both have the same names."""
    if set(expected) != set(found):
        expected, found = (', '.join(sorted(names)) or 'none' for names in (expected, found))
        raise invalid(f'{what} {expected}; the request has {found}.')


def _check_array(key, info, array):
    """Raises RequestError unless the array has the type and shape of a TensorInfo."""
    dtype, shape = tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape)
    if tf.as_dtype(array.dtype) != dtype:
        raise invalid(f'Input {key} must be {dtype.name}, not {tf.as_dtype(array.dtype).name}.')
    if not shape.is_compatible_with(array.shape):
        raise invalid(f'Input {key} must have the shape {list(shape)} (None: any size), not {list(array.shape)}.')
