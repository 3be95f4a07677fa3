"""Weights keep their meaning: what an earlier version wrote loads in this one and computes the same."""

import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.export import export
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import tiny
from tests.paths import DATA

# one archive for each version that changed what is written; none is ever changed or removed
ARCHIVES = sorted((DATA).glob('model_*.zip'))


@pytest.fixture(scope='module', params=ARCHIVES, ids=lambda path: path.stem)
def earlier(request, tmp_path_factory):
    """(folder with gaze/, pam/ and saved_model/, what that version computed)."""
    folder = tmp_path_factory.mktemp(request.param.stem)
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(folder)
    with np.load(folder / 'expected.npz') as file:
        return folder, {name: file[name] for name in file.files}


def test_there_is_an_earlier_version():
    assert 'model_0.1' in [path.stem for path in ARCHIVES]


def test_checkpoint(earlier):
    folder, expected = earlier
    model = export.load_model(folder / 'gaze')
    faces = model.look(tf.constant(expected['images'] / np.float32(127.5) - 1), tf.constant(expected['eyes']))
    np.testing.assert_allclose(faces.content, expected['content'], atol=1e-4)
    np.testing.assert_allclose(model.angle(faces), expected['angle'], atol=1e-4)
    corrected, canvas = model.correct(faces), model.canvas(faces)
    assert tiny.same_pixels((corrected.image.numpy() + 1) * 127.5 + 0.5, expected['corrected'])
    for k in range(expected['alphas'].shape[1]):
        frame = model.interpolate(canvas, corrected, tf.constant(expected['alphas'][:, k : k + 1])).image
        assert tiny.same_pixels((frame.numpy() + 1) * 127.5 + 0.5, expected['frames'][:, k])


def test_saved_model(earlier):
    folder, expected = earlier
    signatures = tf.saved_model.load(str(folder / 'saved_model')).signatures
    given = {name: tf.constant(expected[name]) for name in ('images', 'eyes', 'alphas')}
    assert tiny.same_pixels(signatures['animate'](**given)['frames'], expected['frames'])
    del given['alphas']
    assert tiny.same_pixels(signatures['correct'](**given)['images'], expected['corrected'])


def test_saved_model_in_a_command(earlier, tmp_path):
    folder, expected = earlier
    Image.fromarray(expected['images'][0]).save(tmp_path / 'face.png')
    eyes = ','.join(f'{value:g}' for value in expected['eyes'][0])
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model=folder / 'saved_model',
                    input=tmp_path / 'face.png',
                    eyes=eyes,
                    blend='hard',
                    output=tmp_path / 'out.png',
                ),
            ]
        )
        == 0
    )
    assert tiny.same_pixels(Image.open(tmp_path / 'out.png'), expected['corrected'][0])


@pytest.mark.parametrize(
    'run, group, make',
    [
        ('gaze', 'model', lambda model: GanStep(model, config.GanConfig(lam_p=0))),
        ('pam', 'encoder', lambda encoder: PamStep(encoder, config.PamConfig())),
    ],
)
def test_training_can_go_on(earlier, run, group, make):
    # nothing missing and nothing left over, optimizers included
    folder, _ = earlier
    stage = make(checkpoints.read_config(folder / run, group))
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    manager = checkpoints.manager(folder / run, step, stage.checkpoint, keep=1)
    checkpoints.restore_all(manager.checkpoint, manager.latest_checkpoint)
    assert int(step) > 0
