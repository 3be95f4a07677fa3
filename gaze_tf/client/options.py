"""Options of the client: which model on the server, and how to reach it."""

import dataclasses

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class ClientOptions(Options):
    """Which model on the server, and how to reach it."""

    rest: bool = option(
        False, "Speak REST: the server's address names its REST port (TensorFlow Serving's is 8501), not its gRPC port."
    )
    model_name: str = option('gaze', "The model's name on the server.")
    version: int | None = option(
        None, 'Version of the model; not given: the newest one, or the one that `label` names.', low=0
    )
    label: str = option('', 'Label of a version, such as stable or canary.')
    tls: bool = option(False, 'Encrypt the connection, for instance to a proxy in front of the server.')
    ca: str = option(
        '',
        'With `tls`: PEM file of the certificates that vouch for the server; not given: those that vouch for public '
        'servers.',
    )
    timeout: float = option(30.0, 'Seconds that a request may take, including its retries.', low=0.001, high=1e6)
    # 4 is the most that gRPC allows
    retries: int = option(
        3, 'How often to ask a server again that is not available, with longer and longer waits.', low=0, high=4
    )
    max_message_mb: float = option(
        64.0,
        'Largest request and answer, in MiB. An answer is a PNG of the whole photo, about 2 bytes per pixel; over '
        'REST messages grow by a third.',
        low=0.01,
        high=2047,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version is not None and self.label:
            raise GazeError(f'`version={self.version}` and `label={self.label}` both say which version: give one.')
        if self.ca and not self.tls:
            raise GazeError(f'`ca={self.ca}` says whom to trust with `tls`: give both, or neither.')
