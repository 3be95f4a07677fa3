"""Many photos in one run of `gaze-tf correct`."""

import json
import os

import numpy as np
import pytest
from PIL import Image, features

from gaze_tf.cli.main import main
from gaze_tf.editing import editor as editor_lib
from gaze_tf.editing import inputs
from gaze_tf.errors import GazeError
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face, iris_offset
from gaze_tf.media import xmp
from tests import tiny

EYES = (40.0, 50.0, 70.0, 50.0)
SCENE = tiny.smooth_image(np.random.default_rng(8), 120)


def detector(rgb):
    """Finds a face wherever the photo's first pixel is not black; it looks aside where that is not white."""
    if not rgb[0, 0].any():
        return []
    aside = 0 if rgb[0, 0].min() > 200 else 2
    return [Face(EYES, irises=(40.0 + aside, 50, 70 + aside, 50), eye_width=16.0, yaw=0.0, roll=0.0)]


@pytest.fixture(autouse=True)
def without_a_model(monkeypatch):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: tiny.Painter())
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)


def write(folder, name, corner=255, size=120):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = SCENE.copy()
    pixels[0, 0] = corner
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(folder / name)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def run(tmp_path, **changes):
    options = {'model': 'model', 'input': tmp_path / 'in', 'output': tmp_path / 'out', 'blend': 'hard', **changes}
    return main(['correct', *tiny.arguments(**options)])


def report(tmp_path):
    return {
        os.path.basename(row['file']): row
        for row in json.loads((tmp_path / 'out' / 'report.json').read_text())['photos']
    }


def test_one_bad_file_does_not_stop_the_others(tmp_path, capsys):
    folder = tmp_path / 'in'
    for number in range(20):
        write(folder, f'good{number}.png')
    write(folder, 'landscape.png', corner=0)
    (folder / 'text.jpg').write_text('hello')
    (folder / 'empty.png').write_bytes(b'')
    (folder / 'notes.txt').write_text('not a photo')
    assert run(tmp_path) == 1
    out, err = capsys.readouterr()
    assert (
        '20 corrected' in out
        and '1 unchanged' in out
        and '2 failed' in out
        and 'Left out' in err
        and 'notes.txt' in err
    )
    assert 'text.jpg' in err and 'empty.png' in err and 'Traceback' not in err
    rows = report(tmp_path)
    assert {row['status'] for name, row in rows.items() if name.startswith('good')} == {'corrected'}
    assert (
        len(rows) == 23
        and 'text.jpg' in rows['text.jpg']['error']
        and rows['landscape.png']['reason'] == 'no face was found'
    )
    (face,) = rows['good7.png']['faces']
    assert face['eyes'] == list(EYES) and face['done'] and face['index'] == 0 and face['sharpness'] > 0
    before, after = pixels(folder / 'good7.png'), pixels(tmp_path / 'out' / 'good7.png')
    assert (after[50, 40] == 150).all() and (after[50, 70] == 150).all()
    assert (after == before).all(axis=-1).mean() > 0.9
    assert (tmp_path / 'out' / 'landscape.png').read_bytes() == (folder / 'landscape.png').read_bytes()
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'report.json',
        'landscape.png',
        *(f'good{k}.png' for k in range(20)),
    }


def test_faces_of_several_photos_share_a_batch(tmp_path, monkeypatch):
    for number in range(19):
        write(tmp_path / 'in', f'{number:02}.png')
    sizes, correct = [], tiny.Painter.correct
    monkeypatch.setattr(
        tiny.Painter, 'correct', lambda self, images, eyes: sizes.append(len(images)) or correct(self, images, eyes)
    )
    assert run(tmp_path) == 0
    assert sizes == [8, 8, 3]


def test_what_is_done_is_not_done_again(tmp_path, capsys):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    for number in range(3):
        write(folder, f'{number}.png')
    assert run(tmp_path) == 0
    written = {path.name: path.stat().st_mtime_ns for path in out.glob('*.png')}
    write(folder, '3.png')
    (out / '1.png').unlink()
    assert run(tmp_path) == 0
    assert '4 corrected (2 of them by an earlier run)' in capsys.readouterr().out
    assert [(out / f'{k}.png').stat().st_mtime_ns == written[f'{k}.png'] for k in (0, 1, 2)] == [True, False, True]
    assert set(report(tmp_path)) == {f'{k}.png' for k in range(4)}
    # other settings, or being told to, do all again
    for changes in ({'alpha': 0.5}, {'alpha': 0.5, 'overwrite': True}):
        assert run(tmp_path, **changes) == 0
        assert 'earlier' not in capsys.readouterr().out
    assert (pixels(out / '0.png')[50, 40] == 100).all()


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, capsys):
    for number in range(30):
        write(tmp_path / 'in', f'{number:02}.png')
    correct = tiny.Painter.correct

    def interrupted(self, images, eyes):
        monkeypatch.setattr(tiny.Painter, 'correct', stop)
        return correct(self, images, eyes)

    def stop(self, images, eyes):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny.Painter, 'correct', interrupted)
    assert run(tmp_path) == 130
    capsys.readouterr()
    assert not list((tmp_path / 'out').glob('.*'))
    monkeypatch.setattr(tiny.Painter, 'correct', correct)
    assert run(tmp_path) == 0
    assert '30 corrected' in capsys.readouterr().out
    assert len(report(tmp_path)) == 30


