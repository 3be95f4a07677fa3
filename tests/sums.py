"""A model whose numbers are known, and a client of the server that serves it."""

import json
import time
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

from gaze_tf.server.local import local_server
from gaze_tf.server.options import ServerOptions

PNG = b'\x89PNG\r\n\x1a\n\x00\xff"\\'


class Sums(tf.Module):
    """Signatures whose results can be told without TensorFlow; `number` tells versions apart."""

    def __init__(self, number):
        super().__init__()
        self.number = tf.Variable(float(number))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])
    def double(self, x):
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x < 100), ['x must be under 100.'])]):
            return {'y': 2 * x + self.number}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name='numbers'),
            tf.TensorSpec([None], tf.string, name='text'),
        ]
    )
    def pair(self, numbers, text):
        return {'sum': tf.reduce_sum(numbers, axis=1), 'text': text, 'text_bytes': text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name='text')])
    def echo(self, text):
        together = tf.strings.reduce_join(text)
        with tf.control_dependencies(
            [tf.debugging.Assert(tf.strings.length(together) < 100, ['text is too long:', together])]
        ):
            return {'text': tf.identity(text)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.uint8, name='pixels')])
    def invert(self, pixels):
        return {'pixels': 255 - pixels, 'count': tf.size(pixels)}


def write_version(folder, number):
    model = Sums(number)
    tf.saved_model.save(
        model,
        str(folder / str(number)),
        signatures={'serving_default': model.double, 'pair': model.pair, 'echo': model.echo, 'invert': model.invert},
    )


class Client:
    """Calls a running server over gRPC and REST."""

    def __init__(self, server):
        self.address = f'http://127.0.0.1:{server.rest_port}'
        self.channel = grpc.insecure_channel(f'127.0.0.1:{server.port}')
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, inputs, name='gaze', signature='', wanted=(), **spec):
        """{output: array} and the answer's ModelSpec."""
        request = predict_pb2.PredictRequest(
            model_spec=model_spec(name, signature_name=signature, **spec),
            output_filter=wanted,
            inputs={
                key: value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
                for key, value in inputs.items()
            },
        )
        response = self.stub.Predict(request, timeout=30)
        return {key: tf.make_ndarray(proto) for key, proto in response.outputs.items()}, response.model_spec

    def refused(self, inputs, **options):
        """(status code, sentence) of a call that must fail."""
        with pytest.raises(grpc.RpcError) as caught:
            self.predict(inputs, **options)
        return caught.value.code().name, caught.value.details()

    def rest(self, path, body=None, method=None):
        """(status, body); a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            assert error.headers['Content-Type'] == 'application/json'
            return error.code, error.read()

    def json(self, path, body=None, method=None):
        status, answer = self.rest(path, body, method)
        return status, json.loads(answer)

    def doubled(self, body):
        return self.json('/v1/models/gaze:predict', body)


def model_spec(name, version=None, **fields):
    spec = predict_pb2.PredictRequest().model_spec
    spec.name = name
    for key, value in fields.items():
        setattr(spec, key, value)
    if version is not None:
        spec.version.value = version
    return spec


def serving(folder, **options):
    """A `local_server` on free ports."""
    return local_server(folder, ServerOptions(**{'port': 0, 'rest_port': 0, **options}))


def eventually(condition):
    """Waits until a condition holds; how long that takes is not what is tested."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
