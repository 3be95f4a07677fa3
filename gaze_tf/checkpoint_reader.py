"""Reads the variables of TensorFlow checkpoints by name, in the present format (V2) or the older one."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from gaze_tf.checkpoint_index import UNREADABLE, open_checkpoint
from gaze_tf.errors import GazeError, first_line


class CheckpointReader:
    """The variables of one checkpoint.

    Attributes:
      prefix: path prefix of the checkpoint's files.
      shapes: {name: shape} of its variables.
    """

    def __init__(self, path: pathlib.Path | str):
        """path: the prefix of the files, one of the files, or their folder. Raises GazeError if it cannot be read."""
        self.prefix = _prefix(path)
        try:
            self._reader = open_checkpoint(self.prefix)
            self.shapes = {name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()}
        except UNREADABLE as error:
            raise self.error('is not a TensorFlow checkpoint, or its files are incomplete or damaged', error) from error

    def error(self, problem: str, cause: Exception | None = None) -> GazeError:
        """A GazeError about this checkpoint; `problem` goes on where its name ends ('has no variable x')."""
        return GazeError(f'{self.prefix} {problem}' + (f' ({first_line(cause)}).' if cause else '.'))

    def value(self, name: str, shape: tuple[int, ...] | tf.TensorShape) -> np.ndarray:
        """The float32 values of variable `name`; raises GazeError if it is missing, not finite or of another shape."""
        if self.shape(name) != tuple(shape):
            raise self.error(f'has {name} of shape {list(self.shape(name))}, where {list(shape)} is expected')
        try:
            value = np.asarray(self._reader.get_tensor(name), np.float32)
        except UNREADABLE as error:
            raise self.error(f'does not give {name}: its files are incomplete or damaged', error) from error
        if not np.isfinite(value).all():
            raise self.error(f'has values in {name} that are not finite')
        return value

    def shape(self, name: str, rank: int | None = None) -> tuple[int, ...]:
        """The shape of a variable; raises GazeError if it is missing or, with `rank`, no kernel of that rank."""
        if name not in self.shapes:
            raise self.error(f'has no variable {name}')
        shape = self.shapes[name]
        if rank and (len(shape) != rank or 0 in shape):
            raise self.error(f'has {name} of shape {list(shape)}, which is no kernel')
        return shape

    def has(self, *scopes: str) -> bool:
        """Whether any of the scopes holds a variable."""
        return any(name.startswith(f'{scope}/') for scope in scopes for name in self.shapes)


def _prefix(path: pathlib.Path | str) -> str:
    """The prefix of a checkpoint that is given by its prefix, one of its files, or its folder."""
    path = pathlib.Path(path)
    if path.is_dir():
        return _newest(path)
    prefix = re.sub(r'\.(index|meta|data-\d{5}-of-\d{5})$', '', str(path))
    # the older format, as of vgg_16.ckpt, is one file
    if not (pathlib.Path(f'{prefix}.index').is_file() or pathlib.Path(prefix).is_file()):
        raise GazeError(f'There is no checkpoint {prefix}: {prefix}.index is missing.')
    return prefix


def _newest(folder: pathlib.Path) -> str:
    """The checkpoint that a folder's `checkpoint` file names, or else the only one in the folder."""
    prefixes = sorted(path.with_suffix('') for path in folder.glob('*.index'))
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except UnicodeDecodeError:
        state = None
    # the folder may have been moved since the file was written: only the last part of the path counts
    named = folder / pathlib.PurePath(state.model_checkpoint_path).name if state else None
    if named in prefixes:
        return str(named)
    if not prefixes:
        raise GazeError(f'There is no checkpoint in {folder}.')
    if len(prefixes) > 1:
        raise GazeError(
            f'There are several checkpoints in {folder}; give one of {", ".join(str(path) for path in prefixes)}.'
        )
    return str(prefixes[0])
