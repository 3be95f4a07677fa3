"""The options of a data set of turned eyes; without numpy, so that the command line answers at once."""

import dataclasses

from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions
from gaze_tf.options import option
from gaze_tf.turning.angles import MAX_ANGLE, MAX_PITCH


@dataclasses.dataclass(frozen=True)
class TurnedOptions(DetectorOptions):
    """How eyes are turned, and who is held out. The same options and photos give the same files."""

    img_size: int = option(256, 'Side of the faces in pixels.', low=16)
    directions: int = option(3, 'Number of turned versions of each photo.', low=1)
    min_angle: float = option(10.0, 'Smallest angle, in degrees, by which eyes are turned; above 0.', high=MAX_PITCH)
    max_angle: float = option(
        30.0, 'Largest angle, in degrees, by which eyes are turned; up and down it is 20 at most.', high=MAX_ANGLE
    )
    retouch_x: float = option(
        0.5,
        'Share of domain X whose eyes are turned by 0 to 2 degrees, so that traces of repainting do not tell the '
        'domains apart.',
        low=0,
        high=1,
    )
    seed: int = option(0, "Seed of the directions, together with each photo's name.", low=0)
    test_people: str = option(
        '',
        "Regular expression for file names without their suffixes, such as '7$': people with a matching photo are held "
        "out, and their faces come last. '.': everybody, for a data set to measure with. '': nobody.",
    )
    identity: str = option(
        '',
        "Regular expression for file names without their suffixes, with a group that is the person's id, such as "
        "'^(\\d+)_', for people with several photos. '': the whole name.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_angle <= 0:
            raise GazeError(f'`min_angle={self.min_angle:g}` must be above 0.')
        if self.max_angle < self.min_angle:
            raise GazeError(f'`max_angle={self.max_angle:g}` must be at least `min_angle={self.min_angle:g}`.')
