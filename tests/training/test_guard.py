"""The guard: a miniature of the benchmark, from rendering to the report, that fails when correction stops working.

It does not test whether painted eyes are good: its model is too small and hardly trained. Its bounds lie between the
figures of untouched code, most of them with two other seeds (of faces and training at once), and those of sabotaged
code, which are beside them. No measure is enough alone: to the estimator, eyes that were wiped out look at the camera,
and only their colors give them away. It does not test the angle encoder, or animations between their ends: in so few
steps G_y hardly learns to use the angle code, and the rank correlation of alpha and gaze is 0.1 to 0.3.
"""

import json
import pathlib
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.inference.network import Network
from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic.draw_options import DrawOptions
from tests import tiny
from tests.paths import ROOT

ESTIMATOR = ROOT / 'gaze_tf/evaluation/gaze_estimator.npz'
# With this seed the figures hardly depend on rounding. With others, the last one does: in so few steps G_y may not yet
# follow G_x. It was 0.16 to 0.8 with eight seeds, and with seed 0 between 0.20 and 0.35 for learning rates that differ
# by less than a thousandth.
SEED = 3
# of fewer pixels the estimator cannot tell the gaze
SIZE, WIDTH, HEIGHT = 48, 12, 8
FACES = {'img_size': SIZE, 'num_x': 400, 'num_y': 250, 'test_x': 30, 'test_y': 50, 'seed': SEED}
SPLIT = {'test_x': FACES['test_x'], 'test_y': FACES['test_y']}
ENCODER = {
    'img_size': SIZE,
    'crop_w': WIDTH,
    'crop_h': HEIGHT,
    'crop_px': 16,
    'code_size': 16,
    'ngf': 4,
    'n_layers_r': 2,
}
MODEL = {'palette': 6, 'ndf': 4, 'nef': 8, 'n_layers_g': 4, 'n_layers_d': 2, 'n_layers_e': 2}
# checkpoints and pictures at the end only: both take time
RUN = {'save_every': 10_000, 'image_every': 10_000, 'xla': 'off', 'seed': SEED}
PRETRAIN = {'steps': 150, 'batch_size': 8, 'lr_r': 2e-3, **RUN}
# as in the benchmark's preset, reconstruction weighs more than in the paper; generators learn faster still
TRAIN = {
    'steps': 350,
    'batch_size': 4,
    'lr_d': 2e-4,
    'lr_g': 5e-3,
    'decay_start': 175,
    'decay_every': 10,
    'lam_p': 0,
    'lam_r': 100,
    'log_every': 50,
    **RUN,
}


pytestmark = pytest.mark.trains


class Guard(NamedTuple):
    """The raw folder of faces, the exported model and the results in its report."""

    faces: pathlib.Path
    model: pathlib.Path
    results: dict


@pytest.fixture(scope='module')
def guard(tmp_path_factory):
    root = tmp_path_factory.mktemp('guard')
    faces, model, report = root / 'faces', root / 'model', root / 'report'
    assert synthetic_faces.generate(faces, DrawOptions(**FACES), workers=1)
    for command, options in (
        ('prepare', {'data_dir': faces, 'output_dir': root / 'records', 'img_size': SIZE, **SPLIT}),
        ('pretrain', {'data_dir': root / 'records', 'output_dir': root / 'pam', **ENCODER, **PRETRAIN}),
        (
            'train',
            {
                'data_dir': root / 'records',
                'pam_checkpoint': root / 'pam',
                'output_dir': root / 'gaze',
                **MODEL,
                **TRAIN,
            },
        ),
        ('export', {'checkpoint': root / 'gaze', 'output_dir': model}),
        ('evaluate', {'model': model, 'data': faces, 'gaze_estimator': ESTIMATOR, 'output': report, **SPLIT}),
    ):
        # the report and the tests use no other signatures
        with tiny.bare_exports('correct', 'animate', 'encode'):
            assert main([command, *tiny.arguments(**options)]) == 0
    return Guard(faces, model, json.loads((report / 'report.json').read_text(encoding='utf-8'))['results'])


