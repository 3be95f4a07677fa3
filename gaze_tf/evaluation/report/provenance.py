"""Where the results of a report come from: files, versions, the machine; and how fast and large the model is."""

import os
import pathlib
import platform
import statistics
import time
from importlib import metadata
from typing import Any

import numpy as np
import PIL
import tensorflow as tf

from gaze_tf import __version__
from gaze_tf.checkpoint_index import open_checkpoint
from gaze_tf.data.records import file_sha256
from gaze_tf.evaluation.painted import ALPHAS

_ROUNDS = 5
_VARIABLES = 'variables/variables'


def model_files(path: pathlib.Path | str) -> dict[str, str]:
    """{name: sha256} of the files that decide what a Network computes.

    path: its `path`. The files of a SavedModel are graph, variables and configuration; those of the model that comes
    with gaze_tf are weights and configuration.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return {file.name: file_sha256(file) for file in _shipped(path)}
    paths = [path / 'saved_model.pb', path / 'config.json', *sorted((path / 'variables').iterdir())]
    return {file.relative_to(path).as_posix(): file_sha256(file) for file in paths}


def model_size(path: pathlib.Path | str) -> dict[str, int]:
    """{'bytes': size of all files, 'parameters': numbers in the variables} of a Network's model; path: its `path`."""
    path = pathlib.Path(path)
    if path.is_file():
        with np.load(path) as arrays:
            # the scales of kernels in 8 bits are no parameters
            parameters = sum(arrays[name].size for name in arrays.files if not name.endswith('.scale'))
        return {'bytes': sum(file.stat().st_size for file in _shipped(path)), 'parameters': parameters}
    reader = open_checkpoint(path / _VARIABLES)
    shapes = [
        shape
        for name, shape in reader.get_variable_to_shape_map().items()
        if not name.startswith(('_CHECKPOINTABLE_OBJECT_GRAPH', 'save_counter'))
    ]
    return {
        'bytes': sum(file.stat().st_size for file in path.rglob('*') if file.is_file()),
        'parameters': int(sum(np.prod(shape, dtype=np.int64) for shape in shapes)),
    }


def _shipped(weights):
    """The files of the model that comes with gaze_tf; weights: one of them."""
    return weights, weights.with_suffix('.json')


def versions() -> dict[str, str]:
    """Of gaze_tf and of the packages that results depend on."""
    return {
        'gaze_tf': __version__,
        'tensorflow': tf.__version__,
        'numpy': np.__version__,
        'scikit-image': metadata.version('scikit-image'),
        'matplotlib': metadata.version('matplotlib'),
        'pillow': PIL.__version__,
        'python': platform.python_version(),
    }


def cpu() -> dict[str, Any]:
    """{'cpu': its name, 'cores': how many this process may use}."""
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
        name = next(line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return {'cpu': name, 'cores': cores}


def speed(network: Any, images: np.ndarray, eyes: np.ndarray) -> dict[str, float]:
    """Seconds for each face of `correct`, and for each frame of `animate`: one face at a time, and all at once.

    images: uint8 [B, S, S, 3]; eyes: [B, 4]. Each is the median of 5 calls after one to warm up.
    """
    found: dict[str, float] = {'faces_of_a_batch': len(images), 'frames_of_an_animation': len(ALPHAS)}
    for name, count in (('one', 1), ('batch', len(images))):
        part, own = images[:count], eyes[:count]
        found[f'correct_{name}'] = _median_seconds(network.correct, part, own) / count
        found[f'animate_frame_{name}'] = _median_seconds(network.animate, part, own, ALPHAS) / (count * len(ALPHAS))
    return found


def _median_seconds(function, *arguments):
    function(*arguments)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
