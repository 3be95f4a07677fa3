"""`gaze-tf prepare` and the raw layout that it reads."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.compositing import align
from gaze_tf.data import celebagaze, records
from tests.paths import DATA

FOLDERS = {'x': '1', 'y': '0'}


def jpeg(seed, width=32, height=32, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, **{'format': 'JPEG', **options})
    return data.getvalue()


@pytest.fixture
def raw(tmp_path):
    """A sound raw folder: 8 images in X, 7 in Y, eyes (i, 10)-(20, 11)."""
    for domain, count in (('x', 8), ('y', 7)):
        folder = tmp_path / 'raw' / FOLDERS[domain]
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f'{domain}{i}.jpg').write_bytes(jpeg(i + 100 * (domain == 'y')))
        (folder.parent / f'{FOLDERS[domain]}.txt').write_text(
            ''.join(f'{domain}{i} {i} 10 20 11\n' for i in range(count))
        )
    return tmp_path / 'raw'


def prepare(raw, *more):
    """Exit status of the command; X then has 6 + 2 images, Y 4 + 3, in shards of at most 3."""
    return main(
        [
            'prepare',
            f'--data_dir={raw}',
            f'--output_dir={raw.parent / "records"}',
            '--img_size=32',
            '--test_x=2',
            '--test_y=3',
            '--shard_size=3',
            *more,
        ]
    )


def stored(raw, domain, split):
    """The records of a split in order, as numpy values."""
    folder = raw.parent / 'records'
    paths = [str(folder / shard.file) for shard in records.load_manifest(folder).select(domain, split)]
    return [
        records.Record(*(value.numpy() for value in records.parse(serialized)))
        for serialized in tf.data.TFRecordDataset(paths)
    ]


def names(raw, domain, split):
    return [record.name.decode() for record in stored(raw, domain, split)]


def set_row(raw, table, number, row):
    path = raw / table
    lines = path.read_bytes().split(b'\n')
    lines[number - 1] = row if isinstance(row, bytes) else row.encode()
    path.write_bytes(b'\n'.join(lines))


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


def assert_unfinished(raw):
    folder = raw.parent / 'records'
    with pytest.raises(celebagaze.GazeError, match='not complete'):
        records.load_manifest(folder)
    assert not list(folder.glob('*.tmp'))


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


ZOOMED = '0.2,0.45,0.8,0.45'
PORTRAIT, EYES = DATA / 'portrait.png', (128, 100.5, 172, 103)


def set_portrait(path):
    """A face as a data set has it: the portrait in CelebAGaze's frame of 200 pixels."""
    with Image.open(PORTRAIT) as image:
        photo = np.array(image.convert('RGB'))
    frame = align.frame_of(EYES, photo.shape[1::-1], 200)
    Image.fromarray(frame.cut(photo).numpy()).save(path, 'JPEG', quality=95, subsampling=0)
    return frame.eyes.numpy()


def pixels(data):
    return np.array(Image.open(io.BytesIO(data)).convert('RGB')).astype(float)


def test_a_frame_zoomed_to_the_eyes_is_cut_from_the_larger_image(raw):
    eyes = set_portrait(raw / '1' / 'x0.jpg')
    set_row(raw, '1.txt', 1, ' '.join(['x0', *(f'{value:.3f}' for value in eyes)]))
    set_portrait(raw / '1' / 'x1.jpg')
    # 20 pixels from the left border: the frame reaches beyond it
    set_row(raw, '1.txt', 2, 'x1 20 100 110 110')
    assert prepare(raw, f'--frame_eyes={ZOOMED}') == 0
    first, second = stored(raw, 'x', 'train')[:2]
    for record in (first, second):
        np.testing.assert_allclose(record.eyes, np.multiply((0.2, 0.45, 0.8, 0.45), 32), rtol=1e-6)
        image = Image.open(io.BytesIO(record.image))
        assert image.format == 'JPEG' and image.size == (32, 32) and image.mode == 'RGB'
    # what an edited photo is given to the model as
    source = pixels((raw / '1' / 'x0.jpg').read_bytes()).astype(np.uint8)
    shown = align.frame_of(eyes, (200, 200), 32, (0.2, 0.45, 0.8, 0.45)).cut(source).numpy().astype(float)
    assert np.abs(pixels(first.image) - shown).mean() < 2
    # by another program: as many pixels as one of the frame shows, averaged
    scale = 0.6 * 32 / (eyes[2] - eyes[0])
    box = [eyes[0] - 0.2 * 32 / scale, eyes[1] - 0.45 * 32 / scale]
    box += [edge + 32 / scale for edge in box]
    other = Image.fromarray(source).resize((32, 32), Image.Resampling.BOX, box)
    assert np.abs(pixels(first.image) - np.asarray(other, float)).mean() < 6
    manifest = records.load_manifest(raw.parent / 'records')
    assert manifest.frame_eyes == ZOOMED and manifest.img_size == 32


