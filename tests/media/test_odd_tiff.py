"""Odd EXIF and TIFF tags: what is intact opens, damage is reported in a sentence, and what is written opens."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.photos import HEIGHT, WIDTH, block, changed, encoded, in_mode, opened, portrait, refused, saved, stored, tiff

ODD = {
    'width as text': (256, 2, 4, b'100\0'),
    'negative resolution': (282, 10, 1, struct.pack('<2i', -72, 1)),
    'unit as double': (296, 12, 1, struct.pack('<d', 2)),
    'many bits': (258, 4, 1, struct.pack('<I', 1 << 31)),
    'resolution as text': (282, 2, 3, b'72\0'),
    'text as number': (270, 3, 1, b'\7\0'),
    'position outside': (305, 2, 99, struct.pack('<I', 1 << 30)),
    'itself': (34665, 4, 1, struct.pack('<I', 8)),
}


@pytest.mark.parametrize('odd', ODD)
@pytest.mark.parametrize('source', ['jpg', 'png', 'webp'])
def test_odd_exif_goes_along(tmp_path, odd, source):
    tags = sorted([ODD[odd], (271, 2, 6, b'Maker\0'), (274, 3, 1, b'\6\0')])
    data = b'Exif\0\0' + block(*tags)
    image, kind = in_mode('RGB'), {'jpg': 'JPEG', 'png': 'PNG', 'webp': 'WEBP'}[source]
    photo = opened(tmp_path, f'a.{source}', encoded(image, kind, exif=data))
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3)
    for suffix in 'jpg', 'png', 'tif', 'webp', 'bmp':
        photo.save(tmp_path / f'b.{suffix}', changed(photo))
        with Image.open(tmp_path / f'b.{suffix}') as image:
            assert image.size == ((WIDTH, HEIGHT) if suffix == source else (HEIGHT, WIDTH))
            if suffix != 'bmp':
                assert image.getexif()[271] == 'Maker'
                assert image.getexif().get(274, 1) == (6 if suffix == source else 1)


def test_exif_that_a_jpeg_cannot_hold(tmp_path):
    data = b'Exif\0\0' + block((271, 2, 6, b'Maker\0'), (37500, 7, 70000, bytes(70000)))
    photo = opened(tmp_path, 'a.png', encoded(in_mode('RGB'), 'PNG', exif=data))
    saved(photo, tmp_path / 'b.jpg')
    assert 'bytes of EXIF are left out' in photo.notes[0]


SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}


@pytest.mark.parametrize('compression', [1, 8])
@pytest.mark.parametrize(
    'number',
    [
        269,
        270,
        271,
        272,
        274,
        282,
        283,
        285,
        296,
        305,
        306,
        315,
        316,
        330,
        700,
        33432,
        33723,
        34377,
        34665,
        34675,
        34853,
        65000,
    ],
)
def test_tiff_tags_of_any_type(tmp_path, number, compression):
    """No odd tag reaches an encoder, which would take numbers for addresses: a note names tags that are left out."""
    count = 1 if compression == 1 else 3
    for kind, size in SIZES.items():
        data = tiff((number, kind, count, (b'\x42\0\x41\0\x01\0\0\0' * 3)[: size * count]), compression=compression)
        photo = opened(tmp_path, 'a.tif', data)
        for suffix in ('tif', 'png')[:count]:
            photo.save(tmp_path / f'b.{suffix}', changed(photo))
            assert stored(tmp_path / f'b.{suffix}')[0] == 'L'
        with Image.open(tmp_path / 'b.tif') as image:
            assert (number in image.tag_v2) != any(str(number) in note for note in photo.notes)
    assert photo.notes  # of a DOUBLE as of LONG8, whatever it is


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('kind', [1, 7, 4])
def test_iptc_is_kept_byte_by_byte(tmp_path, order, kind):
    """Also if it is stored as LONG, as by many programs: the byte order of the file does not matter."""
    iptc = b'\x1c\2\0\0\2\0\4\x1c\2\x78\0\6A face\0\0'
    photo = opened(tmp_path, 'a.tif', tiff((33723, kind, len(iptc) // (4 if kind == 4 else 1), iptc), order=order))
    assert photo.notes == ()
    photo.save(tmp_path / 'b.tif', changed(photo))
    assert iptc in (tmp_path / 'b.tif').read_bytes()
    with Image.open(tmp_path / 'b.tif') as image:
        found = image.tag_v2[33723]
        assert (found if isinstance(found, bytes) else b''.join(found)) == iptc


@pytest.mark.parametrize('order', ['<', '>'])
def test_values_of_tiff_tags(tmp_path, order):
    pair = struct.pack(order + '2I', 3001, 10)
    tags = [
        (270, 2, 7, b'A face\0'),
        (274, 1, 1, b'\6'),
        (282, 5, 1, pair),
        (283, 5, 1, pair),
        (296, 4, 1, struct.pack(order + 'I', 3)),
    ]
    photo = opened(tmp_path, 'a.tif', tiff(*tags, order=order, compression=8))
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3) and photo.notes == ()
    for suffix in 'tif', 'png', 'jpg':
        photo.save(tmp_path / f'b.{suffix}', changed(photo))
    with Image.open(tmp_path / 'b.tif') as image:
        assert [image.tag_v2[number] for number in (270, 274, 296)] == ['A face', 6, 3] and image.tag_v2[282] == 300.1
    for suffix in 'png', 'jpg':
        with Image.open(tmp_path / f'b.{suffix}') as image:
            np.testing.assert_allclose(image.info['dpi'], [300.1 * 2.54] * 2, rtol=1e-3)
            assert image.getexif()[270] == 'A face' and image.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    'changes',
    [
        {'t317': (2, 1, b'A')},
        {'t256': (2, 3, b'40\0')},
        {'t262': (11, 1, bytes(4))},
        {'t273': (5, 1, bytes(8))},
        {'t322': (4, 1, b'\xff\xff\0\0'), 't323': (4, 1, b'\xff\xff\0\0')},
    ],
)
def test_tiffs_whose_layout_is_odd(tmp_path, changes):
    data = tiff(compression=8, **changes)
    if 't273' in changes:
        data = data.replace(struct.pack('<HHI', 273, 4, 1), struct.pack('<HHI', 273, 5, 1))
    refused(tmp_path, 'a.tif', data, 'damaged or cut off .*(tag|tiles)')


def test_a_tiff_without_its_palette(tmp_path):
    refused(tmp_path, 'a.tif', tiff(gray=3), 'palette is missing')


@pytest.mark.parametrize('compression', ['group4', 'group3', 'tiff_ccitt'])
@pytest.mark.parametrize('gray', [0, 1])
@pytest.mark.parametrize('fill', [1, 2])
def test_faxes(tmp_path, compression, gray, fill):
    image = portrait((200, 500)).convert('1')
    data = encoded(image, 'TIFF', compression=compression, tiffinfo={262: gray, 266: fill})
    photo = opened(tmp_path, 'a.tif', data)
    np.testing.assert_array_equal(photo.rgb[..., 0], np.array(image) * 255)
    with Image.open(io.BytesIO(data)) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]
    for at in size // 3, size // 2, size - 40:
        # enough ones to be no code
        broken = bytearray(data)
        broken[start + at : start + at + 3] = b'\0\0\0'
        refused(tmp_path, 'b.tif', bytes(broken), 'fax compression|damaged')
