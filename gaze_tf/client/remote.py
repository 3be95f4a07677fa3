"""A model on a server, and the sentences on what may go wrong between it and a client, over gRPC and over REST."""

import re
import ssl
from typing import NamedTuple

from gaze_tf.errors import GazeError, printable

MAX_RETRIES = 4  # gRPC's own bound
FIRST_WAIT = 0.5  # seconds before the first retry; each next one waits twice as long
MEBIBYTE = 2**20
_READ, _LONGEST = 2000, 300  # characters of what a server says that are looked at, and shown


class ServerError(GazeError):
    """What is wrong with the server, the way to it or the model's name: no other photo would fare better."""


class RemoteModel(NamedTuple):
    """A model on a server, and how patiently it is asked.

    server: HOST:PORT; name: of the model; version or label: which version, the newest if both are None; signature: what
    is called; timeout: seconds for a photo's request with its retries; retries: how often a server that is not available is
    asked again, 0 to 4; max_message_mb: MiB of the largest request and answer; tls: whether the way there is encrypted; ca:
    PEM file of the certificates that vouch for the server, the usual ones if None; header: 'Name: value' that goes with each
    request, such as a token.
    """

    server: str
    name: str = 'gaze'
    version: int | None = None
    label: str | None = None
    signature: str = 'correct_encoded'
    timeout: float = 30.0
    retries: int = 3
    max_message_mb: float = 64.0
    tls: bool = False
    ca: str | None = None
    header: str | None = None

    def check(self):
        """Raises GazeError for values that no server could be asked with."""
        if not re.fullmatch(r'([\w.-]+|\[[\da-fA-F:.%]+\]):\d{1,5}', self.server, re.ASCII):
            raise GazeError(f'--server={self.server} must be HOST:PORT, such as localhost:8500.')
        if self.version is not None and self.label:
            raise GazeError(f'--version={self.version} and --label={self.label} both say which version: give one.')
        if not 0 < self.timeout < 1e6:
            raise GazeError(f'--timeout={self.timeout:g} must be a number of seconds above 0.')
        if not 0 <= self.retries <= MAX_RETRIES:
            raise GazeError(f'--retries={self.retries} must be 0 to {MAX_RETRIES}.')
        if not 0 < self.max_message_mb < 2048:
            raise GazeError(f'--max_message_mb={self.max_message_mb:g} must be above 0 and below 2048.')
        if self.ca and not self.tls:
            raise GazeError(f'--ca={self.ca} says whom to trust with --tls: give both, or neither.')
        if self.header is not None and not re.fullmatch(
            r'[\w-]+(?<!-bin):[ \t]*[!-~]([ -~]*[!-~])?', self.header, re.ASCII
        ):
            # a secret: not shown
            raise GazeError(
                '--header_file must hold one line, NAME: VALUE, in ASCII, such as Authorization: Bearer TOKEN.'
            )

    @property
    def headers(self):
        """{name in lower case: value} of what goes with each request."""
        if self.header is None:
            return {}
        name, _, value = self.header.partition(':')
        return {name.lower(): value.strip()}

    def tls_context(self):
        """The ssl.SSLContext of connections, None without TLS; raises GazeError if `ca` is no file of certificates."""
        try:
            return ssl.create_default_context(cafile=self.ca or None) if self.tls else None
        except (OSError, ValueError) as error:
            raise GazeError(f'--ca={self.ca} is no PEM file of certificates: {error.strerror or error}.') from error

    @property
    def max_message(self):
        """The same in bytes."""
        return int(self.max_message_mb * MEBIBYTE)

    @property
    def which(self):
        """The model in words."""
        if self.version is not None:
            return f'model {self.name!r}, version {self.version}'
        return f'model {self.name!r}' + (f', label {self.label!r}' if self.label else '')

    def check_size(self, size):
        """Raises GazeError for a request of more bytes than agreed on."""
        if size > self.max_message:
            raise GazeError(
                f'The request has {size / MEBIBYTE:.3g} MiB, more than --max_message_mb='
                f'{self.max_message_mb:g}: raise it, or make the photo smaller.'
            )

    def unreachable(self, why):
        """The server does not answer at all; `why` in the library's words."""
        return ServerError(
            f'The server {self.server} cannot be reached ({_first_line(why)}): check the address in '
            '--server, give --tls if it wants TLS, or start TensorFlow Serving, or `gaze-tf serve`, there.'
        )

    def unavailable(self, why):
        return GazeError(
            f'The server {self.server} is not available now and was asked {self.retries + 1} times: {_first_line(why)}'
        )

    def too_slow(self):
        return GazeError(
            f'The server {self.server} has not answered within {self.timeout:g} seconds: raise --timeout, or '
            'lower --concurrency if it has too much to do.'
        )

    def too_large(self, why):
        return GazeError(
            f'A message is too large for the server {self.server} or for this client ({_first_line(why)}): '
            f'--max_message_mb={self.max_message_mb:g} is the limit here, the server has its own; raise '
            'the one that is meant, or make the photo smaller.'
        )

    def not_found(self, why):
        return ServerError(
            f'The server {self.server} has no {self.which}, or not yet ({_first_line(why)}): see '
            '--model_name, --version and --label.'
        )

    def untrusted(self, why):
        return ServerError(
            f'No encrypted connection to the server {self.server} ({_first_line(why)}): it may have no TLS '
            "(leave out --tls), or its certificate is not vouched for (--ca), or is another name's."
        )

    def denied(self, why):
        return ServerError(
            f'The server {self.server} does not let us in ({_first_line(why)}): --header_file names the file '
            'with the header that proves who we are.'
        )

    def refused(self, why):
        """It says that the request is bad."""
        # what the client named and the server does not know is bad for every photo
        kind = ServerError if re.search(r'label|signature', str(why), re.IGNORECASE) else GazeError
        return kind(f'The server {self.server} refuses the request to {self.which}: {_first_line(why)}')

    def failed(self, why):
        return GazeError(f'The server {self.server} failed: {_first_line(why)}')

    def rubbish(self, why):
        """It answers something that is no answer of `signature`."""
        return GazeError(
            f'The server {self.server} answers what is no photo ({_first_line(why)}): is {self.which} one of '
            f'`gaze-tf export`, with the signature {self.signature!r}?'
        )


def _first_line(text):
    """What is said, without the places in graphs and sources that TensorFlow adds, and harmless in a terminal."""
    # of several operations that failed, the first
    text = re.sub(r'^\d+ root error\(s\) found\.\s*\(0\) [A-Za-z_ ]+:\s*', '', str(text)[:_READ].strip())
    line = re.sub(r'^\{\{.*?\}\} ', '', (text.splitlines() or ['no reason given'])[0])
    line = re.sub(r'^assertion failed: \[([^]]*)\]', r'\1', line)
    line = printable(re.sub(r'\s*(\[\[?\{\{.*|\[Op:.*)', '', line).strip())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + '…'
