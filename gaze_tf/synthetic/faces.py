"""Data sets of drawn faces, in CelebAGaze's layout (see `gaze_tf.data.celebagaze`), for learning gaze correction.

Domain X looks at the camera (within 3 degrees), domain Y elsewhere (10 to 35 degrees away, in any direction). A data
set has 1/, 0/, 1.txt and 0.txt; truth.csv, with what was drawn; twins/<name>.png, each test image of Y with the eyes at
the camera and all else the same; and options.json, the options it was drawn with. Eyes are the middles of the eye
openings in integer pixels. The last rows of each table are the test split, whose people do not occur in training.
Angles in truth.csv are in the frame of the head, which is rolled by a few degrees at most.
"""

import os

# The workers share the cores already; this must be set before numpy is first loaded.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import dataclasses
import json
import multiprocessing
import pathlib
import signal
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from gaze_tf.data import celebagaze
from gaze_tf.errors import GazeError
from gaze_tf.files import new_folder, write_text
from gaze_tf.synthetic import renderer
from gaze_tf.synthetic.draw_options import DrawOptions
from gaze_tf.synthetic.model import Identity, View

X_LIMIT = 3.0  # greatest angle between gaze and camera axis in domain X, degrees
Y_RANGE = (10.0, 35.0)  # the same in domain Y
IMAGES_PER_IDENTITY = 4
OPTIONS_NAME = 'options.json'


class Job(NamedTuple):
    """An image to draw. domain: 'X' or 'Y'; number: of the image in its domain, test images after training images."""

    domain: str
    number: int
    split: str
    identity: int

    @property
    def name(self) -> str:
        return f'{self.domain.lower()}{self.number:06d}'


class Drawn(NamedTuple):
    """An image that was drawn: eyes int [4]; truth: its row of truth.csv."""

    eyes: np.ndarray
    truth: dict[str, Any]


def sample_gaze(rng: np.random.Generator, domain: str) -> tuple[float, float]:
    """Yaw and pitch in degrees: X uniform over a disc around the camera, Y uniform in angle and direction."""
    if domain == 'X':
        angle = X_LIMIT * np.sqrt(rng.uniform())
    else:
        angle = rng.uniform(*Y_RANGE)
    angle, around = np.radians(angle), rng.uniform(0, 2 * np.pi)
    pitch = np.degrees(np.arcsin(np.sin(angle) * np.sin(around)))
    yaw = np.degrees(np.arctan2(np.sin(angle) * np.cos(around), np.cos(angle)))
    return float(yaw), float(pitch)


def sample_image(seed: int, domain: str, index: int, identity: int) -> tuple[Identity, View, int]:
    """Identity, View and JPEG quality of image `index` of domain 'X' or 'Y'."""
    rng = np.random.default_rng((seed, ord(domain), index))
    person = Identity.sample(np.random.default_rng((seed, 0, identity)))
    yaw, pitch = sample_gaze(rng, domain)
    return person, View.sample(rng, yaw, pitch), int(rng.integers(85, 98))


def plan(options: DrawOptions) -> list[Job]:
    """The Jobs of all images, training first, about IMAGES_PER_IDENTITY for each identity."""
    jobs: list[Job] = []
    first = 0
    for split in ('train', 'test'):
        counts = (options.num_x, options.num_y) if split == 'train' else (options.test_x, options.test_y)
        people = -(-sum(counts) // IMAGES_PER_IDENTITY)
        order = np.random.default_rng((options.seed, 1, first)).permutation(sum(counts)) % max(people, 1)
        starts = (0, 0) if split == 'train' else (options.num_x, options.num_y)
        places = [(domain, start + i) for domain, start, count in zip('XY', starts, counts) for i in range(count)]
        jobs += [Job(*place, split, first + int(person)) for place, person in zip(places, order)]
        first += people
    return jobs


def draw(task: tuple[pathlib.Path, DrawOptions, Job]) -> Drawn:
    """Draws the image of a Job, and its twin if it needs one, into a data set's folder."""
    folder, options, job = task
    person, view, quality = sample_image(options.seed, job.domain, job.number, job.identity)
    image, info = renderer.render(person, view, options.img_size)
    images = celebagaze.image_folder(folder, job.domain.lower())
    celebagaze.save_image(images, job.name, image, quality, '4:2:0')
    truth: dict[str, Any] = {
        'domain': job.domain,
        'name': job.name,
        'split': job.split,
        'identity': job.identity,
        'yaw_deg': f'{view.yaw:.4f}',
        'pitch_deg': f'{view.pitch:.4f}',
        'iris_radius': f'{info["iris_radius"]:.3f}',
        **celebagaze.iris_columns(info['iris']),
    }
    if (job.domain, job.split) == ('Y', 'test'):
        at_camera = dataclasses.replace(view, yaw=0.0, pitch=0.0)
        image, twin = renderer.render(person, at_camera, options.img_size)
        truth['twin'] = f'{celebagaze.TWINS}/{job.name}.png'
        truth |= celebagaze.iris_columns(twin['iris'], 'twin_')
        Image.fromarray(image).save(folder / truth['twin'], compress_level=3)
    return Drawn(info['eyes'].ravel(), truth)


def generate(output: pathlib.Path | str, options: DrawOptions, workers: int | None = None) -> bool:
    """Draws a data set; returns False if it was there already.

    Args:
      output: folder, which must not exist yet, or be empty, or hold this very data set.
      options: DrawOptions.
      workers: number of processes (one for each core by default); the result does not depend on it.

    Raises:
      GazeError: the folder holds anything else, or cannot be written.
    """
    output = pathlib.Path(output)
    if _is_there(output, options):
        return False
    jobs = plan(options)
    with new_folder(output, replace=True) as folder:
        celebagaze.make_folders(folder, twins=True)
        tasks = [(folder, options, job) for job in jobs]
        # Ctrl-C is for this process alone; leaving the block ends the workers
        with multiprocessing.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            drawn = list(tqdm(pool.imap(draw, tasks, chunksize=4), total=len(tasks), unit='image'))
        # jobs are sorted by split, so that test rows come last
        faces = {
            domain: [(job.name, one.eyes) for job, one in zip(jobs, drawn) if job.domain == domain.upper()]
            for domain in celebagaze.FOLDERS
        }
        celebagaze.write_tables(folder, faces)
        celebagaze.write_truth(folder, [one.truth for one in drawn])
        write_text(folder / OPTIONS_NAME, json.dumps(dataclasses.asdict(options), indent=1) + '\n')
    return True


def _is_there(output: pathlib.Path, options: DrawOptions) -> bool:
    """Whether a folder holds this data set; raises GazeError if it holds anything else."""
    try:
        if not output.exists() or not any(output.iterdir()):
            return False
        note = output / OPTIONS_NAME
        if not note.exists():
            raise GazeError('it holds something else than drawn faces: choose another folder.', output)
        if json.loads(note.read_text(encoding='utf-8')) != dataclasses.asdict(options):
            raise GazeError(
                f'it was drawn with other options (see {OPTIONS_NAME} in it): choose another folder or delete it.',
                output,
            )
        if not all((output / name).exists() for name in ('0.txt', '1.txt', celebagaze.TRUTH)):
            raise GazeError('drawing it was interrupted: delete it.', output)
        return True
    except (OSError, ValueError) as error:
        raise GazeError(f'it cannot be read ({error}): choose another folder.', output) from error
