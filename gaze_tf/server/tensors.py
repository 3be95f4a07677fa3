"""TensorProto ↔ numpy."""

import math

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from gaze_tf.server.errors import invalid

# the field of a TensorProto that holds the values of a dtype
FIELDS = {
    tf.float32: 'float_val',
    tf.float64: 'double_val',
    tf.string: 'string_val',
    tf.bool: 'bool_val',
    tf.int8: 'int_val',
    tf.int16: 'int_val',
    tf.int32: 'int_val',
    tf.uint8: 'int_val',
    tf.uint16: 'int_val',
    tf.int64: 'int64_val',
    tf.uint32: 'uint32_val',
    tf.uint64: 'uint64_val',
}


def to_numpy(name, proto, largest):
    """The array of an input; raises RequestError if there is none in it, or one of more than `largest` bytes.

    A TensorProto may state one value for all elements: a few bytes may ask for any amount of memory.
    """
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    try:
        count, given = math.prod(sizes), [len(value) for value in proto.string_val] or [0]
        size = count * (tf.as_dtype(proto.dtype).size or 24) + sum(given) + (count - len(given)) * given[-1]
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0 or size > largest:
            raise ValueError(f'a tensor of {sizes} cannot be taken')
        return tf.make_ndarray(proto)
    # (KeyError: of resources and variants)
    except (ValueError, TypeError, OverflowError, IndexError, KeyError) as error:
        raise invalid(f'tensor parsing error: {name}') from error


def to_proto(array):
    """A TensorProto with its values in typed fields, as TensorFlow Serving answers (clients read `float_val`)."""
    dtype = tf.as_dtype(array.dtype)
    if dtype not in FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    getattr(proto, FIELDS[dtype]).extend(array.ravel().tolist())
    return proto
