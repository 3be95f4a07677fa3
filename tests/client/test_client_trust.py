"""The client: TLS, a token, and servers that mean harm."""

import contextlib
import socket
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

from gaze_tf.cli.main import main
from gaze_tf.client import ClientOptions, GazeClient, ServerError, remote
from gaze_tf.errors import GazeError
from tests import painting_servers, photos, tiny
from tests.painting_servers import BUSY, EYES, GRAY, boxes, write
from tests.paths import DATA

CERTIFICATE = DATA / 'localhost.pem'
TOKEN = 'Authorization: Bearer secret-token'


@pytest.fixture(scope='module')
def tls_ports():
    with painting_servers.running(CERTIFICATE) as ports:
        yield ports


@pytest.fixture
def tls(tls_ports, rest):
    """{'server', 'rest'} of the server with TLS."""
    tls_ports[rest][1].__init__()
    return {'server': f'localhost:{tls_ports[rest][0]}', 'rest': rest}


def test_tls_and_a_token(tls, tls_ports, rest, tmp_path):
    path, out = write(tmp_path, 'png'), tmp_path / 'out.png'
    (tmp_path / 'token').write_text(f'{TOKEN}\n')
    assert (
        main(
            [
                'client',
                *tiny.arguments(
                    input=path,
                    output=out,
                    eyes='10,12,28,14',
                    tls=True,
                    ca=CERTIFICATE,
                    header_file=tmp_path / 'token',
                    **tls,
                ),
            ]
        )
        == 0
    )
    assert (photos.stored(out)[1][boxes(EYES, (30, 40))] == GRAY).all()
    assert tls_ports[rest][1].headers['authorization'] == 'Bearer secret-token'


def test_a_certificate_that_nobody_vouches_for(tls):
    with (
        GazeClient(tls['server'], ClientOptions(tls=True, retries=0, rest=tls['rest'])) as client,
        pytest.raises(ServerError, match='no encrypted .*`ca`'),
    ):
        client.correct(np.array(photos.portrait()), EYES)


def test_tls_on_one_side_only(connect, tls):
    with pytest.raises(ServerError, match='leave out `tls`'):
        connect(tls=True, ca=str(CERTIFICATE), retries=0).correct(np.array(photos.portrait()), EYES)
    with pytest.raises(GazeError):
        connect(retries=0, **tls).correct(np.array(photos.portrait()), EYES)


@pytest.mark.parametrize('code', ['UNAUTHENTICATED', 'PERMISSION_DENIED'])
def test_a_server_that_does_not_let_us_in(connect, model, code):
    model.refusals = [(grpc.StatusCode[code], 'no token')]
    with pytest.raises(ServerError, match='denies access .no token.*`header_file`'):
        connect().correct(np.array(photos.portrait()), EYES)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'ca': str(CERTIFICATE)}, 'give both'),
        ({'tls': True, 'ca': __file__}, f'`ca={__file__}` is no PEM file'),
        ({'tls': True, 'ca': 'nowhere.pem'}, '`ca=nowhere.pem`'),
        *(
            ({'header': header}, 'header must be one line')
            for header in ('', 'token', 'a: b\nc: d', 'a:', 'ä: b', 'x-bin: y')
        ),
    ],
)
def test_bad_options_for_who_is_who(connect, options, message):
    with pytest.raises(GazeError, match=message):
        connect(**options)


def test_a_header_file_that_cannot_be_read(tmp_path, run, capsys):
    (tmp_path / 'token').write_bytes(b'Authorization: \xff')
    for path, why in ((tmp_path / 'none', 'No such file'), (tmp_path / 'token', 'it is not ASCII')):
        assert run(input=write(tmp_path, 'png'), output=tmp_path / 'out.png', eyes='10,12,28,14', header_file=path) == 1
        assert f'--header_file={path} cannot be read: {why}' in capsys.readouterr().err


# --- hostile servers -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(answer):
    """A server that reads a request, then does answer(connection); yields its HOST:PORT."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    request = b''
                    while not request.endswith(b']}]}'):
                        request += connection.recv(1 << 20)
                    answer(connection)

    listening = socket.create_server(('127.0.0.1', 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f'127.0.0.1:{listening.getsockname()[1]}'
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def dripping(start, byte):
    """Answers with a byte now and then, as long as the client stays."""

    def drip(connection):
        connection.sendall(start)
        for _ in range(200):
            connection.sendall(byte)
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize(
    'start, byte',
    [
        (b'', b'H'),
        (b'HTTP/1.1 200 OK\r\nX: ', b'y'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n', b'z'),
        (b'', b'HTTP/1.1 100 Continue\r\n\r\n'),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', b'1\r\nx\r\n'),
    ],
    ids=['status', 'header', 'body', 'continue', 'chunks'],
)
def test_an_answer_that_drips(start, byte):
    with (
        answering(dripping(start, byte)) as server,
        GazeClient(server, ClientOptions(rest=True, timeout=0.3)) as client,
    ):
        begin = time.monotonic()
        with pytest.raises(GazeError, match='not answered within 0.3 seconds'):
            client.correct(np.array(photos.portrait()), EYES)
        assert time.monotonic() - begin < 5


def test_retries_keep_the_deadline(connect, model, monkeypatch):
    monkeypatch.setattr(remote, 'FIRST_WAIT', 5)
    model.refusals = [BUSY] * 9
    begin = time.monotonic()
    with pytest.raises(GazeError):
        connect(timeout=0.5, retries=4).correct(np.array(photos.portrait()), EYES)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize('status', [200, 400])
@pytest.mark.parametrize(
    'body',
    [b'[' * 100_000, b'{"predictions":' * 50_000, b'9' * 5000, b'\xff', b'{"predictions": {}}', b'null'],
    ids=['lists', 'objects', 'digits', 'bytes', 'nothing', 'null'],
)
def test_answers_that_are_no_json_of_ours(status, body):
    def answer(connection):
        connection.sendall(b'HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n' % (status, len(body)) + body)

    with answering(answer) as server, GazeClient(server, ClientOptions(rest=True)) as client:
        with pytest.raises(GazeError, match='no photo' if status == 200 else 'without a message'):
            client.correct(np.array(photos.portrait()), EYES)


def test_an_answer_that_is_no_message(capfd):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                'tensorflow.serving.PredictionService',
                {'Predict': grpc.unary_unary_rpc_method_handler(lambda request, context: b'\xff' * 50)},
            )
        ]
    )
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    try:
        with GazeClient(f'127.0.0.1:{port}') as client, pytest.raises(GazeError, match='is no photo'):
            client.correct(np.array(photos.portrait()), EYES)
    finally:
        server.stop(None)
    assert 'Traceback' not in capfd.readouterr().err


@pytest.mark.parametrize('code', ['INVALID_ARGUMENT', 'NOT_FOUND', 'INTERNAL', 'UNAVAILABLE'])
def test_control_characters_are_not_printed(tmp_path, run, model, capfd, code):
    model.refusals = [(grpc.StatusCode[code], 'bad\x1b[31m\x07\x9b\u202eword' + 'x' * 5000)]
    assert run(input=write(tmp_path, 'png'), output=tmp_path / 'out.png', eyes='10,12,28,14') == 1
    err = capfd.readouterr().err
    assert 'word' in err and err.count('\n') == 1 and err.rstrip('\n').isprintable() and len(err) < 1000
