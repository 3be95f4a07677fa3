"""A model for numpy arrays: a SavedModel from `gaze-tf export`, or the one that comes with gaze_tf.

It knows the signatures of the model, not the networks.
"""

import functools
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.calibration import Calibration
from gaze_tf.checkpoint_index import open_checkpoint
from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.errors import GazeError, first_line
from gaze_tf.files import SAVED_MODEL_NAME, reason, versions

# faces in a batch, and alphas of each, which bounds memory and what served models accept
_ROWS, _ALPHAS = 32, 32


class _Loaded(NamedTuple):
    """path, config: see Network. functions: {signature: function}. module: keeps their variables alive."""

    path: pathlib.Path
    config: config_lib.ModelConfig
    calibration: Calibration | None
    functions: dict
    module: tf.Module


class Network:
    """What a model computes on cuts: aligned faces uint8 [B, S, S, 3] with eyes [B, 4] in pixels.

    img_size: the side S of the cuts, in pixels.
    frame_eyes: where the eyes are in them, as shares of S.
    path: the folder of the SavedModel, or the file of the weights that come with gaze_tf.
    config: the ModelConfig of the model.
    reach: the largest angle from the camera that `look` can paint, in degrees; 0 for a model without calibration.
    """

    def __init__(self, path: pathlib.Path | str | None = None) -> None:
        """Loads a SavedModel, or the newest in a folder of versions; without a path the model that comes with gaze_tf.

        Raises GazeError if there is no model at the path.
        """
        self._use(_saved_model(_newest(pathlib.Path(path))) if path else _shipped())

    @classmethod
    def of(cls, model: Any, path: pathlib.Path | str) -> 'Network':
        """The Network of a GazeModel that came from a path."""
        network = cls.__new__(cls)
        network._use(_functions_of(model, pathlib.Path(path)))
        return network

    def _use(self, loaded: _Loaded) -> None:
        self.path, self.config, calibration, functions, self._module = loaded
        self.reach = calibration.reach if calibration else 0.0
        self.img_size, self.frame_eyes = self.config.img_size, self.config.eye_shares
        self._correct, self._animate = functions['correct'], functions['animate']
        # not in models that were exported by earlier versions
        self._encode, self._paint = functions.get('encode'), functions.get('paint')
        self._look: Any = functions.get('look')
        self._direction: Any = functions.get('direction')
        self._codes = _codes_of(self._paint)

    def correct(self, images: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """The faces looking at the camera, uint8 [B, S, S, 3]."""
        return _in_parts(self._correct, images=images, eyes=eyes)['images']

    def animate(self, images: np.ndarray, eyes: np.ndarray, alphas: Sequence[float] | np.ndarray) -> np.ndarray:
        """Frames uint8 [B, K, S, S, 3] with alphas [K], or [B, K]: 0 is the original gaze, 1 looks at the camera."""
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

    def look(self, images: np.ndarray, eyes: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Frames uint8 [B, K, S, S, 3] of faces that look in directions [B, K, 2], (yaw, pitch) in degrees.

        Yaw is positive towards larger x, pitch upwards; (0, 0) looks at the camera. Directions further away than
        `reach` are drawn in to it. Raises GazeError if the model has no calibration.
        """
        self.check_calibrated()
        return _in_parts(self._look, images=images, eyes=eyes, directions=directions)['frames']

    def direction(self, images: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """Where faces look, [B, 2], as `look` takes it. Raises GazeError if the model has no calibration."""
        self.check_calibrated()
        return _in_parts(self._direction, images=images, eyes=eyes)['direction']

    def check_calibrated(self) -> float:
        """`reach`; raises GazeError if the model has no calibration."""
        if not self._look:
            raise GazeError(
                f'The model {self.path} cannot be told where to look: its angle code was not calibrated '
                '(`gaze-tf calibrate`).'
            )
        return self.reach

    def encode(self, images: np.ndarray, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """The codes of both eyes, {name: [B, n]}: `content`, `angle`, and `palette` if the model has palettes.

        Empty for a model of an earlier version, without the signature.
        """
        return _in_parts(self._encode, images=images, eyes=eyes) if self._encode else {}

    def paint_codes(self, images: np.ndarray, eyes: np.ndarray) -> Sequence[np.ndarray | None]:
        """All codes that `paint` takes, in one row for each face, [B, n]; None for each face if the model has none."""
        if not self._codes:
            return [None] * len(images)
        found = self.encode(images, eyes)
        return np.concatenate([found[name] for name in self._codes], axis=1)

    def paint(self, images: np.ndarray, eyes: np.ndarray, codes: Sequence[np.ndarray | None]) -> np.ndarray:
        """`correct` with these `paint_codes`; a face whose codes are None keeps its own. uint8 [B, S, S, 3]."""
        if not self._paint:
            return self.correct(images, eyes)
        own = [k for k, code in enumerate(codes) if code is None]
        found = dict(zip(own, self.paint_codes(images[own], eyes[own]) if own else ()))
        rows = [found[k] if code is None else code for k, code in enumerate(codes)]
        parts = np.split(np.asarray(rows), np.cumsum(list(self._codes.values()))[:-1], axis=1)
        return _in_parts(self._paint, images=images, eyes=eyes, **dict(zip(self._codes, parts)))['images']

    def boxes(self, eyes: np.ndarray) -> np.ndarray:
        """The boxes painted for the eyes [4] of a face: int [2, 4], (x0, y0, x1, y1) in whole pixels, half-open."""
        return _boxes_function(self.config)(tf.cast(eyes, tf.float32)).numpy()


@functools.cache
def _boxes_function(config: config_lib.EncoderConfig) -> Callable:
    """`Network.boxes` for a tensor: traced once, as it is called for every face."""

    def boxes(eyes):
        return tf.cast(tf.gather(eye_boxes(eyes[None], config)[0], [1, 0, 3, 2], axis=1), tf.int64)

    return tf.function(boxes, input_signature=[tf.TensorSpec([4], tf.float32)], autograph=False)


def _in_parts(function: Callable, images: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
    """The results of a signature, {name: array}, for images uint8 [B, S, S, 3] and other arrays [B, n], in batches."""
    inputs = {'images': np.asarray(images), **{name: np.asarray(rows, np.float32) for name, rows in others.items()}}
    parts = [
        function(**{name: tf.constant(rows[start : start + _ROWS]) for name, rows in inputs.items()})
        for start in range(0, max(len(images), 1), _ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _codes_of(paint: Callable | None) -> dict[str, int]:
    """{name: size} of the codes that the signature `paint` takes; empty if there is none."""
    if not paint:
        return {}
    # untraced functions have the first, functions of a SavedModel the second
    signature = getattr(paint, 'input_signature', None)
    specs = signature or paint.structured_input_signature[1].values()  # type: ignore[attr-defined]  # TensorFlow's
    return {spec.name: spec.shape[1] for spec in specs if spec.name not in ('images', 'eyes')}


def _saved_model(path: pathlib.Path) -> _Loaded:
    """Loads a SavedModel. Raises GazeError."""
    try:
        found = config_lib.load(path / config_lib.CONFIG_NAME)
        config = found.get('model')
        if not config:
            raise GazeError(f'{config_lib.CONFIG_NAME} does not describe a model')
        module = tf.saved_model.load(str(path))
        size = module.signatures['correct'].structured_input_signature[1]['images'].shape[1]
        if size != config.img_size:
            raise GazeError(
                f'its graph takes images of {size} pixels, and {config_lib.CONFIG_NAME} says {config.img_size}'
            )
        # every model has the first two
        return _Loaded(
            path,
            config,
            found.get('calibration'),
            {'correct': module.signatures['correct'], 'animate': module.signatures['animate'], **module.signatures},
            module,
        )
    # a truncated or edited SavedModel raises nearly anything
    except Exception as error:
        # some of TensorFlow's messages show paths as bytes
        why = re.sub(r"b'([^']*)'", r'\1', first_line(error))
        file = path if isinstance(error, GazeError) else _culprit(path)
        raise GazeError(
            f'The model {file} cannot be used ({why}): choose another version or export it again.'
        ) from error


def _culprit(path: pathlib.Path) -> pathlib.Path | str:
    """The file that keeps a SavedModel from loading."""
    prefix = path / 'variables' / 'variables'
    file = f'{prefix}.index'
    try:
        reader = open_checkpoint(prefix)
        file = f'{prefix}.data-00000-of-00001'
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    # whatever goes wrong while a file is read, that file is the culprit
    except Exception:
        return file
    return path / SAVED_MODEL_NAME


def _shipped() -> _Loaded:
    """Loads the model that comes with gaze_tf.

    Its functions are traced on first use, which takes less time than loading a SavedModel with all of them.
    """
    # imported here, as a SavedModel needs no networks
    from gaze_tf.pretrained import weights

    return _functions_of(weights.load_model(), weights.FOLDER / weights.WEIGHTS)


def _functions_of(model: Any, path: pathlib.Path) -> _Loaded:
    """The signatures of a GazeModel, as they are in its SavedModel."""
    from gaze_tf.export.signatures import serving_module, signatures_of

    module = serving_module(model)
    return _Loaded(path, model.config, model.calibration, signatures_of(module), module)


def _newest(path: pathlib.Path) -> pathlib.Path:
    """The folder of the SavedModel: `path` itself if it holds one, or its newest version. Raises GazeError."""
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
