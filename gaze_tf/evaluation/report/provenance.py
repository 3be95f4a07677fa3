"""What a report rests on: files, versions and the machine; and how fast and large a model is on it."""

import os
import pathlib
import platform
import statistics
import time

import numpy as np
import PIL
import tensorflow as tf

from gaze_tf import __version__
from gaze_tf.checkpoint_index import open_checkpoint
from gaze_tf.data.records import file_sha256
from gaze_tf.evaluation.evaluate import ALPHAS

_ROUNDS = 5
_VARIABLES = 'variables/variables'


def model_files(path):
    """{name: sha256} of the files that decide what a Network computes; path: its `path`.

    Of a SavedModel graph, variables and configuration; of the model that comes with gaze_tf weights and configuration.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return {file.name: file_sha256(file) for file in _shipped(path)}
    paths = [path / 'saved_model.pb', path / 'config.json', *sorted((path / 'variables').iterdir())]
    return {file.relative_to(path).as_posix(): file_sha256(file) for file in paths}


def model_size(path):
    """{'bytes', 'parameters'} of the model of a Network: of all of its files, and numbers in its variables."""
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
    """The files of the model that comes with gaze_tf, by that of its weights."""
    return weights, weights.with_suffix('.json')


def versions():
    import matplotlib
    import skimage

    return {
        'gaze_tf': __version__,
        'tensorflow': tf.__version__,
        'numpy': np.__version__,
        'scikit-image': skimage.__version__,
        'matplotlib': matplotlib.__version__,
        'pillow': PIL.__version__,
        'python': platform.python_version(),
    }


def cpu():
    """{'cpu': its name, 'cores': those that we may use}."""
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
        name = next(line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return {'cpu': name, 'cores': cores}


def speed(network, images, eyes):
    """Seconds a face, medians of 5 calls after one to warm up: of `correct`, and of one frame of `animate`, for one face
    at a time and for all of `images` uint8 [B, S, S, 3] at once."""
    found = {'faces_of_a_batch': len(images), 'frames_of_an_animation': len(ALPHAS)}
    for name, count in (('one', 1), ('batch', len(images))):
        part = images[:count], eyes[:count]
        found[f'correct_{name}'] = _median_seconds(lambda: network.correct(*part)) / count
        found[f'animate_frame_{name}'] = _median_seconds(lambda: network.animate(*part, ALPHAS)) / (count * len(ALPHAS))
    return found


def _median_seconds(call):
    call()
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
