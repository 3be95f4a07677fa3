"""A model's answers over REST, in TensorFlow Serving's row format."""
import base64
import json
import urllib.parse

import urllib3
from urllib3 import exceptions

from gaze_tf.serving import remote as remote_lib

_CONNECTIONS = 64       # that are kept open


class RestModel:
    """The RemoteModel behind a REST port; may be called from several threads."""

    def __init__(self, remote):
        self._remote = remote
        chosen = (f'/versions/{remote.version}' if remote.version is not None else
                  f'/labels/{urllib.parse.quote(remote.label, safe="")}' if remote.label else '')
        self._url = f'http://{remote.server}/v1/models/{urllib.parse.quote(remote.name, safe="")}{chosen}:predict'
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS, timeout=urllib3.Timeout(total=remote.timeout), retries=urllib3.Retry(
                remote.retries, read=0, redirect=0, other=0, allowed_methods=None, status_forcelist=[503],
                # the first retry is made at once
                backoff_factor=remote_lib.FIRST_WAIT, backoff_jitter=remote_lib.FIRST_WAIT, backoff_max=10,
                respect_retry_after_header=False, raise_on_status=False))

    def correct(self, image, eyes):
        """image: bytes of a JPEG or PNG; eyes: float32 [4] in its pixels → bytes of a PNG. Raises GazeError."""
        remote = self._remote
        instance = {'image': {'b64': base64.b64encode(image).decode()}, 'eyes': [float(value) for value in eyes]}
        body = json.dumps({'signature_name': remote.signature, 'instances': [instance]}).encode()
        remote.check_size(len(body))
        try:
            response = self._pool.request('POST', self._url, body=body, headers={'Content-Type': 'application/json'},
                                          preload_content=False)
            with response:
                answer = response.read(remote.max_message + 1)
        except exceptions.HTTPError as error:
            raise _explained(remote, error, len(body)) from error
        if len(answer) > remote.max_message:
            raise remote.too_large(f'the answer has more than {remote.max_message} bytes')
        if response.status != 200:
            raise _answered(remote, response.status, answer)
        try:
            encoded, = json.loads(answer)['predictions']
            return base64.b64decode(encoded['b64'], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise remote.rubbish(answer[:80].decode(errors='replace')) from error

    def close(self):
        self._pool.clear()


def _explained(remote, error, size):
    """The GazeError of a request without an answer."""
    error = getattr(error, 'reason', None) or error
    if isinstance(error, exceptions.ReadTimeoutError):
        return remote.too_slow()
    if isinstance(error, (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)):
        return remote.unreachable(str(error).rpartition(': ')[2])
    if 'BadStatusLine' in str(error):
        return remote_lib.ServerError(f'The server {remote.server} does not speak HTTP: give the REST port (TensorFlow '
                                      "Serving's is 8501), or leave out --rest if this is the gRPC port.")
    return remote.failed(f'it closed the connection to a request of {size / remote_lib.MEBIBYTE:.1f} MiB ({error}), which '
                         'may be more than it takes.')


def _answered(remote, status, answer):
    """The GazeError of an answer that is not 200."""
    try:
        why = json.loads(answer)['error']
    except (ValueError, KeyError, TypeError):
        why = f'HTTP status {status}, and no word of TensorFlow Serving about it'
    if status == 503:
        return remote.unavailable(why)
    if status in (408, 504):
        return remote.too_slow()
    if status == 413:
        return remote.too_large(why)
    if status == 404:
        return remote.not_found(why)
    if status in (400, 412):
        return remote.refused(why)
    return remote.failed(f'{why} (HTTP status {status})')
