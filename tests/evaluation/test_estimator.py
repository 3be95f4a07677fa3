"""The gaze estimator on drawings of people it never saw."""

import functools
import hashlib
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.estimator import GazeEstimator
from gaze_tf.evaluation.metrics import gaze_angles
from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic import renderer as face_renderer
from tests.paths import ROOT
from tools import train_gaze_estimator

FILE = ROOT / 'gaze_tf/evaluation/gaze_estimator.npz'


@pytest.fixture(scope='module')
def estimator():
    return GazeEstimator.load()


@functools.cache
def render(count, size, seed, direction=None):
    """Faces as JPEGs, one of each person, with the gazes [count, 2]: all over the disc, or the one given."""
    images, eyes, gazes = [], [], []
    for index in range(count):
        # not a stream of tools/train_gaze_estimator.py, which has four numbers
        rng = np.random.default_rng((seed, 4242, index))
        person = face_renderer.Identity.sample(rng)
        angle, around = rng.uniform(0, 40), rng.uniform(0, 2 * np.pi)
        yaw, pitch = direction or (angle * np.cos(around), angle * np.sin(around))
        image, info = face_renderer.render(person, face_renderer.View.sample(rng, yaw, pitch), size)
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'jpeg', quality=int(rng.integers(85, 98)))
        images.append(np.array(Image.open(file)))
        eyes.append(info['eyes'].ravel())
        gazes.append((yaw, pitch))
    return np.stack(images), np.stack(eyes), np.array(gazes)


@pytest.fixture(scope='module')
def faces():
    return render(60, 128, seed=1)


@pytest.mark.parametrize('size, count', [(96, 30), (128, 60), (256, 20)])
def test_error_on_people_it_never_saw_is_below_two_degrees(estimator, size, count):
    images, eyes, gazes = render(count, size, seed=1)
    found = estimator(images, eyes)
    assert found.shape == (count, 2) and found.dtype == np.float32
    assert gaze_angles.between(found, gazes).mean() < 2


def test_its_own_error_is_in_the_file(estimator):
    assert estimator.error['mean'] < 2 and estimator.error['median'] <= estimator.error['p90'] < 4
    assert estimator.error['renderings'] >= 1000
    assert {'128 px', '30-40 degrees', 'left'} < set(estimator.error['groups'])
    assert all(group['mean'] < 2 for group in estimator.error['groups'].values())
    assert estimator.recipe['renderings'] > 1000
    assert estimator.fingerprint == hashlib.sha256(FILE.read_bytes()).hexdigest()


@pytest.mark.parametrize('yaw, pitch', [(0, 0), (20, 0), (-20, 0), (0, 20), (0, -20)])
def test_signs_are_those_of_the_renderer(estimator, yaw, pitch):
    images, eyes, _ = render(8, 128, seed=2, direction=(yaw, pitch))
    assert estimator(images, eyes).mean(0) == pytest.approx([yaw, pitch], abs=1.5)


def test_irises_that_were_moved_are_noticed(estimator):
    """Both eyes of faces that look at the camera replaced by those of the same faces 8 degrees aside."""
    at, eyes, _ = render(8, 128, seed=3, direction=(1e-9, 0))
    aside, _, _ = render(8, 128, seed=3, direction=(8, 0))
    pasted = at.copy()
    for image, other, centers in zip(pasted, aside, eyes.reshape(-1, 2, 2)):
        for x, y in centers:
            image[y - 10 : y + 10, x - 15 : x + 15] = other[y - 10 : y + 10, x - 15 : x + 15]
    moved = estimator(pasted, eyes) - estimator(at, eyes)
    assert (np.abs(moved - (8, 0)) < 3).all() and moved.mean(0) == pytest.approx([8, 0], abs=1)


def test_eyes_that_were_wiped_out_do_not_count_as_looking_at_the_camera(estimator, faces):
    images, eyes, _ = faces
    wiped = images.copy()
    for image, centers in zip(wiped, eyes.reshape(-1, 2, 2)):
        for x, y in centers:
            image[y - 10 : y + 10, x - 15 : x + 15] = image[y - 10 : y + 10, x - 15 : x + 15].mean((0, 1))
    assert gaze_angles.angle(estimator(wiped, eyes)).mean() > 8


@pytest.mark.parametrize(
    'alter, within',
    [
        (lambda box: ndimage.gaussian_filter(box, (1, 1, 0)), 2.2),
        (lambda box: box[..., ::-1], 2.2),
        (lambda box: 0.7 * box + 0.3 * box.mean(), 2),
        (lambda box: box.mean(-1, keepdims=True).repeat(3, -1), 2),
    ],
    ids=['blurred', 'red and blue swapped', 'low in contrast', 'grey'],
)
def test_eyes_of_other_colors_and_sharpness_are_read(estimator, faces, alter, within):
    images, eyes, gazes = faces
    altered_images = images.copy()
    for image, centers in zip(altered_images, eyes.reshape(-1, 2, 2)):
        for x, y in centers:
            image[y - 10 : y + 10, x - 15 : x + 15] = alter(image[y - 10 : y + 10, x - 15 : x + 15].astype(float))
    assert gaze_angles.between(estimator(altered_images, eyes), gazes).mean() < within


