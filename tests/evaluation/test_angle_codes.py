"""What angle codes mean in degrees, on codes whose meaning is known."""

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.calibration import Calibration
from gaze_tf.cli.main import main
from gaze_tf.errors import GazeError
from gaze_tf.evaluation import angle_codes
from gaze_tf.inference.network import Network
from gaze_tf.models import degrees
from gaze_tf.models.gaze_model import GazeModel
from tests import rendered, tiny

RNG = np.random.default_rng(0)
DIRECTIONS = RNG.uniform(-25, 25, (300, 2))
PEOPLE = [f'p{n // 3}' for n in range(300)]


def codes(directions):
    """A turned and bent map of directions [N, 2], with noise."""
    bent = directions / 10 + 0.05 * (directions[:, ::-1] / 10) ** 2
    return bent @ [[2, -1], [0.5, 3]] + RNG.normal(0, 0.1, directions.shape)


def test_codes_tell_directions_and_directions_codes():
    found = angle_codes.fit(codes(DIRECTIONS), DIRECTIONS, PEOPLE, step=7)
    assert found.calibration.step == 7 and found.faces == 300
    assert (found.errors < 0.6).all() and (found.r2 > 0.99).all()
    # nine tenths of the faces are within its reach
    assert found.calibration.reach == pytest.approx(np.percentile(np.hypot(*DIRECTIONS.T), 90), abs=1)
    new = RNG.uniform(-15, 15, (50, 2))
    np.testing.assert_allclose(degrees.to_degrees(found.calibration, codes(new)), new, atol=2)
    offsets = degrees.to_offset(found.calibration, new)
    np.testing.assert_allclose(offsets, codes(new), atol=0.5)
    np.testing.assert_array_equal(degrees.to_offset(found.calibration, np.zeros([1, 2])), [[0, 0]])


def test_directions_out_of_reach_are_drawn_in():
    calibration = angle_codes.fit(codes(DIRECTIONS), DIRECTIONS, PEOPLE).calibration
    far, near = (np.array([[share * 0.6, share * 0.8]]) for share in (80.0, calibration.reach))
    np.testing.assert_allclose(degrees.to_offset(calibration, far), degrees.to_offset(calibration, near))


def test_the_error_is_of_people_it_was_not_fitted_to():
    """A code that tells nothing but who it is can be fitted, but is of no use."""
    few = [f'p{n % 8}' for n in range(300)]
    rng = np.random.default_rng(1)
    own, looks = rng.normal(size=(8, 2)), rng.normal(0, 10, (8, 2))
    which = np.arange(300) % 8
    # nine terms fit eight people exactly, as long as none of them is left out
    with pytest.raises(GazeError, match='does not tell both angles'):
        angle_codes.fit(own[which], looks[which], few)
    # each face as a person of its own: the others are the same faces
    assert angle_codes.fit(own[which], looks[which], [f'{n}' for n in range(300)]).errors.max() < 1e-3


def test_a_code_that_tells_nothing_is_refused():
    with pytest.raises(GazeError, match='does not tell both angles'):
        angle_codes.fit(np.zeros([300, 2]), DIRECTIONS, PEOPLE)


def test_faces_of_too_few_people_are_refused():
    with pytest.raises(GazeError, match='50 faces of 5 people with known directions; there are 300 of 4'):
        angle_codes.fit(codes(DIRECTIONS), DIRECTIONS, [f'p{n % 4}' for n in range(300)])


def test_a_code_that_tells_one_angle_only_is_refused():
    offsets = codes(DIRECTIONS * (1, 0))
    with pytest.raises(
        GazeError, match=r'(9\d|100)% of the variance of yaw and -?\d% of that of pitch.*`gaze_free_content`'
    ):
        angle_codes.fit(offsets, DIRECTIONS, PEOPLE)


