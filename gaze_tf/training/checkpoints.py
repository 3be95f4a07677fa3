"""Checkpoints: the newest few `step-N` files of networks and optimizers in the folder of a run.

A checkpoint is written in a folder of its own and moved to its place once it is whole, its index last. Whenever a
process is killed, the files of earlier checkpoints are untouched, and a checkpoint with both index and data is whole.
"""

import contextlib
import logging
import math
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf import files
from gaze_tf.checkpoint_index import UNREADABLE, open_checkpoint
from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.errors import GazeError, first_line
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.options import Options, stored_parts

PREFIX = 'step'
UNFINISHED = '.saving'  # the folder where a checkpoint is written
BROKEN = '.broken'  # suffix of files that were set aside
STATE = 'checkpoint'  # the list that TensorFlow's own tools read; we read the folder itself

Path = pathlib.Path | str

_LOG = logging.getLogger(__name__)

_FILE = re.compile(rf'{PREFIX}-(\d+)\.(index|data-\d+-of-\d+)')


class Manager:
    """Saves and restores `checkpoint` in a folder, where the newest `keep` stay."""

    def __init__(self, checkpoint: tf.train.Checkpoint, directory: Path, keep: int):
        self.checkpoint, self.directory, self._keep = checkpoint, pathlib.Path(directory), keep

    @property
    def latest_checkpoint(self) -> str | None:
        """Path prefix of the newest checkpoint, or None."""
        steps = _steps(self.directory)
        return str(_prefix(self.directory, max(steps))) if steps else None

    def restore(self) -> str | None:
        """Restores the newest checkpoint that is not broken, and renames the broken ones, which no longer count.

        Returns:
          Its path prefix, or None if there is no checkpoint.

        Raises:
          GazeError: all are broken, or the newest readable one is of another model. Nothing is renamed then.
        """
        path, broken = _newest(self.directory)
        if path:
            restore_all(self.checkpoint, path)
        elif broken:
            raise GazeError(
                f'No checkpoint in {self.directory} can be read: {_list(broken)}. Restore one from a copy, '
                'or start again in another `output_dir`.'
            )
        with self.writing(self.directory):
            self._tidy()
            for prefix in broken:
                for file in _files(prefix):
                    os.replace(file, f'{file}{BROKEN}')
            if path:
                self._record()
            if broken:
                _LOG.warning('%s: going on from %s; the broken files were renamed to *%s.', _list(broken), path, BROKEN)
        return path

    def save(self, checkpoint_number: int) -> None:
        """As `write`, but raises GazeError."""
        with self.writing(self.directory / f'{PREFIX}-{checkpoint_number}'):
            self.write(checkpoint_number)

    def write(self, number: int) -> None:
        """Writes `step-N`, then removes the oldest checkpoints beyond `keep`.

        Raises OSError or tf.errors.OpError, and leaves earlier checkpoints as they are in that case.
        """
        unfinished = self.directory / UNFINISHED / f'{PREFIX}-{number}'
        self.checkpoint.save_counter.assign_add(1)
        try:
            self._tidy()
            self.checkpoint.write(str(unfinished))
            written = _files(unfinished)
            for file in written:
                _sync(file)
            for file in written:
                os.replace(file, self.directory / file.name)
        finally:
            self._tidy()
        for step in sorted(_steps(self.directory))[: -self._keep]:
            _remove(_prefix(self.directory, step))
        self._record()

    @contextlib.contextmanager
    def writing(self, what: Path) -> Iterator[None]:
        """Turns errors of a block that writes the file `what` into a GazeError with the last good checkpoint."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            latest = self.latest_checkpoint
            kept = (
                f'The last good checkpoint is {latest}: free space or make the folder writable, and the same command '
                'goes on from there'
                if latest
                else 'No checkpoint had been saved yet: free space, make the folder writable, or choose another one'
            )
            raise GazeError(
                f'{what} (`output_dir={self.directory}`) cannot be written: {files.reason(error)}. {kept}.'
            ) from error

    def _tidy(self) -> None:
        """Removes what an interrupted `write` has left."""
        for step in _numbers(self.directory / UNFINISHED):
            _remove(_prefix(self.directory, step))
        shutil.rmtree(self.directory / UNFINISHED, ignore_errors=True)

    def _record(self) -> None:
        """Brings TensorFlow's list of checkpoints up to date; a kill or a broken checkpoint may have outdated it."""
        names = [f'{PREFIX}-{step}' for step in sorted(_steps(self.directory))]
        lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
        content, path = '\n'.join(lines) + '\n', self.directory / STATE
        # nothing in the folder of a finished run is touched
        if not path.is_file() or path.read_bytes() != content.encode():
            files.write_text(path, content)


