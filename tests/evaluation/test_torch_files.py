"""Weights that PyTorch saved, read without it: files that it wrote itself, and files that it would not write."""

import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.metrics import torch_files
from tests import metric_weights
from tests.paths import DATA

WEIGHTS = {'a.weight': np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 3, 'a.bias': np.float32([1.5, -2])}


@pytest.mark.parametrize('name', ['torch_2.13.pth', 'torch_2.13_legacy.pth'])
def test_files_that_pytorch_wrote_are_read(name):
    found = torch_files.read(DATA / name)
    assert {values.dtype for values in found.values()} == {np.dtype('float32')}
    assert {name: values.tolist() for name, values in found.items()} == {
        'weight': (np.arange(12).reshape(3, 4) / 8).tolist(),
        'turned': [[0, 3], [1, 4], [2, 5]],
        'scalar': 2.5,
        'part': [3, 4, 5, 6],
        'parameter': [1, -2],
    }


@pytest.mark.parametrize('parameters', [False, True])
def test_files_of_early_versions_are_read(tmp_path, parameters):
    metric_weights.write_torch_stream(tmp_path / 'early.pth', WEIGHTS, parameters)
    found = torch_files.read(tmp_path / 'early.pth')
    assert list(found) == list(WEIGHTS)
    assert all((found[name] == WEIGHTS[name]).all() and found[name].shape == WEIGHTS[name].shape for name in WEIGHTS)


def with_pickle(path, pickled, floats=2):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', pickled)
        archive.writestr('archive/data/0', np.zeros(floats, np.float32).tobytes())
    return path


def test_what_a_file_asks_to_be_called_is_not_called(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pathlib.Path.touch, (tmp_path / 'called',))

    for write in (
        lambda path: with_pickle(path, pickle.dumps({'a': Trap()})),
        lambda path: path.write_bytes(pickle.dumps({'a': Trap()})),
    ):
        write(tmp_path / 'trap.pth')
        with pytest.raises(GazeError, match=r'trap\.pth cannot be read .*which weights do not need'):
            torch_files.read(tmp_path / 'trap.pth')
    assert not (tmp_path / 'called').exists()


def test_a_tensor_may_not_reach_beyond_what_is_stored(tmp_path):
    honest = metric_weights.torch_pickle({'a': np.zeros(2, np.float32)})
    assert torch_files.read(with_pickle(tmp_path / 'honest.pth', honest))['a'].shape == (2,)
    shape = pickle.dumps((2,), protocol=2)[2:-1]
    assert honest.count(shape) == 1
    for wrong in ((3,), (0,), (-1,), (2, 1)):
        forged = honest.replace(shape, pickle.dumps(wrong, protocol=2)[2:-1])
        with pytest.raises(GazeError, match=r'forged\.pth'):
            torch_files.read(with_pickle(tmp_path / 'forged.pth', forged))


def test_what_is_no_file_of_weights_is_named(tmp_path):
    with pytest.raises(GazeError, match=r'no file of weights at .*missing\.pth'):
        torch_files.read(tmp_path / 'missing.pth')
    whole = (DATA / 'torch_2.13_legacy.pth').read_bytes()
    doubles = metric_weights.torch_pickle(WEIGHTS).replace(b'FloatStorage', b'DoubleStorage')
    for content in (b'', b'no weights', whole[:100], whole[:-5], pickle.dumps({'a': 1}), doubles):
        (tmp_path / 'bad.pth').write_bytes(content)
        with pytest.raises(GazeError, match=r'bad\.pth cannot be read'):
            torch_files.read(tmp_path / 'bad.pth')
    for pickled in (pickle.dumps([1]), pickle.dumps({'a': 1}), doubles):
        with pytest.raises(GazeError, match=r'bad\.pth cannot be read'):
            torch_files.read(with_pickle(tmp_path / 'bad.pth', pickled))
