"""Which photos of a folder or a pattern are edited, and where the results go."""

import os

import pytest
from PIL import Image, features

from gaze_tf.editing import source_files
from gaze_tf.editing.options import SourceOptions
from gaze_tf.errors import GazeError
from tests.editing.folders import pixels, report, run, write

pytestmark = pytest.mark.usefixtures('without_a_model')


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
    'make, message', [(lambda path: path.mkdir(), 'There are no photos'), (lambda path: None, 'There is no')]
)
def test_nothing_to_do(tmp_path, capsys, make, message):
    make(tmp_path / 'in')
    assert run(tmp_path) == 1
    assert message in capsys.readouterr().err and not (tmp_path / 'out').exists()


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


def test_a_source_by_its_name(tmp_path):
    (tmp_path / 'a[1].jpg').write_bytes(b'')
    assert source_files.is_single(tmp_path / 'a[1].jpg') and not source_files.is_single(tmp_path / 'b*.jpg')
    assert not source_files.is_single(tmp_path) and source_files.is_video('A.MP4')
    assert (
        source_files.find_one(SourceOptions(tmp_path / 'a[1].jpg', tmp_path), ('.gif', '.mp4')).output
        == tmp_path / 'a[1].gif'
    )


def test_where_nothing_can_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    (tmp_path / 'a.jpg').write_bytes(b'')
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(GazeError, match=f'^{tmp_path}/file/new/a.png cannot be written: {tmp_path}/file is no folder'):
        source_files.find_one(SourceOptions(tmp_path / 'a.jpg', tmp_path / 'file/new/a.png'), ['.png'])
    # (whoever runs tests as root may write anywhere)
    monkeypatch.setattr(os, 'access', lambda path, mode: path != tmp_path)
    with pytest.raises(GazeError, match='nothing may be written in'):
        source_files.find_one(SourceOptions(tmp_path / 'a.jpg', tmp_path / 'new/a.png'), ['.png'])
    assert not (tmp_path / 'new').exists()