def manager(directory: Path, step: tf.Variable, stage: tf.train.Checkpoint, keep: int) -> Manager:
    """The Manager of the step counter (a variable) and of `stage`, a tf.train.Checkpoint."""
    return Manager(tf.train.Checkpoint(step=step, stage=stage), directory, keep)


def write_first(directory: Path, stage: tf.train.Checkpoint, **groups: Options) -> None:
    """Writes the folder of a run at step 0: a checkpoint of `stage`, and configurations. Raises as `Manager.write`."""
    manager(directory, tf.Variable(0, dtype=tf.int64), stage, keep=1).write(0)
    config_lib.save(pathlib.Path(directory) / config_lib.CONFIG_NAME, **groups)


def latest(directory: Path) -> str:
    """Path prefix of the newest checkpoint in a folder that can be read; logs a warning if a newer one cannot.

    Raises GazeError if there is none.
    """
    path, broken = _newest(directory)
    if not path:
        raise GazeError(
            f'No checkpoint in {directory} can be read: {_list(broken)}.'
            if broken
            else f'There is no checkpoint in {directory}.'
        )
    if broken:
        _LOG.warning('%s: using %s.', _list(broken), path)
    return path


def exist(directory: Path) -> bool:
    """Whether a folder holds any checkpoint, even a broken one."""
    return bool(_steps(directory))


def step_of(path: Path) -> int:
    """The training step of the checkpoint with a path prefix."""
    return int(pathlib.Path(path).name.rpartition('-')[2])


def read_config(directory: Path, group: str) -> Any:
    """The configuration 'encoder' (EncoderConfig) or 'model' (ModelConfig) of the run in a folder; raises GazeError."""
    path = pathlib.Path(directory) / config_lib.CONFIG_NAME
    if not path.is_file():
        raise GazeError(f'There is no training run in {directory} ({path.name} is missing).')
    groups = config_lib.load(path)
    if group not in groups:
        raise GazeError(f'{path} belongs to another kind of run (it has no {group!r} part).')
    return groups[group]


def serving_networks(model: GazeModel) -> tf.train.Checkpoint:
    """The networks of a GazeModel that correct and animate, as a checkpoint of the model stores them."""
    return tf.train.Checkpoint(**model.serving_networks)


def discriminators(model: GazeModel) -> tf.train.Checkpoint:
    """D_x and D_y of a GazeModel, as a checkpoint of the model stores them."""
    return tf.train.Checkpoint(d_x=model.d_x, d_y=model.d_y)


def holds(path: Path, name: str) -> bool:
    """Whether the stage of a checkpoint has a part of this name; 'a/b' is part b of part a."""
    found: list[str] = []
    _matched(path, lambda: found.extend(open_checkpoint(path).get_variable_to_shape_map()))
    return any(key.startswith(f'stage/{name}/') for key in found)


def restore_serving(path: Path, model: GazeModel) -> None:
    """Restores the networks of a GazeModel that correct and animate: their averages, if there are any (`ema`)."""
    parts: dict[str, dict] = {'model': {}, 'averages': {}}
    for name, network in model.serving_networks.items():
        parts['averages' if holds(path, f'averages/{name}') else 'model'][name] = network
    restore_networks(path, **{part: tf.train.Checkpoint(**found) for part, found in parts.items() if found})


