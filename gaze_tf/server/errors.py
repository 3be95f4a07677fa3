"""Answers to requests that cannot be served: the status codes and sentences of TensorFlow Serving."""

import re
import sys

import grpc

from gaze_tf.errors import first_line
from gaze_tf.server.output import say

CODES = {code.value[0]: code for code in grpc.StatusCode}
LONGEST = 2000  # characters; gRPC carries messages in a header, which may have 8 KB in all


class RequestError(Exception):
    """A request that is refused. code: a grpc.StatusCode; message: a sentence."""

    def __init__(self, code, message):
        self.code = code
        self.message = message if len(message) <= LONGEST else message[:LONGEST] + '...'
        super().__init__(f'{code.name}: {self.message}')


def invalid(message):
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message):
    return RequestError(grpc.StatusCode.NOT_FOUND, message)


def unforeseen(error):
    """An error that is nobody's answer as RequestError; it is said in the server's terminal, too."""
    what = f'{type(error).__name__}: {first_line(error)}'
    say(f'gaze-tf serve: a request failed with {what}', sys.stderr)
    return RequestError(grpc.StatusCode.INTERNAL, what)


def of_tensorflow(error):
    """An error of a graph as RequestError: its code, and its sentence without the names of nodes and functions.

    error: a tf.errors.OpError, or the UnicodeDecodeError in place of one whose message quotes bytes of the request.
    """
    if isinstance(error, UnicodeDecodeError):
        return invalid(_sentence(error.object.decode('utf-8', 'backslashreplace')))
    return RequestError(CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), _sentence(error.message))


def _sentence(text):
    text = text.rpartition('<stack traces unavailable>\n')[2]
    # of several operations that failed, the first
    text = re.sub(r'^\d+ root error\(s\) found\.\n\s*\(0\) [A-Za-z_ ]+:\s*', '', text)
    text = re.sub(r'\{\{function_node \S+\}\} ?|\n?\t \[\[.*', '', text, flags=re.DOTALL)
    return text.partition(' [Op:')[0].strip()
