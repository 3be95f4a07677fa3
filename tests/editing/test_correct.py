"""`gaze-tf correct` on photos."""

import json

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.inference.network import Network
from tests import tiny
from tests.editing.scenes import EYES, PHOTO, PHOTO_EYES, PORTRAIT, PORTRAIT_EYES, SCENE, eyes_flag, pixels, rows_of


def test_correct_to_png(command, saved_model, face, tmp_path):
    assert main(command('correct')) == 0
    before, after = pixels(face), pixels(tmp_path / 'out.png')
    inside = tiny.inside_boxes(EYES, tiny.MODEL)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    np.testing.assert_array_equal(after, Network(saved_model).correct(before[None], [EYES])[0])
    assert np.mean(after[inside] != before[inside]) > 0.9


@pytest.mark.parametrize('suffix', ['jpg', 'jpeg', 'JPG'])
def test_correct_to_jpeg(command, saved_model, face, tmp_path, suffix):
    path = tmp_path / 'deep' / 'er' / f'out.{suffix}'
    assert main(command('correct', output=path)) == 0
    expected = Network(saved_model).correct(pixels(face)[None], [EYES])[0].astype(int)
    with Image.open(path) as image:
        assert image.format == 'JPEG' and image.size == (32, 32)
    assert np.abs(pixels(path) - expected).mean() < 6
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_correct_a_real_photo(photo_model, tmp_path):
    model, config = photo_model
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model=model, input=PHOTO, eyes=eyes_flag(PHOTO_EYES), blend='hard', output=tmp_path / 'out.png'
                ),
            ]
        )
        == 0
    )
    before, after = pixels(PHOTO), pixels(tmp_path / 'out.png')
    inside = tiny.inside_boxes(PHOTO_EYES, config)
    assert inside.sum() == 2 * 30 * 20
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert np.mean(np.any(after[inside] != before[inside], axis=-1)) > 0.9


@pytest.mark.parametrize('domain, name, last, suffix', [('y', '0', 0, 'png'), ('x', '1', 3, 'jpg')])
def test_correct_a_folder(saved_model, faces_dir, tmp_path, capsys, domain, name, last, suffix):
    options = tiny.arguments(
        model=saved_model,
        input=faces_dir,
        output=tmp_path / 'out',
        domain=domain,
        last=last,
        format=suffix,
        blend='hard',
    )
    assert main(['correct', *options]) == 0
    rows = rows_of(faces_dir, name)[-last:]
    assert len(rows) == (last or 7)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'report.json',
        *(f'{row[0]}.{suffix}' for row in rows),
    }
    editor = Network(saved_model)
    for stem, eyes in rows:
        expected = editor.correct(pixels(faces_dir / name / f'{stem}.jpg')[None], [eyes])[0]
        found = pixels(tmp_path / 'out' / f'{stem}.{suffix}')
        if suffix == 'jpg':
            # as the photos are encoded
            Image.fromarray(expected).save(tmp_path / 'expected.jpg', quality=95)
            expected = pixels(tmp_path / 'expected.jpg')
        # a batch of faces may round a pixel otherwise than one face
        assert np.abs(found.astype(int) - expected).mean() < (1 if suffix == 'jpg' else 0.01)
    assert f'{len(rows)} corrected' in capsys.readouterr().out


def test_a_training_set_is_not_overwritten(saved_model, tmp_path, capsys):
    faces = tiny.write_faces(tmp_path / 'faces', {'0': 2})
    before = (faces / '0' / 'f0.jpg').read_bytes()
    assert main(['correct', *tiny.arguments(model=saved_model, input=faces, output=faces / '0')]) == 1
    assert 'is the input itself' in capsys.readouterr().err and (faces / '0' / 'f0.jpg').read_bytes() == before


def test_bad_rows_of_a_folder_are_told(saved_model, tmp_path, capsys):
    tiny.write_faces(tmp_path / 'faces', {'0': 2})
    with open(tmp_path / 'faces' / '0.txt', 'a') as file:
        file.write('f1 1 2 3\n')
    options = tiny.arguments(model=saved_model, input=tmp_path / 'faces', output=tmp_path / 'out')
    assert main(['correct', *options]) == 0
    assert '0.txt:3' in capsys.readouterr().err
    assert len(list((tmp_path / 'out').glob('*.jpg'))) == 2


@pytest.mark.usefixtures('face_models')
def test_the_way_of_a_newcomer(photo_model, tmp_path, capsys):
    model, config = photo_model
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model=model, input=PORTRAIT, output=tmp_path / 'out.png', report=tmp_path / 'report.json'
                ),
            ]
        )
        == 0
    )
    assert 'face 0: done' in capsys.readouterr().out
    (row,) = json.loads((tmp_path / 'report.json').read_text())
    np.testing.assert_allclose(row['eyes'], PORTRAIT_EYES, atol=2)
    assert row['done'] and 0.1 < row['sharpness'] < 3
    before, after = pixels(PORTRAIT), pixels(tmp_path / 'out.png')
    # 30 x 20 pixels in a frame where the eyes are 50 apart, here 44, and a little tilted
    rows, columns = np.nonzero((before != after).any(axis=-1))
    half = np.array([15, 10]) * 44 / 49.6 + 3
    near = np.any(
        [(abs(columns - x) < half[0]) & (abs(rows - y) < half[1]) for x, y in np.reshape(PORTRAIT_EYES, (2, 2))], axis=0
    )
    assert near.all() and len(rows) > 400


@pytest.mark.usefixtures('face_models')
def test_limits_are_flags(photo_model, tmp_path, capsys):
    options = tiny.arguments(model=photo_model[0], input=PORTRAIT, output=tmp_path / 'out.png', min_eye_px=25)
    assert main(['correct', *options]) == 1
    assert 'pixels wide (at least 25)' in capsys.readouterr().err and not (tmp_path / 'out.png').exists()


@pytest.mark.usefixtures('face_models')
@pytest.mark.parametrize('name, suffix', [('correct', 'png'), ('animate', 'gif')])
def test_a_photo_without_a_face(photo_model, tmp_path, capsys, name, suffix):
    Image.fromarray(SCENE).save(tmp_path / 'scene.png')
    assert (
        main(
            [
                name,
                *tiny.arguments(model=photo_model[0], input=tmp_path / 'scene.png', output=tmp_path / f'out.{suffix}'),
            ]
        )
        == 1
    )
    assert 'No face was found in' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['scene.png']


@pytest.mark.usefixtures('face_models')
def test_a_face_that_is_too_small(photo_model, tmp_path, capsys):
    with Image.open(PORTRAIT) as image:
        small = Image.new('RGB', (300, 200))
        small.paste(image.resize((100, 100), Image.Resampling.LANCZOS), (90, 40))
        small.save(tmp_path / 'small.png')
    assert (
        main(
            [
                'correct',
                *tiny.arguments(model=photo_model[0], input=tmp_path / 'small.png', output=tmp_path / 'out.png'),
            ]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert 'No face of' in error and 'pixels wide (at least' in error and not (tmp_path / 'out.png').exists()
