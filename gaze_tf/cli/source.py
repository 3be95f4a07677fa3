"""Which weights `export` and `lite` write."""

import dataclasses

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class Source(Options):
    """A checkpoint, or the model that comes with gaze_tf: one of the two."""

    checkpoint: str = option('', 'Folder of a `gaze-tf train` run.')
    pretrained: bool = option(False, 'Write the model that comes with gaze_tf.')

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.checkpoint and self.pretrained:
            raise GazeError(
                '`pretrained` writes the model that comes with gaze_tf, `checkpoint` one of your own: give one of the '
                'two.'
            )
        if not (self.checkpoint or self.pretrained):
            raise GazeError('`checkpoint` is needed, or `pretrained` for the model that comes with gaze_tf.')
