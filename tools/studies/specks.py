"""python -m tools.studies.specks --checkpoint=runs/benchmark/short/seed-0/gaze --data=runs/benchmark/faces

Measures the colored specks in painted pupils (docs/benchmark.md, "Specks"). It corrects held-out faces of a folder of
gaze_tf/synthetic/faces.py with the model of a `gaze-tf train` run and prints

    specks          how far the most off-colored pixel of a pupil is from all shades between black or gray and the true
                    iris color, in levels of red minus green and of blue minus both; a mean over all pupils
    moved by 1, 2   correlation of the pupils' off colors with those of the same faces moved right by so many pixels:
                    1 where specks belong to the eye; lower for 1 than for 2 where they belong to every other column of
                    the image
"""

import os
import sys

# before TensorFlow is imported: its start-up chatter buries the table
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
from absl import app, flags

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.samples import Samples
from gaze_tf.export import painting
from gaze_tf.export.export import load_model

PUPIL, IRIS = 0.5, (0.55, 0.85)  # of the iris' radius


def hues(picture):
    """[..., 3] levels → [..., 2]: red less green, and blue less the mean of both; 0 for grays."""
    red, green, blue = np.moveaxis(np.asarray(picture, np.float64), -1, 0)
    return np.stack([red - green, blue - (red + green) / 2], axis=-1)


def off_hues(picture, twin, centers, radius):
    """Of both pupils [n, 2]: the hue of each pixel less the nearest one between gray and the iris of the twin.

    picture, twin: uint8 [S, S, 3]; centers [2, 2]: (x, y) of the irises, pixels counted from their centers; radius:
    pixels.
    """
    rows, columns = np.mgrid[: len(picture), : len(picture)]
    found = []
    for x, y in centers:
        far = np.hypot(columns - x, rows - y) / radius
        iris = np.median(hues(twin[(far > IRIS[0]) & (far < IRIS[1])]), axis=0)
        own = hues(picture[far < PUPIL])
        share = np.clip(own @ iris / max(iris @ iris, 1e-9), 0, 1)
        found.append(own - share[:, None] * iris)
    return found


def measure(model, samples):
    """(specks, correlation moved by 1, by 2) of what a GazeModel makes of Samples that have twins."""
    images, eyes = np.stack([sample.image for sample in samples]), np.stack([sample.eyes for sample in samples])
    still, *moved = (
        np.roll(painting.correct(model, np.roll(images, by, axis=2), eyes + np.float32([by, 0, by, 0])), -by, axis=2)
        for by in (0, 1, 2)
    )
    off, *others = (
        [
            own
            for sample, picture in zip(samples, pictures)
            for own in off_hues(picture, sample.twin, sample.truth.twin_iris, sample.truth.radius)
        ]
        for pictures in (still, *moved)
    )
    flat = np.ravel(np.concatenate(off))
    return specks(off), *(float(np.corrcoef(flat, np.ravel(np.concatenate(other)))[0, 1]) for other in others)


def specks(off):
    """The mean over pupils of the greatest length of their off_hues."""
    return float(np.mean([np.linalg.norm(own, axis=-1).max() for own in off]))


def run(checkpoint, data, count):
    """Prints the table; raises GazeError."""
    model = load_model(checkpoint)
    found = Samples(data, model.config.img_size, {'y': count}, frame_eyes=model.config.eye_shares)
    if not found.has_truth:
        raise GazeError(f'--data={data} has no truth.csv: give a folder of `gaze-tf draw-dataset`.')
    samples = found.read('y', found.names['y'])
    twins = [
        own
        for sample in samples
        for own in off_hues(sample.twin, sample.twin, sample.truth.twin_iris, sample.truth.radius)
    ]
    print(f'{"":24}  specks  moved by 1  by 2\n{"rendered at the camera":24}  {specks(twins):6.1f}')
    strength, by_one, by_two = measure(model, samples)
    print(f'{"corrected":24}  {strength:6.1f}  {by_one:10.2f}  {by_two:4.2f}')


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    try:
        run(flags.FLAGS.checkpoint, flags.FLAGS.data, flags.FLAGS.test_y)
    except GazeError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    flags.DEFINE_string('checkpoint', None, 'Folder of a `gaze-tf train` run.', required=True)
    flags.DEFINE_string('data', None, 'Folder of `gaze-tf draw-dataset`.', required=True)
    flags.DEFINE_integer('test_y', 100, 'Faces, the last rows of 0.txt; of each there must be a twin.', lower_bound=1)
    app.run(main)
