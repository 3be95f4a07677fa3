"""TensorFlow Serving's PredictionService and ModelService over gRPC."""

import contextlib
import functools
import logging
import socket
from concurrent import futures

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from gaze_tf.errors import GazeError, printable
from gaze_tf.server import tensors
from gaze_tf.server.errors import RequestError, invalid, unforeseen
from gaze_tf.server.version import DEFAULT_SIGNATURE

THREADS = 8  # requests that are read, computed or written at once; others wait, unread, at their clients' expense
IDLE = 10  # seconds after which connections without a request are closed
GRACE = 2  # seconds that requests have at the end


def _answered(method):
    """Turns RequestError, and any other error, into the status of a call."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            if not request.HasField('model_spec'):
                raise invalid('Missing ModelSpec')
            return method(self, request, context)
        except Exception as error:
            refusal = error if isinstance(error, RequestError) else unforeseen(error)
            return context.abort(refusal.code, printable(refusal.message))

    return answer


def metadata_of(versions, spec):
    """A GetModelMetadataResponse with the signatures of the version that a ModelSpec asks for; raises RequestError."""
    version = versions.find(spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = versions.name
    response.model_spec.version.value = version.number
    response.metadata['signature_def'].Pack(
        get_model_metadata_pb2.SignatureDefMap(signature_def=version.signature_defs)
    )
    return response


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; what it inherits answers UNIMPLEMENTED."""

    def __init__(self, versions, max_bytes):
        self._versions, self._max_bytes = versions, max_bytes

    @_answered
    def Predict(self, request, context):
        spec = request.model_spec
        version = self._versions.find(spec)
        with self._versions.turn(context.is_active):
            inputs = {name: tensors.to_numpy(name, proto, self._max_bytes) for name, proto in request.inputs.items()}
            outputs = version.run(spec.signature_name, inputs, tuple(request.output_filter))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version.number
        response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tensors.to_proto(array))
        return response

    @_answered
    def GetModelMetadata(self, request, context):
        if not request.metadata_field:
            raise invalid('GetModelMetadataRequest must specify at least one metadata_field')
        for field in request.metadata_field:
            if field != 'signature_def':
                raise invalid(f'Metadata field {field} is not supported')
        return metadata_of(self._versions, request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; what it inherits answers UNIMPLEMENTED."""

    def __init__(self, versions):
        self._versions = versions

    @_answered
    def GetModelStatus(self, request, context):
        return get_model_status_pb2.GetModelStatusResponse(
            model_version_status=self._versions.status(request.model_spec)
        )


def listening(flag, host, port):
    """A socket that listens; raises GazeError, which names the flag of the port."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        # Python adds the address in its own notation
        reason = error.strerror.partition(' (while ')[0]
        raise GazeError(
            f'--{flag}={port}: {host}:{port} cannot be listened on: {reason}. Choose another --{flag}.'
        ) from error


@contextlib.contextmanager
def running(versions, host, port, max_bytes):
    """Serves for as long as the block lasts; yields the real port. Raises GazeError if the port cannot be had."""
    # it prints a traceback of each message that is none
    logging.getLogger('grpc').setLevel(logging.CRITICAL)
    # without SO_REUSEPORT: otherwise a second server on the same port gets half of the requests, silently
    server = grpc.server(
        futures.ThreadPoolExecutor(THREADS, 'grpc'),
        options=[
            ('grpc.max_receive_message_length', max_bytes),
            ('grpc.so_reuseport', 0),
            ('grpc.max_connection_idle_ms', IDLE * 1000),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(versions, max_bytes), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(versions), server)
    try:
        # gRPC does not say why it cannot listen
        listening('port', host, port).close()
        port = server.add_insecure_port(f'{host}:{port}')
    except RuntimeError as error:
        raise GazeError(f'--port={port}: {host}:{port} cannot be listened on.') from error
    server.start()
    try:
        yield port
    finally:
        server.stop(GRACE).wait()
