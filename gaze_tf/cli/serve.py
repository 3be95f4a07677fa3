"""gaze-tf serve --model=runs/saved_model

Answers requests for a SavedModel over gRPC and REST, with TensorFlow Serving's protocols. It is meant for laptops and
tests; use TensorFlow Serving itself in production, with the same folder.

The folder holds a subfolder for each version, named by a number. The newest version that can be loaded is served, and
so are the versions that --labels names. New versions are picked up while the server runs. Ctrl-C or SIGTERM stops it.
"""

import contextlib
import logging
import math
import os
import re
import signal
import sys
import threading

from absl import flags

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError, printable

LAST_SECONDS = 3  # after which the process ends, whatever it is doing
_TOLD_TO_STOP = 128 + signal.SIGTERM


def define_flags(values):
    flags.DEFINE_string(
        'model',
        '',
        'Folder with the versions of the SavedModel; `gaze-tf export '
        '--pretrained` writes the one that comes with gaze_tf.',
        flag_values=values,
    )
    flags.DEFINE_string('name', 'gaze', 'Name of the model in requests.', flag_values=values)
    flags.DEFINE_string(
        'host', '127.0.0.1', 'Address to listen on; 0.0.0.0 lets other machines in.', flag_values=values
    )
    flags.DEFINE_integer(
        'port', 8500, 'Port of gRPC; 0: any that is free.', lower_bound=0, upper_bound=65535, flag_values=values
    )
    flags.DEFINE_integer(
        'rest_port', 8501, 'Port of REST; 0: any that is free.', lower_bound=0, upper_bound=65535, flag_values=values
    )
    flags.DEFINE_list('labels', [], 'Names for versions: stable:1,canary:2.', flag_values=values)
    flags.DEFINE_float(
        'poll_seconds', 1, 'Seconds between two looks for new versions.', lower_bound=0.01, flag_values=values
    )
    flags.DEFINE_integer(
        'max_message_mb',
        64,
        'Largest request, in MiB; larger ones are refused.',
        lower_bound=1,
        upper_bound=2047,
        flag_values=values,
    )


def run(values):
    require(values, 'model', 'name')
    labels = _labels(values)
    if not re.fullmatch('[^/:]+', values.name):
        raise GazeError(f'--name={values.name} must have no / and no : in it, as it is a part of paths.')
    # absl's bounds let NaN through
    if not math.isfinite(values.poll_seconds):
        raise GazeError(f'--poll_seconds={values.poll_seconds} must be a number of seconds.')
    try:
        from gaze_tf.server.local import local_server
    except ImportError as error:
        raise GazeError(f"Serving needs more packages ({error}): pip install 'gaze_tf[serving]'.") from error
    try:
        with (
            _shown(),
            local_server(
                values.model,
                values.name,
                host=values.host,
                port=values.port,
                rest_port=values.rest_port,
                labels=labels,
                poll_seconds=values.poll_seconds,
                max_bytes=values.max_message_mb << 20,
            ),
        ):
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


def _labels(values):
    """--labels as {label: version}; raises GazeError."""
    labels = {}
    for text in values.labels:
        found = re.fullmatch(r'([^/:]+):(\d{1,18})', text)
        if not found:
            raise GazeError(f'--labels={text} must be a label and a version, such as stable:1.')
        if found[1] in labels:
            raise GazeError(f'--labels: {found[1]} is given twice; a label names one version.')
        labels[found[1]] = int(found[2])
    return labels
