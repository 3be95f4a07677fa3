"""TensorProto to NumPy array and back."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from gaze_tf.server.errors import invalid

# clients often read these fields, as TensorFlow Serving fills them, rather than `tensor_content`
FIELDS = {tf.float32: 'float_val', tf.uint8: 'int_val', tf.int32: 'int_val', tf.int64: 'int64_val'}


def to_numpy(name: str, proto: tensor_pb2.TensorProto, max_bytes: int) -> np.ndarray:
    """The array of input `name`. Raises RequestError if it is malformed or has more than `max_bytes`.

    A TensorProto may give one value for all elements, so that a few bytes can ask for any amount of memory.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    try:
        count, lengths = math.prod(shape), [len(value) for value in proto.string_val] or [0]
        size = count * (tf.as_dtype(proto.dtype).size or 24) + sum(lengths) + (count - len(lengths)) * lengths[-1]
        if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0 or size > max_bytes:
            raise ValueError(f'shape {shape}')
        return tf.make_ndarray(proto)
    # (KeyError: resources and variants)
    except (ValueError, TypeError, OverflowError, IndexError, KeyError) as error:
        raise invalid(f'Input {name} is malformed, or larger than {max_bytes} bytes.') from error


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    dtype = tf.as_dtype(array.dtype)
    if dtype not in FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    getattr(proto, FIELDS[dtype]).extend(array.ravel().tolist())
    return proto
