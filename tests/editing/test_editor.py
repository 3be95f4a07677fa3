"""GazeEditor on arrays and photos."""

import numpy as np
import pytest

import gaze_tf
from gaze_tf.cli.photo_flags import describe
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.folder import face_row
from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Face, Limits
from gaze_tf.media import animation
from tests import tiny
from tests.editing.scenes import LARGE, SCENE, SMALL, changed_at


@pytest.mark.parametrize(
    'faces, expected',
    [
        ('largest', [1, 1, 0, 0, 0, 0]),
        ('all', [1, 1, 1, 1, 0, 0]),
        ('1', [0, 0, 1, 1, 0, 0]),
        ('2,0', [1, 1, 0, 0, 0, 0]),
    ],
)
def test_which_faces(editor, faces, expected):
    own = SCENE.copy()
    edited = editor.correct(own, faces=faces, blend='hard')
    np.testing.assert_array_equal(own, SCENE)
    assert changed_at(SCENE, edited.image) == expected
    assert [report.done for report in edited.faces] == expected[::2]
    assert all(bool(report.reason) != report.done for report in edited.faces)
    if faces == 'all':
        assert 'turned by 70 degrees' in edited.faces[2].reason


def test_the_gaze_of_a_half_turned_head_is_moved_half_way():
    half = LARGE._replace(yaw=25.0)
    editor = GazeEditor(tiny.Painter(), detector=lambda rgb: [half, SMALL])
    edited = editor.correct(SCENE, faces='all', blend='hard')
    assert [report.strength for report in edited.faces] == [0.5, 1]
    in_full = GazeEditor(tiny.Painter(), Limits(full_yaw=26), lambda rgb: [half])
    x, y = map(int, LARGE.eyes[:2])
    # eyes that look half way, not both pictures mixed
    expected, full = (in_full.correct(SCENE, alpha=alpha, blend='hard').image[y, x] for alpha in (0.5, 1))
    np.testing.assert_array_equal(edited.image[y, x], expected)
    assert abs(expected.astype(int) - full).max() > 10
    assert describe(edited.faces) == [
        'face 0: done at 50% of full strength, as its head or gaze is turned',
        'face 1: done',
    ]
    assert [face_row(report)['strength'] for report in edited.faces] == [0.5, 1]
    frames, _ = editor.animate(SCENE, [1], blend='hard')
    np.testing.assert_array_equal(next(frames)[y, x], edited.image[y, x])


def test_strength_of_each_eye(editor):
    for alpha, expected in ((1, [150, 150]), (0.5, [100, 100]), ((0.25, 1), [75, 150])):
        after = editor.correct(SCENE, alpha=alpha, blend='hard').image
        assert [int(after[int(y), int(x)].mean()) for x, y in np.reshape(LARGE.eyes, (2, 2))] == expected
    assert changed_at(SCENE, editor.correct(SCENE, alpha=(0, 1)).image) == [0, 1, 0, 0, 0, 0]
    assert editor.correct(SCENE, alpha=0).image is SCENE


def test_frames_of_an_animation(editor):
    frames, reports = editor.animate(SCENE, animation.compute_alphas(0, 1, 3, 'linear'), blend='hard')
    x, y = map(int, LARGE.eyes[:2])
    assert [int(frame[y, x].mean()) for frame in frames] == [50, 100, 150, 100]
    assert [report.done for report in reports] == [True, False, False]


def test_many_faces_go_through_the_network_in_batches(monkeypatch):
    faces = [Face((20.0 + 5 * k, 50, 60 + 5 * k, 50)) for k in range(11)]
    editor, sizes = GazeEditor(tiny.Painter(), detector=lambda rgb: faces), []
    correct = tiny.Painter.correct
    monkeypatch.setattr(
        tiny.Painter, 'correct', lambda self, images, eyes: sizes.append(len(images)) or correct(self, images, eyes)
    )
    works = [editor.prepare(SCENE, faces='all') for _ in range(2)]
    assert len(editor.paint(works)) == 2 and sizes == [8, 8, 6]


@pytest.mark.parametrize('photo', [SCENE[..., 0], SCENE.astype(float), np.zeros((0, 4, 3), np.uint8), SCENE[None]])
def test_arrays_that_are_no_photos(editor, photo):
    with pytest.raises(GazeError, match=r'RGB uint8 \[H, W, 3\]'):
        editor.correct(photo)


@pytest.mark.parametrize('faces', [1, [1], (1,)])
def test_faces_as_numbers(editor, faces):
    assert changed_at(SCENE, editor.correct(SCENE, faces=faces, blend='hard').image) == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(
    'options, message',
    [
        ({'alpha': float('nan')}, '`alpha=nan` must be finite'),
        ({'alpha': (1, 1, 1)}, 'one for each eye'),
        ({'alpha': 'x'}, '`alpha=x` must be one number'),
        ({'blend': 'q'}, '`blend=q` must be feather, poisson, hard'),
        ({'faces': 'x'}, '`faces=x`'),
        ({'faces': [9]}, 'there is no face 9'),
    ],
)
def test_bad_arguments(editor, options, message):
    with pytest.raises(GazeError, match=message):
        editor.correct(SCENE, **options)


@pytest.mark.parametrize('name', ['max_yaw', 'min_openness'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_limits_are_numbers(name, value):
    with pytest.raises(GazeError, match=f'`{name}=(nan|inf)` must be finite'):
        Limits(**{name: value})


def test_an_array_has_no_file(editor, tmp_path):
    with pytest.raises(GazeError, match='write .image'):
        editor.correct(SCENE).save(tmp_path / 'out.png')


def test_the_public_interface():
    assert gaze_tf.GazeEditor is GazeEditor and gaze_tf.__version__
    with pytest.raises(AttributeError, match="no attribute 'GazeEditors'"):
        gaze_tf.GazeEditors  # noqa: B018
