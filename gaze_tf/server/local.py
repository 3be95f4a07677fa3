"""The local server as a whole: versions of a model, gRPC and REST."""

import contextlib
from typing import NamedTuple

from gaze_tf.server import grpc_server, rest_server
from gaze_tf.server.versions import Versions


class Running(NamedTuple):
    """A server that answers. port: of gRPC; rest_port: of REST."""

    host: str
    port: int
    rest_port: int
    versions: Versions


@contextlib.contextmanager
def local_server(
    folder, name='gaze', *, host='127.0.0.1', port=0, rest_port=0, labels=None, poll_seconds=1, max_bytes=64 << 20
):
    """Serves the model in `folder` for as long as the block lasts; yields what is Running.

    port, rest_port: 0 for any that is free. labels: {label: version}. max_bytes: the largest request. Requests that run at
    the end of the block are answered if they take no longer than 2 seconds. Raises GazeError if there is nothing to serve or
    a port cannot be had.
    """
    versions = Versions(folder, name, labels or {})
    with (
        versions.polled(poll_seconds),
        grpc_server.running(versions, host, port, max_bytes) as port,
        rest_server.running(versions, host, rest_port, max_bytes) as rest_port,
    ):
        yield Running(host, port, rest_port, versions)
