"""python -m tools.benchmarks.stress_serving --model=runs/saved_model

Sends requests from many clients at once, one of ten bad: each good one must get the same bytes as when it is sent
alone, and each bad one must be refused with INVALID_ARGUMENT or 400. Starts `gaze-tf serve` for --model and reads its
memory, or calls --server (and --rest_server). If there is REST, every second client uses it. The exit status is 1 if
any answer was wrong.
"""

import base64
import collections
import contextlib
import io
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import NamedTuple

import grpc
import numpy as np
from absl import app, flags
from PIL import Image

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)

PORTRAIT = pathlib.Path(__file__).resolve().parents[2] / 'tests/data/portrait.png'
EYES = np.float32([128, 100.5, 172, 103])  # in it
GRPC_OPTIONS = [('grpc.max_receive_message_length', -1)]


class Request(NamedTuple):
    inputs: dict
    good: bool


def photo_requests():
    """Requests for `correct_encoded`, good and bad: photos of several sizes, one and two at a time."""

    def photo(width, height, kind):
        with Image.open(PORTRAIT) as image:
            file = io.BytesIO()
            image.convert('RGB').resize((width, height), Image.Resampling.LANCZOS).save(file, kind)
            return file.getvalue(), EYES * np.float32([width, height] * 2) / np.float32([*image.size] * 2)

    photos = [photo(400, 400, 'jpeg'), photo(640, 600, 'png'), photo(300, 360, 'jpeg')]
    file, eyes = photos[0]

    def request(good, *rows):
        return Request(
            {'image': np.array([row[0] for row in rows], object), 'eyes': np.float32([row[1] for row in rows])}, good
        )

    return (
        [request(True, photo) for photo in photos] + [request(True, *photos[:2])],
        [
            request(False, (b'no image', eyes)),
            request(False, (file[:500], eyes)),
            request(False, (file, eyes * np.nan)),
            request(False, (file, eyes + 1000)),
            request(False, photos[1], (b'\x89PNG', eyes)),
            Request({'image': np.array([file], object)}, False),
        ],
    )


def face_requests(size):
    """Requests for `correct`, good and bad: aligned faces."""
    rng = np.random.default_rng(0)
    eyes = np.float32([0.35, 0.45, 0.65, 0.45]) * size

    def request(good, eyes, count):
        return Request(
            {'images': rng.integers(0, 256, (count, size, size, 3), np.uint8), 'eyes': np.tile(eyes, [count, 1])}, good
        )

    good = request(True, eyes, 1)
    return (
        [good, request(True, eyes + 1, 2), request(True, eyes - 2, 1)],
        [
            Request({'images': good.inputs['images']}, False),
            Request({**good.inputs, 'images': good.inputs['images'][:, 1:]}, False),
            Request({**good.inputs, 'eyes': good.inputs['eyes'][:, :3]}, False),
        ],
    )


class Grpc:
    """Calls the signature over gRPC."""

    def __init__(self, address, name, signature):
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._name, self._signature = name, signature
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, GRPC_OPTIONS))

    def encoded(self, inputs):
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest(inputs={key: tf.make_tensor_proto(value) for key, value in inputs.items()})
        request.model_spec.name, request.model_spec.signature_name = self._name, self._signature
        return request

    def call(self, request):
        """The outputs as bytes, or None if the request was refused."""
        try:
            outputs = self._stub.Predict(request, timeout=300).outputs
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                return None
            raise
        return b''.join(outputs[key].SerializeToString(deterministic=True) for key in sorted(outputs))


class Rest:
    """Calls it over REST."""

    def __init__(self, address, name, signature):
        self._url, self._signature = f'{address}/v1/models/{name}:predict', signature

    def encoded(self, inputs):
        columns = {
            key: [{'b64': base64.b64encode(value).decode()} for value in values]
            if values.dtype == object
            # (NaN is no JSON, but Python writes it, and TensorFlow Serving reads it)
            else values.tolist()
            for key, values in inputs.items()
        }
        return json.dumps({'signature_name': self._signature, 'inputs': columns}).encode()

    def call(self, request):
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url, request), timeout=300) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            if error.code == 400:
                return None
            raise