@pytest.fixture(scope='module')
def faces(guard):
    """domain → (images [N, S, S, 3], centres of the eyes [N, 4]) of all its faces, those held out last."""
    found = {}
    for domain, folder in (('x', '1'), ('y', '0')):
        rows = [line.split() for line in (guard.faces / f'{folder}.txt').read_text().splitlines()]
        found[domain] = (
            np.stack([read(guard.faces / folder / f'{row[0]}.jpg') for row in rows]),
            np.array([row[1:] for row in rows], int),
        )
    return found


def read(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def in_boxes(images, centres):
    """The eye boxes [N, 2, H, W, 3] of images whose eyes have these centres (left_x, left_y, right_x, right_y)."""
    corners = np.reshape(centres, (-1, 2, 2)) - (WIDTH // 2, HEIGHT // 2)
    return np.array(
        [[image[y : y + HEIGHT, x : x + WIDTH] for x, y in own] for image, own in zip(images, corners)], float
    )


def l1(a, b):
    return np.abs(a - b).mean()


def to_mean_colour(eyes):
    """L1 of eye boxes to boxes of their own mean colours, which a painter could only know from the eyes themselves."""
    return l1(eyes, eyes.mean((2, 3), keepdims=True))


def test_gazes_are_corrected(guard):
    found = guard.results['gaze']
    # else pictures of this size would say nothing
    assert found['twin']['mean'] < 5 < 15 < found['before']['mean']
    # 0.27 and 0.29, 1 and 0.98; of untrained weights 0.79 and 0.68, where G_x is never updated 0.60 and 0.84
    assert found['ratio'] < 0.5 and found['smaller'] > 0.85


def test_held_out_eyes_are_given_back(guard, faces):
    found = {domain: guard.results['reconstruction'][domain]['l1_boxes']['mean'] for domain in 'xy'}
    for domain, held_out in (('x', FACES['test_x']), ('y', FACES['test_y'])):
        eyes = in_boxes(*faces[domain])
        # all faces with the mean eyes of those that were trained on; 0.35 to 0.36 of X, of untrained weights 0.56
        assert found[domain] < 0.5 * l1(eyes[-held_out:], eyes[:-held_out].mean(0))
    # 0.61 and 0.63, of untrained weights 0.96
    assert found['x'] < 0.8 * to_mean_colour(in_boxes(*faces['x'])[-FACES['test_x'] :])


def test_corrected_eyes_are_those_of_the_person_at_the_camera(guard, faces):
    """What this small model paints is blurred, so that in L1 even eyes that look away are as near to the sharp twin."""
    images, centres = faces['y']
    twins = np.stack([read(path) for path in sorted((guard.faces / 'twins').iterdir())])
    twins = in_boxes(twins, centres[-FACES['test_y'] :])
    found = guard.results['twin']
    assert found['l1_twin_untouched']['mean'] == pytest.approx(l1(twins, in_boxes(images, centres)[-FACES['test_y'] :]))
    # 0.65 and 0.69, of untrained weights 0.97
    assert found['l1_twin']['mean'] < 0.8 * to_mean_colour(twins)
    # 4.4 and 5.9, of untrained weights 16.5; the pictures at the camera have 7.0 and 7.9 at this size
    assert guard.results['identity']['iris_de']['mean'] < 9


def test_animations_end_at_the_correction(guard, faces):
    """Synthesis-As-Training: at alpha 1 G_y paints what G_x paints, and not what it has learnt to give back."""
    images, centres = (values[-FACES['test_y'] :] for values in faces['y'])
    network = Network(guard.model)
    corrected, at_1 = network.correct(images, centres), network.animate(images, centres, [1.0])[:, 0]
    own, corrected, at_1 = (in_boxes(pictures, centres) for pictures in (images, corrected, at_1))
    # 0.16 to 0.18 in three runs with this seed; 0.46 where G_y was taught the input instead of the correction
    assert l1(at_1, corrected) < 0.35 * l1(at_1, own)


def test_nothing_changes_outside_the_eyes(guard):
    assert guard.results['containment']['changed_outside'] == 0
