"""`gaze-tf animate` on one photo and on a folder of CelebAGaze."""

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.inference.network import Network
from gaze_tf.media import animation
from tests import tiny
from tests.editing.scenes import EYES, PHOTO, PHOTO_EYES, eyes_flag, pixels, rows_of


def test_animate_a_real_photo(photo_model, tmp_path):
    model, config = photo_model
    assert (
        main(
            [
                'animate',
                *tiny.arguments(
                    model=model,
                    input=PHOTO,
                    eyes=eyes_flag(PHOTO_EYES),
                    output=tmp_path / 'out.gif',
                    frames=3,
                    alpha='-9,9',
                ),
            ]
        )
        == 0
    )
    with Image.open(tmp_path / 'out.gif') as image:
        assert image.size == (128, 128) and image.n_frames == 4
    inside = tiny.inside_boxes(PHOTO_EYES, config)
    frames = Network(model).animate(pixels(PHOTO)[None], [PHOTO_EYES], [-9, 0, 9])[0]
    for frame in frames:
        np.testing.assert_array_equal(frame[~inside], pixels(PHOTO)[~inside])


def test_animate_plays_forward_and_back(command, saved_model, face, tmp_path):
    # far beyond 0 and 1, so that the frames of this hardly trained model differ
    assert main(command('animate', frames=5, alpha='-40,40', fps=20, easing='linear')) == 0
    expected = Network(saved_model).animate(pixels(face)[None], [EYES], np.linspace(-40, 40, 5))[0].astype(int)
    inside = tiny.inside_boxes(EYES, tiny.MODEL)
    with Image.open(tmp_path / 'out.gif') as image:
        assert image.n_frames == 2 * 5 - 2 and image.info['loop'] == 0
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            assert image.info['duration'] == 50
            found.append(np.array(image.convert('RGB')).astype(int))
    shown = [int(np.argmin([np.abs(frame - other)[inside].mean() for other in expected])) for frame in found]
    assert shown == [0, 1, 2, 3, 4, 3, 2, 1]
    for frame, k in zip(found, shown):
        assert np.abs(frame - expected[k]).mean() < 12


def test_animate_shows_frames_that_are_all_the_same(command, tmp_path):
    assert main(command('animate', frames=4, alpha='0.5,0.5')) == 0
    with Image.open(tmp_path / 'out.gif') as image:
        duration = 0
        for k in range(image.n_frames):
            image.seek(k)
            duration += image.info['duration']
    # however they are stored, the 6 frames last as long as 6 frames
    assert duration == 600


def test_animate_a_folder(saved_model, faces_dir, tmp_path):
    options = tiny.arguments(model=saved_model, input=faces_dir, output=tmp_path / 'out', last=2, frames=2)
    assert main(['animate', *options]) == 0
    names = [name for name, _ in rows_of(faces_dir, '0')[-2:]]
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {f'{name}.gif' for name in names}


@pytest.mark.parametrize(
    'easing, expected', [('linear', [0, 0.25, 0.5, 0.75, 1]), ('smooth', [0, 0.15625, 0.5, 0.84375, 1])]
)
def test_course(easing, expected):
    np.testing.assert_allclose(animation.compute_alphas(0, 1, 5, easing, ping_pong=False), expected)
    np.testing.assert_allclose(animation.compute_alphas(0, 1, 5, easing), [*expected, *expected[3:0:-1]])
    np.testing.assert_allclose(animation.compute_alphas(-1, 2, 5, easing, False), 3 * np.array(expected) - 1)


def test_videos_are_not_animated(command, tmp_path, capsys):
    (tmp_path / 'in.mp4').write_bytes(b'a video')
    assert main(command('animate', input=tmp_path / 'in.mp4')) == 1
    assert 'animate takes photos' in capsys.readouterr().err


def test_large_photos_are_reduced_for_animations():
    rgb, eyes = animation.shrink(np.zeros((300, 600, 3), np.uint8), (200, 100, 400, 120), 150)
    assert rgb.shape == (75, 150, 3) and eyes == (50, 25, 100, 30)
    small = np.zeros((30, 60, 3), np.uint8)
    assert animation.shrink(small, None, 60) == (small, None)
