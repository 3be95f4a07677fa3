"""A served model whose numbers are known."""

import pytest

from tests.sums import Client, serving, write_version


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
    with serving(versions_dir, labels=('stable:1',), max_message_mb=1) as server:
        yield Client(server)
