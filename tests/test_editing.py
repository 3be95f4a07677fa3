"""`gaze-tf correct` and `gaze-tf animate` on files."""
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from gaze_tf.cli.main import main
from gaze_tf.config import ModelConfig
from gaze_tf.editing.editor import Editor
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.serving import export

EYES = (9, 12, 22, 13)
PHOTO, PHOTO_EYES = pathlib.Path(__file__).parent / 'data' / 'astronaut_128.png', (39, 44, 89, 47)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def eyes_flag(eyes):
    return ','.join(map(str, eyes))


@pytest.fixture(scope='module')
def face(tmp_path_factory):
    path = tmp_path_factory.mktemp('face') / 'face.png'
    Image.fromarray(tiny.smooth_image(np.random.default_rng(3))).save(path)
    return path


@pytest.fixture(scope='module')
def photo_model(tmp_path_factory):
    """A SavedModel for 128-pixel faces that was never trained; (path, configuration)."""
    tf.keras.utils.set_random_seed(4)
    config = ModelConfig(img_size=128, crop_w=30, crop_h=20, crop_px=32, ngf=2, ndf=2, nef=2, code_size=4)
    model = GazeModel(config, native_crops=False)
    tiny.randomize(model.trainable_variables, seed=4, scale=0.1)
    path = tmp_path_factory.mktemp('photo') / 'saved_model'
    module = export.serving_module(model)
    tf.saved_model.save(module, str(path), signatures={'correct': module.correct, 'animate': module.animate})
    return path, config


@pytest.fixture
def command(saved_model, face, tmp_path):
    """name and changes to flags → the command line for the tiny face; None leaves a flag out."""
    def make(name, **changes):
        output = tmp_path / ('out.gif' if name == 'animate' else 'out.png')
        options = {'model': saved_model, 'input': face, 'eyes': eyes_flag(EYES), 'output': output, **changes}
        return [name, *tiny.arguments(**{key: value for key, value in options.items() if value is not None})]

    return make


def test_correct_to_png(command, saved_model, face, tmp_path):
    assert main(command('correct')) == 0
    before, after = pixels(face), pixels(tmp_path / 'out.png')
    inside = tiny.inside_boxes(EYES, tiny.MODEL)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    np.testing.assert_array_equal(after, Editor(saved_model).correct(before[None], [EYES])[0])
    assert np.mean(after[inside] != before[inside]) > 0.9


@pytest.mark.parametrize('suffix', ['jpg', 'jpeg', 'JPG'])
def test_correct_to_jpeg(command, saved_model, face, tmp_path, suffix):
    path = tmp_path / 'deep' / 'er' / f'out.{suffix}'
    assert main(command('correct', output=path)) == 0
    expected = Editor(saved_model).correct(pixels(face)[None], [EYES])[0].astype(int)
    with Image.open(path) as image:
        assert image.format == 'JPEG' and image.size == (32, 32)
    assert np.abs(pixels(path) - expected).mean() < 6
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_correct_a_real_photo(photo_model, tmp_path):
    model, config = photo_model
    assert main(['correct', *tiny.arguments(model=model, input=PHOTO, eyes=eyes_flag(PHOTO_EYES),
                                            output=tmp_path / 'out.png')]) == 0
    before, after = pixels(PHOTO), pixels(tmp_path / 'out.png')
    inside = tiny.inside_boxes(PHOTO_EYES, config)
    assert inside.sum() == 2 * 30 * 20
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert np.mean(np.any(after[inside] != before[inside], axis=-1)) > 0.9


def test_animate_a_real_photo(photo_model, tmp_path):
    model, config = photo_model
    assert main(['animate', *tiny.arguments(model=model, input=PHOTO, eyes=eyes_flag(PHOTO_EYES),
                                            output=tmp_path / 'out.gif', frames=3, alpha='-9,9')]) == 0
    with Image.open(tmp_path / 'out.gif') as image:
        assert image.size == (128, 128) and image.n_frames == 4
    inside = tiny.inside_boxes(PHOTO_EYES, config)
    frames = Editor(model).animate(pixels(PHOTO)[None], [PHOTO_EYES], [-9, 0, 9])[0]
    for frame in frames:
        np.testing.assert_array_equal(frame[~inside], pixels(PHOTO)[~inside])


def rows_of(faces_dir, name):
    """[(name, eyes)] of a table of the raw folder."""
    lines = [line.split(' ') for line in (faces_dir / f'{name}.txt').read_text().splitlines()]
    return [(fields[0], [float(value) for value in fields[1:]]) for fields in lines]


@pytest.mark.parametrize('domain, name, last, suffix', [('y', '0', 0, 'png'), ('x', '1', 3, 'jpg')])
def test_correct_a_folder(saved_model, faces_dir, tmp_path, capsys, domain, name, last, suffix):
    options = tiny.arguments(model=saved_model, input=faces_dir, output=tmp_path / 'out', domain=domain,
                             last=last, format=suffix)
    assert main(['correct', *options]) == 0
    rows = rows_of(faces_dir, name)[-last:]
    assert len(rows) == (last or 7)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {f'{row[0]}.{suffix}' for row in rows}
    editor = Editor(saved_model)
    for stem, eyes in rows:
        expected = editor.correct(pixels(faces_dir / name / f'{stem}.jpg')[None], [eyes])[0]
        found = pixels(tmp_path / 'out' / f'{stem}.{suffix}')
        # a batch of faces may round a pixel otherwise than one face
        assert np.abs(found.astype(int) - expected).mean() < (6 if suffix == 'jpg' else 0.01)
    assert f'{len(rows)} faces' in capsys.readouterr().out