def restore_all(checkpoint: tf.train.Checkpoint, path: Path) -> None:
    """Restores a checkpoint of `manager` completely. Raises GazeError if either has a part that the other lacks."""
    for name, option in stored_parts(GanConfig, PamConfig).items():
        found = holds(path, name)
        if found != hasattr(checkpoint.stage, name):
            with_or_without = 'with' if found else 'without'
            raise GazeError(
                f'{pathlib.Path(path).parent} holds a run {with_or_without} `{option}`: go on {with_or_without} it, or '
                'choose another `output_dir`.'
            )
    _matched(path, lambda: checkpoint.restore(path).assert_consumed())


def restore_networks(path: Path, **networks: tf.train.Checkpoint | tf.Module) -> None:
    """Restores parts of a stage, by name. Raises GazeError if the checkpoint lacks one of their variables."""
    target = tf.train.Checkpoint(stage=tf.train.Checkpoint(**networks))
    _matched(path, lambda: target.read(path).assert_existing_objects_matched().expect_partial())


def _matched(path: Path, restore: Callable[[], object]) -> None:
    """Calls `restore`, with a GazeError for what it raises."""
    try:
        restore()
    except AssertionError as error:
        raise GazeError(
            f'The checkpoint {path} cannot be restored: it does not hold the same networks and optimizers as this run.'
        ) from error
    except UNREADABLE as error:
        raise GazeError(f'The checkpoint {path} cannot be restored: {first_line(error)}') from error


def _newest(directory: Path) -> tuple[str | None, dict[pathlib.Path, str]]:
    """(path prefix of the newest checkpoint that can be read or None, {prefix: what is wrong} of newer ones)."""
    broken: dict[pathlib.Path, str] = {}
    for step in sorted(_steps(directory), reverse=True):
        prefix = _prefix(directory, step)
        damage = _damage(prefix)
        if not damage:
            return str(prefix), broken
        broken[prefix] = damage
    return None, broken


def _damage(prefix: pathlib.Path) -> str | None:
    """What is wrong with the files of a checkpoint, or None. Reads and verifies every byte that restoring needs."""
    index, data = f'{prefix}.index', f'{prefix}.data-00000-of-00001'
    for path in _files(prefix):
        try:
            path.open('rb').close()
        except OSError as error:
            # not broken: with the right to read it, the run can go on from it
            raise GazeError(f'{path} cannot be read: {files.reason(error)}.') from error
    if not os.path.exists(index):
        return f'{index} is missing'
    file = index
    try:
        reader = open_checkpoint(prefix)
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        file = data
        # a broken index may list more than fits into memory
        listed = sum(math.prod(shape) * types[name].size for name, shape in shapes.items())
        if os.path.exists(data) and listed > os.path.getsize(data):
            raise ValueError('its index lists more than it holds')
        for name in shapes:
            reader.get_tensor(name)
    except UNREADABLE as error:
        return f'{file} is broken ({first_line(error)})' if os.path.exists(file) else f'{file} is missing'
    return None


def _list(broken: dict[pathlib.Path, str]) -> str:
    return '; '.join(broken.values())


def _prefix(directory: Path, step: int) -> pathlib.Path:
    return pathlib.Path(directory) / f'{PREFIX}-{step}'


def _files(prefix: pathlib.Path) -> list[pathlib.Path]:
    """The files of a checkpoint, its index last."""
    return sorted(path for path in prefix.parent.glob(f'{prefix.name}.*') if _FILE.fullmatch(path.name))


def _numbers(directory: Path) -> set[int]:
    """The N of every `step-N` file in a folder."""
    matches = (_FILE.fullmatch(path.name) for path in pathlib.Path(directory).glob(f'{PREFIX}-*'))
    return {int(match[1]) for match in matches if match}


def _steps(directory: Path) -> set[int]:
    """Steps of the checkpoints in a folder, even broken ones, but not of one that is only partly moved there."""
    return _numbers(directory) - _numbers(pathlib.Path(directory) / UNFINISHED)


def _remove(prefix: pathlib.Path) -> None:
    for file in _files(prefix):
        file.unlink(missing_ok=True)


def _sync(path: pathlib.Path) -> None:
    """Waits until a file is on the disk: even after a power failure its name must not exist without its content."""
    with open(path, 'rb') as file:
        os.fsync(file.fileno())
