"""The training demo: its stages are good command lines, and what it draws and says is what they left."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli import main as cli
from gaze_tf.config import ModelConfig, save
from gaze_tf.evaluation.measured import measure
from gaze_tf.evaluation.painted import Tools
from tests import rendered
from tools import demo_grid, training_demo

SIZE, SHOWN = 64, 3
FACE, EYE = 96, 3 * (15 + 8)  # in the picture: sides of a face and of an eye with its margin, in pixels


@pytest.fixture
def out(tmp_path, rendered_dir):
    """A demo folder as the stages leave it, with twins as the corrected faces."""
    (tmp_path / 'faces').symlink_to(rendered_dir)
    (tmp_path / 'corrected').symlink_to(rendered_dir / 'twins')
    for name in ('gaze', 'report'):
        (tmp_path / name).mkdir()
    save(tmp_path / 'gaze' / 'config.json', model=ModelConfig(img_size=SIZE, crop_w=15, crop_h=9, crop_px=16))
    samples = rendered.samples(rendered_dir)
    oracle = rendered.Oracle(samples)
    results = measure(rendered.Perfect(samples), samples, Tools(estimator=oracle)).results()
    (tmp_path / 'report' / 'report.json').write_text(
        json.dumps({'results': results, 'estimator': {'own_error': oracle.error}})
    )
    return tmp_path


def test_every_stage_is_a_good_command_line(tmp_path):
    commands = [command for _, command in training_demo.stages(tmp_path)]
    assert all(command[0] == sys.executable for command in commands)
    for module, *command in (command[2:] for command in commands):
        assert module == 'gaze_tf.cli.main'
        assert cli.parse(command[0], command[1:])[1] is not None


def test_the_picture_shows_the_last_faces(out, rendered_dir):
    picture = np.array(demo_grid.draw(out, SHOWN))
    width = FACE + EYE + 8
    assert picture.shape == (24 + SHOWN * FACE, 4 * width, 3)
    before, masked, corrected, twin = (
        picture[24:, column * width : (column + 1) * width].astype(int) for column in range(4)
    )
    np.testing.assert_array_equal(corrected, twin)
    assert np.abs(before - twin).max() > 40
    names = sorted(path.stem for path in (rendered_dir / 'twins').iterdir())[-SHOWN:]
    for row, name in enumerate(names):
        with Image.open(rendered_dir / '0' / f'{name}.jpg') as image:
            face = image.resize([FACE] * 2, Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(before[row * FACE : (row + 1) * FACE, :FACE], np.array(face))
        # the enlarged eye: grey but for its margin
        eye = masked[row * FACE + 2 :, FACE + 2 :][: 3 * (9 + 8), :EYE]
        assert (eye[20:-20, 20:-20] == 128).all() and (eye[:6] != 128).any()


def test_a_run_ends_with_what_was_measured(out, monkeypatch, capsys):
    (out / 'saved_model' / '1').mkdir(parents=True)
    monkeypatch.setattr(training_demo, 'SHOWN', SHOWN)
    monkeypatch.setattr(
        training_demo, 'stages', lambda _: [('Nothing', [sys.executable, '-c', 'import time; time.sleep(0.1)'])]
    )
    assert training_demo.run(out) == 0
    printed = capsys.readouterr().out
    assert (
        '[1/1] Nothing' in printed and 'On the 8 held-out faces' in printed and f'{out}/report/index.html ' in printed
    )
    assert 'corrected 0.0; nearer to it on 100% of the faces' in printed and '(1: always in order): 1.00' in printed
    timing = json.loads((out / 'timing.json').read_text())
    assert 0 < timing['seconds']['Nothing'] == timing['total_seconds'] and timing['peak_memory_gb'] > 0
    assert (out / 'grid.png').is_file() and not (out / 'saved_model').exists()


def test_a_stage_that_fails_ends_the_run(out, monkeypatch, capsys):
    monkeypatch.setattr(
        training_demo,
        'stages',
        lambda _: [
            ('Failing', [sys.executable, '-c', 'import sys; sys.exit(3)']),
            ('Nothing', [sys.executable, '-c', '']),
        ],
    )
    assert training_demo.run(out) == 3
    assert 'stage 1 (Failing)' in capsys.readouterr().err and not (out / 'timing.json').exists()
