"""python -m tools.fuzz.requests --count=1000

Sends random and mutated requests to `gaze-tf serve`, over REST and gRPC, and loads mutated models and data: what is
wrong must be refused in one sentence. Everything is made from a tiny model with random weights; --seed fixes all
inputs. What is tried runs in other processes, as it may crash. Prints how many inputs of each kind ran and how they
ended. Inputs that ended in a traceback, a crash, after more than --seconds or with more than --gigabytes are kept in
--output, and the exit status is then 1.
"""

import base64
import collections
import http.client
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags, logging

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
from gaze_tf.files import new_file
from tools.fuzz.loaded_files import EYES, SIZE, Loader, file_inputs, make_files, photo
from tools.fuzz.mutations import mutated, mutated_json
from tools.fuzz.watching import Limits, watched

KINDS = ('rest', 'grpc', 'config', 'manifest', 'saved_model', 'checkpoint')


def documents():
    """Good requests, as JSON has them."""
    face = {'images': np.full([SIZE, SIZE, 3], 100).tolist(), 'eyes': EYES}
    row = {'image': {'b64': base64.b64encode(photo('PNG')).decode()}, 'eyes': EYES}
    return [
        {'signature_name': 'correct_encoded', 'instances': [row, row]},
        {'inputs': {'image': [row['image']], 'eyes': [EYES]}},
        {'signature_name': 'animate', 'instances': [{**face, 'alphas': [0, 1]}]},
        {'signature_name': 'encode', 'instances': [face]},
    ]


def rest_inputs(rng):
    """Yields for ever the bytes of an HTTP request."""
    good = documents()
    while True:
        document = rng.choice(good)
        body = mutated_json(rng, document) if rng.random() < 0.8 else mutated(rng, json.dumps(document).encode())
        path = (
            '/v1/models/gaze:predict'
            if rng.random() < 0.8
            else rng.choice(
                (
                    '/v1/models/gaze',
                    '/v1/models/gaze/metadata',
                    f'/v1/models/gaze/versions/{"9" * rng.choice((1, 19, 5000))}',
                    '/v1/models/gaze/labels/%00%ff:predict',
                    '/' * 3000,
                    '/v1/models/' + 'a' * 9000,
                )
            )
        )
        method = rng.choice(('POST', 'POST', 'POST', 'GET', 'PUT'))
        request = (
            f'{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n'.encode()
            + body
        )
        yield {'request': mutated(rng, request[:300]) + request[300:] if rng.random() < 0.2 else request}


