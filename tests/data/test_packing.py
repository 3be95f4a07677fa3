"""`gaze-tf prepare`: what it checks, splits, stores and keeps."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from gaze_tf.data import records
from tests.data.raw_folders import assert_unfinished, jpeg, names, prepare, set_row, stored


def test_prepare_splits_shards_and_keeps_bytes(raw, capsys):
    assert prepare(raw) == 0
    assert names(raw, 'x', 'train') == [f'x{i}' for i in range(6)]
    assert names(raw, 'x', 'test') == ['x6', 'x7']
    assert names(raw, 'y', 'train') == [f'y{i}' for i in range(4)]
    assert names(raw, 'y', 'test') == ['y4', 'y5', 'y6']
    for i, record in enumerate(stored(raw, 'x', 'train')):
        assert record.image == (raw / '1' / f'x{i}.jpg').read_bytes()
        np.testing.assert_array_equal(record.eyes, [i, 10, 20, 11])
    assert sorted(path.name for path in (raw.parent / 'records').iterdir()) == [
        'manifest.json',
        'x-test-00000-of-00001.tfrecord',
        'x-train-00000-of-00002.tfrecord',
        'x-train-00001-of-00002.tfrecord',
        'y-test-00000-of-00001.tfrecord',
        'y-train-00000-of-00002.tfrecord',
        'y-train-00001-of-00002.tfrecord',
    ]
    out = capsys.readouterr().out
    assert 'X: 6 train, 2 test; 0 rows without an image; left out as bad: 0 rows, 0 images' in out
    assert '6 shards written, 0 kept' in out


def test_manifest_describes_the_shards(raw):
    assert prepare(raw) == 0
    folder = raw.parent / 'records'
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['complete'] is True and manifest['img_size'] == 32
    assert manifest['counts'] == {'x': {'train': 6, 'test': 2}, 'y': {'train': 4, 'test': 3}}
    for shard in manifest['shards']:
        assert shard['bytes'] == (folder / shard['file']).stat().st_size
        assert shard['sha256'] == records.file_sha256(folder / shard['file'])
    assert [shard['count'] for shard in manifest['shards']] == [3, 3, 2, 3, 1, 3]
    assert len(manifest['fingerprint']) == 64


def test_resizing_scales_eyes(raw):
    (raw / '1' / 'x0.jpg').write_bytes(jpeg(0, 80, 80))
    set_row(raw, '1.txt', 1, 'x0 10 20.5 79 60')
    assert prepare(raw) == 0
    first, second = stored(raw, 'x', 'train')[:2]
    np.testing.assert_allclose(first.eyes, [4, 8.2, 31.6, 24], rtol=1e-6)
    image = Image.open(io.BytesIO(first.image))
    assert image.size == (32, 32) and image.mode == 'RGB'
    # antialiased: the noise of 2.5 x 2.5 pixels is averaged, one sampled pixel's deviation would be 74
    assert np.asarray(image).std() < 45
    assert second.image == (raw / '1' / 'x1.jpg').read_bytes()


def test_byte_order_mark_windows_line_ends_and_empty_last_lines(raw):
    rows = (raw / '1.txt').read_text().splitlines()
    (raw / '1.txt').write_bytes(b'\xef\xbb\xbf' + '\r\n'.join([*rows, '', '']).encode())
    assert prepare(raw) == 0
    assert names(raw, 'x', 'train')[0] == 'x0' and names(raw, 'x', 'test') == ['x6', 'x7']


BAD_ROWS = [
    ('x2 2 10 20', 'has 4 fields'),
    ('x2  2 10 20 11', 'has 6 fields'),
    ('x2\t2\t10\t20\t11', 'has 1 fields'),
    ('', 'has 0 fields'),
    ('x0 2 10 20 11', "duplicate name 'x0', first on line 1"),
    ('x2 2 ten 20 11', "'ten' is not a number"),
    ('x2 nan 10 20 11', "'nan' is not a number"),
    ('x2 2 10 inf 11', "'inf' is not a number"),
    ('x2 1_0 10 20 11', "'1_0' is not a number"),
    ('x2 -1 10 20 11', 'the coordinate -1 lies outside the image'),
    ('x2 2 10 20 32', 'the coordinate 32 lies outside the image of 32x32 pixels'),
    ('x2 20 10 20 11', 'left_x (20) must be smaller than right_x (20)'),
    ('../1/x2 2 10 20 11', "'../1/x2' is not a name for a file in the folder"),
    ('a\\x2 2 10 20 11', 'is not a name for a file in the folder'),
    ('x2.jpg 2 10 20 11', "the name 'x2.jpg' must be without its extension"),
    (b'x2\xff 2 10 20 11', 'the row is not UTF-8 text'),
]


@pytest.mark.parametrize('row, reason', BAD_ROWS)
def test_bad_row_stops_with_file_line_and_reason(raw, capsys, row, reason):
    set_row(raw, '1.txt', 3, row)
    assert prepare(raw) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if '1.txt:' in line]
    assert line.strip().startswith(f'{raw / "1.txt"}:3: ') and reason in line
    assert_unfinished(raw)


def not_a_jpeg():
    return jpeg(0, format='PNG')


def cmyk():
    data = io.BytesIO()
    Image.new('CMYK', (32, 32)).save(data, 'JPEG')
    return data.getvalue()


BAD_IMAGES = [
    (lambda: jpeg(2)[:-200], 'truncated'),
    (lambda: b'', 'not an image'),
    (lambda: b'<html>not found</html>', 'not an image'),
    (not_a_jpeg, 'is a PNG file and must be a JPEG'),
    (cmyk, 'has colors in CMYK'),
    (lambda: jpeg(2, 40, 32), 'is 40x32 pixels; crop it to a square first'),
]


@pytest.mark.parametrize('make, reason', BAD_IMAGES)
def test_bad_image_stops_with_file_and_reason(raw, capsys, make, reason):
    (raw / '1' / 'x4.jpg').write_bytes(make())
    assert prepare(raw) == 1
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if 'x4.jpg' in line]
    assert str(raw / '1' / 'x4.jpg') in line and reason in line
    assert '--skip_bad' in err and 'Traceback' not in err
    assert_unfinished(raw)
    assert not (raw.parent / 'records' / 'x-train-00001-of-00002.tfrecord').exists()


def spoil(raw):
    """One bad row and two missing images in X, two bad images in Y."""
    set_row(raw, '1.txt', 1, 'x0 1 2')
    (raw / '1' / 'x3.jpg').unlink()
    (raw / '1' / 'x7.jpg').unlink()
    (raw / '0' / 'y1.jpg').write_bytes(jpeg(2)[:-200])
    set_row(raw, '0.txt', 3, 'y2 2 10 40 11')


def test_everything_bad_is_listed_at_once(raw, capsys):
    spoil(raw)
    assert prepare(raw) == 1
    err = capsys.readouterr().err
    assert '3 bad rows or images' in err
    for part in ('1.txt:1: ', 'y1.jpg: ', '0.txt:3: '):
        assert part in err


def test_long_lists_are_cut(raw, capsys):
    with open(raw / '1.txt', 'a') as file:
        file.write('bad\n' * 60)
    assert prepare(raw) == 1
    err = capsys.readouterr().err
    assert err.count(': the row must be') == 50 and '... and 10 more' in err


def test_skip_bad_goes_on_and_counts(raw, capsys):
    spoil(raw)
    assert prepare(raw, '--skip_bad') == 0
    # the last 2 usable rows of X are x5 and x6
    assert names(raw, 'x', 'train') == ['x1', 'x2', 'x4'] and names(raw, 'x', 'test') == ['x5', 'x6']
    assert names(raw, 'y', 'train') == ['y0', 'y3'] and names(raw, 'y', 'test') == ['y4', 'y5', 'y6']
    out = capsys.readouterr().out
    assert 'X: 3 train, 2 test; 2 rows without an image; left out as bad: 1 rows, 0 images' in out
    assert 'Y: 2 train, 3 test; 0 rows without an image; left out as bad: 0 rows, 2 images' in out
    assert prepare(raw, '--skip_bad') == 0
    assert 'complete and unchanged' in capsys.readouterr().out
    # what was left out is an error again without the flag
    assert prepare(raw) == 1
    assert '3 bad rows or images' in capsys.readouterr().err
    assert_unfinished(raw)


@pytest.mark.parametrize('part', ['1', '0', '1.txt', '0.txt'])
def test_missing_part_of_the_layout(raw, capsys, part):
    (raw / part).rename(raw / 'elsewhere')
    assert prepare(raw) == 1
    assert f'{raw / part} is missing' in capsys.readouterr().err
    assert not (raw.parent / 'records').exists()


def test_no_image_at_all(raw, capsys):
    for path in (raw / '0').iterdir():
        path.unlink()
    assert prepare(raw) == 1
    assert 'No image found for domain Y' in capsys.readouterr().err


def test_no_training_rows_left(raw, capsys):
    assert prepare(raw, '--test_y=7') == 1
    assert 'No training rows are left for domain Y: it has 7 usable rows' in capsys.readouterr().err
    assert not (raw.parent / 'records').exists()


def test_no_training_image_is_good(raw, capsys):
    for i in range(4):
        (raw / '0' / f'y{i}.jpg').write_bytes(b'')
    assert prepare(raw, '--skip_bad') == 1
    assert 'Every training image of domain Y is bad' in capsys.readouterr().err
    assert_unfinished(raw)


def test_test_split_may_be_empty(raw):
    assert prepare(raw, '--test_x=0') == 0
    assert len(names(raw, 'x', 'train')) == 8 and names(raw, 'x', 'test') == []


def test_output_that_cannot_be_written(raw, capsys):
    (raw.parent / 'records').write_text('a file')
    assert prepare(raw) == 1
    assert f'Cannot write into {raw.parent / "records"}' in capsys.readouterr().err


def modification_times(raw):
    return {path.name: path.stat().st_mtime_ns for path in (raw.parent / 'records').glob('*.tfrecord')}


def test_interrupted_run_is_completed(raw, monkeypatch, capsys):
    written = []

    def interrupt_fifth(record, encode=records.encode):
        written.append(record.name)
        if len(written) == 5:
            raise KeyboardInterrupt
        return encode(record)

    with monkeypatch.context() as patch:
        patch.setattr(records, 'encode', interrupt_fifth)
        assert prepare(raw) == 130
    assert_unfinished(raw)
    before = modification_times(raw)
    assert list(before) == ['x-train-00000-of-00002.tfrecord']
    # what a killed process would have left
    (raw.parent / 'records' / 'x-train-00001-of-00002.tfrecord.tmp').write_bytes(b'half')
    capsys.readouterr()
    assert prepare(raw) == 0
    assert '5 shards written, 1 kept' in capsys.readouterr().out
    assert before.items() <= modification_times(raw).items()
    assert names(raw, 'x', 'train') == [f'x{i}' for i in range(6)]
    assert not list((raw.parent / 'records').glob('*.tmp'))


def test_unchanged_source_writes_nothing(raw, capsys):
    assert prepare(raw) == 0
    manifest = raw.parent / 'records' / 'manifest.json'
    before = modification_times(raw), manifest.stat().st_mtime_ns
    capsys.readouterr()
    assert prepare(raw) == 0
    assert 'complete and unchanged' in capsys.readouterr().out
    assert (modification_times(raw), manifest.stat().st_mtime_ns) == before


def test_only_what_changed_is_written_again(raw, capsys):
    assert prepare(raw) == 0
    before = modification_times(raw)
    (raw / '1' / 'x4.jpg').write_bytes(jpeg(77))
    set_row(raw, '0.txt', 1, 'y0 1.5 10 20 11')
    assert prepare(raw) == 0
    assert '2 shards written, 4 kept' in capsys.readouterr().out
    after = modification_times(raw)
    assert {name for name in after if after[name] != before[name]} == {
        'x-train-00001-of-00002.tfrecord',
        'y-train-00000-of-00002.tfrecord',
    }
    assert stored(raw, 'x', 'train')[4].image == (raw / '1' / 'x4.jpg').read_bytes()
    assert stored(raw, 'y', 'train')[0].eyes[0] == 1.5


def test_stale_shards_are_removed_and_other_files_left(raw):
    assert prepare(raw) == 0
    (raw.parent / 'records' / 'notes.txt').write_text('mine')
    assert prepare(raw, '--shard_size=100') == 0
    assert sorted(modification_times(raw)) == [
        f'{domain}-{split}-00000-of-00001.tfrecord' for domain in 'xy' for split in ('test', 'train')
    ]
    assert (raw.parent / 'records' / 'notes.txt').exists()


def test_damaged_shard_is_written_again(raw, capsys):
    assert prepare(raw) == 0
    path = raw.parent / 'records' / 'y-test-00000-of-00001.tfrecord'
    sound = path.read_bytes()
    path.write_bytes(sound[:100] + bytes([sound[100] ^ 255]) + sound[101:])
    os.utime(path, ns=(0, 0))
    assert prepare(raw) == 0
    assert '1 shards written, 5 kept' in capsys.readouterr().out
    assert path.read_bytes() == sound
