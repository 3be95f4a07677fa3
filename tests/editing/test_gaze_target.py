"""Where eyes are told to look: directions and points of a picture, and paths."""

import numpy as np
import pytest

from gaze_tf.cli.main import main
from gaze_tf.compositing.align import align_face
from gaze_tf.editing import editor as editor_lib
from gaze_tf.editing import gaze_path
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.gaze_target import directions
from gaze_tf.editing.options import AnimationOptions, LookOptions
from gaze_tf.errors import GazeError
from tests import tiny
from tests.editing.scenes import LARGE, SCENE, SMALL, changed_at

IN_FRAME = 0.3, 0.4, 0.7, 0.4
LEVEL = align_face((100, 200, 160, 200), (400, 400), 64, IN_FRAME)
# the head leans by a quarter turn: in the frame, its eyes are level again
LEANING = align_face((100, 200, 100, 260), (400, 400), 64, IN_FRAME)


def test_without_a_wish_eyes_look_at_the_camera():
    assert directions(LookOptions(), [LEVEL], [(400, 400)]) is None


def test_directions_are_along_the_sides_of_the_picture():
    found = directions(LookOptions(look=(10, 4)), [LEVEL, LEANING], [(400, 400)] * 2)
    # of the leaning head, the picture's right is up and its top is left
    np.testing.assert_allclose(found, [[10, 4], [-4, 10]], atol=1e-9)


@pytest.mark.parametrize(
    'target, expected',
    [
        ((130, 200), (0, 0)),
        # half the picture's longer side away: arctan 1/2
        ((330, 200), (26.565, 0)),
        ((130, 0), (0, 26.565)),
        ((30, 300), (-14.036, -14.036)),
    ],
)
def test_a_point_is_seen_under_an_angle(target, expected):
    (found,) = directions(LookOptions(target=target), [LEVEL], [(400, 300)])
    np.testing.assert_allclose(found, expected, atol=1e-3)


class Looking(tiny.Painter):
    """Paints gray 100 + yaw left of the middle of the eyes, and 100 + pitch right of it; own eyes look to (20, -10)."""

    reach = 20.0

    def check_calibrated(self):
        return self.reach

    def direction(self, images, eyes):
        return np.tile([20.0, -10.0], [len(images), 1])

    def look(self, images, eyes, wanted):
        frames = np.repeat(images[:, None], wanted.shape[1], axis=1)
        for face, own, moved in zip(frames, eyes, wanted):
            for frame, values in zip(face, moved):
                for (x0, y0, x1, y1), value in zip(self.boxes(own), values):
                    frame[y0:y1, x0:x1] = 100 + value
        return frames


def at(image, face):
    return [tuple(image[int(y), int(x)]) for x, y in np.reshape(face.eyes, (2, 2))]


@pytest.mark.parametrize('alpha, expected', [(1, (110, 105)), (0.5, (115, 97)), ((1, 0.5), (110, 97))])
def test_eyes_are_painted_where_they_are_told_to_look(alpha, expected):
    """Half way is half way from where they look."""
    editor = GazeEditor(Looking(), detector=lambda rgb: [LARGE, SMALL])
    edited = editor.correct(SCENE, alpha=alpha, blend='hard', look=LookOptions(look=(10, 5)))
    assert changed_at(SCENE, edited.image) == [1, 1, 0, 0, 0, 0]
    for found, value in zip(at(edited.image, LARGE), expected):
        np.testing.assert_allclose(found, value, atol=1)


def test_an_eye_can_be_left_alone():
    editor = GazeEditor(Looking(), detector=lambda rgb: [LARGE])
    edited = editor.correct(SCENE, alpha=(0, 1), blend='hard', look=LookOptions(look=(10, 5)))
    assert changed_at(SCENE, edited.image)[:2] == [0, 1]


def test_eyes_follow_a_path():
    editor = GazeEditor(Looking(), detector=lambda rgb: [LARGE])
    frames, reports = editor.animate_along(SCENE, np.array([[0, 0], [12, 6], [0, 0]]), blend='hard')
    assert reports[0].done
    found = [[eye[0] for eye in at(frame, LARGE)] for frame in frames]
    np.testing.assert_allclose(found, [[100, 100], [112, 106], [100, 100]], atol=1)


def test_eyes_of_a_half_turned_head_follow_half_way():
    """Half way from where they look."""
    editor = GazeEditor(Looking(), detector=lambda rgb: [LARGE._replace(yaw=25.0)])
    frames, reports = editor.animate_along(SCENE, np.array([[0, 0], [10, 6]]), blend='hard')
    assert reports[0].strength == 0.5
    found = [[eye[0] for eye in at(frame, LARGE)] for frame in frames]
    np.testing.assert_allclose(found, [[110, 95], [115, 98]], atol=1)


def test_a_path_passes_its_points_in_time():
    path = gaze_path.parse('0,0,1; 10,-4,2; 10,8,4')
    found = gaze_path.directions(path, frames=11, fps=2, smooth=False)
    expected = [(0, 0), (5, -2), (10, -4), (10, -1), (10, 2), (10, 5), (10, 8)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    smooth = gaze_path.directions(path, frames=11, fps=4, smooth=True)
    # 3/4 of a quarter squared, less half of a quarter: slower at first
    assert smooth[1][0] == pytest.approx(10 * (3 * 0.25**2 - 2 * 0.25**3))


def test_a_circle_keeps_its_distance():
    found = np.array(gaze_path.directions(gaze_path.parse('circle,12'), frames=8, fps=10, smooth=True))
    np.testing.assert_allclose(np.hypot(*found.T), 12)
    np.testing.assert_allclose(found[[0, 2, 4]], [[12, 0], [0, 12], [-12, 0]], atol=1e-9)


@pytest.mark.parametrize(
    'path', ['0,0', '0,0,0', 'circle', 'circle,0', 'circle,x', '0,0,0;1,1,0', '0,0,1;1,1,0.5', '0,0,0;1,inf,1', 'x;y']
)
def test_what_is_no_path(path):
    with pytest.raises(GazeError, match=r'`path='):
        AnimationOptions(path=path)


def test_a_path_of_too_many_frames():
    with pytest.raises(GazeError, match='20001 frames'):
        gaze_path.directions(gaze_path.parse('0,0,0;1,1,2000'), frames=11, fps=10, smooth=False)


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--look=1'], '--look=1 must be two numbers'),
        (['--look=1,2', '--target=1,2'], '--look and --target both say'),
        (['--look=100,0'], '--look must be at most 90, not 100'),
        (['--target=nan,2'], '--target=nan,2 must be finite'),
    ],
)
def test_bad_wishes_are_refused(command, capsys, flags, message):
    assert main([*command('correct'), *flags]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    'name, flag, told',
    [
        ('correct', '--look=24,-18', True),
        ('correct', '--look=12,16', False),
        ('animate', '--path=circle,30', True),
        ('animate', '--path=0,0,0;0,19,0.5', False),
    ],
)
def test_a_direction_out_of_reach_is_named(command, monkeypatch, capsys, name, flag, told):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: Looking())
    assert main([*command(name), flag]) == 0
    assert ('30 degrees from the camera are more than the 20' in capsys.readouterr().err) == told


def test_a_model_without_calibration_says_so(command, capsys, tmp_path):
    assert main([*command('correct'), '--look=5,0']) == 1
    assert 'its angle code was not calibrated (`gaze-tf calibrate`)' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
