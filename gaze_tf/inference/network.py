"""A model for numpy arrays: a SavedModel of `gaze-tf export`, or the one that comes with gaze_tf.

Knows its signatures, not the networks.
"""

import pathlib
import re
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.checkpoint_index import open_checkpoint
from gaze_tf.errors import GazeError, first_line
from gaze_tf.files import SAVED_MODEL_NAME, reason, versions

# faces, and alphas of each, that a model is given at once: memory is bounded, and served models take no more than they
# must
_ROWS, _ALPHAS = 32, 32


class _Loaded(NamedTuple):
    """path, config: as of a Network; functions: {signature: function}; module: keeps their variables alive."""

    path: pathlib.Path
    config: config_lib.ModelConfig
    functions: dict
    module: tf.Module


class Network:
    """What a model computes on aligned faces: uint8 [B, S, S, 3] with eyes [B, 4] in pixels.

    img_size: side S of the faces that it takes, in pixels. frame_eyes: where eyes stand in them, as shares of S.
    path: folder of the SavedModel, or the file of the weights that come with gaze_tf. config: its ModelConfig.
    """

    def __init__(self, path=None):
        """Loads a SavedModel, or the newest of a folder of versions; without a path the model that comes with gaze_tf.

        Raises GazeError if there is none at `path`.
        """
        loaded = _saved_model(_newest(pathlib.Path(path))) if path else _shipped()
        self.path, self.config, functions, self._module = loaded
        self.img_size, self.frame_eyes = self.config.img_size, self.config.eye_shares
        self._crop = np.array([self.config.crop_w, self.config.crop_h])
        self._correct, self._animate = functions['correct'], functions['animate']
        # not in models that were exported by earlier versions
        self._encode, self._paint = functions.get('encode'), functions.get('paint')
        self._codes = _codes_of(self._paint)

    def correct(self, images, eyes):
        """→ uint8 [B, S, S, 3], looking at the camera."""
        return _in_parts(self._correct, images=images, eyes=eyes)['images']

    def animate(self, images, eyes, alphas):
        """With alphas [K], or [B, K] of each face → frames uint8 [B, K, S, S, 3]: alpha 0 as it was, 1 at the
        camera."""
        alphas = np.asarray(alphas, np.float32)
        count = alphas.shape[-1]
        alphas = np.broadcast_to(alphas, [len(images), count])
        return np.concatenate(
            [
                _in_parts(self._animate, images=images, eyes=eyes, alphas=part)['frames']
                for part in np.split(alphas, range(_ALPHAS, count, _ALPHAS), axis=1)
            ],
            axis=1,
        )

    def encode(self, images, eyes):
        """→ {name: codes [B, n]}: the `content` of both eyes, their `palette` where the model has palettes, and
        `angle`; nothing from a model that does not tell them."""
        return _in_parts(self._encode, images=images, eyes=eyes) if self._encode else {}

    def paint_codes(self, images, eyes):
        """→ [B, n]: all codes that `paint` takes in a row, or a None for each face from a model that does not tell
        them."""
        if not self._codes:
            return [None] * len(images)
        found = self.encode(images, eyes)
        return np.concatenate([found[name] for name in self._codes], axis=1)

    def paint(self, images, eyes, codes):
        """`correct` with these `paint_codes` instead of the faces' own, but for those for which there is None."""
        if not self._codes:
            return self.correct(images, eyes)
        own = [k for k, code in enumerate(codes) if code is None]
        if own:
            codes = list(codes)
            for k, code in zip(own, self.paint_codes(images[own], eyes[own])):
                codes[k] = code
        parts = np.split(np.stack(codes), np.cumsum(list(self._codes.values()))[:-1], axis=1)
        return _in_parts(self._paint, images=images, eyes=eyes, **dict(zip(self._codes, parts)))['images']

    def boxes(self, eyes):
        """The two boxes that are painted for eyes [4] of a face: whole pixels (x0, y0, x1, y1), half-open."""
        centres = np.reshape(eyes, (2, 2))
        edges = np.concatenate([centres - self._crop / 2, centres + self._crop / 2], axis=1)
        return np.clip(np.floor(edges), 0, self.img_size).astype(int)


def _in_parts(function, images, **others):
    """{name: array} of what a signature gives for images uint8 [B, S, S, 3] and arrays of as many rows of numbers."""
    inputs = {'images': np.asarray(images), **{name: np.asarray(rows, np.float32) for name, rows in others.items()}}
    parts = [
        function(**{name: tf.constant(rows[start : start + _ROWS]) for name, rows in inputs.items()})
        for start in range(0, max(len(images), 1), _ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _codes_of(paint):
    """{name: numbers} of the codes that the function `paint` of a _Loaded takes; nothing where there is none."""
    if not paint:
        return {}
    # those that are not traced yet have the first, those of a SavedModel the second
    specs = getattr(paint, 'input_signature', None) or paint.structured_input_signature[1].values()
    return {spec.name: spec.shape[1] for spec in specs if spec.name not in ('images', 'eyes')}


def _saved_model(path):
    """The _Loaded of a SavedModel; raises GazeError."""
    try:
        config = config_lib.load(path / config_lib.CONFIG_NAME).get('model')
        if not config:
            raise GazeError(f'{config_lib.CONFIG_NAME} is not that of a model')
        module = tf.saved_model.load(str(path))
        size = module.signatures['correct'].structured_input_signature[1]['images'].shape[1]
        if size != config.img_size:
            raise GazeError(
                f'its graph takes images of {size} pixels, and {config_lib.CONFIG_NAME} says {config.img_size}'
            )
        # both are in every model
        return _Loaded(
            path,
            config,
            {'correct': module.signatures['correct'], 'animate': module.signatures['animate'], **module.signatures},
            module,
        )
    # a SavedModel that is cut short, or edited, raises nearly anything
    except Exception as error:
        # some of TensorFlow's messages show paths as Python does bytes
        why = re.sub(r"b'([^']*)'", r'\1', first_line(error))
        file = path if isinstance(error, GazeError) else _culprit(path)
        raise GazeError(
            f'The model {file} cannot be used ({why}): choose another version or export it again.'
        ) from error


def _culprit(path):
    """The file because of which a SavedModel in a folder cannot be loaded."""
    prefix = path / 'variables' / 'variables'
    file = f'{prefix}.index'
    try:
        reader = open_checkpoint(prefix)
        file = f'{prefix}.data-00000-of-00001'
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception:
        return file
    return path / SAVED_MODEL_NAME


def _shipped():
    """The _Loaded of the model that comes with gaze_tf: its functions are traced when they are first called, which
    takes less time than loading a SavedModel with all of them."""
    # here: those who bring a SavedModel need no networks
    from gaze_tf.export.signatures import serving_module, signatures_of
    from gaze_tf.pretrained import weights

    model = weights.load_model()
    module = serving_module(model)
    return _Loaded(weights.FOLDER / weights.WEIGHTS, model.config, signatures_of(module), module)


def _newest(path):
    """The folder of the SavedModel: `path` itself, where it holds one, or its newest version; raises GazeError."""
    if (path / SAVED_MODEL_NAME).is_file():
        return path
    try:
        found = versions(path)
    except (FileNotFoundError, NotADirectoryError):
        found = {}
    except OSError as error:
        raise GazeError(f'The model {path} cannot be read: {reason(error)}.') from error
    if not found:
        raise GazeError(f'There is no SavedModel in {path}; `gaze-tf export` writes one.')
    return found[max(found)]
