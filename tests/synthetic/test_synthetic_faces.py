"""Drawn faces: what is drawn and what is written."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.data import celebagaze
from gaze_tf.errors import GazeError
from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic import model as face_model
from gaze_tf.synthetic import renderer as face_renderer
from gaze_tf.synthetic.draw_options import DrawOptions
from tests import tiny

OPTIONS = DrawOptions(img_size=64, num_x=20, num_y=12, test_x=6, test_y=8, seed=3)


def sample(index, yaw=0.0, pitch=0.0, **changes):
    rng = np.random.default_rng((5, index))
    identity = face_renderer.Identity.sample(rng)
    return identity, dataclasses.replace(face_renderer.View.sample(rng, yaw, pitch), **changes)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('faces') / 'one'
    assert synthetic_faces.generate(path, OPTIONS, workers=1)
    return path


def read_truth(folder):
    with (folder / 'truth.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_same_bytes_whatever_the_workers(folder, tmp_path):
    other = tmp_path / 'two'
    synthetic_faces.generate(other, OPTIONS, workers=2)
    files = sorted(path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob('*') if path.is_file())
    assert all((folder / name).read_bytes() == (other / name).read_bytes() for name in files)


def test_layout_and_rows(folder):
    truth = {row['name']: row for row in read_truth(folder)}
    for domain, text, train, test in (('X', '1', 20, 6), ('Y', '0', 12, 8)):
        rows = [line.split(' ') for line in (folder / f'{text}.txt').read_text().splitlines()]
        assert len(rows) == train + test
        assert {path.stem for path in (folder / text).iterdir()} == {row[0] for row in rows}
        splits = [truth[row[0]]['split'] for row in rows]
        assert splits == ['train'] * train + ['test'] * test
        for name, *places in rows:
            left_x, left_y, right_x, right_y = (int(place) for place in places)
            assert 0 < left_x < right_x < 64 and 0 < left_y < 64 and 0 < right_y < 64
            assert truth[name]['domain'] == domain
            with Image.open(folder / text / f'{name}.jpg') as image:
                assert image.size == (64, 64) and image.mode == 'RGB'
    twins = {row['twin'] for row in truth.values() if row['twin']}
    assert len(twins) == 8 and all((folder / twin).exists() for twin in twins)
    assert not list(folder.rglob('*.tmp'))


def test_identities_and_gaze(folder):
    truth = read_truth(folder)
    train, test = ({row['identity'] for row in truth if row['split'] == split} for split in ('train', 'test'))
    assert train and test and not train & test
    for domain, low, high in (('X', 0, 3), ('Y', 10, 35)):
        for index in range(300):
            yaw, pitch = np.radians(synthetic_faces.sample_gaze(np.random.default_rng(index), domain))
            assert low - 1e-6 <= np.degrees(np.arccos(np.cos(yaw) * np.cos(pitch))) <= high + 1e-6


def test_finished_set_is_left_alone_and_others_are_refused(folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    assert not synthetic_faces.generate(folder, OPTIONS)
    with pytest.raises(GazeError, match=f'{folder}: it was drawn with other options'):
        synthetic_faces.generate(folder, dataclasses.replace(OPTIONS, seed=4))
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    (tmp_path / 'note').write_text('mine')
    with pytest.raises(GazeError, match='something else than drawn faces'):
        synthetic_faces.generate(tmp_path, OPTIONS)
    (tmp_path / 'options.json').write_text(json.dumps(dataclasses.asdict(OPTIONS)))
    with pytest.raises(GazeError, match='was interrupted'):
        synthetic_faces.generate(tmp_path, OPTIONS)
    (tmp_path / 'options.json').write_text('{')
    with pytest.raises(GazeError, match='cannot be read'):
        synthetic_faces.generate(tmp_path, OPTIONS)


def test_a_set_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(celebagaze, 'write_truth', interrupted)
    small = DrawOptions(img_size=32, num_x=1, num_y=1, test_x=0, test_y=0)
    with pytest.raises(KeyboardInterrupt):
        synthetic_faces.generate(tmp_path / 'set', small, workers=1)
    assert not list(tmp_path.iterdir())


def test_rows_are_those_of_a_data_set(folder):
    for domain, count in (('x', 26), ('y', 20)):
        listing = celebagaze.read_domain(folder, domain)
        assert len(listing.rows) == count and not listing.missing and not listing.problems


@pytest.mark.parametrize(
    'bad, message',
    [({'img_size': 100}, 'multiple of 8'), ({'img_size': 24}, 'at least 32'), ({'num_x': -1}, 'least 0')],
)
def test_bad_options(bad, message):
    with pytest.raises(GazeError, match=f'`{next(iter(bad))}.*{message}'):
        dataclasses.replace(OPTIONS, **bad)


def test_draw_dataset_command(folder, tmp_path, capsys):
    options = dataclasses.asdict(OPTIONS)
    assert main(['draw-dataset', *tiny.arguments(output_dir=folder, **options)]) == 0
    assert f'{folder} already holds this data set' in capsys.readouterr().out
    small = tiny.arguments(img_size=32, num_x=2, num_y=1, test_x=1, test_y=1, workers=1)
    (tmp_path / 'set').mkdir()
    assert main(['draw-dataset', *small, f'--output_dir={tmp_path / "set"}']) == 0
    assert len(celebagaze.read_domain(tmp_path / 'set', 'x').rows) == 3
    for args, message in (
        ([], '--output_dir is needed'),
        ([f'--output_dir={tmp_path}', '--img_size=36'], '--img_size=36 must be a multiple of 8'),
        ([f'--output_dir={tmp_path}', '--workers=0'], '--workers must be at least 1'),
        ([f'--output_dir={tmp_path}'], f'{tmp_path}: it holds something else'),
    ):
        assert main(['draw-dataset', *args]) == 1
        assert message in capsys.readouterr().err


def test_eye_statistics():
    places, openings = [], []
    for index in range(3000):
        identity, view = sample(index)
        canvas = face_model.Picture(view, 8)
        places.append([canvas.to_image(side * identity.eye_distance / 2, 0) for side in (-1, 1)])
        openings.append(
            (identity.eye_width * view.scale, identity.iris_radius * view.scale, places[-1][1][0] - places[-1][0][0])
        )
    places = (np.array(places) + 0.5) * 32 - 0.5  # of a 256-pixel image
    openings = np.array(openings) * (1, 1, 32)
    np.testing.assert_allclose(places.mean(0), [(78.6, 92.9), (177.8, 92.7)], atol=0.7)
    np.testing.assert_allclose(places.std(0), [(7.8, 5.2), (8.1, 5.3)], atol=0.45)
    assert np.all(openings.min(0) >= (40, 8.5, 84)) and np.all(openings.max(0) <= (49, 10.1, 114))


@pytest.mark.parametrize('size', [128, 256])
def test_twin_differs_only_near_the_eyes(size):
    for index, (yaw, pitch) in enumerate([(30, 0), (-8, 33), (5, -34), (-34, 3)]):
        identity, view = sample(index, yaw, pitch, blur=1.0)
        image, info = face_renderer.render(identity, view, size)
        twin, _ = face_renderer.render(identity, dataclasses.replace(view, yaw=0.0, pitch=0.0), size)
        near = np.zeros((size, size), bool)
        half_width, half_height = (side * size // 512 for side in face_model.EYE_BOX)
        for x, y in info['eyes']:
            near[y - half_height : y + half_height + 1, x - half_width : x + half_width + 1] = True
        assert np.array_equal(image[~near], twin[~near])
        assert np.abs(image[near].astype(int) - twin[near]).max() > 40


def test_iris_is_darker_than_the_white_and_where_it_is_said_to_be():
    for index in range(12):
        yaw = (-1) ** index * 22.0
        identity, view = sample(index, yaw, glasses=(), noise=1.0, openness=1.05)
        image, info = face_renderer.render(identity, view, 256)
        gray = image.mean(-1)
        step = np.array((np.cos(np.radians(view.roll)), np.sin(np.radians(view.roll)))) * -np.sign(yaw)
        for iris in info['iris']:
            x, y = np.rint(iris).astype(int)
            white_x, white_y = np.rint(iris + 13.5 * step).astype(int)
            dark = np.median(gray[y - 2 : y + 6, x - 4 : x + 5])
            assert dark < 0.85 * np.median(gray[white_y - 1 : white_y + 4, white_x - 1 : white_x + 2])
