"""A model's answers over REST, in the row format of TensorFlow Serving."""

import base64
import contextlib
import http.client
import json
import math
import random
import socket
import ssl
import threading
import time
import urllib.parse

import numpy as np

from gaze_tf.client import remote as remote_lib
from gaze_tf.client.remote import RemoteModel


class RestModel:
    """A RemoteModel behind a REST port. Threads may call it at the same time."""

    def __init__(self, remote: RemoteModel):
        self._remote, options = remote, remote.options
        version = ''
        if options.version is not None:
            version = f'/versions/{options.version}'
        elif options.label:
            version = f'/labels/{urllib.parse.quote(options.label, safe="")}'
        self._path = f'/v1/models/{urllib.parse.quote(options.model_name, safe="")}{version}:predict'
        self._headers = {'content-type': 'application/json', **remote.headers, 'connection': 'close'}

    def correct(self, image: bytes, eyes: np.ndarray) -> bytes:
        """A PNG of a corrected JPEG or PNG. eyes: float32 [4] in its pixels. Raises GazeError."""
        remote = self._remote
        instance = {'image': {'b64': base64.b64encode(image).decode()}, 'eyes': [float(value) for value in eyes]}
        body = json.dumps({'signature_name': remote_lib.SIGNATURE, 'instances': [instance]}).encode()
        remote.check_size(len(body))
        status, answer = self._ask(body)
        if len(answer) > remote.max_message:
            raise remote.too_large(f'the answer has more than {remote.max_message} bytes')
        if status != 200:
            raise _as_gaze_error(remote, status, answer)
        try:
            (encoded,) = json.loads(answer)['predictions']
            return base64.b64decode(encoded['b64'], validate=True)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise remote.bad_answer(answer[:80].decode(errors='replace')) from error

    def close(self) -> None:
        """Does nothing: no connection stays open between requests."""

    def _ask(self, body):
        """(HTTP status, body) of the answer. Asks again while the server is not available and there is time."""
        options = self._remote.options
        end = time.monotonic() + options.timeout
        # random, so that clients do not come back all at once
        waits = [remote_lib.FIRST_WAIT * 2**retry * random.uniform(0.5, 1.5) for retry in range(options.retries)]
        for wait in (*waits, math.inf):
            is_last = time.monotonic() + wait > end
            try:
                status, answer = self._exchange(body, end)
                if is_last or status != 503:
                    return status, answer
            except _Unreached as error:
                if is_last:
                    raise self._remote.unreachable(error) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._no_answer(error, len(body), end) from error
            time.sleep(max(0, min(wait, end - time.monotonic())))

    def _exchange(self, body, end):
        """(HTTP status, body) of one answer, which is read up to one byte beyond the limit. Raises OSError, ValueError
        or HTTPException."""
        connection, connected = http.client.HTTPConnection(self._remote.server), self._connect(end)
        # a server that sends a byte now and then never exceeds the timeout of a socket
        over = threading.Timer(max(0, end - time.monotonic()), _cut, [connected])
        over.daemon = True
        over.start()
        try:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            connection.sock = connected
            connection.request('POST', self._path, body, self._headers)
            response = connection.getresponse()
            answer = response.read(self._remote.max_message + 1)
            if time.monotonic() >= end:
                raise TimeoutError
            return response.status, answer
        finally:
            over.cancel()
            connected.close()

    def _connect(self, end):
        """A socket; with TLS it has yet to do its handshake. Raises OSError."""
        host, _, port = self._remote.server.rpartition(':')
        host = host.strip('[]')
        try:
            connected = socket.create_connection((host, int(port)), timeout=max(0.001, end - time.monotonic()))
        except (OSError, OverflowError) as error:
            raise _Unreached(getattr(error, 'strerror', None) or error) from error
        tls = self._remote.tls_context
        return tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False) if tls else connected

    def _no_answer(self, error, size, end):
        """The GazeError for a connection without a proper answer."""
        remote = self._remote
        if time.monotonic() >= end or isinstance(error, TimeoutError):
            return remote.too_slow()
        if isinstance(error, ssl.SSLError):
            return remote.untrusted(getattr(error, 'verify_message', '') or error.reason or error)
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return remote.wrong_protocol('HTTP')
        return remote.failed(
            f'it closed the connection to a request of {size / remote_lib.MEBIBYTE:.1f} MiB '
            f'({str(error) or type(error).__name__}), which may be more than it takes.'
        )


class _Unreached(OSError):
    """There is no connection."""


def _cut(connected):
    """Ends all reading from and writing to a socket."""
    with contextlib.suppress(OSError):
        # (an ssl.SSLSocket would first forget its state, which the reader still uses)
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _as_gaze_error(remote, status, answer):
    """The GazeError for an answer whose HTTP status is not 200."""
    try:
        why = json.loads(answer)['error']
    except (ValueError, KeyError, TypeError, RecursionError):
        why = f'HTTP status {status}, without a message of TensorFlow Serving'
    if status == 503:
        return remote.unavailable(why)
    if status in (401, 403):
        return remote.denied(why)
    if status in (408, 504):
        return remote.too_slow()
    if status == 413:
        return remote.too_large(why)
    if status == 404:
        return remote.not_found(why)
    if status in (400, 412):
        return remote.refused(why)
    return remote.failed(f'{why} (HTTP status {status})')
