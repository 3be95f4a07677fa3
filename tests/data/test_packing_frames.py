"""`gaze-tf prepare` with other frames and with twins."""

import io

import numpy as np
import pytest
from PIL import Image

from gaze_tf.compositing import align
from gaze_tf.data import records
from tests.data.raw_folders import assert_unfinished, jpeg, names, prepare, set_row, stored
from tests.paths import DATA

ZOOMED = '0.2,0.45,0.8,0.45'
PORTRAIT, EYES = DATA / 'portrait.png', (128, 100.5, 172, 103)


def set_portrait(path):
    """A face as a data set has it: the portrait in CelebAGaze's frame of 200 pixels."""
    with Image.open(PORTRAIT) as image:
        photo = np.array(image.convert('RGB'))
    frame = align.align_face(EYES, photo.shape[1::-1], 200)
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
    shown = align.align_face(eyes, (200, 200), 32, (0.2, 0.45, 0.8, 0.45)).cut(source).numpy().astype(float)
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
