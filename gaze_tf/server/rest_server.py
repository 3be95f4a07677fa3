"""TensorFlow Serving's REST interface."""

import contextlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator

import waitress
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2
from waitress import channel, parser, wasyncore
from werkzeug import exceptions
from werkzeug.wrappers import Request, Response

from gaze_tf.server import json_tensors, sockets
from gaze_tf.server.errors import as_request_error, not_found
from gaze_tf.server.turns import Turns
from gaze_tf.server.version import DEFAULT_SIGNATURE
from gaze_tf.server.versions import Versions
from gaze_tf.versions import with_defaults

CONNECTIONS = 500  # at the same time
SENDING = 60  # seconds that a request may take to arrive
PATH = re.compile(
    '/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?'
    '(?P<method>:predict|/metadata)?'
)
HTTP_STATUS = {
    'INVALID_ARGUMENT': 400,
    'FAILED_PRECONDITION': 400,
    'OUT_OF_RANGE': 400,
    'NOT_FOUND': 404,
    'RESOURCE_EXHAUSTED': 429,
    'CANCELLED': 499,
    'UNIMPLEMENTED': 501,
    'UNAVAILABLE': 503,
}  # others: 500


def application(versions: Versions, turns: Turns, max_bytes: int) -> Callable:
    """The WSGI application."""

    @Request.application
    def answer(request):
        request.max_content_length = max_bytes
        try:
            text, status = _answer(versions, turns, request), 200
        except exceptions.RequestEntityTooLarge:
            text, status = _error(f'The request is larger than {max_bytes} bytes, the limit of this server.'), 413
        except Exception as error:
            refusal = as_request_error(error)
            text, status = _error(refusal.message), HTTP_STATUS.get(refusal.code.name, 500)
        return Response(text, status, mimetype='application/json')

    return answer


def _error(message):
    return json.dumps({'error': message})


def _answer(versions, turns, request):
    found = PATH.fullmatch(request.path)
    if not found or request.method != ('POST' if found['method'] == ':predict' else 'GET'):
        raise not_found(f'This server has no {request.method} {request.path}.')
    spec = model_pb2.ModelSpec(name=found['name'], version_label=found['label'])
    if found['version']:
        spec.version.value = int(found['version'])
    if found['method'] == ':predict':
        return _predict(versions, turns, spec, request)
    if found['method'] == '/metadata':
        return _metadata(versions, spec)
    response = get_model_status_pb2.GetModelStatusResponse(model_version_status=versions.status(spec))
    return json_format.MessageToJson(response, **with_defaults())


def _metadata(versions, spec):
    response = versions.metadata(spec)
    signatures = get_model_metadata_pb2.SignatureDefMap.FromString(response.metadata['signature_def'].value)
    model_spec, signature_def = (
        json_format.MessageToDict(message, preserving_proto_field_name=True, **with_defaults())
        for message in (response.model_spec, signatures)
    )
    return json.dumps({'model_spec': model_spec, 'metadata': {'signature_def': signature_def}}, indent=1)


def _predict(versions, turns, spec, request):
    body = request.get_data(cache=False)
    has_left = request.environ.get('waitress.client_disconnected', lambda: False)
    with turns.turn(lambda: not has_left()):
        document = json_tensors.parse(body)
        version, signature = versions.find(spec), document.get('signature_name') or DEFAULT_SIGNATURE
        inputs, rows = json_tensors.read(document, dict(version.signature(signature).inputs))
        return json_tensors.write(version.run(signature, inputs), rows)


class _Request(parser.HTTPRequestParser):
    """A request that knows when it began to arrive."""

    def __init__(self, adj):
        super().__init__(adj)
        self.begun = time.monotonic()


class _Connection(channel.HTTPChannel):
    parser_class = _Request

    def is_late(self) -> bool:
        """Whether a request takes too long to arrive. A byte now and then keeps a connection from being idle."""
        request = self.request
        return request is not None and not self.requests and time.monotonic() > request.begun + SENDING


@contextlib.contextmanager
def running(versions: Versions, turns: Turns, host: str, port: int, max_bytes: int) -> Iterator[int]:
    """Serves until the block ends; yields the port. Raises GazeError if it cannot listen there."""
    # waitress warns of each request that has to wait
    logging.getLogger('waitress').setLevel(logging.ERROR)
    listening = sockets.listen('rest_port', host, port)
    # a loop of our own, as waitress cannot end its `run` from another thread
    connections: dict[int, object] = {}
    over = threading.Event()
    server = waitress.create_server(
        application(versions, turns, max_bytes),
        map=connections,
        sockets=[listening],
        threads=sockets.THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=sockets.IDLE,
        cleanup_interval=1,
        log_socket_errors=False,
        # requests of up to this size are read, and get a proper answer; answers that nobody fetches wait in files
        max_request_body_size=4 * max_bytes,
        outbuf_high_watermark=2**40,
        # keeps reading, and so notices clients that leave
        channel_request_lookahead=1,
    )
    server.channel_class = _Connection

    def loop():
        while not over.is_set():
            wasyncore.loop(timeout=0.1, use_poll=True, map=connections, count=1)
            for connection in list(server.active_channels.values()):
                connection.will_close |= connection.is_late()

    thread = threading.Thread(target=loop, name='rest')
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.task_dispatcher.shutdown(timeout=sockets.GRACE)
        over.set()
        thread.join()
        wasyncore.close_all(connections, ignore_all=True)
        listening.close()