def test_a_photo_with_a_wrong_name_is_told(tmp_path):
    write(tmp_path / 'in', 'a.png')
    (tmp_path / 'in' / 'a.png').rename(tmp_path / 'in' / 'a.jpg')
    assert run(tmp_path) == 0
    assert 'is a PNG in spite of its name' in report(tmp_path)['a.jpg']['notes'][0]


def test_odd_files_do_not_stop_the_others(tmp_path, capsys):
    """Metadata that Pillow cannot write into another format, tags that are addresses to libtiff, bytes behind the end."""
    folder = tmp_path / 'in'
    for name in 'a.png', 'behind.png', 'z.png':
        write(folder, name)
    (folder / 'behind.png').write_bytes((folder / 'a.png').read_bytes() + b'more')
    # EXIF: turned by 180 degrees, the width as text
    exif = b'Exif\0\0II*\0\x08\0\0\0\2\0\0\1\2\0\4\0\0\000120\0\x12\1\3\0\1\0\0\0\3\0\0\0' + bytes(4)
    Image.open(folder / 'a.png').rotate(180).save(folder / 'width.webp', exif=exif, lossless=True)
    # a tag that a SHORT cannot be, in a file that libtiff compresses
    Image.open(folder / 'a.png').save(folder / 'name.tif', compression='tiff_adobe_deflate', tiffinfo={271: 'abc'})
    data = (folder / 'name.tif').read_bytes()
    (folder / 'name.tif').write_bytes(
        data.replace(b'\x0f\1\2\0', b'\x0f\1\3\0').replace(b'\x0f\1\3\0\4', b'\x0f\1\3\0\1')
    )
    (folder / 'cut.png').write_bytes((folder / 'a.png').read_bytes()[:900])
    assert run(tmp_path, format='png') == 1
    captured = capsys.readouterr()
    assert '5 corrected' in captured.out and '1 failed' in captured.out and 'cut.png is damaged' in captured.err
    assert 'name.tif: TIFF tags' in captured.err and ': 271.' in captured.err and 'behind.png: 4 bytes' in captured.err
    rows = report(tmp_path)
    assert (
        '4 bytes behind its end' in rows['behind.png']['notes'][0] and 'notes' not in rows['a.png'] and len(rows) == 6
    )
    for name in 'a', 'behind', 'width', 'name', 'z':
        assert (pixels(tmp_path / 'out' / f'{name}.png')[50, 40] == 150).all()


@pytest.mark.parametrize('what', ['find', 'correct', 'save'])
def test_whatever_one_photo_raises_the_others_are_done(tmp_path, capsys, monkeypatch, what):
    for name in 'a.png', 'b.png', 'c.png':
        write(tmp_path / 'in', name, corner=200 if name == 'b.png' else 255)

    def odd(error, function, values):
        if (np.asarray(values)[..., 0, 0, :] == 200).all(axis=-1).any():
            raise error
        return function(values)

    if what == 'find':
        monkeypatch.setattr(
            mediapipe_detector, 'MediapipeDetector', lambda *args: lambda rgb: odd(IndexError(), detector, rgb)
        )
    elif what == 'correct':
        correct = editor_lib.GazeEditor._put_back
        monkeypatch.setattr(
            editor_lib.GazeEditor,
            '_put_back',
            lambda self, work, *args: odd(
                ValueError('a sentence\nand more'), lambda _: correct(self, work, *args), work.rgb
            ),
        )
    else:
        monkeypatch.setattr(
            editor_lib.Photo,
            'save',
            lambda self, path, rgb, mark, save=editor_lib.Photo.save: odd(
                SystemError('odd'), lambda _: save(self, path, rgb, mark), self.rgb
            ),
        )
    assert run(tmp_path) == 1
    captured = capsys.readouterr()
    assert '2 corrected' in captured.out and '1 failed' in captured.out and 'Traceback' not in captured.err
    error = report(tmp_path)['b.png']['error']
    assert 'b.png could not be edited' in error and '\n' not in error
    assert error.endswith(
        {'find': '(IndexError).', 'correct': '(ValueError: a sentence).', 'save': '(SystemError: odd).'}[what]
    )


