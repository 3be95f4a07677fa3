"""Files and folders that appear whole or not at all."""
import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil

from gaze_tf.errors import GazeError

SAVED_MODEL_NAME = 'saved_model.pb'


@contextlib.contextmanager
def new_folder(path, flag='--output_dir', replace=False):
    """Yields the path of a temporary folder that becomes `path` at the end, and vanishes if the block raises.

    Whoever polls `path` never sees half of it. Raises GazeError if `path` exists, then or at the end, or cannot be written.
    With `replace`, a folder that exists at the start gives way at the end. `flag`: the one that named `path`, for messages.
    """
    # here: configurations are written with this module, too, by commands that must answer at once
    import tensorflow as tf
    path = pathlib.Path(path)
    replace = replace and path.exists()
    if path.exists() and not replace:
        raise GazeError(f'{path} exists already: choose another {flag} or remove it.')
    # not the process's number: in two containers that share the disk it may be the same
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    earlier = temporary.with_name(f'{temporary.name}.earlier')
    missing = [parent for parent in path.parents if not parent.exists()]    # the innermost first
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if replace:
            os.replace(path, earlier)
        _appear(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        raise GazeError(f'{flag}: {path} cannot be written: {reason(error)}. Nothing was left there: free '
                        'space or choose another folder, and start again.') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if earlier.exists() and not path.exists():
            os.replace(earlier, path)
        shutil.rmtree(earlier, ignore_errors=True)
        if not path.exists():
            for parent in missing:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _appear(temporary, path):
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise GazeError(f'{path} was made by somebody else meanwhile and stays as it is: start again.') from error
        raise


def versions(directory):
    """{number: path} of the SavedModels in a folder, in folders 1, 2, … as TensorFlow Serving wants them; OSError."""
    return {int(path.name): path for path in pathlib.Path(directory).iterdir()
            if re.fullmatch('0|[1-9][0-9]*', path.name) and (path / SAVED_MODEL_NAME).is_file()}


def write_text(path, text):
    """Writes a file anew; a failure (OSError) or a kill leaves the earlier one."""
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + '.tmp')
    try:
        temporary.write_text(text, encoding='utf-8')
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def reason(error):
    """Why the disk refused, in a few words, of an OSError or a tf.errors.OpError."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # '{{function_node NAME}} PATH; REASON [Op:NAME]', where all but the reason may be absent
    return error.message.splitlines()[0].rpartition('}} ')[2].rpartition('; ')[2].partition(' [Op:')[0]
