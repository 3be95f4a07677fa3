"""Folders that appear whole or not at all."""
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
    path = pathlib.Path(path)
    if path.exists():
        raise GazeError(f'{path} exists already: choose another --output_dir or remove it.')
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    missing = [parent for parent in path.parents if not parent.exists()]    # the innermost first
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise GazeError(f'--output_dir={path} cannot be written: {error.strerror}.') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not path.exists():
            for parent in missing:
                with contextlib.suppress(OSError):
                    parent.rmdir()