def test_another_frame_is_written_again(raw, capsys):
    assert prepare(raw) == 0
    assert records.load_manifest(raw.parent / 'records').frame_eyes == '0.30703125,0.362890625,0.69453125,0.362109375'
    assert prepare(raw, f'--frame_eyes={ZOOMED}') == 0
    assert '6 shards written, 0 kept' in capsys.readouterr().out
    assert prepare(raw, f'--frame_eyes={ZOOMED}') == 0
    assert 'complete and unchanged' in capsys.readouterr().out


def test_an_image_in_that_frame_already_keeps_its_bytes(raw):
    set_row(raw, '1.txt', 1, 'x0 6.5 14 25 15')
    assert prepare(raw, f'--frame_eyes={ZOOMED}') == 0
    record = stored(raw, 'x', 'train')[0]
    assert record.image == (raw / '1' / 'x0.jpg').read_bytes()
    np.testing.assert_array_equal(record.eyes, [6.5, 14, 25, 15])


def test_a_frame_that_is_none(raw, capsys):
    assert prepare(raw, '--frame_eyes=0.2,0.45,0.8') == 1
    assert '--frame_eyes=0.2,0.45,0.8 must be left_x,left_y,right_x,right_y' in capsys.readouterr().err
    assert not (raw.parent / 'records').exists()


@pytest.fixture
def twins(raw):
    """Twins of all of Y: PNG files, and a JPEG of y1."""
    (raw / 'twins').mkdir()
    for i in range(7):
        (raw / 'twins' / f'y{i}.png').write_bytes(jpeg(200 + i, format='PNG'))
    (raw / 'twins' / 'y1.png').unlink()
    (raw / 'twins' / 'y1.jpg').write_bytes(jpeg(201))
    return raw / 'twins'


def test_twins_are_stored_with_the_faces_of_y(raw, twins, capsys):
    assert prepare(raw) == 0
    before = [record.image for record in stored(raw, 'y', 'train')]
    assert all(record.twin == b'' for record in stored(raw, 'y', 'train'))
    assert prepare(raw, '--twins') == 0
    assert '3 shards written, 3 kept' in capsys.readouterr().out
    found = stored(raw, 'y', 'train')
    assert [record.image for record in found] == before
    assert found[1].twin == (twins / 'y1.jpg').read_bytes()
    other = pixels((twins / 'y3.png').read_bytes())
    assert Image.open(io.BytesIO(found[3].twin)).format == 'JPEG' and np.abs(pixels(found[3].twin) - other).mean() < 6
    assert all(record.twin for record in stored(raw, 'y', 'test'))
    assert all(record.twin == b'' for record in stored(raw, 'x', 'train'))
    assert prepare(raw, '--twins') == 0
    assert 'complete and unchanged' in capsys.readouterr().out
    (twins / 'y1.jpg').write_bytes(jpeg(301))
    assert prepare(raw, '--twins') == 0
    assert '1 shards written, 5 kept' in capsys.readouterr().out


def test_a_twin_is_cut_with_the_geometry_of_its_face(raw, twins):
    eyes = set_portrait(raw / '0' / 'y0.jpg')
    (twins / 'y0.png').unlink()
    (twins / 'y0.jpg').write_bytes((raw / '0' / 'y0.jpg').read_bytes())
    set_row(raw, '0.txt', 1, ' '.join(['y0', *(f'{value:.3f}' for value in eyes)]))
    for options in ([], [f'--frame_eyes={ZOOMED}']):
        assert prepare(raw, '--twins', *options) == 0
        record = stored(raw, 'y', 'train')[0]
        assert record.twin == record.image


def test_truth_names_twins(raw, twins):
    (twins / 'y2.png').rename(twins / 'of_y2.png')
    rows = ''.join(f'y{i},{"twins/of_y2.png" if i == 2 else ""}\n' for i in range(7))
    (raw / 'truth.csv').write_text(f'name,twin\n{rows}')
    assert prepare(raw, '--twins') == 0
    found = stored(raw, 'y', 'train')[2].twin
    assert np.abs(pixels(found) - pixels((twins / 'of_y2.png').read_bytes())).mean() < 6
    (raw / 'truth.csv').write_text('name,Twin\ny0,a\n')
    assert prepare(raw, '--twins') == 1


