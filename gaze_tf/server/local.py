"""The whole server: versions of a model, gRPC and REST."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from gaze_tf.server import grpc_server, rest_server
from gaze_tf.server.turns import Turns
from gaze_tf.server.versions import Versions

logger = logging.getLogger(__name__)


class Running(NamedTuple):
    """A running server. port: the port of gRPC; rest_port: the port of REST."""

    host: str
    port: int
    rest_port: int
    versions: Versions
    turns: Turns


@contextlib.contextmanager
def local_server(
    folder: pathlib.Path | str,
    name: str = 'gaze',
    *,
    host: str = '127.0.0.1',
    port: int = 0,
    rest_port: int = 0,
    labels: dict[str, int] | None = None,
    poll_seconds: float = 1,
    max_bytes: int = 64 << 20,
) -> Iterator[Running]:
    """Serves the model in `folder` until the block ends. Requests that run then have 2 more seconds.

    Args:
      folder: the folder of the model's versions.
      name: the model's name in requests.
      host: the address to listen on.
      port, rest_port: 0 for any free port.
      labels: {label: version number}.
      poll_seconds: seconds between two looks for new versions.
      max_bytes: the size of the largest request.

    Raises:
      GazeError: there is nothing to serve, or a port cannot be listened on.
    """
    versions, turns = Versions(folder, name, labels or {}), Turns()
    with (
        versions.polled(poll_seconds),
        grpc_server.running(versions, turns, host, port, max_bytes) as port,
        rest_server.running(versions, turns, host, rest_port, max_bytes) as rest_port,
    ):
        url = f'http://{host}:{rest_port}/v1/models/{name}'
        logger.info('Serving %s, %s: gRPC on %s:%s, REST on %s', name, versions, host, port, url)
        yield Running(host, port, rest_port, versions, turns)
