"""Files and folders that appear whole or not at all."""
import contextlib
import os
import pathlib
import shutil

from gaze_tf.errors import GazeError


@contextlib.contextmanager
def new_folder(path):
    """Yields the path of a temporary folder that becomes `path` at the end, and vanishes if the block raises.

    Whoever polls `path` never sees half of it. Raises GazeError if `path` exists or cannot be written.
    """
    # here: configurations are written with this module, too, by commands that must answer at once
    import tensorflow as tf
    path = pathlib.Path(path)
    if path.exists():
        raise GazeError(f'{path} exists already: choose another --output_dir or remove it.')
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    missing = [parent for parent in path.parents if not parent.exists()]    # the innermost first
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        raise GazeError(f'--output_dir={path} cannot be written: {reason(error)}. Nothing was left there: free '
                        'space or choose another folder, and start again.') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not path.exists():
            for parent in missing:
                with contextlib.suppress(OSError):
                    parent.rmdir()


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
