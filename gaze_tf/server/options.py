"""Options of the local server."""

import dataclasses
import re

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class ServerOptions(Options):
    """Where the local server listens, and how it names the model and its versions."""

    name: str = option('gaze', "The model's name in requests.")
    host: str = option('127.0.0.1', 'Address to listen on; 0.0.0.0 lets other machines in.')
    port: int = option(8500, 'Port of gRPC; 0: any free port.', low=0, high=65535)
    rest_port: int = option(8501, 'Port of REST; 0: any free port.', low=0, high=65535)
    labels: tuple[str, ...] = option((), 'Names for versions, such as stable:1,canary:2.')
    poll_seconds: float = option(1.0, 'Seconds between two looks for new versions.', low=0.01)
    max_message_mb: int = option(64, 'Largest request, in MiB; larger ones are refused.', low=1, high=2047)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch('[^/:]+', self.name):
            raise GazeError(f'`name={self.name}` must have no / and no :, because it becomes a part of paths.')
        self.version_of_label()

    def version_of_label(self) -> dict[str, int]:
        """`labels` as {label: version number}."""
        found: dict[str, int] = {}
        for text in self.labels:
            parts = re.fullmatch(r'([^/:]+):(\d{1,18})', text)
            if not parts:
                raise GazeError(f'`labels={text}` must be a label and a version, such as stable:1.')
            if parts[1] in found:
                raise GazeError(f'`labels`: {parts[1]} is given twice; a label names one version.')
            found[parts[1]] = int(parts[2])
        return found
