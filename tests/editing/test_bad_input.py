"""What `gaze-tf correct` and `gaze-tf animate` refuse, in a sentence and without leaving anything behind."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from tests import tiny


def not_an_image(folder):
    path = folder / 'face.png'
    path.write_text('hello')
    return path


def cut_off(folder):
    path = folder / 'cut.png'
    Image.fromarray(tiny.smooth_image(np.random.default_rng(0))).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    return path


@pytest.mark.parametrize(
    'make, message',
    [(lambda folder: folder / 'nowhere.png', 'nowhere.png'), (not_an_image, 'face.png'), (cut_off, 'cut.png')],
)
@pytest.mark.parametrize('name', ['correct', 'animate'])
def test_bad_images(command, tmp_path, capsys, name, make, message):
    inputs, output = tmp_path / 'inputs', tmp_path / 'output'
    inputs.mkdir()
    path = make(inputs)
    suffix = 'gif' if name == 'animate' else 'png'
    assert main(command(name, input=path, output=output / f'out.{suffix}')) == 1
    error = capsys.readouterr().err
    assert message in error and 'Traceback' not in error
    assert not output.exists()


@pytest.mark.parametrize(
    'eyes, message',
    [
        ('9,12,22', '--eyes=9,12,22 must be four numbers'),
        ('9,12,22,13,1', '--eyes'),
        ('9,12,twenty,13', '--eyes=9,12,twenty,13 must be numbers'),
        ('9,12,32,13', 'do not lie in'),
        ('-1,12,22,13', 'do not lie in'),
        ('nan,12,22,13', 'must be finite'),
        ('9,inf,22,13', 'must be finite'),
        ('22,13,9,12', 'swapped'),
        ('9,12,9,13', 'swapped'),
        ('9,12,11,12', '2 pixels apart (at least 4)'),
    ],
)
def test_bad_eyes(command, tmp_path, capsys, eyes, message):
    assert main(command('correct', eyes=eyes)) == 1
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'name, changes, message',
    [
        ('correct', {'output': 'out.gif'}, '--output=out.gif must end in .jpg'),
        ('correct', {'output': 'out'}, '--output=out must end in'),
        ('correct', {'alpha': '0.5,1,1'}, '--alpha=0.5,1,1 must be one number, or one for each eye'),
        ('correct', {'faces': 'some'}, '--faces=some must be largest, all, or numbers'),
        ('correct', {'alpha': 'much'}, '--alpha=much must be numbers'),
        ('animate', {'output': 'out.png'}, '--output=out.png must end in .gif or .mp4'),
        ('animate', {'alpha': '0'}, '--alpha=0 must be two numbers'),
        ('animate', {'alpha': '0,1,2'}, '--alpha=0,1,2 must be two numbers'),
        ('animate', {'alpha': 'a,b'}, '--alpha=a,b must be numbers'),
        ('animate', {'alpha': '0,nan'}, '--alpha=0,nan'),
        ('animate', {'alpha': '0,inf'}, '--alpha=0,inf'),
        ('animate', {'fps': 'nan'}, '--fps=nan must be finite'),
        ('animate', {'frames': 1}, '--frames must be at least 2, not 1'),
    ],
)
def test_bad_flags(command, tmp_path, monkeypatch, capsys, name, changes, message):
    monkeypatch.chdir(tmp_path)
    assert main(command(name, **changes)) in (1, 2)
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_eyes_of_a_folder_are_in_its_tables(saved_model, faces_dir, tmp_path, capsys):
    assert (
        main(['correct', *tiny.arguments(model=saved_model, input=faces_dir, output=tmp_path / 'out', eyes='1,2,3,4')])
        == 1
    )
    assert '--eyes goes with one photo' in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_a_folder_of_other_images(saved_model, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    options = tiny.arguments(model=saved_model, input=tmp_path / 'empty', output=tmp_path / 'out')
    assert main(['correct', *options]) == 1
    assert 'There are no photos' in capsys.readouterr().err and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content', [None, b'', b'not a protocol buffer'])
def test_no_saved_model(command, tmp_path, capsys, content):
    model = tmp_path / 'model'
    if content is not None:
        model.mkdir()
        (model / 'saved_model.pb').write_bytes(content)
    assert main(command('correct', model=model)) == 1
    error = capsys.readouterr().err
    assert str(model) in error and 'Traceback' not in error and not (tmp_path / 'out.png').exists()


def test_another_saved_model(command, tmp_path, capsys):
    tf.saved_model.save(tf.Module(), str(tmp_path / 'model'))
    assert main(command('correct', model=tmp_path / 'model')) == 1
    assert f'The model {tmp_path}/model cannot be used' in capsys.readouterr().err


def test_an_output_that_cannot_be_written(command, tmp_path, capsys):
    (tmp_path / 'file').write_text('no folder')
    assert main(command('correct', output=tmp_path / 'file' / 'out.png')) == 1
    assert f'{tmp_path}/file/out.png cannot be written: {tmp_path}/file is no folder' in capsys.readouterr().err


def test_an_output_that_is_the_input(command, face, tmp_path, capsys):
    photo = tmp_path / 'photo.png'
    photo.write_bytes(face.read_bytes())
    assert main(command('correct', input=photo, output=tmp_path / '.' / 'photo.png')) == 1
    assert 'is the input itself; --overwrite' in capsys.readouterr().err
    assert photo.read_bytes() == face.read_bytes()
    assert main(command('correct', input=photo, output=photo, overwrite=True)) == 0
    assert photo.read_bytes() != face.read_bytes()
