"""A model's answers over REST, in TensorFlow Serving's row format."""

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

from gaze_tf.client import remote as remote_lib


class RestModel:
    """The RemoteModel behind a REST port; may be called from several threads."""

    def __init__(self, remote):
        self._remote = remote
        chosen = (
            f'/versions/{remote.version}'
            if remote.version is not None
            else f'/labels/{urllib.parse.quote(remote.label, safe="")}'
            if remote.label
            else ''
        )
        self._path = f'/v1/models/{urllib.parse.quote(remote.name, safe="")}{chosen}:predict'
        self._headers = {'content-type': 'application/json', **remote.headers}
        self._tls = remote.tls_context()

    def correct(self, image, eyes):
        """image: bytes of a JPEG or PNG; eyes: float32 [4] in its pixels → bytes of a PNG. Raises GazeError."""
        remote = self._remote
        instance = {'image': {'b64': base64.b64encode(image).decode()}, 'eyes': [float(value) for value in eyes]}
        body = json.dumps({'signature_name': remote.signature, 'instances': [instance]}).encode()
        remote.check_size(len(body))
        status, answer = self._asked(body)
        if len(answer) > remote.max_message:
            raise remote.too_large(f'the answer has more than {remote.max_message} bytes')
        if status != 200:
            raise _answered(remote, status, answer)
        try:
            (encoded,) = json.loads(answer)['predictions']
            return base64.b64decode(encoded['b64'], validate=True)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise remote.rubbish(answer[:80].decode(errors='replace')) from error

    def close(self):
        """Nothing is open between two requests."""

    def _asked(self, body):
        """(HTTP status, body) of the answer; asks again, until the time is over, while the server is not available."""
        end = time.monotonic() + self._remote.timeout
        # around twice as long each time, so that clients do not come all at once
        waits = [remote_lib.FIRST_WAIT * 2**retry * random.uniform(0.5, 1.5) for retry in range(self._remote.retries)]
        for wait in (*waits, math.inf):
            last = time.monotonic() + wait > end
            try:
                status, answer = self._exchanged(body, end)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if last or not isinstance(error, _Unreached):
                    raise self._explained(error, len(body), end) from error
            else:
                if last or status != 503:
                    return status, answer
            time.sleep(max(0, min(wait, end - time.monotonic())))

    def _exchanged(self, body, end):
        """(HTTP status, body) of one answer, one byte more than the largest at most; raises OSError, HTTPException."""
        connection, connected = http.client.HTTPConnection(self._remote.server), self._connected(end)
        # a byte now and then keeps within any timeout of a socket
        over = threading.Timer(max(0, end - time.monotonic()), _cut, [connected])
        over.daemon = True
        over.start()
        try:
            if self._tls:
                connected.do_handshake()
            connection.sock = connected
            connection.request('POST', self._path, body, {**self._headers, 'connection': 'close'})
            response = connection.getresponse()
            answer = response.read(self._remote.max_message + 1)
            if time.monotonic() >= end:
                raise TimeoutError
            return response.status, answer
        finally:
            over.cancel()
            connected.close()

    def _connected(self, end):
        """A socket, for TLS one without its handshake; raises OSError."""
        host, _, port = self._remote.server.rpartition(':')
        host = host.strip('[]')
        try:
            connected = socket.create_connection((host, int(port)), timeout=max(0.001, end - time.monotonic()))
        except (OSError, OverflowError) as error:
            raise _Unreached(error) from error
        return (
            self._tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
            if self._tls
            else connected
        )

    def _explained(self, error, size, end):
        """The GazeError of a request without an answer."""
        remote = self._remote
        if isinstance(error, _Unreached):
            return remote.unreachable(getattr(error.args[0], 'strerror', None) or error.args[0])
        if time.monotonic() >= end or isinstance(error, TimeoutError):
            return remote.too_slow()
        if isinstance(error, ssl.SSLError):
            return remote.untrusted(getattr(error, 'verify_message', '') or error.reason or error)
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return remote_lib.ServerError(
                f'The server {remote.server} does not speak HTTP: give the REST port (TensorFlow '
                "Serving's is 8501), or leave out --rest if this is the gRPC port."
            )
        return remote.failed(
            f'it closed the connection to a request of {size / remote_lib.MEBIBYTE:.1f} MiB '
            f'({str(error) or type(error).__name__}), which may be more than it takes.'
        )


class _Unreached(OSError):
    """There is no connection; args: (the OSError that says why,)."""


def _cut(connected):
    """Ends whatever is read from or written to a socket."""
    with contextlib.suppress(OSError):
        # (an ssl.SSLSocket's own would first forget its state, under its reader's feet)
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _answered(remote, status, answer):
    """The GazeError of an answer that is not 200."""
    try:
        why = json.loads(answer)['error']
    except (ValueError, KeyError, TypeError, RecursionError):
        why = f'HTTP status {status}, and no word of TensorFlow Serving about it'
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
