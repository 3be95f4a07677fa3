"""TensorFlow Serving's REST API."""
import contextlib
import logging
import re
import threading

import flask
import grpc
import waitress
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2
from waitress import wasyncore
from werkzeug import exceptions

from gaze_tf.serving.server import grpc_server, json_tensors
from gaze_tf.serving.server.errors import RequestError, invalid, not_found
from gaze_tf.serving.server.version import DEFAULT_SIGNATURE

THREADS = 8     # requests that are computed at once; others wait in files, not in memory
MODEL = r'(?i)/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?'
GET = re.compile(MODEL + r'(?:/(?P<method>metadata))?')
POST = re.compile(MODEL + r':(?P<method>predict|classify|regress)')
HTTP_STATUS = {'CANCELLED': 499, 'INVALID_ARGUMENT': 400, 'DEADLINE_EXCEEDED': 504, 'NOT_FOUND': 404, 'ALREADY_EXISTS': 409,
               'PERMISSION_DENIED': 403, 'RESOURCE_EXHAUSTED': 429, 'FAILED_PRECONDITION': 400, 'ABORTED': 409,
               'OUT_OF_RANGE': 400, 'UNIMPLEMENTED': 501, 'UNAVAILABLE': 503, 'UNAUTHENTICATED': 401}    # others: 500


def application(versions, max_bytes):
    """The WSGI application."""
    app = flask.Flask(__name__, static_folder=None)
    app.config['MAX_CONTENT_LENGTH'] = max_bytes

    @app.route('/', defaults={'path': ''})
    @app.route('/<path:path>', methods=['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
               provide_automatic_options=False)
    def answer(path):
        return flask.Response(_answer(versions, flask.request), mimetype='application/json')

    @app.errorhandler(RequestError)
    def refused(error):
        return {'error': error.message}, HTTP_STATUS.get(error.code.name, 500)

    @app.errorhandler(exceptions.HTTPException)
    def http_error(error):
        text = (f'The request is larger than {max_bytes} bytes, the most that this server takes.' if error.code == 413
                else error.description)
        return {'error': text}, error.code

    return app


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
        if int(found['version']) >= 2 ** 63:
            raise invalid(f'Failed to convert version: {found["version"]} to numeric.')
        spec.version.value = int(found['version'])
    method = (found['method'] or 'status').lower()
    if method == 'status':
        return _status(versions, spec)
    if method == 'metadata':
        return _metadata(versions, spec)
    if method == 'predict':
        return _predict(versions, spec, request.get_data(cache=False))
    raise RequestError(grpc.StatusCode.UNIMPLEMENTED, f'{method} is not part of this local server; TensorFlow Serving has it.')


def _status(versions, spec):
    response = get_model_status_pb2.GetModelStatusResponse(model_version_status=versions.status(spec))
    return json_format.MessageToJson(response, including_default_value_fields=True)


def _metadata(versions, spec):
    response = grpc_server.metadata_of(versions, spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata['signature_def'].Unpack(signatures)
    as_dict = {'including_default_value_fields': True, 'preserving_proto_field_name': True}
    return flask.json.dumps({'model_spec': json_format.MessageToDict(response.model_spec, **as_dict),
                             'metadata': {'signature_def': json_format.MessageToDict(signatures, **as_dict)}}, indent=1)


def _predict(versions, spec, body):
    document = json_tensors.parse(body)
    version = versions.find(spec)
    name = document.get('signature_name') or DEFAULT_SIGNATURE
    if name not in version.signature_defs:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    infos = dict(version.signature_defs[name].inputs)
    if not infos:
        raise invalid(f'Failed to get input map for signature: {name}')
    inputs, rows = json_tensors.read(document, infos)
    return json_tensors.write(versions.run(version, name, inputs), rows)


@contextlib.contextmanager
def running(versions, host, port, max_bytes):
    """Serves for as long as the block lasts; yields the real port. Raises GazeError if the port cannot be had."""
    # it warns of every request that has to wait
    logging.getLogger('waitress').setLevel(logging.ERROR)
    listening = grpc_server.listening('rest_port', host, port)
    # its own loop, as waitress has no way to end the one of `run` from another thread
    connections, over = {}, threading.Event()
    server = waitress.create_server(application(versions, max_bytes), map=connections, sockets=[listening], threads=THREADS)

    def loop():
        while not over.is_set():
            wasyncore.loop(timeout=0.1, use_poll=True, map=connections, count=1)

    thread = threading.Thread(target=loop, name='rest')
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.task_dispatcher.shutdown(timeout=5)
        over.set()
        thread.join()
        wasyncore.close_all(connections, ignore_all=True)
        listening.close()
