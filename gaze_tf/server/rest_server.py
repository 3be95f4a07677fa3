"""TensorFlow Serving's REST API."""

import contextlib
import json
import logging
import re
import threading
import time

import grpc
import waitress
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2
from waitress import channel, parser, wasyncore
from werkzeug import exceptions
from werkzeug.wrappers import Request, Response

from gaze_tf.server import grpc_server, json_tensors
from gaze_tf.server.errors import RequestError, invalid, not_found, unforeseen
from gaze_tf.server.version import DEFAULT_SIGNATURE

THREADS = 8  # requests that are computed at once; others wait in files, not in memory
CONNECTIONS = 500  # at once
SENDING = 60  # seconds that a request may take to arrive
MODEL = r'(?i)/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?'
GET = re.compile(MODEL + r'(?:/(?P<method>metadata))?')
POST = re.compile(MODEL + r':(?P<method>predict|classify|regress)')
HTTP_STATUS = {
    'CANCELLED': 499,
    'INVALID_ARGUMENT': 400,
    'DEADLINE_EXCEEDED': 504,
    'NOT_FOUND': 404,
    'ALREADY_EXISTS': 409,
    'PERMISSION_DENIED': 403,
    'RESOURCE_EXHAUSTED': 429,
    'FAILED_PRECONDITION': 400,
    'ABORTED': 409,
    'OUT_OF_RANGE': 400,
    'UNIMPLEMENTED': 501,
    'UNAVAILABLE': 503,
    'UNAUTHENTICATED': 401,
}  # others: 500


def application(versions, max_bytes):
    """The WSGI application."""

    @Request.application
    def answer(request):
        request.max_content_length = max_bytes
        try:
            text, status = _answer(versions, request), 200
        except exceptions.RequestEntityTooLarge:
            text, status = (
                json.dumps(
                    {'error': f'The request is larger than {max_bytes} bytes, the most that this server takes.'}
                ),
                413,
            )
        except Exception as error:
            refusal = error if isinstance(error, RequestError) else unforeseen(error)
            text, status = json.dumps({'error': refusal.message}), HTTP_STATUS.get(refusal.code.name, 500)
        return Response(text, status, mimetype='application/json')

    return answer


def _answer(versions, request):
    path = request.path
    if not path.lower().startswith('/v1/'):
        raise not_found(f'Not found: {path}')
    found = {'GET': GET, 'POST': POST}.get(request.method, re.compile('(?!)')).fullmatch(path)
    if not found:
        raise invalid(f'Malformed request: {request.method} {path}')
    if not found['name']:
        raise invalid('Missing model name in request.')
    spec = model_pb2.ModelSpec(name=found['name'], version_label=found['label'])
    if found['version']:
        # Python reads no number of thousands of digits
        if len(found['version']) > 19 or int(found['version']) >= 2**63:
            raise invalid(f'Failed to convert version: {found["version"]} to numeric.')
        spec.version.value = int(found['version'])
    method = (found['method'] or 'status').lower()
    if method == 'status':
        return _status(versions, spec)
    if method == 'metadata':
        return _metadata(versions, spec)
    if method == 'predict':
        return _predict(versions, spec, request)
    raise RequestError(
        grpc.StatusCode.UNIMPLEMENTED, f'{method} is not part of this local server; TensorFlow Serving has it.'
    )


def _status(versions, spec):
    response = get_model_status_pb2.GetModelStatusResponse(model_version_status=versions.status(spec))
    return json_format.MessageToJson(response, including_default_value_fields=True)


def _metadata(versions, spec):
    response = grpc_server.metadata_of(versions, spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata['signature_def'].Unpack(signatures)
    as_dict = {'including_default_value_fields': True, 'preserving_proto_field_name': True}
    return json.dumps(
        {
            'model_spec': json_format.MessageToDict(response.model_spec, **as_dict),
            'metadata': {'signature_def': json_format.MessageToDict(signatures, **as_dict)},
        },
        indent=1,
    )


def _predict(versions, spec, request):
    body = request.get_data(cache=False)
    gone = request.environ.get('waitress.client_disconnected', lambda: False)
    with versions.turn(lambda: not gone()):
        document = json_tensors.parse(body)
        version = versions.find(spec)
        name = document.get('signature_name') or DEFAULT_SIGNATURE
        if name not in version.signature_defs:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        infos = dict(version.signature_defs[name].inputs)
        if not infos:
            raise invalid(f'Failed to get input map for signature: {name}')
        inputs, rows = json_tensors.read(document, infos)
        return json_tensors.write(version.run(name, inputs), rows)


class _Request(parser.HTTPRequestParser):
    """One that knows when it began to arrive."""

    def __init__(self, adj):
        super().__init__(adj)
        self.begun = time.monotonic()


class _Connection(channel.HTTPChannel):
    parser_class = _Request

    def late(self):
        """Whether the request that arrives takes too long for it: a byte now and then is no idle connection."""
        request = self.request
        return request is not None and not self.requests and time.monotonic() > request.begun + SENDING


@contextlib.contextmanager
def running(versions, host, port, max_bytes):
    """Serves for as long as the block lasts; yields the real port. Raises GazeError if the port cannot be had."""
    # it warns of every request that has to wait
    logging.getLogger('waitress').setLevel(logging.ERROR)
    listening = grpc_server.listening('rest_port', host, port)
    # its own loop, as waitress has no way to end the one of `run` from another thread
    connections, over = {}, threading.Event()
    server = waitress.create_server(
        application(versions, max_bytes),
        map=connections,
        sockets=[listening],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=grpc_server.IDLE,
        cleanup_interval=1,
        log_socket_errors=False,
        # what is larger than the largest request by far is not even read; answers that nobody fetches wait in files
        max_request_body_size=4 * max_bytes,
        outbuf_high_watermark=2**40,
        # reads on, and so knows which clients have left
        channel_request_lookahead=1,
    )
    server.channel_class = _Connection

    def loop():
        while not over.is_set():
            wasyncore.loop(timeout=0.1, use_poll=True, map=connections, count=1)
            for connection in list(server.active_channels.values()):
                connection.will_close |= connection.late()

    thread = threading.Thread(target=loop, name='rest')
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.task_dispatcher.shutdown(timeout=grpc_server.GRACE)
        over.set()
        thread.join()
        wasyncore.close_all(connections, ignore_all=True)
        listening.close()
