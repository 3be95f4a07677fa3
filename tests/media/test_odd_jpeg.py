"""Odd JPEGs: what is intact opens, damage is reported in a sentence, and what is written opens."""

import io

import numpy as np
import pytest
from PIL import Image

from gaze_tf.media.photo import Photo
from tests.photos import HEIGHT, SRGB, WIDTH, changed, encoded, in_mode, opened, portrait, refused, stored


def exif(orientation=6, **tags):
    values = Image.Exif()
    values.update({271: 'Maker', 274: orientation})
    return values.tobytes()


def inserted(data, more, marker=b'\xff\xdb'):
    at = data.index(marker)
    return data[:at] + more + data[at:]


@pytest.mark.parametrize(
    'more', [b'\xff\0', b'\xff\xd3', b'\xff\xff\xff\xff', b'\0\1\2', b'\xff\xe5\0\0', b'\xff\xe5\0\1', b'\xff\1']
)
@pytest.mark.parametrize('place', [b'\xff\xe1', b'\xff\xdb', b'\xff\xda'])
def test_between_the_segments_of_a_jpeg(tmp_path, more, place):
    good = encoded(in_mode('RGB'), 'JPEG', quality=90, exif=exif(6), comment=b'A face', icc_profile=SRGB)
    photo = opened(tmp_path, 'a.jpg', inserted(good, more, place))
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(photo.rgb, opened(tmp_path, 'good.jpg', good).rgb)
    photo.save(tmp_path / 'b.jpg', changed(photo))
    with Image.open(tmp_path / 'b.jpg') as image:
        assert image.getexif()[274] == 6 and image.getexif()[271] == 'Maker'
        assert (
            image.info['comment'] == b'A face' and image.info['icc_profile'] == SRGB and image.size == (WIDTH, HEIGHT)
        )


def one_scan_each(*qualities):
    """Returns (a JPEG of three scans, each with its own table before it, the RGB that it shows)."""
    channels = in_mode('RGB').convert('YCbCr').split()
    grays = [encoded(channel, 'JPEG', quality=quality) for channel, quality in zip(channels, qualities)]
    parts = [dict(pieces(data)) for data in grays]
    frame = parts[0][0xC0][:5] + b'\3' + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    tables = b''.join(
        b'\xff\xc4' + (len(content) + 2).to_bytes(2, 'big') + content
        for marker, content in pieces(grays[0])
        if marker == 0xC4
    )
    data = b'\xff\xd8\xff\xc0' + (len(frame) + 2).to_bytes(2, 'big') + frame + tables
    for number, (part, gray) in enumerate(zip(parts, grays)):
        scan = gray[gray.index(b'\xff\xda') + 10 : -2]
        data += b'\xff\xdb\0\x43' + part[0xDB] + b'\xff\xda\0\x08\1' + bytes([number + 1, 0, 0, 63, 0]) + scan
    shown = Image.merge('YCbCr', [Image.open(io.BytesIO(gray)) for gray in grays]).convert('RGB')
    return data + b'\xff\xd9', np.array(shown).astype(int)


def pieces(data):
    at = 2
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], 'big')
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size


def test_quantization_tables_between_scans(tmp_path):
    data, shown = one_scan_each(90, 60, 70)
    photo = opened(tmp_path, 'a.jpg', data)
    assert np.abs(photo.rgb - shown).max() <= 2
    photo.save(tmp_path / 'b.jpg', changed(photo))
    assert np.abs(stored(tmp_path / 'b.jpg')[1] - changed(photo)).mean() < 4
    with Image.open(tmp_path / 'b.jpg') as image:
        found = [image.quantization[table] for *_, table in image.layer]
    with Image.open(io.BytesIO(encoded(in_mode('L'), 'JPEG', quality=70))) as image:
        assert found[2] == image.quantization[0]
    assert found[0] != found[1] != found[2]


@pytest.mark.parametrize('options', [{}, {'progressive': True}, {'restart_marker_blocks': 2}])
@pytest.mark.parametrize('cut', [1, 2])
def test_a_jpeg_without_its_end_marker(tmp_path, options, cut):
    good = encoded(portrait((200, 160)), 'JPEG', quality=90, exif=exif(6), **options)
    photo = opened(tmp_path, 'a.jpg', good[:-cut])
    assert photo.notes == ('Its end marker is missing; all pixels are there.',)
    np.testing.assert_array_equal(photo.rgb, opened(tmp_path, 'b.jpg', good).rgb)
    photo.save(tmp_path / 'c.jpg', changed(photo))
    assert (tmp_path / 'c.jpg').read_bytes().endswith(b'\xff\xd9') and Photo.open(tmp_path / 'c.jpg').notes == ()


@pytest.mark.parametrize('options', [{}, {'progressive': True}, {'restart_marker_blocks': 2}])
def test_a_jpeg_whose_rows_are_missing(tmp_path, options):
    good = encoded(portrait((200, 160)), 'JPEG', quality=90, **options)
    for share in 0.5, 0.8, 0.95, 0.99:
        refused(tmp_path, 'a.jpg', good[: int(len(good) * share)], 'last rows are missing')
    refused(tmp_path, 'a.jpg', good[:-6], 'last rows are missing')


def test_a_jpeg_cut_between_restarts_or_scans(tmp_path):
    """The data alone do not tell there that more should follow."""
    restarts = encoded(portrait((200, 160)), 'JPEG', quality=90, restart_marker_blocks=2)
    for marker in b'\xff\xd3', b'\xff\xd7', b'\xff\xd0':
        refused(tmp_path, 'a.jpg', restarts[: restarts.rindex(marker)], 'last rows are missing')
    scans = encoded(portrait((200, 160)), 'JPEG', quality=90, progressive=True)
    refused(tmp_path, 'a.jpg', scans[: scans.rindex(b'\xff\xc4')], 'last rows are missing')