def test_mirrored_faces_look_to_the_other_side(estimator, faces):
    images, eyes, _ = faces
    mirrored = np.stack([127 - eyes[:, 2], eyes[:, 3], 127 - eyes[:, 0], eyes[:, 1]], 1)
    assert estimator(images[:, :, ::-1], mirrored) == pytest.approx(estimator(images, eyes) * (-1, 1), abs=0.01)


def test_eyes_labelled_a_pixel_aside_change_little(estimator, faces):
    images, eyes, gazes = faces
    found = estimator(images, eyes + (1, 0, 1, -1))
    assert gaze_angles.between(found, gazes).mean() < 2.5


def test_batches_of_any_number_give_the_same_and_compile_once(estimator, faces):
    images, eyes, _ = faces
    whole = estimator(images, eyes)
    parts = np.concatenate([estimator(images[:1], eyes[:1]), estimator(images[1:8], eyes[1:8])])
    assert parts == pytest.approx(whole[:8], abs=1e-3)
    assert estimator._estimate.experimental_get_tracing_count() == 1
    assert estimator(images[:0], eyes[:0]).shape == (0, 2)


def test_other_shapes_and_types_are_refused(estimator, faces):
    images, eyes, _ = faces
    for wrong in (images[0], images[:, :100], images[..., :1], images / 255):
        with pytest.raises(ValueError, match='Expected square uint8 images'):
            estimator(wrong, eyes)
    with pytest.raises(ValueError, match=r'Expected eyes \[60, 4\]'):
        estimator(images, eyes[:59])


def altered(path, **changes):
    """A copy of the estimator with other entries."""
    with np.load(FILE) as stored:
        np.savez(path, **{**stored, **changes})


def test_files_that_are_no_estimator_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / 'estimator.npz'

    def refusal():
        with pytest.raises(GazeError) as refused:
            GazeEstimator.load(path)
        assert re.fullmatch(
            rf'{path} cannot be used as a gaze estimator \([^\n]+\): '
            r'leave `gaze_estimator` out to use the one that comes with gaze_tf\.',
            str(refused.value),
        )
        return str(refused.value)

    assert 'No such file' in refusal()
    for content in (b'', b'no archive', FILE.read_bytes()[:5000], b'PK\x03\x04' + bytes(100)):
        path.write_bytes(content)
        refusal()
    np.savez(path, other=np.zeros(3))
    refusal()
    with path.open('wb') as file:
        np.save(file, np.zeros(3))
    refusal()
    altered(path, weight_0=np.zeros([3, 3, 3, 12]))
    refusal()
    altered(path, about='[]')
    refusal()
    with np.load(FILE) as stored:
        about = json.loads(str(stored['about']))
    altered(path, about=json.dumps({**about, 'format': 9}))
    assert 'it has format 9' in refusal()
    path.unlink()
    path.mkdir()
    assert 'Is a directory' in refusal()


def test_nobody_whom_it_knows_is_in_a_data_set():
    """Not for the data sets' seeds that numpy splits so that they come closest to the estimator's, either."""
    stream = train_gaze_estimator.STREAM
    seeds = [
        0,
        1,
        stream,
        *(high * 2**32 + low for high in (1, 2, stream) for low in (0, 1, stream)),
        (stream + 2**32) * 2**32,
        (stream + 2 * 2**32) * 2**32 + 1,
    ]
    theirs = {
        synthetic_faces.sample_image(seed, domain, 0, person)[0]
        for seed in seeds
        for person in range(4)
        for domain in 'XY'
    }
    ours = [
        train_gaze_estimator.sample(seed, part, index)[0]
        for seed in (0, 1, 2, stream)
        for part in (train_gaze_estimator.TRAINING, train_gaze_estimator.HELD_OUT)
        for index in range(4)
    ]
    assert len(theirs) == 4 * len(seeds) and len(set(ours)) == len(ours) == 32 and not theirs & set(ours)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp('trained') / 'new' / 'estimator.npz'
    run = train_tool(f'--output={path}', '--renderings=20', '--steps=3', '--held_out=10', '--workers=1')
    assert run.returncode == 0, run.stderr
    return path, run


def train_tool(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'tools.train_gaze_estimator', *arguments],
        cwd=ROOT,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
    )


@pytest.mark.trains
def test_the_tool_trains_measures_and_writes(trained):
    path, run = trained
    estimator = GazeEstimator.load(path)
    assert estimator.error['renderings'] == 30 and estimator.error['groups']['96 px']['renderings'] == 10
    assert f'{estimator.error["mean"]:.2f}' in run.stdout and str(path) in run.stdout
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_the_tool_says_in_one_line_what_it_cannot_use(tmp_path):
    (tmp_path / 'file').touch()
    run = train_tool(f'--output={tmp_path}/file/estimator.npz')
    assert run.returncode == 1 and run.stderr.count('\n') == 1 and '--output' in run.stderr
