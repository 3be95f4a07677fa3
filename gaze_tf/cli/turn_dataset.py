"""gaze-tf turn-dataset --input=at_camera --output_dir=data/turned

Makes a training set in CelebAGaze's layout from photos of people who look at the camera: domain X (1/) has their faces,
domain Y (0/) the same faces with their eyes turned elsewhere. twins/ holds each face of Y at the camera, truth.csv the
angles and the positions of all irises, rejects.json the photos that were left out, and why. The same flags and photos
give the same files.
"""

import dataclasses

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.datasets.turned_options import TurnedOptions
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class Folders(Options):
    """Where photos are read and the data set is written."""

    input: tuple[str, ...] = option(
        (),
        'Folders of photos of people who look at the camera; subfolders are searched, too. Photos of the same name in '
        'several folders show the same person.',
    )
    output_dir: str = option('', 'Folder for the training set; it must not exist yet.')


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, Folders, TurnedOptions)


def run(values: flags.FlagValues) -> None:
    folders, options = option_flags.read(values, Folders), option_flags.read(values, TurnedOptions)
    require(values, 'input', 'output_dir')
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.datasets import turned

    output_dir = folders.output_dir
    made = turned.make(folders.input, output_dir, options)
    print(
        f'{output_dir}: {made.people} people, {made.x} faces in domain X (1/, eyes at the camera), {made.y} in domain '
        f'Y (0/, eyes elsewhere), {len(made.rejects)} files left out, or only in X (rejects.json)'
    )
    if options.test_people:
        print(
            f'To hold out the people of --test_people: gaze-tf prepare --data_dir={output_dir} --test_x={made.test_x} '
            f'--test_y={made.test_y}'
        )
