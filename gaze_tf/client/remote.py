"""A model on a server, and what can go wrong on the way to it, over gRPC and over REST."""

import re
import ssl

from gaze_tf.client.options import ClientOptions
from gaze_tf.errors import GazeError, graph_message, printable

SIGNATURE = 'correct_encoded'
FIRST_WAIT = 0.5  # seconds before the first retry; each next wait is twice as long
MEBIBYTE = 2**20
# characters of a server's message that are read, and that are shown
_MAX_READ, _MAX_SHOWN = 2000, 300


class ServerError(GazeError):
    """The server, the connection or the choice of the model is wrong, so every other photo would fail, too."""


class RemoteModel:
    """A model on a server.

    Attributes:
      server: HOST:PORT.
      options: the ClientOptions.
      headers: {name in lower case: value} of the headers to send with each request.
      tls_context: the ssl.SSLContext of connections, None without TLS.
      max_message: the size of the largest request and answer in bytes.
    """

    def __init__(self, server: str, options: ClientOptions, header: str | None = None):
        """Raises GazeError if the address, the header or the file of certificates is malformed. Connects to nothing.

        header: 'Name: value', or None.
        """
        if not re.fullmatch(r'([\w.-]+|\[[\da-fA-F:.%]+\]):\d{1,5}', server, re.ASCII):
            raise GazeError(f'`server={server}` must be HOST:PORT, such as localhost:8500.')
        self.server, self.options, self.headers = server, options, _headers(header)
        self.max_message = int(options.max_message_mb * MEBIBYTE)
        try:
            self.tls_context = ssl.create_default_context(cafile=options.ca or None) if options.tls else None
        except (OSError, ValueError) as error:
            why = getattr(error, 'strerror', None) or error
            raise GazeError(f'`ca={options.ca}` is no PEM file of certificates: {why}.') from error

    @property
    def which(self) -> str:
        """The model in words."""
        words = f'model {self.options.model_name!r}'
        if self.options.version is not None:
            return f'{words}, version {self.options.version}'
        return f'{words}, label {self.options.label!r}' if self.options.label else words

    def check_size(self, size: int) -> None:
        """Raises GazeError for a request of more bytes than allowed."""
        if size > self.max_message:
            raise GazeError(
                f'The request has {size / MEBIBYTE:.3g} MiB, more than `max_message_mb={self.options.max_message_mb:g}`'
                ': raise the limit, or make the photo smaller.'
            )

    def unreachable(self, why: object) -> ServerError:
        return ServerError(
            f'The server {self.server} cannot be reached ({_one_line(why)}): check its address, use `tls` if it wants '
            'TLS, or start TensorFlow Serving, or `gaze-tf serve`, there.'
        )

    def unavailable(self, why: object) -> GazeError:
        tries = self.options.retries + 1
        return GazeError(f'The server {self.server} is not available and was asked {tries} times: {_one_line(why)}')

    def too_slow(self) -> GazeError:
        return GazeError(
            f'The server {self.server} has not answered within {self.options.timeout:g} seconds: raise `timeout`, or '
            'lower `concurrency` if the server is overloaded.'
        )

    def too_large(self, why: object) -> GazeError:
        return GazeError(
            f'A message is too large for the server {self.server} or for this client ({_one_line(why)}): the limit '
            f'here is `max_message_mb={self.options.max_message_mb:g}`, and the server has its own. Raise the limit '
            'that was exceeded, or make the photo smaller.'
        )

    def not_found(self, why: object) -> ServerError:
        return ServerError(
            f'The server {self.server} has no {self.which}, or not yet ({_one_line(why)}): check `model_name`, '
            '`version` and `label`.'
        )

    def wrong_protocol(self, spoken: str) -> ServerError:
        """The server does not speak this protocol, gRPC or HTTP."""
        ports = ('gRPC port', 8500, 'use', 'REST') if spoken == 'gRPC' else ('REST port', 8501, 'leave out', 'gRPC')
        port, number, advice, other = ports
        return ServerError(
            f"The server {self.server} does not speak {spoken}: give its {port} (TensorFlow Serving's is {number}), or "
            f'{advice} `rest` if this is the {other} port.'
        )

    def untrusted(self, why: object) -> ServerError:
        return ServerError(
            f'There is no encrypted connection to the server {self.server} ({_one_line(why)}): it may not speak TLS '
            '(leave out `tls`), nobody known vouches for its certificate (`ca`), or the certificate is for another '
            'name.'
        )

    def denied(self, why: object) -> ServerError:
        return ServerError(
            f'The server {self.server} denies access ({_one_line(why)}): send the header that it asks for (on the '
            'command line `header_file`).'
        )

    def refused(self, why: object) -> GazeError:
        """The server says that the request is bad."""
        # a label or signature that the server does not know is wrong for every photo
        kind = ServerError if re.search(r'label|signature', str(why), re.IGNORECASE) else GazeError
        return kind(f'The server {self.server} refuses the request to {self.which}: {_one_line(why)}')

    def failed(self, why: object) -> GazeError:
        return GazeError(f'The server {self.server} failed: {_one_line(why)}')

    def bad_answer(self, why: object) -> GazeError:
        """The answer is not that of the signature."""
        return GazeError(
            f'The answer of the server {self.server} is no photo ({_one_line(why)}): was {self.which} written by '
            f'`gaze-tf export`, with the signature {SIGNATURE!r}?'
        )


def _headers(header: str | None) -> dict[str, str]:
    """{name in lower case: value} of a line 'Name: value'; raises GazeError."""
    if header is None:
        return {}
    if not re.fullmatch(r'[\w-]+(?<!-bin):[ \t]*[!-~]([ -~]*[!-~])?', header, re.ASCII):
        # without the header, which is a secret
        raise GazeError('The header must be one line, NAME: VALUE, in ASCII, such as Authorization: Bearer TOKEN.')
    name, _, value = header.partition(':')
    return {name.lower(): value.strip()}


def _one_line(text: object) -> str:
    """The first line of a server's message, short and harmless in a terminal."""
    lines = graph_message(str(text)[:_MAX_READ]).splitlines() or ['no reason given']
    line = printable(lines[0].strip())
    return line if len(line) <= _MAX_SHOWN else f'{line[:_MAX_SHOWN]}…'
