"""`gaze-tf correct` and `gaze-tf animate` on photos, and GazeEditor."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.faces import describe
from gaze_tf.cli.main import main
from gaze_tf.config import ModelConfig
from gaze_tf.config import save as save_config
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.folder import face_row
from gaze_tf.errors import GazeError
from gaze_tf.export import signatures
from gaze_tf.inference.faces import Face, Limits
from gaze_tf.inference.network import Network
from gaze_tf.media import animation
from gaze_tf.models.gaze_model import GazeModel
from tests import tiny
from tests.paths import DATA

EYES = (9, 12, 22, 13)
PHOTO, PHOTO_EYES = DATA / 'astronaut_128.png', (39, 44, 89, 47)


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
    module = signatures.serving_module(model)
    # as version 0.1 exported it
    tf.saved_model.save(module, str(path), signatures={'correct': module.correct, 'animate': module.animate})
    save_config(path / 'config.json', model=config)
    return path, config


@pytest.fixture
def command(saved_model, face, tmp_path):
    """name and changes to flags → the command line for the tiny face; None leaves a flag out."""

    def make(name, **changes):
        output = tmp_path / ('out.gif' if name == 'animate' else 'out.png')
        options = {
            'model': saved_model,
            'input': face,
            'eyes': eyes_flag(EYES),
            'output': output,
            'blend': 'hard',
            **changes,
        }
        return [name, *tiny.arguments(**{key: value for key, value in options.items() if value is not None})]

    return make


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


def rows_of(faces_dir, name):
    """[(name, eyes)] of a table of the raw folder."""
    lines = [line.split(' ') for line in (faces_dir / f'{name}.txt').read_text().splitlines()]
    return [(fields[0], [float(value) for value in fields[1:]]) for fields in lines]


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
    assert '--input' in error and message in error and 'Traceback' not in error
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
        ('animate', {'fps': 'nan'}, '--fps'),
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
    assert 'there are no photos' in capsys.readouterr().err and not (tmp_path / 'out').exists()


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


def test_an_output_that_is_the_input(command, face, tmp_path, capsys):
    photo = tmp_path / 'photo.png'
    photo.write_bytes(face.read_bytes())
    assert main(command('correct', input=photo, output=tmp_path / '.' / 'photo.png')) == 1
    assert 'is the input itself; --overwrite' in capsys.readouterr().err
    assert photo.read_bytes() == face.read_bytes()
    assert main(command('correct', input=photo, output=photo, overwrite=True)) == 0
    assert photo.read_bytes() != face.read_bytes()


# --- the editor --------------------------------------------------------------------------------------------

SMALL, LARGE = Face((40, 50, 70, 50), eye_width=16.0), Face((120, 60, 180, 66), eye_width=32.0)
TURNED = Face((30, 160, 60, 160), eye_width=16.0, yaw=70.0)


@pytest.fixture
def editor():
    return GazeEditor(tiny.Painter(), detector=lambda rgb: [LARGE, SMALL, TURNED])


SCENE = tiny.smooth_image(np.random.default_rng(8), 240)


def changed_at(before, after):
    """Which of the eyes (large left and right, small, turned) are not what they were."""
    return [
        bool((before[int(y), int(x)] != after[int(y), int(x)]).any())
        for face in (LARGE, SMALL, TURNED)
        for x, y in np.reshape(face.eyes, (2, 2))
    ]


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
    frames, reports = editor.animate(SCENE, animation.course(0, 1, 3, 'linear'), blend='hard')
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
        ({'alpha': float('nan')}, '--alpha=nan must be finite'),
        ({'alpha': (1, 1, 1)}, 'one for each eye'),
        ({'alpha': 'x'}, '--alpha=x must be one number'),
        ({'blend': 'q'}, '--blend=q must be feather, poisson, hard'),
        ({'faces': 'x'}, '--faces'),
        ({'faces': [9]}, 'there is no face 9'),
    ],
)
def test_bad_arguments(editor, options, message):
    with pytest.raises(GazeError, match=message):
        editor.correct(SCENE, **options)


@pytest.mark.parametrize('name', ['max_yaw', 'min_openness'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_limits_are_numbers(name, value):
    with pytest.raises(GazeError, match=f'--{name}=(nan|inf) must be finite'):
        GazeEditor(tiny.Painter(), Limits()._replace(**{name: value}))


def test_an_array_has_no_file(editor, tmp_path):
    with pytest.raises(GazeError, match='write .image'):
        editor.correct(SCENE).save(tmp_path / 'out.png')


@pytest.mark.parametrize(
    'easing, expected', [('linear', [0, 0.25, 0.5, 0.75, 1]), ('smooth', [0, 0.15625, 0.5, 0.84375, 1])]
)
def test_course(easing, expected):
    np.testing.assert_allclose(animation.course(0, 1, 5, easing, ping_pong=False), expected)
    np.testing.assert_allclose(animation.course(0, 1, 5, easing), [*expected, *expected[3:0:-1]])
    np.testing.assert_allclose(animation.course(-1, 2, 5, easing, False), 3 * np.array(expected) - 1)


def test_videos_are_not_animated(command, tmp_path, capsys):
    (tmp_path / 'in.mp4').write_bytes(b'a video')
    assert main(command('animate', input=tmp_path / 'in.mp4')) == 1
    assert 'animate takes photos' in capsys.readouterr().err


def test_large_photos_are_reduced_for_animations():
    rgb, eyes = animation.reduced(np.zeros((300, 600, 3), np.uint8), (200, 100, 400, 120), 150)
    assert rgb.shape == (75, 150, 3) and eyes == (50, 25, 100, 30)
    small = np.zeros((30, 60, 3), np.uint8)
    assert animation.reduced(small, None, 60) == (small, None)


# --- photos in which faces are found -----------------------------------------------------------------------

PORTRAIT, PORTRAIT_EYES = PHOTO.with_name('portrait.png'), (128, 100.5, 172, 103)


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


def test_limits_are_flags(photo_model, tmp_path, capsys):
    options = tiny.arguments(model=photo_model[0], input=PORTRAIT, output=tmp_path / 'out.png', min_eye_px=25)
    assert main(['correct', *options]) == 1
    assert 'pixels wide (at least 25)' in capsys.readouterr().err and not (tmp_path / 'out.png').exists()


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
