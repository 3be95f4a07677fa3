"""python -m gaze_tf.synthetic.faces --output_dir=runs/faces --num_x=200 --num_y=100

Renders synthetic face photos for learning gaze correction: domain X looks at the camera (within 3 degrees),
domain Y elsewhere (10 to 35 degrees away, in any direction). Writes

    <output_dir>/1/<name>.jpg, 1.txt    domain X
    <output_dir>/0/<name>.jpg, 0.txt    domain Y
    <output_dir>/twins/<name>.png       each test image of Y, all the same but looking at the camera
    <output_dir>/truth.csv              what was drawn, one row an image
    <output_dir>/options.json           the flags it was made with

Rows of 1.txt and 0.txt are `name left_x left_y right_x right_y`: the middles of the two eye openings (left:
the one at smaller x) in integer pixels. The last --test_x and --test_y rows are the test split, whose
identities do not occur in training. In truth.csv yaw is positive for a gaze towards larger image x and
pitch is positive upwards, in degrees and in the frame of the head (which is rolled by a few degrees at most);
positions of the irises are in pixels, pixel i having its centre at i. The same flags give the same bytes,
whatever --workers.
"""

import os

# The workers share the cores already; this must be set before numpy is first loaded.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import csv
import dataclasses
import json
import multiprocessing
import signal
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image
from tqdm import tqdm

from gaze_tf.synthetic import renderer as face_renderer

X_LIMIT = 3.0  # greatest angle between gaze and camera axis in domain X, degrees
Y_RANGE = (10.0, 35.0)  # the same in domain Y
IMAGES_PER_IDENTITY = 4
FOLDERS = {'X': '1', 'Y': '0'}
COLUMNS = (
    'domain',
    'name',
    'split',
    'identity',
    'yaw_deg',
    'pitch_deg',
    'left_iris_x',
    'left_iris_y',
    'right_iris_x',
    'right_iris_y',
    'iris_radius',
    'twin',
    'twin_left_iris_x',
    'twin_left_iris_y',
    'twin_right_iris_x',
    'twin_right_iris_y',
)
OPTIONS = ('img_size', 'num_x', 'num_y', 'test_x', 'test_y', 'seed')


class BadInput(Exception):
    """What a user can put right; its text is one sentence."""


def sample_gaze(rng, domain):
    """Yaw and pitch in degrees: X uniform over a disc around the camera, Y uniform in angle and direction."""
    if domain == 'X':
        angle = X_LIMIT * np.sqrt(rng.uniform())
    else:
        angle = rng.uniform(*Y_RANGE)
    angle, around = np.radians(angle), rng.uniform(0, 2 * np.pi)
    pitch = np.degrees(np.arcsin(np.sin(angle) * np.sin(around)))
    yaw = np.degrees(np.arctan2(np.sin(angle) * np.cos(around), np.cos(angle)))
    return float(yaw), float(pitch)


def sample_image(seed, domain, index, identity):
    """Identity, View and JPEG quality of image `index` of a domain (test images count on from training)."""
    rng = np.random.default_rng((seed, ord(domain), index))
    person = face_renderer.Identity.sample(np.random.default_rng((seed, 0, identity)))
    yaw, pitch = sample_gaze(rng, domain)
    return person, face_renderer.View.sample(rng, yaw, pitch), int(rng.integers(85, 98))