def test_bad_rows_of_a_folder_are_told(saved_model, tmp_path, capsys):
    tiny.write_faces(tmp_path / 'faces', {'0': 2})
    with open(tmp_path / 'faces' / '0.txt', 'a') as file:
        file.write('f1 1 2 3\n')
    options = tiny.arguments(model=saved_model, input=tmp_path / 'faces', output=tmp_path / 'out')
    assert main(['correct', *options]) == 0
    assert '0.txt:3' in capsys.readouterr().err
    assert len(list((tmp_path / 'out').iterdir())) == 2


def test_animate_plays_forward_and_back(command, saved_model, face, tmp_path):
    # far beyond 0 and 1, so that the frames of this hardly trained model differ
    assert main(command('animate', frames=5, alpha='-40,40', fps=20)) == 0
    expected = Editor(saved_model).animate(pixels(face)[None], [EYES], np.linspace(-40, 40, 5))[0].astype(int)
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


def not_an_image(folder):
    path = folder / 'face.png'
    path.write_text('hello')
    return path


def cut_off(folder):
    path = folder / 'cut.png'
    Image.fromarray(tiny.smooth_image(np.random.default_rng(0))).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    return path


def of_size(width, height):
    def make(folder):
        path = folder / 'large.png'
        Image.new('RGB', (width, height)).save(path)
        return path

    return make


@pytest.mark.parametrize('make, message', [
    (lambda folder: folder / 'nowhere.png', 'nowhere.png'), (not_an_image, 'face.png'), (cut_off, 'cut.png'),
    (of_size(64, 64), '64x64'), (of_size(32, 31), '32x31')])
@pytest.mark.parametrize('name', ['correct', 'animate'])
def test_bad_images(command, tmp_path, capsys, name, make, message):
    inputs, output = tmp_path / 'inputs', tmp_path / 'output'
    inputs.mkdir()
    path = make(inputs)
    suffix = 'gif' if name == 'animate' else 'png'
    assert main(command(name, input=path, output=output / f'out.{suffix}')) == 1
    error = capsys.readouterr().err
    assert '--input' in error and message in error and 'Traceback' not in error
    assert not output.exists()


@pytest.mark.parametrize('eyes, message', [
    (None, '--eyes=LEFT_X,LEFT_Y,RIGHT_X,RIGHT_Y is needed'), ('9,12,22', '--eyes'),
    ('9,12,22,13,1', '--eyes'),
    ('9,12,twenty,13', '--eyes=9,12,twenty,13 must be four numbers'), ('9,12,32,13', 'do not lie in'),
    ('-1,12,22,13', 'do not lie in'), ('nan,12,22,13', 'do not lie in'), ('9,inf,22,13', 'do not lie in'),
    ('22,13,9,12', 'swapped'), ('9,12,9,13', 'swapped')])
def test_bad_eyes(command, tmp_path, capsys, eyes, message):
    assert main(command('correct', eyes=eyes)) == 1
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name, changes, message', [
    ('correct', {'output': 'out.gif'}, '--output=out.gif must end in .png or .jpg or .jpeg'),
    ('correct', {'output': 'out'}, '--output=out must end in'),
    ('animate', {'output': 'out.png'}, '--output=out.png must end in .gif'),
    ('animate', {'alpha': '0'}, '--alpha=0 must be two numbers'),
    ('animate', {'alpha': '0,1,2'}, '--alpha=0,1,2 must be two numbers'),
    ('animate', {'alpha': 'a,b'}, '--alpha=a,b must be two numbers'),
    ('animate', {'alpha': '0,nan'}, '--alpha=0,nan'),
    ('animate', {'alpha': '0,inf'}, '--alpha=0,inf'),
    ('animate', {'fps': 'nan'}, '--fps')])
def test_bad_flags(command, tmp_path, monkeypatch, capsys, name, changes, message):
    monkeypatch.chdir(tmp_path)
    assert main(command(name, **changes)) in (1, 2)
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_eyes_of_a_folder_are_in_its_tables(saved_model, faces_dir, tmp_path, capsys):
    assert main(['correct', *tiny.arguments(model=saved_model, input=faces_dir, output=tmp_path / 'out',
                                            eyes='1,2,3,4')]) == 1
    assert '--eyes goes with an image file' in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_a_folder_of_other_images(saved_model, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    options = tiny.arguments(model=saved_model, input=tmp_path / 'empty', output=tmp_path / 'out')
    assert main(['correct', *options]) == 1
    assert 'is missing' in capsys.readouterr().err and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content', [None, b'', b'not a protocol buffer'])
def test_no_saved_model(command, tmp_path, capsys, content):
    model = tmp_path / 'model'
    if content is not None:
        model.mkdir()
        (model / 'saved_model.pb').write_bytes(content)
    assert main(command('correct', model=model)) == 1
    error = capsys.readouterr().err
    assert '--model' in error and str(model) in error and not (tmp_path / 'out.png').exists()


def test_another_saved_model(command, tmp_path, capsys):
    tf.saved_model.save(tf.Module(), str(tmp_path / 'model'))
    assert main(command('correct', model=tmp_path / 'model')) == 1
    assert '--model' in capsys.readouterr().err


def test_an_output_that_cannot_be_written(command, tmp_path, capsys):
    (tmp_path / 'file').write_text('no folder')
    assert main(command('correct', output=tmp_path / 'file' / 'out.png')) == 1
    assert '--output' in capsys.readouterr().err


def test_a_result_is_whole_or_not_there(command, tmp_path, monkeypatch):
    (tmp_path / 'out.png').write_bytes(b'of an earlier run')

    def half(path, *args, **kwargs):
        pathlib.Path(path).write_bytes(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr('imageio.v3.imwrite', half)
    assert main(command('correct')) == 1
    assert [path.name for path in tmp_path.iterdir()] == ['out.png']
    assert (tmp_path / 'out.png').read_bytes() == b'of an earlier run'
