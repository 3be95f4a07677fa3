"""The options of drawing a data set; without numpy, so that the command line answers at once."""

import dataclasses

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class DrawOptions(Options):
    """What is drawn. The same options give the same bytes."""

    img_size: int = option(256, 'Side of the images in pixels, a multiple of 8.', low=32)
    num_x: int = option(5000, 'Number of training images that look at the camera (domain X).', low=0)
    num_y: int = option(1500, 'Number of training images that look elsewhere (domain Y).', low=0)
    test_x: int = option(100, 'Number of test images of domain X, the last rows of 1.txt.', low=0)
    test_y: int = option(300, 'Number of test images of domain Y, the last rows of 0.txt.', low=0)
    seed: int = option(0, 'Seed of all that is random.', low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.img_size % 8:
            raise GazeError(f'`img_size={self.img_size}` must be a multiple of 8.')