@pytest.mark.parametrize('changes', [{'report': 'r.json'}, {'eyes': '1,2,3,4'}])
def test_flags_of_single_photos(tmp_path, capsys, changes):
    write(tmp_path / 'in', 'a.png')
    assert run(tmp_path, **changes) == 1
    assert f'--{next(iter(changes))} goes with one photo' in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_a_pattern(tmp_path):
    for name in ('a1.png', 'a2.png', 'b1.png'):
        write(tmp_path / 'in', name)
    assert run(tmp_path, input=tmp_path / 'in' / 'a*.png') == 0
    assert {path.name for path in (tmp_path / 'out').glob('*.png')} == {'a1.png', 'a2.png'}


def test_two_photos_for_one_result(tmp_path, capsys):
    for name in ('x/a.png', 'y/a.png'):
        write(tmp_path / 'in' / name[0], name[2:])
    assert run(tmp_path, input=tmp_path / 'in' / '**' / '*.png') == 1
    assert 'would both be written to' in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_results_into_the_folder_of_the_photos(tmp_path, capsys):
    write(tmp_path / 'in', 'a.png')
    assert run(tmp_path, output=tmp_path / 'in') == 1
    assert 'is the input itself' in capsys.readouterr().err
    assert run(tmp_path, output=tmp_path / 'in', overwrite=True) == 0
    assert (pixels(tmp_path / 'in' / 'a.png')[50, 40] == 150).all()


@pytest.mark.parametrize(
    'make, message', [(lambda path: path.mkdir(), 'there are no photos'), (lambda path: None, 'there is no')]
)
def test_nothing_to_do(tmp_path, capsys, make, message):
    make(tmp_path / 'in')
    assert run(tmp_path) == 1
    assert message in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_another_input_keeps_the_rows_of_the_first(tmp_path, capsys):
    for name in ('a1.png', 'a2.png', 'b1.png'):
        write(tmp_path / 'in', name)
    first, second = tmp_path / 'in' / 'a*.png', tmp_path / 'in' / 'b*.png'
    assert run(tmp_path, input=first) == run(tmp_path, input=second) == 0
    assert set(report(tmp_path)) == {'a1.png', 'a2.png', 'b1.png'}
    capsys.readouterr()
    assert run(tmp_path, input=first) == 0
    assert '2 corrected (2 of them by an earlier run)' in capsys.readouterr().out
    # with other settings, too: a row tells what it was made with
    assert run(tmp_path, input=second, alpha=0.5) == 0 and set(report(tmp_path)) == {'a1.png', 'a2.png', 'b1.png'}
    assert report(tmp_path)['a1.png']['settings']['alpha'] == [1.0] and 'settings' not in report(tmp_path)['b1.png']
    capsys.readouterr()
    assert run(tmp_path, input=first) == 0
    assert '2 corrected (2 of them by an earlier run)' in capsys.readouterr().out
    assert run(tmp_path, input=second) == 0 and 'earlier' not in capsys.readouterr().out


def test_what_another_photo_has_overwritten_is_done_again(tmp_path, capsys):
    write(tmp_path / 'in', 'a.png')
    write(tmp_path / 'other', 'a.png', size=240)
    assert run(tmp_path) == run(tmp_path, input=tmp_path / 'other') == 0
    assert report(tmp_path)['a.png']['file'] == str(tmp_path / 'other' / 'a.png')
    capsys.readouterr()
    assert run(tmp_path) == 0
    assert 'earlier' not in capsys.readouterr().out and pixels(tmp_path / 'out' / 'a.png').shape == (120, 120, 3)


def test_two_runs_at_once_keep_each_others_rows(tmp_path, monkeypatch):
    for name in ('a1.png', 'b1.png'):
        write(tmp_path / 'in', name)
    paint, ours = tiny.Painter.correct, []

    def meanwhile(self, images, eyes):
        if not ours:
            ours.append(1)
            assert run(tmp_path, input=tmp_path / 'in' / 'b*.png') == 0
        return paint(self, images, eyes)

    monkeypatch.setattr(tiny.Painter, 'correct', meanwhile)
    assert run(tmp_path, input=tmp_path / 'in' / 'a*.png') == 0
    assert {name: row['status'] for name, row in report(tmp_path).items()} == {
        'a1.png': 'corrected',
        'b1.png': 'corrected',
    }


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        '{"settings": {}, "photos": [1]}',
        '{"photos": [{"file": "a"}]}',
        '[' * 100_000,
        '{"settings": 1, "photos": {"a": 1}}',
        '\ud800',
    ],
)
def test_a_report_that_is_none_counts_for_nothing(tmp_path, text):
    write(tmp_path / 'in', 'a.png')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'report.json').write_text(text, errors='surrogatepass')
    assert run(tmp_path) == 0 and set(report(tmp_path)) == {'a.png'}


