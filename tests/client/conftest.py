"""Servers that paint gray boxes, and clients of them."""

import pytest

from gaze_tf.cli.main import main
from gaze_tf.client import ClientOptions, GazeClient, remote
from tests import painting_servers, tiny


@pytest.fixture(scope='module')
def ports():
    """{rest: (its port, its Model)} of both servers."""
    with painting_servers.running() as ports:
        yield ports


@pytest.fixture(params=[False, True], ids=['grpc', 'rest'])
def rest(request):
    return request.param


@pytest.fixture
def model(ports, rest):
    model = ports[rest][1]
    model.__init__()
    return model


@pytest.fixture
def connect(ports, rest, model, monkeypatch):
    """options → a GazeClient."""
    monkeypatch.setattr(remote, 'FIRST_WAIT', 0.01)
    clients = []

    def connect(server=None, detector=None, header=None, **options):
        server = server or f'127.0.0.1:{ports[rest][0]}'
        options = ClientOptions(**{'rest': rest, **options})
        clients.append(GazeClient(server, options, header=header, detector=detector))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def run(ports, rest, model):
    """options → the exit status of `gaze-tf client`."""
    return lambda **options: main(
        ['client', *tiny.arguments(**{'server': f'127.0.0.1:{ports[rest][0]}', 'rest': rest, 'retries': 0, **options})]
    )