def grpc_inputs(rng):
    """Yields for ever the bytes of a PredictRequest."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    good = {
        'image': np.array([photo('JPEG')] * 2, object),
        'eyes': np.float32([EYES] * 2),
        'images': np.full([2, SIZE, SIZE, 3], 100, np.uint8),
        'alphas': np.float32([[0, 1]] * 2),
    }
    signatures = {
        'correct_encoded': ('image', 'eyes'),
        'correct': ('images', 'eyes'),
        'animate': ('images', 'eyes', 'alphas'),
    }
    while True:
        name = rng.choice(list(signatures))
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = 'gaze', name
        for key in signatures[name]:
            request.inputs[key].CopyFrom(tf.make_tensor_proto(good[key]))
        proto = request.inputs[rng.choice(signatures[name])]
        for _ in range(rng.randint(0, 2)):
            change = rng.randrange(6)
            if change == 0:
                proto.dtype = rng.randrange(0, 30)
            elif change == 1 and proto.tensor_shape.dim:
                rng.choice(proto.tensor_shape.dim).size = rng.choice((-1, 0, 1, 3, 33, 1300, 2**20, 2**40, 2**62))
            elif change == 2:
                for _ in range(rng.choice((1, 40, 300))):
                    proto.tensor_shape.dim.add(size=1)
            elif change == 3:
                proto.tensor_content = rng.choice((b'', b'\0', proto.tensor_content[:-1], proto.tensor_content * 2))
            elif change == 4:
                proto.float_val.extend([float('nan'), float('inf'), -1e30, 5][: rng.randint(1, 4)])
            else:
                proto.string_val.append(mutated(rng, photo(rng.choice(('PNG', 'JPEG')))))
        content = request.SerializeToString()
        yield {'request': mutated(rng, content) if rng.random() < 0.4 else content}


class Server:
    """`gaze-tf serve`, and one way to ask it."""

    def __init__(self, kind, source, limits):
        self._kind, self._source, self._limits, self._process = kind, source, limits, None

    def start(self):
        self._said = tempfile.TemporaryFile('w+')
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'gaze_tf.cli.main', 'serve', f'--model={self._source}', '--port=0', '--rest_port=0'],
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        line = self._process.stdout.readline()
        self._rest, self._grpc = re.search(r'http://[\d.]+:(\d+)/', line)[1], re.search(r'gRPC on (\S+),', line)[1]

    def run(self, files):
        ask = self._over_rest if self._kind == 'rest' else self._over_grpc
        ended = watched(self._process, lambda: ask(files['request']), self._limits)
        if self._process.poll() is not None:
            return 'FAILED: the process died'
        self._said.seek(0)
        said = self._said.read()
        self._said.truncate(0)
        return 'FAILED: a traceback' if 'Traceback' in said else ended

    def _over_rest(self, request):
        with socket.create_connection(('127.0.0.1', int(self._rest)), timeout=self._limits.seconds) as connection:
            try:
                connection.sendall(request)
                head, _, body = request.partition(b'\r\n\r\n')
                if f'Content-Length: {len(body)}\r\n'.encode() not in head:
                    # otherwise more is waited for
                    connection.shutdown(socket.SHUT_WR)
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
            except TimeoutError:
                return 'FAILED: no answer in time'
            # it may not even listen to the end of some, nor answer half of one
            except (OSError, http.client.HTTPException):
                return 'closed'
        return f'FAILED: {response.status}' if response.status in (500, 503) else f'status {response.status}'

    def _over_grpc(self, request):
        import grpc

        with grpc.insecure_channel(self._grpc, [('grpc.max_receive_message_length', -1)]) as channel:
            try:
                channel.unary_unary('/tensorflow.serving.PredictionService/Predict')(
                    request, timeout=self._limits.seconds
                )
            except grpc.RpcError as error:
                code, why = error.code().name, error.details() or ''
                refused = code in ('INVALID_ARGUMENT', 'NOT_FOUND', 'FAILED_PRECONDITION') or 'deserializing' in why
                return code if refused else f'FAILED: {code}: {why[:200]!r}'
        return 'answered'

    def stop(self):
        self._process.kill()
        self._process.communicate()
        self._said.close()


def fuzz(kind, folder, output):
    """Counter of how the inputs of a kind ended."""
    values, rng, counts = flags.FLAGS, random.Random(f'{flags.FLAGS.seed} {kind}'), collections.Counter()
    limits = Limits(values.seconds, values.gigabytes)
    source = {
        'rest': folder / 'saved_model',
        'grpc': folder / 'saved_model',
        'saved_model': folder / 'saved_model' / '1',
    }.get(kind, folder / kind)
    inputs = {'rest': rest_inputs, 'grpc': grpc_inputs}.get(kind, lambda rng: file_inputs(rng, kind, source))(rng)
    runner = (Server if kind in ('rest', 'grpc') else Loader)(kind, source, limits)
    runner.start()
    for number in range(values.count):
        files = next(inputs)
        ended = runner.run(files)
        counts[ended] += 1
        if ended.startswith('FAILED:'):
            for name, content in files.items():
                path = output / kind / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with new_file(path) as file:
                    file.write(content)
            print(f'{kind} {number}: {ended}', flush=True)
            runner.stop()
            runner = type(runner)(kind, source, limits)
            runner.start()
    runner.stop()
    return counts


def main(_):
    values = flags.FLAGS
    logging.set_verbosity(logging.ERROR)  # TensorFlow logs the names of what it saves
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        make_files(pathlib.Path(folder))
        for kind in values.kind:
            start = time.monotonic()
            counts = fuzz(kind, pathlib.Path(folder), pathlib.Path(values.output))
            failed = failed or any(ended.startswith('FAILED:') for ended in counts)
            print(
                f'{kind}: {sum(counts.values())} inputs in {time.monotonic() - start:.0f} s: '
                + ', '.join(f'{count} {ended}' for ended, count in counts.most_common()),
                flush=True,
            )
    return int(failed)


if __name__ == '__main__':
    flags.DEFINE_integer('count', 200, 'Inputs of each kind.', lower_bound=1)
    flags.DEFINE_multi_enum('kind', list(KINDS), list(KINDS), 'What is tried; may be given several times.')
    flags.DEFINE_integer('seed', 0, 'Fixes all inputs.')
    flags.DEFINE_float('seconds', 20, 'Longest time of one input.', lower_bound=0.1)
    flags.DEFINE_float('gigabytes', 2, 'Largest memory of a process.', lower_bound=0.1)
    flags.DEFINE_string('output', 'runs/fuzz_requests', 'Folder for inputs that failed.')
    app.run(main)
