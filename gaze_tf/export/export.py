"""Writes versions of a model for serving, of a training run's newest checkpoint or the model of gaze_tf."""

import functools
import logging
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.calibration import Calibration
from gaze_tf.errors import GazeError
from gaze_tf.export import model_card, warmup
from gaze_tf.export.painting import serving_variables
from gaze_tf.export.self_check import check, check_finite
from gaze_tf.export.signatures import serving_module, signatures_of
from gaze_tf.files import new_folder, reason, versions
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.models.layers import computing_in
from gaze_tf.pretrained import weights
from gaze_tf.training import checkpoints

logger = logging.getLogger(__name__)
CALIBRATION = 'calibration.json'  # beside the checkpoints


class Exported(NamedTuple):
    """A new version. folder: its path; averaged: whether its weights are averages."""

    folder: pathlib.Path
    averaged: bool


def load_model(checkpoint_dir: pathlib.Path | str, precision: str = 'float32') -> GazeModel:
    """The model of the newest checkpoint of a `gaze-tf train` run, with averaged weights if the run has them (`ema`).

    It has no discriminators. `precision`: what it computes in, and keeps its weights in. Raises GazeError.
    """
    return in_precision(_restored(checkpoints.latest(checkpoint_dir)), precision)


def _restored(path: str) -> GazeModel:
    config = checkpoints.read_config(pathlib.Path(path).parent, 'model')
    # TensorFlow warns at each start about the cost of native crops of unknown batch size
    model = GazeModel(config, native_crops=False, discriminators=False)
    checkpoints.restore_serving(path, model)
    model.calibration = _calibration(path)
    return model


def in_precision(model: GazeModel, precision: str) -> GazeModel:
    """A model that computes what a float32 model does in another precision, in which it also keeps its weights."""
    if precision == 'float32':
        return model
    with computing_in(precision, weights=precision):
        rounded = GazeModel(model.config, native_crops=False, discriminators=False)
    for ours, exact in zip(serving_variables(rounded), serving_variables(model), strict=True):
        ours.assign(tf.cast(exact, ours.dtype))
    rounded.calibration = model.calibration
    return rounded


def _calibration(path: str) -> Calibration | None:
    """The calibration of the checkpoint with a path prefix; None if nobody measured it."""
    file = pathlib.Path(path).parent / CALIBRATION
    if not file.exists():
        return None
    found = config_lib.load(file).get('calibration')
    if found and found.step == checkpoints.step_of(path):
        return found
    logger.warning('%s does not belong to %s and is not used: run `gaze-tf calibrate` again.', file, path)
    return None


def export(checkpoint_dir: pathlib.Path | str, output_dir: pathlib.Path | str, precision: str = 'float32') -> Exported:
    """Writes the newest checkpoint of a training run as the next version in `output_dir`.

    A version is a SavedModel with config.json, MODEL_CARD.md and, if the extra `serving` is installed, warm-up
    requests.

    Raises:
      GazeError: `output_dir` holds anything but versions or cannot be written, or the SavedModel, loaded again, does
        not compute what the checkpoint computes. Then `output_dir` stays as it was.
    """
    version = _next_version(pathlib.Path(output_dir))
    path = checkpoints.latest(checkpoint_dir)
    _write(
        version,
        in_precision(_restored(path), precision),
        precision,
        functools.partial(model_card.write, checkpoint=path),
    )
    return Exported(version, checkpoints.holds(path, 'averages'))


def export_pretrained(output_dir: pathlib.Path | str, precision: str = 'float32') -> pathlib.Path:
    """`export` of the model that comes with gaze_tf, with its own card. Returns the path of the new version."""
    version = _next_version(pathlib.Path(output_dir))
    _write(version, in_precision(weights.load_model(), precision), precision, model_card.write_pretrained)
    return version


def _write(version: pathlib.Path, model: GazeModel, precision: str, write_card: Callable) -> None:
    """Writes a model as the SavedModel `version`, and its card by a function of model_card."""
    warm = warmup.available()
    with new_folder(version) as folder:
        check_finite(model)
        module = serving_module(model)
        functions = signatures_of(module)
        tf.saved_model.save(module, str(folder), signatures=functions)
        config_lib.save(folder / config_lib.CONFIG_NAME, **model.configurations)
        loaded = tf.saved_model.load(str(folder))
        check(loaded, model, functions, precision)
        if warm:
            warmup.write(folder, model.config, functions)
        write_card(folder, version.name, model=model, signatures=loaded.signatures, precision=precision)
    if not warm:
        logger.info(
            'The version has no warm-up requests, so the first answers of a server will take longer. They need '
            "tensorflow-serving-api (pip install 'gaze_tf[serving]')."
        )


def _next_version(directory: pathlib.Path) -> pathlib.Path:
    """The path of a folder's next version; raises GazeError if the folder holds anything but versions."""
    try:
        found = versions(directory)
        others = sorted(
            {path.name for path in directory.iterdir() if not path.name.startswith('.')}
            - {path.name for path in found.values()}
        )
    except FileNotFoundError:
        return directory / '1'
    except OSError as error:
        raise GazeError(f'`output_dir={directory}` cannot be used: {reason(error)}.') from error
    if others:
        raise GazeError(
            f'`output_dir={directory}` holds something that is no version of a model ({others[0]}): choose another '
            'folder, or move that away.'
        )
    return directory / str(max(found, default=0) + 1)