def test_links_that_lead_nowhere_or_in_a_circle_are_left_out_and_told(tmp_path, capsys):
    folder = tmp_path / 'in'
    write(folder, 'a.png')
    write(folder / 'deep', 'b.png')
    (folder / 'loop.png').symlink_to('loop.png')
    (folder / 'gone.png').symlink_to('nowhere')
    (folder / 'deep' / 'back').symlink_to('..')
    (folder / 'same.png').symlink_to('a.png')
    assert run(tmp_path, input=folder / '**' / '*.png') == 0
    out, err = capsys.readouterr()
    assert '3 corrected' in out and set(report(tmp_path)) == {'a.png', 'b.png', 'same.png'}
    assert 'these links lead nowhere: gone.png, loop.png' in err
    assert f'these links lead back to a folder above them: {folder / "deep" / "back"}' in err
    # a link that the user names is no circle
    (folder / 'deep' / 'here').symlink_to('.')
    assert run(tmp_path, input=folder / 'deep' / '..' / 'deep', output=tmp_path / 'other') == 0
    assert 'b.png' in os.listdir(tmp_path / 'other')


def test_names_up_to_the_longest_and_of_any_bytes(tmp_path, capsys):
    write(tmp_path / 'in', 'a.png')
    for name in (*(b'n' * (length - 4) + b'.png' for length in range(250, 256)), b'\xff\xe4.png'):
        with open(os.path.join(os.fsencode(tmp_path / 'in'), name), 'wb') as file:
            file.write((tmp_path / 'in' / 'a.png').read_bytes())
    assert run(tmp_path) == 0 and '8 corrected' in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path / 'out')) == sorted([*os.listdir(tmp_path / 'in'), 'report.json'])
    assert run(tmp_path) == 0 and '8 of them by an earlier run' in capsys.readouterr().out
    for changes in ({'input': 'n' * 256 + '.png'}, {'output': 'n' * 256 + '.png'}):
        assert run(tmp_path, **{'input': tmp_path / 'in' / 'a.png', **changes}) == 1
    assert 'cannot be written (File name too long)' in capsys.readouterr().err


def test_a_result_that_cannot_be_written_is_reported(tmp_path, capsys):
    for name in ('a.png', 'b.png'):
        write(tmp_path / 'in', name)
    (tmp_path / 'out' / 'a.png').mkdir(parents=True)
    assert run(tmp_path) == 1
    assert '1 corrected' in (captured := capsys.readouterr()).out and 'a.png cannot be written' in captured.err


def test_animations_of_a_folder(tmp_path, capsys):
    write(tmp_path / 'in', 'a.png')
    write(tmp_path / 'in', 'b.png', corner=0)
    options = tiny.arguments(model='model', input=tmp_path / 'in', output=tmp_path / 'out', frames=3, blend='hard')
    assert main(['animate', *options]) == 0
    out, err = capsys.readouterr()
    assert '1 animated' in out and '1 unchanged' in out and 'No face was found' in err
    with Image.open(tmp_path / 'out' / 'a.gif') as image:
        assert image.n_frames == 4


@pytest.mark.parametrize('frames, status, message', [(10**9, 2, '--frames=1000000000'), (10_000, 1, '--max_side')])
def test_animations_of_too_many_frames(tmp_path, capsys, frames, status, message):
    write(tmp_path, 'a.png')
    options = tiny.arguments(
        model='model', input=tmp_path / 'a.png', output=tmp_path / 'out.gif', frames=frames, eyes='20,30,40,30'
    )
    assert main(['animate', *options]) == status
    assert (
        message in (err := capsys.readouterr().err) and 'Traceback' not in err and not (tmp_path / 'out.gif').exists()
    )