def plan(options):
    """[(domain, index, split, identity)] of all images, about IMAGES_PER_IDENTITY an identity."""
    jobs, first = [], 0
    for split in ('train', 'test'):
        counts = [options[('num_' if split == 'train' else 'test_') + domain] for domain in 'xy']
        people = -(-sum(counts) // IMAGES_PER_IDENTITY)
        order = np.random.default_rng((options['seed'], 1, first)).permutation(sum(counts)) % max(people, 1)
        starts = (0, 0) if split == 'train' else (options['num_x'], options['num_y'])
        places = [
            (domain, start + i, split) for domain, start, count in zip('XY', starts, counts) for i in range(count)
        ]
        jobs += [place + (first + int(person),) for place, person in zip(places, order)]
        first += people
    return jobs


def _iris_fields(info):
    return [f'{value:.3f}' for value in info['iris'].ravel()]


def draw(task):
    """Renders a job of `plan` to its file; task is (output_dir, options, job). Returns both rows."""
    output_dir, options, (domain, index, split, identity) = task
    person, view, quality = sample_image(options['seed'], domain, index, identity)
    name = f'{domain.lower()}{index:06d}'
    image, info = face_renderer.render(person, view, options['img_size'])
    Image.fromarray(image).save(Path(output_dir, FOLDERS[domain], name + '.jpg'), quality=quality)
    twin = ['', '', '', '', '']
    if (domain, split) == ('Y', 'test'):
        at_camera = dataclasses.replace(view, yaw=0.0, pitch=0.0)
        image, twin_info = face_renderer.render(person, at_camera, options['img_size'])
        Image.fromarray(image).save(Path(output_dir, 'twins', name + '.png'), compress_level=3)
        twin = [f'twins/{name}.png'] + _iris_fields(twin_info)
    label = ' '.join([name] + [str(value) for value in info['eyes'].ravel()])
    truth = [
        domain,
        name,
        split,
        identity,
        f'{view.yaw:.4f}',
        f'{view.pitch:.4f}',
        *_iris_fields(info),
        f'{info["iris_radius"]:.3f}',
        *twin,
    ]
    return label, truth


def _write(path, text):
    """Writes a file so that it is there whole or not at all."""
    unfinished = path.with_name(path.name + '.tmp')
    unfinished.write_text(text)
    os.replace(unfinished, path)


def prepare(output_dir, options):
    """True if the data set is still to be made; raises BadInput if the folder holds anything else."""
    note = output_dir / 'options.json'
    try:
        if not note.exists():
            if output_dir.exists() and any(output_dir.iterdir()):
                raise BadInput(
                    f'{output_dir} is not empty and holds no data set of this tool; choose another --output_dir.'
                )
            output_dir.mkdir(parents=True, exist_ok=True)
            _write(note, json.dumps(options, indent=1) + '\n')
        elif json.loads(note.read_text()) != options:
            raise BadInput(
                f'{output_dir} was made with other options (see options.json in it); '
                'choose another --output_dir or delete it.'
            )
        elif all((output_dir / name).exists() for name in ('0.txt', '1.txt', 'truth.csv')):
            return False
        for folder in ('0', '1', 'twins'):
            (output_dir / folder).mkdir(exist_ok=True)
    except (OSError, ValueError) as error:
        raise BadInput(f'{output_dir} cannot be used: {error}.') from error
    return True


def generate(output_dir, options, workers=None):
    """Makes the data set; options has the keys OPTIONS. Returns False if it was there already."""
    output_dir = Path(output_dir)
    if not prepare(output_dir, options):
        return False
    jobs = plan(options)
    tasks = [(str(output_dir), options, job) for job in jobs]
    # Control-C is for this process alone; leaving the block ends the workers.
    with multiprocessing.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        results = list(tqdm(pool.imap(draw, tasks, chunksize=4), total=len(tasks), unit='image'))
    for domain, folder in FOLDERS.items():
        # jobs go by split, training first, so the test rows come last
        rows = [label for label, truth in results if truth[0] == domain]
        _write(output_dir / (folder + '.txt'), ''.join(row + '\n' for row in rows))
    unfinished = output_dir / 'truth.csv.tmp'
    with unfinished.open('w', newline='') as file:
        csv.writer(file).writerows([COLUMNS] + [truth for _, truth in results])
    os.replace(unfinished, output_dir / 'truth.csv')
    return True


def check(options, workers):
    if options['img_size'] < 32 or options['img_size'] % 8:
        raise BadInput(f'--img_size must be a multiple of 8 and at least 32, not {options["img_size"]}.')
    for name in OPTIONS[1:]:
        if options[name] < 0:
            raise BadInput(f'--{name} must be 0 or greater, not {options[name]}.')
    if workers is not None and workers < 1:
        raise BadInput(f'--workers must be 1 or greater, not {workers}.')


def define_flags():
    """Not at import, so that importing this module cannot clash with the flags of another."""
    flags.DEFINE_string('output_dir', None, 'Folder to write to; made where missing.', required=True)
    flags.DEFINE_integer('img_size', 256, 'Side of the images in pixels, a multiple of 8, at least 32.')
    flags.DEFINE_integer('num_x', 5000, 'Number of training images that look at the camera (domain X).')
    flags.DEFINE_integer('num_y', 1500, 'Number of training images that look elsewhere (domain Y).')
    flags.DEFINE_integer('test_x', 100, 'Number of test images of domain X, the last rows of 1.txt.')
    flags.DEFINE_integer('test_y', 300, 'Number of test images of domain Y, the last rows of 0.txt.')
    flags.DEFINE_integer('seed', 0, 'Seed of all that is random, 0 or greater.')
    flags.DEFINE_integer('workers', None, 'Number of processes that render; by default one a CPU core.')


def main(argv):
    try:
        if len(argv) > 1:
            raise BadInput(f'There is no use for the argument {argv[1]!r}.')
        options = {name: getattr(flags.FLAGS, name) for name in OPTIONS}
        check(options, flags.FLAGS.workers)
        if generate(flags.FLAGS.output_dir, options, flags.FLAGS.workers):
            print(f'Wrote the data set to {flags.FLAGS.output_dir}.')
        else:
            print(f'{flags.FLAGS.output_dir} already holds this data set; nothing to do.')
    except BadInput as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit('Interrupted; the data set is not finished.')


if __name__ == '__main__':
    define_flags()
    app.run(main)