def test_a_model_looks_where_it_is_told():
    """Codes of the painted eyes are those of the corrected ones and the offset of the direction."""
    tf.keras.utils.set_random_seed(2)
    model = GazeModel(tiny.MODEL, discriminators=False)
    tiny.randomize(model.trainable_variables, 2, scale=0.1)
    coefficients = tuple(np.r_[np.eye(2).ravel() / 5, np.zeros(14)].tolist())
    model.calibration = Calibration(reach=20.0, to_code=coefficients, to_degrees=coefficients)
    batch = tiny.batch(0)
    images = np.uint8(np.round((batch.image.numpy() + 1) * 127.5))
    network = Network.of(model, 'here')
    assert network.reach == 20
    wanted = np.array([[[0, 0], [10, -5], [60, 80]]] * 2, np.float32)
    found = network.look(images, batch.eyes.numpy(), wanted)
    faces = model.look(images / np.float32(127.5) - 1, batch.eyes)
    corrected, canvas = model.correct(faces), model.canvas(faces)
    for frames, offset in zip(np.moveaxis(found, 1, 0), ([0, 0], [2, -1], [2.4, 3.2])):
        angle = model.angle(corrected) + np.float32([offset])
        eyes = model.g_y.paint(canvas.encoded, faces.boxes, angle, corrected.content)
        expected = (images / np.float32(127.5) - 1) * (1 - faces.mask) + eyes
        assert tiny.same_pixels(frames, np.round((np.clip(expected, -1, 1) + 1) * 127.5))
    # and tells where eyes look by the same code
    told = (model.angle(faces) - model.angle(corrected)) / 5
    np.testing.assert_allclose(network.direction(images, batch.eyes.numpy()), told, atol=1e-4)


@pytest.mark.trains
def test_the_command_calibrates_a_run_and_its_exports(gan_dir, rendered_dir, tmp_path, monkeypatch, capsys):
    run = tmp_path / 'run'
    run.mkdir()
    for path in gan_dir.iterdir():
        if path.is_file():
            (run / path.name).write_bytes(path.read_bytes())
    command = ['calibrate', *tiny.arguments(checkpoint=run, data=rendered_dir, test_y=rendered.HELD_OUT['y'])]
    assert main(command) == 1
    assert 'at least 50 faces' in capsys.readouterr().err and not (run / 'calibration.json').exists()
    # with more faces than this data set has
    monkeypatch.setattr(angle_codes, 'measure', lambda *args: (codes(DIRECTIONS), DIRECTIONS, PEOPLE))
    assert main(command) == 0
    assert 'fitted to 300 faces' in capsys.readouterr().out
    with tiny.bare_exports('correct', 'animate', 'look', 'direction'):
        assert main(['export', *tiny.arguments(checkpoint=run, output_dir=tmp_path / 'model')]) == 0
    found = config.load(tmp_path / 'model' / '1' / 'config.json')['calibration']
    assert found.step == 6 and found.reach > 20
    batch = tiny.batch(0)
    frames = Network(tmp_path / 'model').look(np.zeros([2, 32, 32, 3], np.uint8), batch.eyes, np.zeros([2, 1, 2]))
    assert frames.shape == (2, 1, 32, 32, 3)
    # weights that were trained further need another one
    text = (run / 'calibration.json').read_text()
    (run / 'calibration.json').write_text(text.replace('"step": 6', '"step": 4'))
    with tiny.bare_exports('correct'):
        assert main(['export', *tiny.arguments(checkpoint=run, output_dir=tmp_path / 'later')]) == 0
    assert 'run `gaze-tf calibrate` again' in capsys.readouterr().err
    assert 'calibration' not in config.load(tmp_path / 'later' / '1' / 'config.json')


def test_data_without_truth_is_refused(gan_dir, faces_dir, capsys):
    assert main(['calibrate', *tiny.arguments(checkpoint=gan_dir, data=faces_dir, test_y=2)]) == 1
    assert 'has no truth.csv, which says where eyes look' in capsys.readouterr().err