def client(caller, good, bad, number, end, counts):
    """Calls until `end`, and counts the outcomes. good: [(request, its answer)]."""
    step = number
    while time.monotonic() < end:
        step += 1
        try:
            if step % 10 == 0:
                counts['bad, refused' if caller.call(bad[step // 10 % len(bad)]) is None else 'bad, ANSWERED'] += 1
            else:
                request, expected = good[step % len(good)]
                counts['good, right' if caller.call(request) == expected else 'good, WRONG'] += 1
        # counted, whatever it is; the other clients go on
        except Exception as error:
            counts[f'FAILED: {type(error).__name__} {str(error)[:200]}'] += 1


@contextlib.contextmanager
def server(values):
    """Yields (address of gRPC, of REST, process id); starts a server unless --server is given."""
    if values.server:
        yield values.server, values.rest_server, None
        return
    process = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'gaze_tf.cli.main',
            'serve',
            f'--model={values.model}',
            '--port=0',
            '--rest_port=0',
            f'--name={values.name}',
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r'gRPC on (\S+), REST on (http://[^/]+)', line)
        if not found:
            sys.exit('gaze-tf serve did not start.')
        yield found[1], found[2], process.pid
    finally:
        process.terminate()
        process.wait()


def memory_mb(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1]) // 1024


def frame_size(values, address):
    """S of the served model."""
    from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=['signature_def'])
    request.model_spec.name = values.name
    response = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address)).GetModelMetadata(
        request
    )
    signatures = get_model_metadata_pb2.SignatureDefMap.FromString(response.metadata['signature_def'].value)
    return signatures.signature_def['correct'].inputs['images'].tensor_shape.dim[1].size


def prepared(caller, good, bad):
    """(caller, [(good request, its answer when sent alone)], bad requests), all encoded."""
    requests = [caller.encoded(request.inputs) for request in good]
    # twice: the first calls are slow
    answers = [[caller.call(request) for request in requests] for _ in range(2)]
    if answers[0] != answers[1] or None in answers[0]:
        sys.exit('A good request was refused, or answered differently the second time.')
    return caller, list(zip(requests, answers[0])), [caller.encoded(request.inputs) for request in bad]


def stress(work, values, pid):
    """Calls from all clients at once and prints the progress; returns a Counter of the outcomes."""
    counts = collections.Counter()
    start = time.monotonic()
    threads = [
        threading.Thread(target=client, args=(*work[number % len(work)], number, start + values.seconds, counts))
        for number in range(values.clients)
    ]
    for thread in threads:
        thread.start()
    for second in range(10, int(values.seconds) + 1, 10):
        time.sleep(max(0, start + second - time.monotonic()))
        memory = f'{memory_mb(pid)} MB  ' if pid else ''
        print(f'{second:4} s  {memory}{sum(counts.values())} requests', flush=True)
    for thread in threads:
        thread.join()
    speed = sum(counts.values()) / (time.monotonic() - start)
    memory = f', {memory_mb(pid)} MB at the end' if pid else ''
    print(f'{values.clients} clients, {sum(counts.values())} requests, {speed:.1f} a second{memory}')
    return counts


def main(_):
    values = flags.FLAGS
    if not (values.model or values.server):
        sys.exit('--model or --server is needed.')
    with server(values) as (address, rest_address, pid):
        good, bad = (
            photo_requests() if values.signature == 'correct_encoded' else face_requests(frame_size(values, address))
        )
        callers = [Grpc(address, values.name, values.signature)]
        if rest_address:
            callers.append(Rest(rest_address, values.name, values.signature))
        work = [prepared(caller, good, bad) for caller in callers]
        if pid:
            print(f'   0 s  {memory_mb(pid)} MB', flush=True)
        counts = stress(work, values, pid)
        for what, count in sorted(counts.items()):
            print(f'  {what}: {count}')
    return 0 if set(counts) <= {'good, right', 'bad, refused'} else 1


if __name__ == '__main__':
    flags.DEFINE_string('model', '', 'Folder with versions, for a server of its own.')
    flags.DEFINE_string('server', '', 'HOST:PORT of gRPC of a server that runs already.')
    flags.DEFINE_string('rest_server', '', 'http://HOST:PORT of its REST interface.')
    flags.DEFINE_string('name', 'gaze', 'Name of the model in requests.')
    flags.DEFINE_enum('signature', 'correct_encoded', ['correct_encoded', 'correct'], 'What is called.')
    flags.DEFINE_integer('clients', 64, 'Clients at once.', lower_bound=1)
    flags.DEFINE_float('seconds', 60, 'Seconds that they go on.', lower_bound=1)
    app.run(main)
