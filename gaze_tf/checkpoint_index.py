"""Opens TensorFlow checkpoints after checking their index: some damaged ones make TensorFlow end the process.

An index is a table in the format of LevelDB: blocks of entries whose keys leave out what they share with the key before
them, an index of the blocks, and a footer with the place of that index (tensorflow/core/lib/io/table_format.txt).
"""

import math
import os
import pathlib
import struct
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_PLAIN = 0  # a block that is not compressed, as TensorFlow writes them
_TYPES = {kind for kind in types_pb2.DataType.values() if kind}
# what opening and reading a checkpoint raises: a file cut short gives IndexError or RuntimeError
UNREADABLE = ValueError, IndexError, RuntimeError, OSError, tf.errors.OpError


def open_checkpoint(prefix: pathlib.Path | str) -> Any:
    """The `tf.train.load_checkpoint` of a path prefix.

    Raises ValueError if its index lists an impossible tensor, or what TensorFlow raises; all of it is in UNREADABLE.
    """
    prefix = str(prefix)
    if os.path.exists(f'{prefix}.index'):
        with open(f'{prefix}.index', 'rb') as file:
            _check(file.read())
    return tf.train.load_checkpoint(prefix)


def _check(content: bytes) -> None:
    """Raises ValueError unless each entry of an index is a possible tensor."""
    try:
        if len(content) < _FOOTER or struct.unpack_from('<Q', content, len(content) - 8)[0] != _MAGIC:
            raise ValueError('it is not an index')
        place = _varint(content, _varint(content, _varint(content, len(content) - _FOOTER)[1])[1])
        index = _block(content, place[0], _varint(content, place[1])[0])
        for _, handle in index or ():
            offset, after = _varint(handle, 0)
            for key, value in _block(content, offset, _varint(handle, after)[0]) or ():
                # the first entry, without a name, is about the file as a whole
                if key:
                    _check_entry(value)
    except (IndexError, struct.error) as error:
        raise ValueError('it is cut short') from error


def _check_entry(value: bytes) -> None:
    entry = tensor_bundle_pb2.BundleEntryProto()
    try:
        entry.ParseFromString(value)
    except Exception as error:  # the kind of error depends on protobuf's version
        raise ValueError('an entry cannot be read') from error
    sides = [dim.size for dim in entry.shape.dim]
    if entry.shape.unknown_rank or min(sides, default=0) < 0 or math.prod(sides) >= 2**63 or len(sides) > 254:
        raise ValueError(f'a tensor has the shape {sides}')
    if entry.slices or entry.dtype not in _TYPES:
        raise ValueError('a tensor is of an unknown type or cut into slices')


def _block(content: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]] | None:
    """[(key, value)] of a block, or None if it is compressed."""
    if offset + size >= len(content):
        raise IndexError(offset)
    if content[offset + size] != _PLAIN:
        return None
    block = content[offset : offset + size]
    (restarts,) = struct.unpack_from('<I', block, len(block) - 4)
    end, at, key = len(block) - 4 * (restarts + 1), 0, b''
    entries: list[tuple[bytes, bytes]] = []
    while at < end:
        shared, at = _varint(block, at)
        added, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + added]
        at += added + length
        entries.append((key, block[at - length : at]))
    return entries


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """(a number that is stored as 7 bits in each byte, the place after it)."""
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
