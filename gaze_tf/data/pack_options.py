"""The options of packing a data set; without TensorFlow, so that the command line answers at once."""

import dataclasses

from gaze_tf.config import FRAME_EYES, eye_shares
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class PackOptions(Options):
    """What is stored of a folder in CelebAGaze's layout, and how."""

    img_size: int = option(
        256,
        'Side of the stored images, in pixels; images of another size are resized, the others keep their bytes.',
        low=8,
    )
    frame_eyes: str = option(
        FRAME_EYES,
        'Where the eyes are in the stored images: left_x,left_y,right_x,right_y as shares of their side. Unless these '
        "are CelebAGaze's means, as in its own images, faces are cut anew.",
    )
    twins: bool = option(
        False,
        'Store with each face of Y its twin, the same face looking at the camera: twins/<name>.jpg or .png, or the '
        'file in the column twin of truth.csv.',
    )
    test_x: int = option(100, 'Number of usable rows at the end of 1.txt that are held out for testing.', low=0)
    test_y: int = option(300, 'Number of usable rows at the end of 0.txt that are held out for testing.', low=0)
    shard_size: int = option(1024, 'Largest number of images in a file.', low=1)
    skip_bad: bool = option(
        False, 'Leave out bad rows and images. Without it, all of them are listed and nothing is finished.'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        eye_shares(self.frame_eyes)
