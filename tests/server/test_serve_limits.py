"""The local server against clients, files and terminals that do it no good."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent import futures

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from gaze_tf.server import errors, rest_server, sockets, turns
from gaze_tf.server import versions as versions_lib
from tests.sums import Client, eventually, model_spec, serving


@contextlib.contextmanager
def served(folder, **options):
    """A server in a process of its own: (process, address of REST, of gRPC)."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_tf.cli.main', 'serve', f'--model={folder}', '--port=0', '--rest_port=0'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        line = process.stdout.readline()
        yield process, line.split()[-1], line.split()[-4].rstrip(',')
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


class Slow(tf.Module):
    """Computes for minutes."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])
    def wait(self, x):
        return {'y': x + tf.while_loop(lambda n: n < 10**10, lambda n: n + 1, [tf.reduce_max(x)])[0]}


@pytest.mark.slow
@pytest.mark.parametrize('rest', [False, True])
def test_sigterm_ends_it_while_it_computes(tmp_path, rest):
    model = Slow()
    tf.saved_model.save(model, str(tmp_path / '1'), signatures={'serving_default': model.wait})
    with served(tmp_path) as (process, url, address), futures.ThreadPoolExecutor() as pool:
        request = predict_pb2.PredictRequest(model_spec=model_spec('gaze'), inputs={'x': tf.make_tensor_proto([1.0])})
        stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))
        answer = (
            pool.submit(urllib.request.urlopen, f'{url}:predict', b'{"instances": [1]}')
            if rest
            else pool.submit(stub.Predict, request)
        )
        time.sleep(2)
        assert not answer.done()
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143 and time.monotonic() - start < 5
        assert answer.exception(timeout=60)


def test_nobody_reads_what_it_says(versions_dir, tmp_path):
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    with served(tmp_path) as (process, url, _):
        process.stdout.close()
        process.stderr.close()
        (tmp_path / '5').symlink_to('nowhere')
        shutil.copytree(versions_dir / '2', tmp_path / '.2')
        os.rename(tmp_path / '.2', tmp_path / '2')

        def answer():
            with urllib.request.urlopen(f'{url}:predict', b'{"instances": [0]}') as response:
                return json.load(response)['predictions']

        eventually(lambda: answer() == [2])
        shutil.rmtree(tmp_path / '2')
        eventually(lambda: answer() == [1])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143


def test_versions_that_cannot_be_read(versions_dir, tmp_path, monkeypatch, caplog):
    """A link to nothing in the place of a version, or of a file in it, is reported once, and tried again."""
    monkeypatch.setattr(versions_lib, 'RETRY', 0.02)
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    (tmp_path / '7').symlink_to(tmp_path / 'disk')
    shutil.copytree(versions_dir / '2', tmp_path / '8')
    data = tmp_path / '8' / 'variables' / 'variables.data-00000-of-00001'
    data.rename(tmp_path / 'data')
    data.symlink_to(tmp_path / 'elsewhere')
    with serving(tmp_path, poll_seconds=0.02) as server:
        client = Client(server)

        def states():
            return {
                status['version']: (status['state'], bool(status['status']['error_message']))
                for status in client.json('/v1/models/gaze')[1]['model_version_status']
            }

        assert states() == {'1': ('AVAILABLE', False), '7': ('END', True), '8': ('END', True)}
        time.sleep(0.2)
        assert [record.getMessage().partition(': ')[0] for record in caplog.records] == [
            f'{tmp_path}/{number} cannot be loaded' for number in (8, 7)
        ]
        shutil.copytree(versions_dir / '3', tmp_path / 'disk')
        eventually(lambda: states()['7'] == ('AVAILABLE', False))
        (tmp_path / 'data').rename(tmp_path / 'elsewhere')
        eventually(lambda: states()['8'] == ('AVAILABLE', False))
        assert client.doubled({'instances': [0]}) == (200, {'predictions': [2]})


def test_a_version_is_tried_again_when_nothing_has_changed(versions_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(versions_lib, 'RETRY', 0.05)
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    version, tries = versions_lib.Version, []

    def stale(number, path):
        tries.append(number)
        if len(tries) < 4:
            raise OSError()  # says nothing
        return version(number, path)

    with serving(tmp_path, poll_seconds=0.02) as server:
        shutil.copytree(versions_dir / '2', tmp_path / '.2')
        monkeypatch.setattr(versions_lib, 'Version', stale)
        os.rename(tmp_path / '.2', tmp_path / '2')
        eventually(lambda: Client(server).doubled({'instances': [0]})[1]['predictions'] == [2])
    assert tries == [2] * 4


def test_looking_for_versions_goes_on_after_an_error(versions_dir, tmp_path, monkeypatch, caplog):
    shutil.copytree(versions_dir / '1', tmp_path / '1')
    with serving(tmp_path, poll_seconds=0.02) as server:
        look = server.versions.refresh
        monkeypatch.setattr(server.versions, 'refresh', lambda: 1 / 0)
        time.sleep(0.1)
        monkeypatch.setattr(server.versions, 'refresh', look)
        shutil.copytree(versions_dir / '2', tmp_path / '.2')
        os.rename(tmp_path / '.2', tmp_path / '2')
        eventually(lambda: server.versions.numbers() == [2])
    assert 'Looking for versions in' in caplog.text


def test_connections_that_send_nothing_or_too_slowly(versions_dir, monkeypatch):
    monkeypatch.setattr(sockets, 'IDLE', 1)
    monkeypatch.setattr(rest_server, 'SENDING', 2)
    with serving(versions_dir) as server, contextlib.ExitStack() as opened:

        def connected():
            return opened.enter_context(socket.create_connection(('127.0.0.1', server.rest_port), timeout=30))

        idle, slow = [connected() for _ in range(120)], connected()
        assert Client(server).doubled({'instances': [1]}) == (200, {'predictions': [5]})
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < start + 60:  # longer than a pause may be, byte by byte
                slow.sendall(b'G')
                time.sleep(0.2)
        assert idle[0].recv(1) == b''
        assert Client(server).doubled({'instances': [1]}) == (200, {'predictions': [5]})


def test_what_nobody_waits_for_is_not_computed(versions_dir, monkeypatch):
    monkeypatch.setattr(turns, 'PATIENCE', 0.2)
    with serving(versions_dir) as server:
        with contextlib.ExitStack() as busy:
            for _ in range(os.cpu_count()):
                busy.enter_context(server.turns.turn(lambda: True))
            status, answer = Client(server).doubled({'instances': [1]})
            assert status == 503 and 'busy' in answer['error']
            assert Client(server).refused({'x': [1.0]})[0] == 'UNAVAILABLE'
        with pytest.raises(errors.RequestError, match='left'), server.turns.turn(lambda: False):
            pass
        assert Client(server).doubled({'instances': [1]}) == (200, {'predictions': [5]})


def test_a_few_bytes_do_not_ask_for_much_memory(client):
    """One value for many elements, as a TensorProto may have it."""
    for dtype, values in (
        (tf.string, {'string_val': [b'x' * 10_000]}),
        (tf.string, {'string_val': [b'']}),
        (tf.float32, {'float_val': [1]}),
    ):
        proto = tensor_pb2.TensorProto(
            dtype=dtype.as_datatype_enum, tensor_shape={'dim': [{'size': 500_000}]}, **values
        )
        assert client.refused({'x': proto})[0] == 'INVALID_ARGUMENT'


def test_a_message_that_is_none(client, capfd):
    with pytest.raises(grpc.RpcError):
        client.channel.unary_unary('/tensorflow.serving.PredictionService/Predict')(b'\xff' * 50)
    assert client.doubled({'instances': [1.0]}) == (200, {'predictions': [5]})
    assert capfd.readouterr().err == ''
