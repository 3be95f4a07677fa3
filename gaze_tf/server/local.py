"""The whole server: versions of a model, gRPC and REST."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from gaze_tf.server import grpc_server, rest_server
from gaze_tf.server.options import ServerOptions
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
def local_server(folder: pathlib.Path | str, options: ServerOptions) -> Iterator[Running]:
    """Serves the model whose versions are in `folder` until the block ends. Requests that run then have 2 more seconds.

    Raises GazeError if there is nothing to serve, or if a port is not free.
    """
    name, host, max_bytes = options.name, options.host, options.max_message_mb << 20
    versions, turns = Versions(folder, name, options.version_of_label()), Turns()
    with (
        versions.polled(options.poll_seconds),
        grpc_server.running(versions, turns, host, options.port, max_bytes) as port,
        rest_server.running(versions, turns, host, options.rest_port, max_bytes) as rest_port,
    ):
        url = f'http://{host}:{rest_port}/v1/models/{name}'
        logger.info('Serving %s, %s: gRPC on %s:%s, REST on %s', name, versions, host, port, url)
        yield Running(host, port, rest_port, versions, turns)
