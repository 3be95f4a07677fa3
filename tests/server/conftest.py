"""A served model whose numbers are known."""

import pytest

from gaze_tf.server.local import local_server
from tests.sums import Client, write_version


@pytest.fixture(scope='session')
def versions_dir(tmp_path_factory):
    """A folder with versions 1, 2 and 3."""
    folder = tmp_path_factory.mktemp('versions')
    for number in (1, 2, 3):
        write_version(folder, number)
    return folder


@pytest.fixture(scope='module')
def client(versions_dir):
    """A client of a server that takes messages of 1 MiB."""
    with local_server(versions_dir, labels={'stable': 1}, max_bytes=1 << 20) as server:
        yield Client(server)
