"""gaze-tf make-dataset --x_dir=at_camera --y_dir=elsewhere --output_dir=data/faces

Makes a training set from your own photos: finds faces, aligns them and writes them in CelebAGaze's layout, which
`gaze-tf prepare --data_dir=data/faces` packs. With --sort=FOLDER, photos that are not sorted yet are assigned to a
domain by the position of their irises: look through the result. rejects.json says what was left out, and why.
"""

import dataclasses

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_detector
from gaze_tf.options import option


@dataclasses.dataclass(frozen=True)
class MakeDatasetOptions(DetectorOptions):
    """Where photos are, and what is made of them."""

    x_dir: str = option('', 'Folder of photos of people who look at the camera; subfolders are searched, too.')
    y_dir: str = option('', 'Folder of photos of people who look elsewhere.')
    sort: str = option('', 'Folder of photos that are not sorted yet.')
    output_dir: str = option('', 'Folder for the training set; it must not exist yet.')
    img_size: int = option(256, 'Side of the faces in pixels.', low=16)
    faces: str = option('largest', 'Which faces of a photo: largest, all, or numbers by size, from 0.')


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, MakeDatasetOptions)


def run(values: flags.FlagValues) -> None:
    options = option_flags.read(values, MakeDatasetOptions)
    require(values, 'output_dir')
    folders = {'x': options.x_dir, 'y': options.y_dir, 'sort': options.sort}
    if not any(folders.values()):
        raise GazeError('--x_dir and --y_dir, or --sort, are needed: folders of photos.')
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.datasets import from_photos

    sources = [from_photos.PhotoFolder(folder, domain) for domain, folder in folders.items() if folder]
    detector = make_detector(options.face_model)
    counts, rejects = from_photos.make(sources, options.output_dir, detector, options.img_size, options.faces)
    print(
        f'{options.output_dir}: {counts["x"]} faces in domain X (1/, eyes at the camera), {counts["y"]} in domain Y '
        f'(0/, eyes elsewhere), {len(rejects)} rejected (rejects.json)'
    )
