"""gaze-tf make-dataset --x_dir=at_camera --y_dir=elsewhere --output_dir=data/faces

Makes a training set of your own photos: finds faces, aligns them and writes them in CelebAGaze's layout, which
`gaze-tf prepare --data_dir=data/faces` packs. With --sort=FOLDER, photos that are not sorted yet go to either domain by
the position of their irises: a proposal, to be looked through. What was left out, and why, is in rejects.json.
"""

from absl import flags

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string(
        'x_dir', '', 'Folder of photos of people who look at the camera (folders in it, too).', flag_values=values
    )
    flags.DEFINE_string('y_dir', '', 'Folder of photos of people who look elsewhere.', flag_values=values)
    flags.DEFINE_string('sort', '', 'Folder of photos that are not sorted yet.', flag_values=values)
    flags.DEFINE_string('output_dir', '', 'Folder for the training set; it must not exist yet.', flag_values=values)
    flags.DEFINE_integer('img_size', 256, 'Side of the faces in pixels.', lower_bound=16, flag_values=values)
    flags.DEFINE_string(
        'faces', 'largest', 'Which faces of a photo: largest, all, or numbers by size, from 0.', flag_values=values
    )


def run(values):
    require(values, 'output_dir')
    folders = {'x': values.x_dir, 'y': values.y_dir, 'sort': values.sort}
    if not any(folders.values()):
        raise GazeError('--x_dir and --y_dir, or --sort, are needed: folders of photos.')
    from gaze_tf.datasets import from_photos as dataset
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    sources = [dataset.Photos(folder, domain) for domain, folder in folders.items() if folder]
    counts, rejects = dataset.make(sources, values.output_dir, MediapipeDetector(), values.img_size, values.faces)
    print(
        f'{values.output_dir}: {counts["x"]} faces in domain X (1/, eyes at the camera), {counts["y"]} in domain Y '
        f'(0/, eyes elsewhere), {len(rejects)} rejected (rejects.json)'
    )
