"""Checkpoints: the newest few `step-N` files of networks and optimizers in a run's folder.

A checkpoint is written in a folder of its own and moved to its place once it is whole, its index last. Wherever a
process is killed, the files of earlier checkpoints are untouched, and what has both an index and data was whole.
"""

import contextlib
import math
import os
import pathlib
import re
import shutil

import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf import files
from gaze_tf.checkpoint_index import UNREADABLE, open_checkpoint
from gaze_tf.errors import GazeError

PREFIX = 'step'
# parts of a stage that an option adds
OPTIONAL = {'averages': '--ema', 'early_stop': '--stop_patience'}
UNFINISHED = '.saving'  # where a checkpoint is written
BROKEN = '.broken'  # behind the names of files that were set aside
STATE = 'checkpoint'  # the list that TensorFlow's own tools read; we read the folder itself

_FILE = re.compile(rf'{PREFIX}-(\d+)\.(index|data-\d+-of-\d+)')


class Manager:
    """Saves and restores `checkpoint` (a tf.train.Checkpoint) in a folder, where the newest `keep` stay."""

    def __init__(self, checkpoint, directory, keep):
        self.checkpoint, self.directory, self._keep = checkpoint, pathlib.Path(directory), keep

    @property
    def latest_checkpoint(self):
        """Path prefix of the newest checkpoint, or None."""
        steps = _steps(self.directory)
        return str(_prefix(self.directory, max(steps))) if steps else None

    def restore(self):
        """Restores the newest checkpoint that is not broken; broken ones are renamed, so that they count no more.

        Returns:
          Its path prefix, or None where there is no checkpoint at all.

        Raises:
          GazeError: all are broken, or the newest readable one is of another model; nothing was renamed then.
        """
        path, broken = _newest(self.directory)
        if path:
            restore_all(self.checkpoint, path)
        elif broken:
            raise GazeError(
                f'No checkpoint in {self.directory} can be read: {_list(broken)}. Restore one from a copy, '
                'or start again in another --output_dir.'
            )
        with self.writing(self.directory):
            self._tidy()
            for prefix in broken:
                for file in _files(prefix):
                    os.replace(file, f'{file}{BROKEN}')
            if path:
                self._record()
            if broken:
                print(f'{_list(broken)}: going on from {path}; the broken files are renamed to *{BROKEN}.')
        return path

    def save(self, checkpoint_number):
        """`write`, with a GazeError in place of its errors."""
        with self.writing(self.directory / f'{PREFIX}-{checkpoint_number}'):
            self.write(checkpoint_number)

    def write(self, number):
        """Writes `step-N`, then removes what is too old.

        Raises OSError or tf.errors.OpError, and then leaves earlier checkpoints as they are.
        """
        unfinished = self.directory / UNFINISHED / f'{PREFIX}-{number}'
        self.checkpoint.save_counter.assign_add(1)
        try:
            self._tidy()
            self.checkpoint.write(str(unfinished))
            files = _files(unfinished)
            for file in files:
                _sync(file)
            for file in files:
                os.replace(file, self.directory / file.name)
        finally:
            self._tidy()
        for step in sorted(_steps(self.directory))[: -self._keep]:
            _remove(_prefix(self.directory, step))
        self._record()

    @contextlib.contextmanager
    def writing(self, what):
        """Makes a GazeError, which names the last good checkpoint, of what goes wrong while `what` is written."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            kept = self.latest_checkpoint
            kept = (
                f'The last good checkpoint is {kept}: free space or make the folder writable, and the same command '
                'goes on from there'
                if kept
                else 'No checkpoint had been saved yet: free space, make the folder writable, or choose another one'
            )
            raise GazeError(
                f'{what} (--output_dir={self.directory}) cannot be written: {files.reason(error)}. {kept}.'
            ) from error

    def _tidy(self):
        """Removes what a saving that was cut short has left."""
        for step in _numbers(self.directory / UNFINISHED):
            _remove(_prefix(self.directory, step))
        shutil.rmtree(self.directory / UNFINISHED, ignore_errors=True)

    def _record(self):
        """Brings TensorFlow's list of the checkpoints up to date, which a kill or a fallback may have left behind."""
        names = [f'{PREFIX}-{step}' for step in sorted(_steps(self.directory))]
        lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
        content, path = '\n'.join(lines) + '\n', self.directory / STATE
        # a finished run is left alone
        if not path.is_file() or path.read_bytes() != content.encode():
            files.write_text(path, content)


def manager(directory, step, stage, keep):
    """The Manager of the step counter (a variable) and of `stage`, a tf.train.Checkpoint."""
    return Manager(tf.train.Checkpoint(step=step, stage=stage), directory, keep)


def write_first(directory, stage, **groups):
    """Writes a run's folder at step 0, the checkpoint of `stage` and its configurations; raises as `Manager.write`."""
    manager(directory, tf.Variable(0, dtype=tf.int64), stage, keep=1).write(0)
    config_lib.save(pathlib.Path(directory) / config_lib.CONFIG_NAME, **groups)


def latest(directory, flag):
    """Path prefix of the newest checkpoint in a folder that can be read; says so if a newer one cannot.

    Raises GazeError that names the flag to mend.
    """
    path, broken = _newest(directory)
    if not path:
        raise GazeError(
            f'{flag}: no checkpoint in {directory} can be read: {_list(broken)}.'
            if broken
            else f'{flag}: there is no checkpoint in {directory}.'
        )
    if broken:
        print(f'{_list(broken)}: using {path}.')
    return path


