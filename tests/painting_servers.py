"""Servers on loopback that paint gray boxes at the eyes of photos, as TensorFlow Serving over gRPC and over REST."""

import base64
import concurrent.futures
import contextlib
import http.server
import io
import json
import socket
import ssl
import threading

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests import photos

GRAY = 150
EYES = 10.0, 12.0, 28.0, 14.0  # in the photos of `write`
BUSY = grpc.StatusCode.UNAVAILABLE, 'The queue is full.'
# gRPC's code and REST's status for the same
STATUS = {
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
}


def boxes(eyes, shape):
    """bool [H, W]: 5 x 3 pixels at each eye."""
    mask = np.zeros(shape[:2], bool)
    for x, y in np.reshape(eyes, (2, 2)).astype(int):
        mask[y - 1 : y + 2, x - 2 : x + 3] = True
    return mask


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


def write(tmp_path, kind):
    """A photo of 40 x 30 upright pixels in a file."""
    mode, suffix, options = {
        'jpg': ('RGB', 'jpg', {'quality': 80, 'icc_profile': photos.SRGB}),
        'gray jpg': ('L', 'jpg', {}),
        'cmyk jpg': ('CMYK', 'jpg', {}),
        'turned jpg': ('RGB', 'jpg', {'subsampling': 2}),
        'png': ('RGB', 'png', {}),
        'palette': ('P', 'png', {}),
        'alpha': ('RGBA', 'png', {}),
        'tiff': ('RGB', 'tif', {}),
        '16 bits': (None, 'png', {}),
    }[kind]
    path = tmp_path / f'photo.{suffix}'
    if kind == '16 bits':
        path.write_bytes(photos.png(np.random.default_rng(5).integers(0, 65536, (30, 40, 3), np.uint16)))
    elif kind == 'turned jpg':
        exif = Image.Exif()
        exif[274] = 6
        photos.in_mode(mode, (30, 40)).save(path, exif=exif, **options)
    else:
        photos.in_mode(mode).save(path, **options)
    return path


def marked(number):
    """A photo as uint8 [30, 40, 3] that is recognized by its first pixel."""
    rgb = np.array(photos.portrait())
    rgb[0, 0] = number
    return rgb


def closed_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


class Refused(Exception):
    """code, sentence."""


class Model:
    """What both servers do, and what they were asked: requests is a list of (where, image, eyes)."""

    def __init__(self):
        self.requests, self.refusals, self.answer, self.wait = [], [], None, lambda pixels: None
        self.headers = {}  # of the last request

    def __call__(self, where, image, eyes):
        self.requests.append((where, image, eyes))
        if self.refusals:
            raise Refused(*self.refusals.pop(0))
        pixels = tf.io.decode_jpeg(image, channels=3, dct_method='INTEGER_ACCURATE').numpy()
        self.wait(pixels)
        if self.answer is not None:
            return self.answer(pixels) if callable(self.answer) else self.answer
        pixels[boxes(eyes, pixels.shape)] = GRAY
        return png_of(pixels)


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        spec = request.model_spec
        self.model.headers = dict(context.invocation_metadata())
        version = spec.version.value if spec.HasField('version') else spec.version_label or None
        (image,) = tf.make_ndarray(request.inputs['image'])
        assert request.inputs['eyes'].dtype == tf.float32.as_datatype_enum
        (eyes,) = tf.make_ndarray(request.inputs['eyes'])
        try:
            answer = self.model((spec.name, version, spec.signature_name), image, eyes)
        except Refused as error:
            context.abort(*error.args)
        response = predict_pb2.PredictResponse()
        response.outputs['image_bytes'].CopyFrom(tf.make_tensor_proto([answer]))
        return response


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        (instance,) = request['instances']
        self.server.model.headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.model(
                (self.path, request['signature_name']),
                base64.b64decode(instance['image']['b64']),
                np.float32(instance['eyes']),
            )
            status, body = 200, {'predictions': [{'b64': base64.b64encode(answer).decode()}]}
        except Refused as error:
            status, body = STATUS[error.args[0]], {'error': error.args[1]}
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def running(certificate=None):
    """Yields {rest: (port, Model)} of both; certificate: PEM file with it and its key, for TLS."""
    models = Model(), Model()
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=[('grpc.max_receive_message_length', 2**20)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(models[0]), rpc)
    if certificate:
        pem = certificate.read_bytes()
        port = rpc.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([(pem, pem)]))
    else:
        port = rpc.add_insecure_port('127.0.0.1:0')
    rpc.start()
    web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        web.socket = context.wrap_socket(web.socket, server_side=True)
    web.daemon_threads, web.model = True, models[1]
    web.handle_error = lambda *_: None  # it would print that clients have gone
    threading.Thread(target=web.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield {False: (port, models[0]), True: (web.server_port, models[1])}
    finally:
        rpc.stop(None)
        web.shutdown()
        web.server_close()