def test_every_suffix_of_a_photo(tmp_path, capsys):
    names = ['a.jfif', 'b.AVIF', 'c.jpg', 'd.webp'] if features.check('avif') else ['a.jfif', 'c.jpg']
    for name in names:
        write(tmp_path / 'in', name)
    (tmp_path / 'in' / 'e.heic').write_bytes(b'no photo')
    (tmp_path / 'in' / 'f.txt').write_text('no photo')
    assert run(tmp_path) == 1
    err = capsys.readouterr().err
    assert 'Left out, as they do not end in' in err and 'f.txt' in err
    rows = report(tmp_path)
    assert {name for name, row in rows.items() if row['status'] == 'corrected'} == set(names)
    # what is only read becomes a JPEG
    assert rows['e.heic']['status'] == 'failed' and rows['e.heic']['output'].endswith('e.jpg')
    for name in names:
        with Image.open(tmp_path / 'out' / name) as image:
            assert image.format == ('JPEG' if name[2:] in ('jfif', 'jpg') else name[2:].upper())


def test_the_mark(tmp_path, capsys):
    for name in 'a.png', 'b.jpg', 'c.bmp':
        write(tmp_path / 'in', name)
    write(tmp_path / 'in', 'nobody.png', corner=0)
    assert run(tmp_path) == 0
    assert 'no place' not in capsys.readouterr().err
    marked = lambda: {path.name for path in (tmp_path / 'out').iterdir() if xmp.MARK.encode() in path.read_bytes()}
    assert not marked()
    # a run with another setting does all again
    assert run(tmp_path, mark='true') == 0
    assert 'BMP has no place for the mark: 1 of 4 results' in capsys.readouterr().err and marked() == {'a.png', 'b.jpg'}
    assert run(tmp_path, mark='true', input=tmp_path / 'in' / 'c.bmp', output=tmp_path / 'out' / 'one.bmp') == 0
    assert run(tmp_path, mark='true', input=tmp_path / 'in' / 'c.bmp', output=tmp_path / 'out' / 'one.jpg') == 0
    assert capsys.readouterr().out.count('BMP has no place') == 1 and 'one.jpg' in marked()


@pytest.mark.parametrize(
    'fps, pauses, note',
    [(60, [20] * 8, True), (30, [30, 40, 30, 30, 40, 30, 30, 40], False), (48, [20] * 6 + [30, 20], False)],
)
def test_animations_keep_to_the_rate_of_gif(tmp_path, capsys, fps, pauses, note):
    write(tmp_path / 'in', 'a.png')
    options = tiny.arguments(
        model='model',
        input=tmp_path / 'in' / 'a.png',
        output=tmp_path / 'a.gif',
        frames=5,
        fps=fps,
        blend='hard',
        mark=True,
    )
    assert main(['animate', *options]) == 0
    assert ('GIF holds at most 50 frames a second' in capsys.readouterr().err) == note
    assert (tmp_path / 'a.gif').read_bytes().count(xmp.MARK.encode()) == 1
    with Image.open(tmp_path / 'a.gif') as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.info['duration'])
    assert found == pauses


@pytest.mark.parametrize(
    'face, expected',
    [
        (Face((40, 50, 70, 50), (41, 50, 71, 52), 20.0, yaw=0.0, roll=0.0), (0.05, -0.05)),
        # the same head, tilted by 90 degrees
        (Face((50, 40, 50, 70), (50, 41, 48, 71), 20.0, yaw=0.0, roll=90.0), (0.05, -0.05)),
    ],
)
def test_iris_offset(face, expected):
    np.testing.assert_allclose(iris_offset(face), expected, atol=1e-9)


def test_a_source_by_its_name(tmp_path):
    (tmp_path / 'a[1].jpg').write_bytes(b'')
    assert inputs.is_one(tmp_path / 'a[1].jpg') and not inputs.is_one(tmp_path / 'b*.jpg')
    assert not inputs.is_one(tmp_path) and inputs.is_video('A.MP4')
    assert inputs.one(tmp_path / 'a[1].jpg', None, tmp_path, ('.gif', '.mp4'), False).output == tmp_path / 'a[1].gif'


def test_where_nothing_can_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    (tmp_path / 'a.jpg').write_bytes(b'')
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(
        GazeError, match=f'^--output: {tmp_path}/file/new/a.png cannot be written .{tmp_path}/file is no folder'
    ):
        inputs.one(tmp_path / 'a.jpg', None, tmp_path / 'file/new/a.png', ('.png',), False)
    # (whoever runs tests as root may write anywhere)
    monkeypatch.setattr(os, 'access', lambda path, mode: path != tmp_path)
    with pytest.raises(GazeError, match='nothing may be written in'):
        inputs.one(tmp_path / 'a.jpg', None, tmp_path / 'new/a.png', ('.png',), False)
    assert not (tmp_path / 'new').exists()
