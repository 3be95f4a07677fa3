"""gaze-tf serve --model=runs/saved_model

Answers requests for a SavedModel over gRPC and REST, with TensorFlow Serving's protocols. It is meant for laptops and
tests; use TensorFlow Serving itself in production, with the same folder.

The folder holds a subfolder for each version, named by a number. The newest version that can be loaded is served, and
so are the versions that --labels names. New versions are picked up while the server runs. Ctrl-C or SIGTERM stops it.
"""

import contextlib
import dataclasses
import logging
import os
import signal
import sys
import threading

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError, printable
from gaze_tf.options import Options, option
from gaze_tf.server.options import ServerOptions

LAST_SECONDS = 3  # after which the process ends, whatever it is doing
_TOLD_TO_STOP = 128 + signal.SIGTERM


@dataclasses.dataclass(frozen=True)
class _Model(Options):
    model: str = option(
        '',
        'Folder with the versions of the SavedModel. `gaze-tf export --pretrained` writes the model that comes with '
        'gaze_tf.',
    )


def define_flags(values):
    option_flags.define(values, _Model, ServerOptions)


def run(values):
    require(values, 'model', 'name')
    options = option_flags.read(values, ServerOptions)
    try:
        from gaze_tf.server.local import local_server
    except ImportError as error:
        raise GazeError(f"Serving needs more packages ({error}): pip install 'gaze_tf[serving]'.") from error
    try:
        with _shown(), local_server(values.model, options):
            try:
                threading.Event().wait()
            finally:
                late = threading.Timer(LAST_SECONDS, os._exit, [_TOLD_TO_STOP])
                late.daemon = True
                late.start()
    except (SystemExit, KeyboardInterrupt) as end:
        # at once: Python would wait for graphs that are still computed, which nothing can interrupt
        os._exit(getattr(end, 'code', 128 + signal.SIGINT))


class _Terminal(logging.Handler):
    """Shows what the server logs. The server keeps running after its terminal is closed."""

    def emit(self, record):
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        try:
            print(printable(record.getMessage()), file=stream, flush=True)
        except (OSError, ValueError):
            # what is still in the stream's buffer must not fail at the exit either
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _shown():
    """Within it, messages of the server go to its terminal."""
    logger, terminal = logging.getLogger('gaze_tf.server'), _Terminal()
    logger.addHandler(terminal)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(terminal)
        logger.propagate = True
