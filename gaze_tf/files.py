"""Writes files and folders that appear whole or not at all, and locks folders. Every file of gaze_tf is written here.

The exceptions need no such care: files inside a folder that `new_folder` yields or in a temporary folder, checkpoints
(`training.checkpoints` gives them their final names itself, as each is several files), and logs that grow line by line.
"""

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from typing import IO, Any

from gaze_tf.errors import GazeError, first_line

SAVED_MODEL_NAME = 'saved_model.pb'
# names of files that are still being written, and of the file that marks a folder as locked
_UNFINISHED = '.gaze_tf-{}.part'
LOCK = '.gaze_tf.lock'
# only writing fails with these, and such an error may name no file
_NO_SPACE = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


@contextlib.contextmanager
def new_file(path: os.PathLike | str, **text: str) -> Iterator[IO[Any]]:
    """Yields a new file that becomes `path` when the block ends; if the block raises, `path` stays as it was.

    The file lies in the folder of `path` under an unpredictable name, which no existing file or link can have. It is
    open for reading and writing: bytes, or text if `encoding` and `newline` of `open` are given. Another program may
    write it by its `name`, but cannot learn `path` from that. At the end it is synced to the disk. It has the
    permissions of the file that it replaces.

    If `path` is a symbolic link, the link stays and the file that it leads to is replaced (or made), as with `open`:
    users who keep a link there mean that file. Links that the system does not let this process follow are refused (on
    Linux, other users' links in a folder like /tmp).

    Raises OSError if the file cannot be written, or if `path` is a folder, device or pipe.
    """
    mode = _mode(path)
    path = os.path.realpath(path)
    _sweep(os.path.dirname(path))
    file = _unfinished(os.path.dirname(path), **text)
    try:
        with file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            # otherwise a power failure could leave the name without the content
            os.fsync(file.fileno())
            os.replace(file.name, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(file.name)


def write_text(path: os.PathLike | str, text: str) -> None:
    """Writes a text file with `new_file`, in UTF-8. Raises OSError."""
    with new_file(path, encoding='utf-8') as file:
        file.write(text)


def _mode(path: os.PathLike | str) -> int | None:
    """Returns the permissions of the regular file at `path`, None if there is none. Raises OSError for anything else.

    The kernel follows links here, so that its rules about other users' links apply (`os.path.realpath` ignores them).
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, 'not an ordinary file', path)
    return stat.S_IMODE(mode) & 0o777


def _unfinished(folder: str, **text: str) -> IO[Any]:
    """Creates a new file in a folder and locks it, so that no other process sweeps it away."""
    while True:
        name = os.path.join(folder, _UNFINISHED.format(secrets.token_hex(8)))
        file = open(name, 'x+' if text else 'x+b', **text)  # type: ignore[call-overload]  # a computed mode
        with contextlib.suppress(BlockingIOError):
            if _lock(file):
                return file
        file.close()


@functools.cache
def _sweep(folder: str) -> None:
    """Deletes unfinished files of killed processes in a folder; once per process, as a folder may hold many files."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(_UNFINISHED.format('[0-9a-f]{16}').replace('.', r'\.'), name):
                with contextlib.suppress(OSError), _open_plain(os.path.join(folder, name), 'rb+') as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(file.name)


def _open_plain(path: os.PathLike | str, mode: str) -> IO[Any]:
    """Opens a file without following a link at `path` and without waiting for the other end of a pipe."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))


def _lock(file: IO[Any]) -> bool:
    """Locks an open file until it is closed.

    Returns False if the file was deleted meanwhile. Raises BlockingIOError if another process has locked it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a disk without locks
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name, follow_symlinks=False))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def alone_in(folder: os.PathLike | str) -> Iterator[None]:
    """Locks a folder for this process until the block ends.

    A missing folder is created, and deleted at the end if it is still empty. Where nothing can be written, nothing is
    locked: the caller's own writing will fail there. Raises GazeError about the folder if another process has locked
    it.
    """
    folder = pathlib.Path(folder)
    missing = _missing(folder / LOCK)
    file = None
    try:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file = _locked(folder)
        yield
    finally:
        if file:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            file.close()
        _remove_empty(missing)