def exist(directory):
    """Whether a folder holds any checkpoint, broken ones too."""
    return bool(_steps(directory))


def read_config(directory, group, flag):
    """The configuration `group` of the run in a folder; raises GazeError that names the flag to mend."""
    path = pathlib.Path(directory) / config_lib.CONFIG_NAME
    if not path.is_file():
        raise GazeError(f'{flag}: there is no training run in {directory} ({path.name} is missing).')
    groups = config_lib.load(path)
    if group not in groups:
        raise GazeError(f'{flag}: {path} belongs to another kind of run (it has no {group!r} part).')
    return groups[group]


def serving_networks(model):
    """The networks of a GazeModel that correct and animate, as a checkpoint of the model stores them."""
    return tf.train.Checkpoint(**model.serving_networks)


def holds(path, name):
    """Whether the stage of a checkpoint has a part of this name; 'a/b' is part b of part a."""
    found = []
    _matched(path, lambda: found.extend(open_checkpoint(path).get_variable_to_shape_map()))
    return any(key.startswith(f'stage/{name}/') for key in found)


def restore_serving(path, model):
    """Restores the networks of a GazeModel that correct and animate: where there are averages, those (--ema)."""
    if holds(path, 'averages'):
        averaged, frozen = model.serving_networks, {}
        if not holds(path, 'averages/content_encoder'):
            frozen['content_encoder'] = averaged.pop('content_encoder')
        restore_networks(path, model=tf.train.Checkpoint(**frozen), averages=tf.train.Checkpoint(**averaged))
    else:
        restore_networks(path, model=serving_networks(model))


def restore_all(checkpoint, path):
    """Restores a checkpoint of `manager` completely: nothing in it, and none of ours, may be left over."""
    for name, flag in OPTIONAL.items():
        found = holds(path, name)
        if found != hasattr(checkpoint.stage, name):
            raise GazeError(
                f'{pathlib.Path(path).parent} holds a run {"with" if found else "without"} {flag}: go on '
                f'{"with" if found else "without"} it, or choose another --output_dir.'
            )
    _matched(path, lambda: checkpoint.restore(path).assert_consumed())


def restore_networks(path, **networks):
    """Restores some of the networks of a checkpoint; each of their variables must be in it."""
    target = tf.train.Checkpoint(stage=tf.train.Checkpoint(**networks))
    _matched(path, lambda: target.read(path).assert_existing_objects_matched().expect_partial())


def _matched(path, restore):
    try:
        restore()
    except AssertionError as error:
        raise GazeError(
            f'The checkpoint {path} cannot be restored: it does not hold the same networks and optimizers '
            'as this run has.'
        ) from error
    except UNREADABLE as error:
        raise GazeError(f'The checkpoint {path} cannot be restored: {_first_line(error)}') from error


def _newest(directory):
    """(path prefix of the newest checkpoint that can be read or None, {prefix: what is wrong} of newer ones)."""
    broken = {}
    for step in sorted(_steps(directory), reverse=True):
        prefix = _prefix(directory, step)
        damage = _damage(prefix)
        if not damage:
            return str(prefix), broken
        broken[prefix] = damage
    return None, broken


def _damage(prefix):
    """What is wrong with the files of a checkpoint, or None: every byte that restoring needs is read and verified."""
    index, data = f'{prefix}.index', f'{prefix}.data-00000-of-00001'
    for file in _files(prefix):
        try:
            file.open('rb').close()
        except OSError as error:
            # not broken: whoever may read it can go on from it
            raise GazeError(f'{file} cannot be read: {files.reason(error)}.') from error
    if not os.path.exists(index):
        return f'{index} is missing'
    file = index
    try:
        reader = open_checkpoint(prefix)
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        file = data
        # as much would be asked of memory as a broken index lists
        listed = sum(math.prod(shape) * types[name].size for name, shape in shapes.items())
        if os.path.exists(data) and listed > os.path.getsize(data):
            raise ValueError('its index lists more than it holds')
        for name in shapes:
            reader.get_tensor(name)
    except UNREADABLE as error:
        return f'{file} is broken ({_first_line(error)})' if os.path.exists(file) else f'{file} is missing'
    return None


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]


def _list(broken):
    return '; '.join(broken.values())


def _prefix(directory, step):
    return pathlib.Path(directory) / f'{PREFIX}-{step}'


def _files(prefix):
    """The files of a checkpoint, its index last."""
    return sorted(path for path in prefix.parent.glob(f'{prefix.name}.*') if _FILE.fullmatch(path.name))


def _numbers(directory):
    """The N of every `step-N` file in a folder."""
    matches = (_FILE.fullmatch(path.name) for path in pathlib.Path(directory).glob(f'{PREFIX}-*'))
    return {int(match[1]) for match in matches if match}


def _steps(directory):
    """Steps of the checkpoints in a folder, broken ones too, but for one that was not wholly moved there."""
    return _numbers(directory) - _numbers(pathlib.Path(directory) / UNFINISHED)


def _remove(prefix):
    for file in _files(prefix):
        file.unlink(missing_ok=True)


def _sync(path):
    """Waits until a file is on the disk: after a power failure, too, its name must not be there without it."""
    with open(path, 'rb') as file:
        os.fsync(file.fileno())
