"""A model's answers over gRPC, by TensorFlow Serving's PredictionService."""

import json
import pathlib

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow_serving.apis import predict_pb2

from gaze_tf.client import remote as remote_lib


class GrpcModel:
    """The RemoteModel behind a gRPC port; may be called from several threads."""

    def __init__(self, remote):
        self._remote = remote
        self._headers = list(remote.headers.items())
        options = [
            ('grpc.max_send_message_length', remote.max_message),
            ('grpc.max_receive_message_length', remote.max_message),
            # a request that does not fit is not sent again
            ('grpc.per_rpc_retry_buffer_size', remote.max_message),
            ('grpc.service_config', json.dumps({'methodConfig': [_method(remote)]})),
        ]
        if remote.tls_context():
            trusted = pathlib.Path(remote.ca).read_bytes() if remote.ca else None
            self._channel = grpc.secure_channel(remote.server, grpc.ssl_channel_credentials(trusted), options)
        else:
            self._channel = grpc.insecure_channel(remote.server, options)
        # bytes in, bytes out: of an answer that is no message gRPC would print a traceback
        self._predict = self._channel.unary_unary('/tensorflow.serving.PredictionService/Predict')

    def correct(self, image, eyes):
        """image: bytes of a JPEG or PNG; eyes: float32 [4] in its pixels → bytes of a PNG. Raises GazeError."""
        remote = self._remote
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = remote.name, remote.signature
        if remote.version is not None:
            request.model_spec.version.value = remote.version
        elif remote.label:
            request.model_spec.version_label = remote.label
        request.inputs['image'].CopyFrom(tf.make_tensor_proto([image]))
        request.inputs['eyes'].CopyFrom(tf.make_tensor_proto(eyes[None], tf.float32))
        remote.check_size(request.ByteSize())
        try:
            answer = self._predict(request.SerializeToString(), timeout=remote.timeout, metadata=self._headers)
            response = predict_pb2.PredictResponse.FromString(answer)
        except grpc.RpcError as error:
            raise _explained(remote, error.code(), error.details() or '') from error
        except DecodeError as error:
            raise remote.rubbish(error) from error
        outputs = list(response.outputs.values())
        if len(outputs) != 1 or len(outputs[0].string_val) != 1:
            raise remote.rubbish(f'outputs: {", ".join(sorted(response.outputs)) or "none"}')
        return outputs[0].string_val[0]

    def close(self):
        self._channel.close()


def _method(remote):
    """gRPC's configuration of its calls: which are made again, with random waits around these."""
    method = {'name': [{'service': 'tensorflow.serving.PredictionService'}]}
    if remote.retries:
        method['retryPolicy'] = {
            'maxAttempts': remote.retries + 1,
            'initialBackoff': f'{remote_lib.FIRST_WAIT}s',
            'maxBackoff': '10s',
            'backoffMultiplier': 2,
            'retryableStatusCodes': ['UNAVAILABLE'],
        }
    return method


def _explained(remote, code, details):
    """The GazeError of a call that ended with this status."""
    if code is StatusCode.UNAVAILABLE:
        # gRPC's words for what comes from a web server
        if 'HTTP/2' in details or 'http1' in details:
            return remote_lib.ServerError(
                f'The server {remote.server} does not speak gRPC: give the gRPC port (TensorFlow '
                "Serving's is 8500), or --rest if this is the REST port."
            )
        if 'handshake' in details.lower() or 'certificate' in details.lower():
            return remote.untrusted(details.rpartition('last error: ')[2])
        # its own, for what no server has said; of a name's several addresses only the last is told of
        if any(word in details.lower() for word in ('connect', 'resolv', 'resolution', 'socket', 'goaway')):
            return remote.unreachable(f'{details.rpartition("last error: ")[2]}; if this is a REST port, give --rest')
        return remote.unavailable(details)
    if code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
        return remote.denied(details)
    if code is StatusCode.DEADLINE_EXCEEDED:
        return remote.too_slow()
    # also said when memory has run out
    if code is StatusCode.RESOURCE_EXHAUSTED and 'larger than max' in details:
        return remote.too_large(details)
    if code is StatusCode.NOT_FOUND:
        return remote.not_found(details)
    if code in (StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION):
        return remote.refused(details)
    if code is StatusCode.UNIMPLEMENTED:
        return remote_lib.ServerError(
            f'The server {remote.server} speaks gRPC but is no TensorFlow Serving '
            f'({details}): check the address in --server.'
        )
    return remote.failed(f'{code.name}: {details}')
