"""Reads weights that PyTorch saved, without PyTorch: both its formats, the older one of a single stream and the zip.

Such files are pickles, which may name any function to be called. Only the few names that weights need are known here,
each of them stands for a harmless one, and everything else is refused.
"""

import collections
import dataclasses
import pathlib
import pickle
import zipfile
from typing import Any

import numpy as np

from gaze_tf.errors import GazeError

MAGIC = 0x1950A86A20F9469CFC6C  # the first number of the older format


def read(path: pathlib.Path | str) -> dict[str, np.ndarray]:
    """{name: float32 array, read-only} of a file that `torch.save(model.state_dict(), path)` wrote.

    Raises GazeError, which names the file, if it is not there, is no such file or holds anything but float32 weights.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise GazeError(f'There is no file of weights at {path}.')
    try:
        weights = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        return {str(name): tensor.array() for name, tensor in weights.items()}
    except Exception as error:  # a damaged pickle can raise whatever its bytes happen to say
        raise GazeError(
            f'{path} cannot be read as weights that PyTorch saved ({error or type(error).__name__}): fetch it again.'
        ) from error


@dataclasses.dataclass
class _Storage:
    """Numbers in a row; `values`, float32 [size], is filled in where they come later in the file."""

    key: str
    size: int
    values: Any = None


@dataclasses.dataclass
class _Tensor:
    """A view of a storage; offset and strides count its elements."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """Its values, not to be written to; raises ValueError if it reaches beyond its storage."""
        values, shape, strides = self.storage.values, tuple(self.shape), tuple(self.strides)
        if len(shape) != len(strides) or min((self.offset, *strides)) < 0 or min(shape, default=1) < 1:
            raise ValueError(f'a tensor has shape {shape} and strides {strides}')
        last = self.offset + sum((side - 1) * stride for side, stride in zip(shape, strides))
        if last >= values.size:
            raise ValueError(f'a tensor of shape {shape} is larger than what is stored of it')
        return np.lib.stride_tricks.as_strided(values[self.offset :], shape, [4 * stride for stride in strides])


class _Parameter:
    """What files of early versions hold instead of a tensor: Parameter(tensor), with a state that weights do not
    need."""

    def __new__(cls, tensor, *_):
        self = super().__new__(cls)
        self.array = tensor.array
        return self

    def __setstate__(self, state):
        pass


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, shape, strides)


KNOWN = {
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('torch', 'FloatStorage'): 'float32',
    ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_parameter'): _Parameter,
    ('torch.nn.parameter', 'Parameter'): _Parameter,
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in KNOWN alone; `storages` collects what the file says is stored, by key."""

    def __init__(self, file, storages):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which weights do not need')
        return KNOWN[module, name]

    def persistent_load(self, pid):
        kind, dtype, key, _, size, *view = pid
        if kind != 'storage' or dtype != 'float32' or any(view):
            raise pickle.UnpicklingError(f'it holds {kind} {dtype}, where float32 weights are expected')
        return self._storages.setdefault(str(key), _Storage(str(key), size))


def _read_zip(path):
    storages = {}
    with zipfile.ZipFile(path) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith('data.pkl'))
        with archive.open(pickled) as file:
            weights = _Unpickler(file, storages).load()
        for storage in storages.values():
            storage.values = _floats(archive.read(f'{pickled[: -len("data.pkl")]}data/{storage.key}'), storage)
    return weights


def _read_stream(path):
    storages = {}
    with path.open('rb') as file:
        magic, _, machine, weights, keys = (_Unpickler(file, storages).load() for _ in range(5))
        if magic != MAGIC or not machine['little_endian']:
            raise ValueError('it begins with other numbers')
        for key in keys:
            storage = storages[str(key)]
            size = int.from_bytes(file.read(8), 'little')
            if size != storage.size:
                raise ValueError(f'a storage has {size} numbers instead of {storage.size}')
            storage.values = _floats(file.read(4 * size), storage)
    return weights


def _floats(data, storage):
    values = np.frombuffer(data, '<f4')
    if values.size != storage.size:
        raise ValueError(f'a storage has {values.size} numbers instead of {storage.size}')
    return values
