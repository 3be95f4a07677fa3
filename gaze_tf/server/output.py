"""What the server says in its terminal."""

import contextlib
import os

from gaze_tf.errors import printable


def say(text, stream):
    """Prints a line as far as anybody reads it: a server goes on when its terminal is closed."""
    try:
        print(printable(text), file=stream, flush=True)
    except (OSError, ValueError):
        # nor is what is left of it to be an error at the end
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
