"""What gRPC and REST have in common below the protocols."""

import socket

from gaze_tf.errors import GazeError

THREADS = 8  # for each protocol: requests that are read, computed or written at the same time
IDLE = 10  # seconds after which a connection without a request is closed
GRACE = 2  # seconds that running requests have when the server stops


def listen(option: str, host: str, port: int) -> socket.socket:
    """A socket that listens; raises GazeError, which names the option that gave the port."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        # Python adds the address in its own notation
        reason = (error.strerror or str(error)).partition(' (while ')[0]
        raise GazeError(f'`{option}={port}`: cannot listen on {host}:{port}: {reason}. Choose another port.') from error
