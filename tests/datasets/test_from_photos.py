"""Data sets made from your own photos."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.data import celebagaze
from gaze_tf.datasets import from_photos
from gaze_tf.errors import GazeError
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face
from tests import tiny

EYES = (40.0, 50.0, 70.0, 50.0)
SCENE = tiny.smooth_image(np.random.default_rng(8), 120)


def detector(rgb):
    """Finds a face if the photo's first pixel is not black; it looks aside if that is not white."""
    if not rgb[0, 0].any():
        return []
    aside = 0 if rgb[0, 0].min() > 200 else 2
    return [Face(EYES, irises=(40.0 + aside, 50, 70 + aside, 50), eye_width=16.0, yaw=0.0, roll=0.0)]


@pytest.fixture(autouse=True)
def without_a_model(monkeypatch):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)


def write(folder, name, corner=255):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = SCENE.copy()
    pixels[0, 0] = corner
    Image.fromarray(pixels).save(folder / name)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def test_make_dataset(tmp_path, capsys):
    for name, folder in (('a b.png', 'x'), ('c.png', 'x'), ('deep/c.png', 'x'), ('c.png', 'y')):
        path = tmp_path / folder / name
        write(path.parent, path.name, corner=90 if folder == 'y' else 255)
    write(tmp_path / 'y', 'nobody.png', corner=0)
    (tmp_path / 'y' / 'bad.jpg').write_text('hello')
    out = tmp_path / 'set'
    assert (
        main(['make-dataset', *tiny.arguments(x_dir=tmp_path / 'x', y_dir=tmp_path / 'y', output_dir=out, img_size=32)])
        == 0
    )
    assert (
        '3 faces in domain X' in (text := capsys.readouterr().out) and '1 in domain Y' in text and '2 rejected' in text
    )
    listing = celebagaze.read_domain(out, 'x')
    assert not listing.problems and len({face.name for face in listing.rows}) == 3
    for face in listing.rows:
        np.testing.assert_allclose(face.eyes, np.array([78.6, 92.9, 177.8, 92.7]) / 8, atol=0.06)
        assert pixels(face.path).shape == (32, 32, 3)
    reasons = {os.path.basename(row['file']): row['reason'] for row in json.loads((out / 'rejects.json').read_text())}
    assert set(reasons) == {'nobody.png', 'bad.jpg'} and reasons['nobody.png'] == 'no face was found'
    assert 'is not a photo in a format that can be read' in reasons['bad.jpg']
    # it goes straight into `prepare`
    assert (
        main(
            ['prepare', *tiny.arguments(data_dir=out, output_dir=tmp_path / 'records', img_size=32, test_x=1, test_y=0)]
        )
        == 0
    )


def test_make_dataset_with_odd_names(tmp_path, capsys):
    names = [
        'a..b.jpg',
        'x.jpg.jpg',
        'y.JPEG.png',
        b'caf\xe9.jpg',
        'a\tb\u200b.jpg',
        f'{"n" * 251}.jpg',
        f'{"ü" * 120}.jpg',
        '...jpg',
        'x_jpg.png',
    ]
    write(tmp_path, 'face.png')
    (tmp_path / 'x').mkdir()
    for name in names:
        (tmp_path / 'x' / os.fsdecode(name)).write_bytes((tmp_path / 'face.png').read_bytes())
    for name in 'notes.txt', 'film.gif', 'deep/raw.dng', '.hidden':
        (tmp_path / 'x' / name).parent.mkdir(exist_ok=True)
        (tmp_path / 'x' / name).write_bytes(b'')
    out = tmp_path / 'set'
    assert main(['make-dataset', *tiny.arguments(x_dir=tmp_path / 'x', output_dir=out, img_size=32)]) == 0
    listing = celebagaze.read_domain(out, 'x')
    assert len(listing.rows) == len(names) and not listing.problems and not listing.missing
    assert {'a.b', 'x_jpg', 'x_jpg-2', 'y_JPEG', 'caf_', 'a_b_', '_'} <= {face.name for face in listing.rows}
    rejects = json.loads((out / 'rejects.json').read_text())
    assert sorted(os.path.basename(row['file']) for row in rejects) == ['film.gif', 'notes.txt', 'raw.dng']
    assert (
        all('not a photo by its name' in row['reason'] for row in rejects) and '3 rejected' in capsys.readouterr().out
    )


def test_make_dataset_sorts_by_the_irises(tmp_path, capsys):
    for number, corner in enumerate((255, 90, 90)):
        write(tmp_path / 'mixed', f'{number}.png', corner=corner)
    out = tmp_path / 'set'
    assert main(['make-dataset', *tiny.arguments(sort=tmp_path / 'mixed', output_dir=out, img_size=32)]) == 0
    assert [face.name for face in celebagaze.read_domain(out, 'x').rows] == ['0']
    assert [face.name for face in celebagaze.read_domain(out, 'y').rows] == ['1', '2']


def test_turned_heads_are_not_sorted(tmp_path):
    def turned(rgb):
        return [detector(rgb)[0]._replace(yaw=25.0)]

    write(tmp_path / 'mixed', 'a.png')
    with pytest.raises(GazeError, match='None of 1 photos .* turned 25 degrees'):
        from_photos.make([from_photos.PhotoFolder(tmp_path / 'mixed', 'sort')], tmp_path / 'set', turned, 32)
    assert not (tmp_path / 'set').exists()


@pytest.mark.parametrize(
    'options, message',
    [
        ({}, '--output_dir is needed'),
        ({'output_dir': 'set'}, '--x_dir and --y_dir, or --sort, are needed'),
        ({'output_dir': 'set', 'x_dir': 'nowhere'}, 'nowhere is not a folder'),
    ],
)
def test_bad_dataset_commands(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(['make-dataset', *tiny.arguments(**options)]) == 1
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_small_faces_are_not_blown_up(tmp_path):
    write(tmp_path / 'x', 'a.png')
    with pytest.raises(GazeError, match='enlarged 3.3 times'):
        from_photos.make([from_photos.PhotoFolder(tmp_path / 'x', 'x')], tmp_path / 'set', detector, 256)
