"""python -m tools.studies.gaze_targets --data=data/london --test_y=173

Tells eyes to look in 17 directions, up to 20 degrees from the camera, and measures where they then look, on a folder of
`gaze-tf turn-dataset`. Degrees come from iris offsets (`gaze_tf.evaluation.metrics.calibration`), of which those of the
same face at the camera are taken off. The same measure of the turned photos themselves, whose angles are known, says
how far it can be trusted.
"""

import os

# before TensorFlow is imported: its start-up chatter buries the table
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
from absl import app, flags
from scipy import stats
from tqdm import tqdm

from gaze_tf.evaluation.metrics import calibration, gaze_angles, iris_offset
from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.faces import eye_offsets
from gaze_tf.inference.network import Network

RADII = -20, -10, 0, 10, 20
LINES = 0, 45, 90, 135
TARGETS = (
    np.array(
        [[radius * np.cos(np.radians(line)), radius * np.sin(np.radians(line))] for line in LINES for radius in RADII]
    ).round(9)
    + 0.0
)
# the camera lies on all lines, and counts once
ONCE = np.sort(np.unique(TARGETS, axis=0, return_index=True)[1])


def seen(detector, picture, sample):
    """(offsets of both eyes [2, 2], the Face) in a picture of a sample; nan and None where no face is found."""
    face = iris_offset.face_at(detector, picture, sample.eyes_in_photo)
    found = face and eye_offsets(face)
    return (np.array(found), face) if found else (np.full((2, 2), np.nan), None)


def measure(network, detector, sample):
    """(offsets less the twin's: of the photo [2, 2] and of each target [T, 2, 2]; ΔE of the irises of each [T])."""
    frames = network.look(sample.image[None], sample.eyes[None], TARGETS[None])[0]
    boxes = network.boxes(sample.eyes)
    at_camera, _ = seen(detector, sample.whole_twin, sample)
    before, face = seen(detector, sample.whole, sample)
    offsets, colors = [], []
    for frame in frames:
        picture = sample.in_photo(frame, boxes)
        found, after = seen(detector, picture, sample)
        offsets.append(found - at_camera)
        faces = (face, after) if face and after else (None, None)
        colors += iris_offset.iris_difference([iris_offset.Sighting(faces, (sample.whole, picture))])
    return before - at_camera, np.array(offsets), np.array(colors)


def degrees(offsets, fits):
    """Offsets [..., 2] (along, up) → (yaw, pitch) in degrees."""
    slopes = [fits['along'].slope, fits['up'].slope]
    return np.degrees(np.arcsin(np.clip(offsets / slopes, -1, 1)))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    network, detector = Network(flags.FLAGS.model or None), make_detector()
    samples = Samples(flags.FLAGS.data, network.img_size, {'y': flags.FLAGS.test_y}, False, network.frame_eyes)
    told = [
        (sample.truth.gaze, *measure(network, detector, sample))
        for batch in samples.batches('y', 1)
        for sample in tqdm(batch, disable=None)
    ]
    truth, before, after, colors = (np.stack(part) for part in zip(*told))
    rows = [
        {
            'true_yaw': yaw,
            'true_pitch': pitch,
            'offset_along_to_twin_before': own[0],
            'offset_up_to_twin_before': own[1],
        }
        for (yaw, pitch), own in zip(truth, before.mean(1))
    ]
    report(truth, before, after, colors, calibration.fits(rows))


def report(truth, before, after, colors, fits):
    """Prints the figures of `measure` of all samples; fits: of `calibration.fits`."""
    reached, eyes = degrees(after.mean(2), fits), degrees(after, fits)
    errors = gaze_angles.between(reached, TARGETS)[:, ONCE]
    apart = gaze_angles.between(eyes[:, :, 0], eyes[:, :, 1])[:, ONCE]
    known = gaze_angles.between(degrees(before.mean(1), fits), truth)
    apart_known = gaze_angles.between(*np.moveaxis(degrees(before, fits), 1, 0))
    print(f'{len(truth)} faces; {np.isnan(errors).mean():.1%} of the pictures without a face')
    print(
        f'error: mean {np.nanmean(errors):.1f}, median {np.nanmedian(errors):.1f} degrees (of photos with known angles '
        f'{np.nanmean(known):.1f})'
    )
    print(f'both eyes apart: mean {np.nanmean(apart):.1f} degrees (of the photos {np.nanmean(apart_known):.1f})')
    print(f'iris color, to the photo: {np.nanmean(colors[:, ONCE]):.1f} delta E')
    for line, part in zip(LINES, np.split(reached, len(LINES), axis=1)):
        axis = np.array([np.cos(np.radians(line)), np.sin(np.radians(line))])
        ranks = [stats.spearmanr(RADII, own @ axis).statistic for own in part if not np.isnan(own).any()]
        print(f'along {line} degrees: rank correlation {np.mean(ranks):.3f}')
    print('told (yaw, pitch) → reached on average, error')
    for target, found, own in zip(TARGETS[ONCE], np.nanmean(reached, 0)[ONCE], np.nanmean(errors, 0)):
        print(f'{target[0]:6.1f} {target[1]:6.1f} → {found[0]:6.1f} {found[1]:6.1f}   {own:4.1f}')


if __name__ == '__main__':
    flags.DEFINE_string('data', None, 'Folder of gaze-tf turn-dataset.', required=True)
    flags.DEFINE_string('model', '', 'As of gaze-tf correct.')
    flags.DEFINE_integer('test_y', 173, 'Held-out faces: the last rows of 0.txt.', lower_bound=1)
    app.run(main)
