"""The measure of colored specks."""

import types

import numpy as np
import pytest

from tests import rendered
from tools.studies import specks

CENTRES, RADIUS = np.array([[12.0, 16.0], [36.0, 16.0]]), 5.0
BROWN = np.array([90, 60, 30])


@pytest.fixture
def eyes():
    """uint8 [48, 48, 3]: grey, with two brown irises whose pupils are black."""
    rows, columns = np.mgrid[:48, :48]
    picture = np.full((48, 48, 3), 200)
    for x, y in CENTRES:
        far = np.hypot(columns - x, rows - y) / RADIUS
        picture[far < 1] = BROWN
        picture[far < 0.5] = 0
    return picture.astype(np.uint8)


@pytest.mark.parametrize(
    'color, length',
    [
        (BROWN // 2, 0),
        ((0, 0, 0), 0),
        ((255, 255, 255), 0),  # a shade, black, a catchlight
        ((0, 0, 100), 100),
        ((50, 100, 75), 50),
        ((30, 0, 55), 50),
    ],
)  # blue, green, violet
def test_shades_of_the_iris_are_no_specks(eyes, color, length):
    painted = eyes.copy()
    painted[16, 12] = painted[17, 36] = color
    off = specks.off_hues(painted, eyes, CENTRES, RADIUS)
    # red less green and blue less both: brown has (30, -45), and all that are no shades of it are on grey's other side
    assert specks.specks(off) == pytest.approx(length, abs=1e-9)
    assert sum((np.linalg.norm(own, axis=-1) > 1).sum() for own in off) == 2 * (length > 0)


@pytest.mark.parametrize('belongs_to', ['eye', 'grid'])
def test_moved_faces_tell_specks_of_the_grid(monkeypatch, rendered_dir, belongs_to):
    def paint(model, images, eyes):
        """Blue or yellow every other column, counted from the eye or from the image's edge."""
        start = eyes[0, 0] if belongs_to == 'eye' else 0
        sign = 1 - 2 * ((np.arange(64) - int(start)) % 2)
        return np.clip(images + np.multiply.outer(sign, [0, 0, 60]), 0, 255).astype(np.uint8)

    monkeypatch.setattr(specks.painting, 'correct', paint)
    samples = rendered.samples(rendered_dir).read('y', ['y000003', 'y000004'])
    strength, by_one, by_two = specks.measure(None, samples)
    assert strength > 20 and by_two > 0.99
    assert by_one > 0.99 if belongs_to == 'eye' else by_one < 0


def test_the_command(rendered_dir, gan_dir, tmp_path, monkeypatch, capsys):
    def run(**options):
        monkeypatch.setattr(specks.flags, 'FLAGS', types.SimpleNamespace(data=rendered_dir, test_y=8, **options))
        specks.main(['specks.py'])

    run(checkpoint=gan_dir)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:24].strip() for line in lines] == ['', 'rendered at the camera', 'corrected']
    with pytest.raises(SystemExit, match=str(tmp_path)):
        run(checkpoint=tmp_path)
