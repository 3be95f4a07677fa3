"""Many photos in one run of `gaze-tf correct`."""

import numpy as np
import pytest
from PIL import Image

from gaze_tf.editing import editor as editor_lib
from gaze_tf.inference import mediapipe_detector
from gaze_tf.media import xmp
from tests import tiny
from tests.editing.folders import EYES, detector, pixels, report, run, write

pytestmark = pytest.mark.usefixtures('without_a_model')


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
    assert 'is a PNG despite its suffix' in report(tmp_path)['a.jpg']['notes'][0]


def test_odd_files_do_not_stop_the_others(tmp_path, capsys):
    """Metadata that Pillow cannot write into another format, tags that are addresses to libtiff, bytes behind the
    end."""
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
    assert '5 corrected' in captured.out and '1 failed' in captured.out and 'cut.png: damaged' in captured.err
    assert 'name.tif: TIFF tags' in captured.err and ': 271.' in captured.err and 'behind.png: 4 bytes' in captured.err
    rows = report(tmp_path)
    assert '4 bytes after its end' in rows['behind.png']['notes'][0] and 'notes' not in rows['a.png'] and len(rows) == 6
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


def test_a_result_that_cannot_be_written_is_reported(tmp_path, capsys):
    for name in ('a.png', 'b.png'):
        write(tmp_path / 'in', name)
    (tmp_path / 'out' / 'a.png').mkdir(parents=True)
    assert run(tmp_path) == 1
    assert '1 corrected' in (captured := capsys.readouterr()).out and 'a.png: cannot be written' in captured.err


def test_the_mark(tmp_path, capsys):
    for name in 'a.png', 'b.jpg', 'c.bmp':
        write(tmp_path / 'in', name)
    write(tmp_path / 'in', 'nobody.png', corner=0)
    assert run(tmp_path) == 0
    assert 'no place' not in capsys.readouterr().err

    def marked():
        return {path.name for path in (tmp_path / 'out').iterdir() if xmp.MARK.encode() in path.read_bytes()}

    assert not marked()
    # a run with another setting does all again
    assert run(tmp_path, mark='true') == 0
    assert 'BMP has no place for the mark: 1 of 4 results' in capsys.readouterr().err and marked() == {'a.png', 'b.jpg'}
    assert run(tmp_path, mark='true', input=tmp_path / 'in' / 'c.bmp', output=tmp_path / 'out' / 'one.bmp') == 0
    assert run(tmp_path, mark='true', input=tmp_path / 'in' / 'c.bmp', output=tmp_path / 'out' / 'one.jpg') == 0
    assert capsys.readouterr().out.count('BMP has no place') == 1 and 'one.jpg' in marked()
