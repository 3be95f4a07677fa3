"""A model's answers over gRPC, from TensorFlow Serving's PredictionService."""

import json
import pathlib

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow_serving.apis import predict_pb2

from gaze_tf.client import remote as remote_lib
from gaze_tf.client.remote import RemoteModel, ServerError
from gaze_tf.errors import GazeError


class GrpcModel:
    """A RemoteModel behind a gRPC port. Threads may call it at the same time."""

    def __init__(self, remote: RemoteModel):
        self._remote = remote
        self._headers = list(remote.headers.items())
        options = [
            ('grpc.max_send_message_length', remote.max_message),
            ('grpc.max_receive_message_length', remote.max_message),
            # requests that do not fit this buffer are not sent again
            ('grpc.per_rpc_retry_buffer_size', remote.max_message),
            ('grpc.service_config', json.dumps({'methodConfig': [_method(remote.options.retries)]})),
        ]
        if remote.tls_context:
            trusted = pathlib.Path(remote.options.ca).read_bytes() if remote.options.ca else None
            self._channel = grpc.secure_channel(remote.server, grpc.ssl_channel_credentials(trusted), options)
        else:
            self._channel = grpc.insecure_channel(remote.server, options)
        # bytes in, bytes out: gRPC prints a traceback for answers that it cannot parse
        self._predict = self._channel.unary_unary('/tensorflow.serving.PredictionService/Predict')

    def correct(self, image: bytes, eyes: np.ndarray) -> bytes:
        """A PNG of a corrected JPEG or PNG. eyes: float32 [4] in its pixels. Raises GazeError."""
        remote, options = self._remote, self._remote.options
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = options.model_name, remote_lib.SIGNATURE
        if options.version is not None:
            request.model_spec.version.value = options.version
        elif options.label:
            request.model_spec.version_label = options.label
        request.inputs['image'].CopyFrom(tf.make_tensor_proto([image]))
        request.inputs['eyes'].CopyFrom(tf.make_tensor_proto(eyes[None], tf.float32))
        remote.check_size(request.ByteSize())
        try:
            answer = self._predict(request.SerializeToString(), timeout=options.timeout, metadata=self._headers)
            response = predict_pb2.PredictResponse.FromString(answer)
        except grpc.RpcError as error:
            raise _as_gaze_error(remote, error.code(), error.details() or '') from error
        except DecodeError as error:
            raise remote.bad_answer(error) from error
        outputs = list(response.outputs.values())
        if len(outputs) != 1 or len(outputs[0].string_val) != 1:
            raise remote.bad_answer(f'outputs: {", ".join(sorted(response.outputs)) or "none"}')
        return outputs[0].string_val[0]

    def close(self) -> None:
        self._channel.close()


def _method(retries: int) -> dict[str, object]:
    """gRPC's configuration of its calls: which of them are repeated, with random waits around these."""
    method: dict[str, object] = {'name': [{'service': 'tensorflow.serving.PredictionService'}]}
    if retries:
        method['retryPolicy'] = {
            'maxAttempts': retries + 1,
            'initialBackoff': f'{remote_lib.FIRST_WAIT}s',
            'maxBackoff': '10s',
            'backoffMultiplier': 2,
            'retryableStatusCodes': ['UNAVAILABLE'],
        }
    return method


def _as_gaze_error(remote: RemoteModel, code: StatusCode, details: str) -> GazeError:
    """The error for a call that ended with this status."""
    if code is StatusCode.UNAVAILABLE:
        return _unavailable(remote, details)
    if code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
        return remote.denied(details)
    if code is StatusCode.DEADLINE_EXCEEDED:
        return remote.too_slow()
    # (the code also means that a server has no memory left)
    if code is StatusCode.RESOURCE_EXHAUSTED and 'larger than max' in details:
        return remote.too_large(details)
    if code is StatusCode.NOT_FOUND:
        return remote.not_found(details)
    if code in (StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION):
        return remote.refused(details)
    if code is StatusCode.UNIMPLEMENTED:
        return ServerError(
            f'The server {remote.server} speaks gRPC but is no TensorFlow Serving ({details}): check its address.'
        )
    return remote.failed(f'{code.name}: {details}')


def _unavailable(remote: RemoteModel, details: str) -> GazeError:
    """The error for UNAVAILABLE, which a server says, and gRPC too where no server answers; only words tell which."""
    lower = details.lower()
    # of several addresses of a name gRPC gives the reason for the last one
    reason = details.rpartition('last error: ')[2]
    if 'http/2' in lower or 'http1' in lower:
        return remote.wrong_protocol('gRPC')
    if 'handshake' in lower or 'certificate' in lower:
        return remote.untrusted(reason)
    if any(word in lower for word in ('connect', 'resolv', 'resolution', 'socket', 'goaway')):
        return remote.unreachable(f'{reason}; if this is a REST port, use `rest`')
    return remote.unavailable(details)
