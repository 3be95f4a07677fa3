"""TensorFlow Serving's PredictionService and ModelService over gRPC."""

import contextlib
import functools
import logging
from collections.abc import Iterator
from concurrent import futures

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from gaze_tf.errors import GazeError
from gaze_tf.server import sockets, tensors
from gaze_tf.server.errors import as_request_error, invalid
from gaze_tf.server.turns import Turns
from gaze_tf.server.version import DEFAULT_SIGNATURE
from gaze_tf.server.versions import Versions


def _answers_errors(method):
    """Makes a method answer errors with their status code and sentence."""

    @functools.wraps(method)
    def answer(self, request, context):
        try:
            return method(self, request, context)
        except Exception as error:
            refusal = as_request_error(error)
            return context.abort(refusal.code, refusal.message)

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the inherited methods answer UNIMPLEMENTED."""

    def __init__(self, versions: Versions, turns: Turns, max_bytes: int):
        self._versions, self._turns, self._max_bytes = versions, turns, max_bytes

    @_answers_errors
    def Predict(self, request, context):
        spec = request.model_spec
        version, signature = self._versions.find(spec), spec.signature_name or DEFAULT_SIGNATURE
        with self._turns.turn(context.is_active):
            inputs = {name: tensors.to_numpy(name, proto, self._max_bytes) for name, proto in request.inputs.items()}
            outputs = version.run(signature, inputs, request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = spec.name, signature
        response.model_spec.version.value = version.number
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tensors.to_proto(array))
        return response

    @_answers_errors
    def GetModelMetadata(self, request, context):
        if set(request.metadata_field) != {'signature_def'}:
            raise invalid('The one metadata_field of this server is signature_def.')
        return self._versions.metadata(request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the inherited methods answer UNIMPLEMENTED."""

    def __init__(self, versions: Versions):
        self._versions = versions

    @_answers_errors
    def GetModelStatus(self, request, context):
        return get_model_status_pb2.GetModelStatusResponse(
            model_version_status=self._versions.status(request.model_spec)
        )


@contextlib.contextmanager
def running(versions: Versions, turns: Turns, host: str, port: int, max_bytes: int) -> Iterator[int]:
    """Serves until the block ends; yields the port. Raises GazeError if it cannot listen there."""
    # gRPC logs a traceback for each message that cannot be parsed
    logging.getLogger('grpc').setLevel(logging.CRITICAL)
    options = [
        ('grpc.max_receive_message_length', max_bytes),
        # otherwise a second server on the same port would silently get half of the requests
        ('grpc.so_reuseport', 0),
        ('grpc.max_connection_idle_ms', sockets.IDLE * 1000),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(sockets.THREADS, 'grpc'), options=options)
    service = PredictionService(versions, turns, max_bytes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(versions), server)
    # gRPC does not say why it cannot listen
    sockets.listen('port', host, port).close()
    try:
        port = server.add_insecure_port(f'{host}:{port}')
    except RuntimeError as error:
        raise GazeError(f'`port={port}`: cannot listen on {host}:{port}.') from error
    server.start()
    try:
        yield port
    finally:
        server.stop(sockets.GRACE).wait()