def _locked(folder: pathlib.Path) -> IO[Any]:
    """Returns the lock file of a folder, locked by this process. Raises OSError, GazeError."""
    while True:
        file = _open_plain(folder / LOCK, 'a+')
        try:
            if _lock(file):
                file.truncate(0)
                file.write(f'process {os.getpid()} on {socket.gethostname()}')
                file.flush()
                return file
        except BlockingIOError as error:
            file.seek(0)
            raise GazeError(
                f'in use by another run ({file.read(200)}): wait until it ends, or choose another folder.', folder
            ) from error
        file.close()


@contextlib.contextmanager
def new_folder(path: os.PathLike | str, replace: bool = False) -> Iterator[pathlib.Path]:
    """Yields a temporary folder that becomes `path` when the block ends, and is deleted if the block raises.

    Other programs never see half of it. With `replace`, a folder that exists at the start is replaced at the end.

    Raises GazeError about `path` if it exists already or appears meanwhile, or if the folder or a file in it cannot be
    written. All other exceptions of the block pass through unchanged.
    """
    path = pathlib.Path(path)
    replace = replace and os.path.exists(path)
    if os.path.exists(path) and not replace:
        raise GazeError('exists already: choose another folder, or remove this one.', path)
    # not the process's number: two containers that share the disk may have the same one
    temporary = path.with_name(f'.gaze_tf-{secrets.token_hex(8)}')
    earlier = temporary.with_name(f'{temporary.name}.earlier')
    missing = _missing(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if replace:
            os.replace(path, earlier)
        _appear(temporary, path)
    except Exception as error:
        if not _is_about(error, temporary):
            raise
        raise GazeError(
            f'cannot be written ({reason(error)}). Nothing was left there: free space or choose another folder, and '
            'start again.',
            path,
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if os.path.exists(earlier) and not os.path.exists(path):
            os.replace(earlier, path)
        shutil.rmtree(earlier, ignore_errors=True)
        _remove_empty(missing)


def _is_about(error: Exception, folder: pathlib.Path) -> bool:
    """Whether an exception says that a temporary folder, or a file in it, cannot be written."""
    if not isinstance(error, OSError):
        # TensorFlow's errors, which are not imported here, name files in their message
        return not isinstance(error, GazeError) and folder.name in str(getattr(error, 'message', ''))
    if error.filename is None:
        return error.errno in _NO_SPACE
    return any(
        folder.name in str(name) or pathlib.Path(str(name)) in folder.parents
        for name in (error.filename, error.filename2)
        if name is not None
    )


def _appear(temporary: pathlib.Path, path: pathlib.Path) -> None:
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise GazeError(
                'another program has made this meanwhile, and it is left as it is: start again.', path
            ) from error
        raise


def _missing(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders above a path that do not exist, the innermost first."""
    return [parent for parent in path.parents if not os.path.exists(parent)]


def _remove_empty(folders: list[pathlib.Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def versions(directory: os.PathLike | str) -> dict[int, pathlib.Path]:
    """Returns {number: path} of the SavedModels in the folders 1, 2, … of a folder, as TensorFlow Serving wants them.

    Raises OSError if the folder cannot be read.
    """
    return {
        int(path.name): path
        for path in pathlib.Path(directory).iterdir()
        if re.fullmatch('0|[1-9][0-9]*', path.name) and (path / SAVED_MODEL_NAME).is_file()
    }


def reason(error: Exception) -> str:
    """Returns in a few words why the disk refused: of an OSError or a tf.errors.OpError."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # '{{function_node NAME}} PATH; REASON [Op:NAME]', where all but the reason may be absent
    line = first_line(getattr(error, 'message', '') or error)
    return line.rpartition('}} ')[2].rpartition('; ')[2].partition(' [Op:')[0]