@pytest.mark.parametrize(
    'data, reason',
    [
        (None, '0.txt:3: its twin {} is missing'),
        (b'text', '{}: cannot be read (not an image)'),
        (jpeg(1, 64, 64, format='PNG'), '{}: is 64 pixels wide and must be 32'),
        (jpeg(1, 32, 24, format='PNG'), '{}: is 32x24 pixels'),
    ],
)
def test_bad_twins(raw, twins, capsys, data, reason):
    path = twins / 'y2.png'
    path.unlink()
    if data is None:
        path = path.with_suffix('.jpg')
    else:
        path.write_bytes(data)
    assert prepare(raw, '--twins') == 1
    error = capsys.readouterr().err
    assert '1 bad rows or images' in error and reason.format(path) in error
    assert_unfinished(raw)
    assert prepare(raw, '--twins', '--skip_bad') == 0
    assert names(raw, 'y', 'train') == ['y0', 'y1', 'y3'] and names(raw, 'y', 'test') == ['y4', 'y5', 'y6']


@pytest.mark.parametrize(
    'text, name',
    [
        ('plain-1', 'plain-1'),
        ('a..b', 'a.b'),
        ('a....b', 'a.b'),
        ('x.jpg', 'x_jpg'),
        ('x.JPEG', 'x_JPEG'),
        ('', '_'),
        ('a b/c\\d', 'a_b_c_d'),
        ('caf\udce9', 'caf_'),
        ('..', '_'),
        ('\n', '_'),
        ('ü' * 150, 'ü' * 100),
        ('n' * 196 + '.jpg.jpg', 'n' * 196 + '_jpg'),
        ('x.jpg.jpg', 'x.jpg_jpg'),
        ('.jpg', '_jpg'),
    ],
)
def test_usable_names(text, name):
    assert celebagaze.usable_name(text) == name
    celebagaze.check_name(name)
    assert celebagaze.parse_row(f'{name} 1 2 3 4'.encode())[0] == name


def test_what_is_written_is_what_is_read(tmp_path):
    celebagaze.make_folders(tmp_path, twins=True)
    image = np.full((32, 32, 3), 99, np.uint8)
    celebagaze.save_image(celebagaze.image_folder(tmp_path, 'x'), 'a', image)
    celebagaze.save_image(celebagaze.image_folder(tmp_path, 'y'), 'b', image)
    eyes = {'x': np.array([3, 4, 20, 5]), 'y': np.float32([3.04, 4.25, 20, 5])}
    celebagaze.write_tables(tmp_path, {'x': [('a', eyes['x'])], 'y': [('b', eyes['y'])]})
    truth = celebagaze.iris_columns(np.array([[1, 2], [3, 4.0006]]), 'twin_')
    celebagaze.write_truth(tmp_path, [{'name': 'b', 'twin': 'twins/b.png', **truth}])
    assert (tmp_path / '1.txt').read_text() == 'a 3 4 20 5\n'
    assert (tmp_path / '0.txt').read_text() == 'b 3.0 4.2 20.0 5.0\n'
    (row,) = celebagaze.read_domain(tmp_path, 'y').rows
    assert (row.name, row.eyes) == ('b', (3.0, 4.2, 20.0, 5.0)) and row.path == tmp_path / '0' / 'b.jpg'
    (row,) = celebagaze.with_twins(tmp_path, [row])
    assert row.twin == tmp_path / 'twins' / 'b.png'
    header, line = (tmp_path / 'truth.csv').read_text().splitlines()
    assert header == ','.join(celebagaze.TRUTH_COLUMNS)
    assert line == ',b,,,,,,,,,,twins/b.png,1.000,2.000,3.000,4.001'


@pytest.mark.parametrize(
    'name, eyes, message',
    [
        ('a b', (1, 2, 3, 4), 'single spaces'),
        ('a/b', (1, 2, 3, 4), 'not a name for a file'),
        ('a.jpg', (1, 2, 3, 4), 'without its extension'),
        ('a', (-1, 2, 3, 4), 'outside the image'),
        ('a', (3, 2, 3, 4), 'smaller than right_x'),
        ('a', (float('nan'), 2, 3, 4), 'not a number'),
        ('a', (1, 2, 3), 'has 4 fields'),
    ],
)
def test_rows_that_could_not_be_read_are_not_written(tmp_path, name, eyes, message):
    with pytest.raises(celebagaze.GazeError, match=message):
        celebagaze.write_tables(tmp_path, {'x': [(name, eyes)], 'y': []})
    assert not list(tmp_path.iterdir())


def test_images_get_only_names_of_rows(tmp_path):
    with pytest.raises(celebagaze.GazeError, match='not a name for a file'):
        celebagaze.save_image(tmp_path, '../a', np.zeros((8, 8, 3), np.uint8))


def test_unique_names():
    taken = {'a'}
    assert [celebagaze.unique_name(text, taken) for text in ('a', 'a', 'b  c', 'd.jpg')] == [
        'a-2',
        'a-3',
        'b_c',
        'd_jpg',
    ]
    assert taken == {'a', 'a-2', 'a-3', 'b_c', 'd_jpg'}
