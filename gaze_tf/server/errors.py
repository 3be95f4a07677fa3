"""Requests that fail: a gRPC status code and a sentence for the client."""

import logging

import grpc
import tensorflow as tf

from gaze_tf.errors import first_line, graph_message, printable

logger = logging.getLogger(__name__)

CODES = {code.value[0]: code for code in grpc.StatusCode}
MAX_LENGTH = 2000  # characters; gRPC sends messages in headers, which may have 8 KB together


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
      code: what kind of error it is, for gRPC as for REST.
      message: a sentence for the client.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        message = printable(message)
        self.code = code
        self.message = message if len(message) <= MAX_LENGTH else f'{message[:MAX_LENGTH]}...'
        super().__init__(self.message)


def invalid(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.NOT_FOUND, message)


def as_request_error(error: Exception) -> RequestError:
    """The error itself if it is a RequestError. Any other error is the server's own fault, so it is logged, too."""
    if isinstance(error, RequestError):
        return error
    what = f'{type(error).__name__}: {first_line(error)}'
    logger.warning('A request failed with %s', what)
    return RequestError(grpc.StatusCode.INTERNAL, what)


def from_tensorflow(error: tf.errors.OpError | UnicodeDecodeError) -> RequestError:
    """The RequestError for an error of a graph.

    TensorFlow raises UnicodeDecodeError where its message quotes bytes of the request.
    """
    if isinstance(error, UnicodeDecodeError):
        return invalid(graph_message(error.object.decode('utf-8', 'backslashreplace')))
    return RequestError(CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), graph_message(error.message))
