"""Files and folders that appear whole or not at all."""

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

from gaze_tf.errors import GazeError

SAVED_MODEL_NAME = 'saved_model.pb'
# of files that are being written, and of what a process holds while it keeps a folder
_UNFINISHED = '.gaze_tf-{}.part'
LOCK = '.gaze_tf.lock'


@contextlib.contextmanager
def new_file(path, **text):
    """Yields a new file that becomes `path` at the end; if the block raises, it vanishes, and what was at `path` stays.

    It is open for reading and writing: bytes, or text with the `encoding` and `newline` of `open`. Another program may
    write it by its `name`, which says nothing about `path`. The file has the mode of the one that it replaces. Of a link
    the file that it leads to is replaced. Raises OSError, also where `path` is no ordinary file.
    """
    path = os.path.realpath(path)
    mode = _mode(path)
    _sweep(os.path.dirname(path))
    file = _unfinished(os.path.dirname(path), **text)
    try:
        with file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            # after a power failure, too, the name must not be there without the content
            os.fsync(file.fileno())
            os.replace(file.name, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(file.name)


def write_text(path, text):
    """Writes a file anew; a failure (OSError) or a kill leaves the earlier one."""
    with new_file(path, encoding='utf-8') as file:
        file.write(text)


def _mode(path):
    """The permissions of the ordinary file at a path, None where there is nothing; OSError where it is anything else."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    # a link that leads nowhere, in a circle, is replaced itself
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise OSError(errno.EINVAL, 'it is no ordinary file', path)
    return stat.S_IMODE(mode) & 0o777 if stat.S_ISREG(mode) else None


def _unfinished(folder, **text):
    """A file in a folder that no other process has, whatever lies there."""
    while True:
        name = os.path.join(folder, _UNFINISHED.format(secrets.token_hex(8)))
        file = open(name, 'x+' if text else 'x+b', **text)
        with contextlib.suppress(BlockingIOError):
            if _lock(file):
                return file
        file.close()


@functools.cache
def _sweep(folder):
    """Removes what killed processes have left in a folder; once in each process, as a folder may hold many files."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(_UNFINISHED.format('[0-9a-f]{16}').replace('.', r'\.'), name):
                with contextlib.suppress(OSError), _open_plain(os.path.join(folder, name), 'rb+') as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(file.name)


def _open_plain(path, mode):
    """`open` that follows no link and waits for nobody."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))


def _lock(file):
    """Locks an open file until it is closed: False if it was removed meanwhile; BlockingIOError if another process has it."""
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
def alone_in(folder, flag='--output_dir'):
    """Keeps a folder for this process until the block ends; it is made if need be, and removed again if it stays empty.

    Raises GazeError that names the `flag` where another process has the folder. Where nothing can be written, nothing is
    kept: whoever writes there will hear of it.
    """
    folder = pathlib.Path(folder)
    missing = _missing(folder / LOCK)
    file = None
    try:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file = _locked(folder, flag)
        yield
    finally:
        if file:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            file.close()
        _remove_empty(missing)


def _locked(folder, flag):
    """The lock of a folder, which now is this process's; OSError, GazeError."""
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
                f'{flag}: {folder} is in use by another run ({file.read(200)}): wait for its end, or choose '
                'another folder.'
            ) from error
        file.close()


@contextlib.contextmanager
def new_folder(path, flag='--output_dir', replace=False):
    """Yields the path of a temporary folder that becomes `path` at the end, and vanishes if the block raises.

    Whoever polls `path` never sees half of it. Raises GazeError if `path` exists, then or at the end, or cannot be written;
    what the block raises otherwise passes through, but an OSError of another file becomes a GazeError that names it.
    With `replace`, a folder that exists at the start gives way at the end. `flag`: the one that named `path`, for messages.
    """
    # here: configurations are written with this module, too, by commands that must answer at once
    import tensorflow as tf

    path = pathlib.Path(path)
    replace = replace and os.path.exists(path)
    if os.path.exists(path) and not replace:
        raise GazeError(f'{path} exists already: choose another {flag} or remove it.')
    # not the process's number: in two containers that share the disk it may be the same
    temporary = path.with_name(f'.gaze_tf-{secrets.token_hex(8)}')
    earlier = temporary.with_name(f'{temporary.name}.earlier')
    missing = _missing(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if replace:
            os.replace(path, earlier)
        _appear(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        if _is_about(error, temporary):
            raise GazeError(
                f'{flag}: {path} cannot be written: {reason(error)}. Nothing was left there: free '
                'space or choose another folder, and start again.'
            ) from error
        if isinstance(error, OSError) and error.filename is not None:
            raise GazeError(f'{error.filename}: {reason(error)}.') from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if os.path.exists(earlier) and not os.path.exists(path):
            os.replace(earlier, path)
        shutil.rmtree(earlier, ignore_errors=True)
        _remove_empty(missing)


def _is_about(error, folder):
    """Whether an OSError or tf.errors.OpError says that writing a temporary folder failed, or what is in it."""
    if not isinstance(error, OSError):
        return folder.name in error.message
    # of a full disk no file is named; what has no number either is a library's own
    if error.filename is None:
        return error.errno is not None
    return any(
        folder.name in str(name) or pathlib.Path(str(name)) in folder.parents
        for name in (error.filename, error.filename2)
        if name is not None
    )


def _appear(temporary, path):
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise GazeError(f'{path} was made by somebody else meanwhile and stays as it is: start again.') from error
        raise


def _missing(path):
    """The folders above a path that are not there, the innermost first."""
    return [parent for parent in path.parents if not os.path.exists(parent)]


def _remove_empty(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def versions(directory):
    """{number: path} of the SavedModels in a folder, in folders 1, 2, … as TensorFlow Serving wants them; OSError."""
    return {
        int(path.name): path
        for path in pathlib.Path(directory).iterdir()
        if re.fullmatch('0|[1-9][0-9]*', path.name) and (path / SAVED_MODEL_NAME).is_file()
    }


def reason(error):
    """Why the disk refused, in a few words, of an OSError or a tf.errors.OpError."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # '{{function_node NAME}} PATH; REASON [Op:NAME]', where all but the reason may be absent
    line = (error.message.splitlines() or [type(error).__name__])[0]
    return line.rpartition('}} ')[2].rpartition('; ')[2].partition(' [Op:')[0]
