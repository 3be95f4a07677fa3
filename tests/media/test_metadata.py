"""Metadata of edited photos: previews, claims about pictures and videos that are left out, credentials, the mark."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from gaze_tf.media import xmp
from gaze_tf.media.photo import Photo
from tests.media.xmp_packets import CONTAINER, DIRECTORY, MOTION, packet
from tests.photos import portrait

XMP = b'http://ns.adobe.com/xap/1.0/\0'
SIZE = 320, 240
FORMATS = ['jpg', 'png', 'webp', 'tif', *(['avif'] if features.check('avif') else [])]


def jpeg(*segments, size=SIZE, behind=b'', exif=b''):
    """Returns the portrait as a JPEG with more segments (marker, content), and bytes after its end."""
    file = io.BytesIO()
    portrait(size).save(file, 'JPEG', quality=90, exif=exif)
    data = file.getvalue()
    more = b''.join(struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content for marker, content in segments)
    return data[:2] + more + data[2:] + behind


def box(name, content):
    return struct.pack('>I4s', len(content) + 8, name) + content


def edited(tmp_path, data, suffix='jpg', target=None, **options):
    """Returns (the Photo of a file's bytes, the bytes of the edited file)."""
    source, result = tmp_path / f'a.{suffix}', tmp_path / f'b.{target or suffix}'
    source.write_bytes(data)
    photo = Photo.open(source)
    rgb = photo.rgb.copy()
    rgb[60:180, 40:200] = 255, 0, 0
    photo.save(result, rgb, **options)
    Photo.open(result)
    return photo, result.read_bytes()


def exif_with(preview, kind='thumbnail', orientation=1, order='<'):
    """EXIF with a preview: a JPEG as its thumbnail or in the maker notes, or an uncompressed thumbnail."""
    head = b'II*\0' if order == '<' else b'MM\0*'

    def number(value):
        return struct.pack(order + 'I', value)

    def directory(at, entries, following=0):
        body = struct.pack(order + 'H', len(entries))
        for tag, tag_kind, count, value in entries:
            value = struct.pack(order + 'HH', value, 0) if tag_kind == 3 else number(value)
            body += struct.pack(order + 'HHI', tag, tag_kind, count) + value
        return body + number(following)

    if kind == 'note':
        note = b'MAKER\0' + preview + b'END'
        first = directory(8, [(274, 3, 1, orientation), (34665, 4, 1, 38)])
        second = directory(38, [(37500, 7, len(note), 56)])
        return b'Exif\0\0' + head + number(8) + first + second + note
    first = directory(8, [(274, 3, 1, orientation)], following=26)
    tags = {
        'thumbnail': [(259, 3, 1, 6), (513, 4, 1, 68), (514, 4, 1, len(preview))],
        'strips': [(259, 3, 1, 1), (273, 4, 1, 68), (279, 4, 1, len(preview))],
    }[kind]
    return b'Exif\0\0' + head + number(8) + first + directory(26, tags) + preview


def small(size, quality=80):
    file = io.BytesIO()
    portrait(size).save(file, 'JPEG', quality=quality)
    return file.getvalue()


def is_red(image, box=(0.3, 0.4, 0.5, 0.6)):
    """Whether a preview shows the edit."""
    width, height = image.size
    part = np.asarray(image.convert('RGB').crop([round(share * (width, height)[k % 2]) for k, share in enumerate(box)]))
    return np.abs(part.reshape(-1, 3).mean(axis=0) - (254, 0, 0)).max() < 12


@pytest.mark.parametrize('kind', ['thumbnail', 'note'])
@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('target', ['jpg', 'png', 'webp', *(['avif'] if features.check('avif') else [])])
def test_previews_in_exif_are_made_anew(tmp_path, kind, order, target):
    old = small((160, 120))
    block = exif_with(old, kind, order=order)
    _, data = edited(tmp_path, jpeg(exif=block), target=target)
    assert old not in data
    if target == 'avif':  # which says itself how pixels are turned, in EXIF nothing
        with Image.open(io.BytesIO(data)) as image:
            exif = image.info['exif']
        assert is_red(Image.open(io.BytesIO(exif[exif.index(b'\xff\xd8') :])))
        return
    at = data.index(block[6:40])
    new = data[at : at + len(block) - 6]
    start = block.index(old) - 6
    # all else is in its place, to the byte
    assert new[:start] == block[6 : 6 + start] and new[start + len(old) :] == block[6 + start + len(old) :]
    with Image.open(io.BytesIO(new[start : start + len(old)])) as image:
        assert image.size == (160, 120) and is_red(image)
    assert new[start + len(old) - 2 : start + len(old)] == b'\xff\xd9'


@pytest.mark.parametrize('size, upright', [((160, 120), False), ((120, 160), True)])
def test_thumbnails_of_turned_photos(tmp_path, size, upright):
    """Some makers store them upright, others as the photo is stored: the longer side tells."""
    data = jpeg(exif=exif_with(small(size), orientation=6))
    photo, data = edited(tmp_path, data)
    start = data.index(b'\xff\xd8\xff', 2)
    with Image.open(io.BytesIO(data[start:])) as image:
        assert image.size == size
        # rows 60 to 180 and columns 40 to 200 of 320 x 240 upright; stored, the first row is the upright right side
        assert is_red(image, (0.3, 0.3, 0.6, 0.5) if upright else (0.25, 0.3, 0.5, 0.6)) and photo.rgb.shape == (
            320,
            240,
            3,
        )


def test_previews_elsewhere(tmp_path):
    old = small((96, 72))
    photoshop = b'Photoshop 3.0\0' + b'8BIM\x04\x0c\0\0' + struct.pack('>I', 28 + len(old)) + bytes(28) + old
    jfif = b'JFIF\0\1\1\0\0\1\0\1\2\2' + bytes(range(100, 112))
    extension = b'JFXX\0\x13\2\2' + bytes(range(100, 112))
    _, data = edited(tmp_path, jpeg((0xE0, jfif), (0xE0, extension), (0xED, photoshop)))
    assert bytes(range(100, 112)) not in data and b'JFXX' not in data and b'JFIF\0\1\1\0\0\1\0\1\0\0' in data
    start = data.index(b'8BIM')
    assert len(data[start:]) > len(old) and old not in data
    with Image.open(io.BytesIO(data[data.index(b'\xff\xd8', start) :])) as image:
        assert image.size == (96, 72) and is_red(image)


def test_a_thumbnail_that_is_not_compressed_is_cut_off(tmp_path):
    pixels = np.random.default_rng(3).integers(1, 255, 300, np.uint8).tobytes()
    _, data = edited(tmp_path, jpeg(exif=exif_with(pixels, 'strips')))
    assert pixels not in data and pixels[:40] not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[274] == 1 and not image.getexif().get_ifd(513)


def test_thousands_of_previews_are_not_made(tmp_path):
    """Each claims to have 16 million pixels."""
    frame = b'\xff\xc0\0\x11\x08' + struct.pack('>HH', 4096, 4096) + b'\3\1\x11\0\2\x11\0\3\x11\0'
    one = b'\xff\xd8' + frame + b'\xff\xda\0\x0c\3\1\0\2\0\3\0\0?\0\xff\xd9'
    _, data = edited(tmp_path, jpeg(*[(0xED, one * 1500)] * 4))
    assert one not in data and len(data) > 4 * 1500 * len(one)


@pytest.mark.parametrize(
    'fill', [b'', bytes(9), b'\xff\xd8\xff' * 30, b'\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3' + bytes(50)]
)
def test_what_only_looks_like_a_preview_stays(tmp_path, fill):
    block = exif_with(fill, 'note')
    _, data = edited(tmp_path, jpeg(exif=block))
    assert block in data


def test_exif_in_texts_of_png(tmp_path):
    """As ImageMagick writes it."""
    old = small((160, 120))
    digits = exif_with(old).hex()
    text = (
        f'\nexif\n{len(digits) // 2:8d}\n' + '\n'.join(digits[at : at + 72] for at in range(0, len(digits), 72)) + '\n'
    )
    data = png((b'zTXt', b'Raw profile type exif\0\0' + zlib.compress(text.encode())), (b'tEXt', b'Title\0Kept'))
    _, data = edited(tmp_path, data, 'png')
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.text['Title'] == 'Kept'
        found = bytes.fromhex(''.join(image.text['Raw profile type exif'].split('\n')[3:]))
        assert len(found) == len(digits) // 2 and is_red(Image.open(io.BytesIO(found[found.index(b'\xff\xd8') :])))


def png(*chunks):
    """Returns the portrait as a PNG with more chunks before its pixels."""
    file = io.BytesIO()
    portrait(SIZE).save(file, 'PNG')
    data, at = file.getvalue(), 33
    more = b''.join(
        struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
        for name, content in chunks
    )
    return data[:at] + more + data[at:]


VIDEO = box(b'ftyp', b'mp42' + bytes(8)) + box(b'mdat', bytes(range(256)) * 8)
JUMBF = b'JP\0\1\0\0\0\1' + box(b'jumb', box(b'jumd', b'c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0'))


@pytest.mark.parametrize(
    'data, note, gone',
    [
        (jpeg((0xE1, XMP + MOTION), behind=VIDEO), 'The video in the file .motion photo', [b'MotionPhoto', b'ftyp']),
        (jpeg(behind=b'abc' + VIDEO), 'The video in the file', [b'ftyp']),
        (jpeg((0xE1, XMP + MOTION)), 'The description of a video', [b'MotionPhoto']),
        (
            jpeg((0xE1, XMP + packet(CONTAINER, DIRECTORY)), behind=small((40, 30))),
            'Only the first of the pictures',
            [b'GainMap', b'hdrgm'],
        ),
        (
            jpeg((0xE2, b'urn:iso:std:iso:ts:21496:-1\0\0\0'), behind=small((40, 30))),
            'Only the first of the pictures',
            [b'urn:iso'],
        ),
        (jpeg(behind=b'some text'), '9 bytes after the end', [b'some text']),
        (
            jpeg((0xEB, JUMBF), (0xEB, JUMBF[:7] + b'\2' + JUMBF[8:16] + b'more')),
            'credentials .C2PA',
            [b'jumb', b'more'],
        ),
        (
            jpeg(
                (0xE1, XMP + packet('xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="77"')),
                (
                    0xE1,
                    b'http://ns.adobe.com/xmp/extension/\0'
                    + bytes(40)
                    + b'http://ns.google.com/photos/1.0/image/ Data=',
                ),
            ),
            'more pictures',
            [b'HasExtendedXMP', b'photos/1.0/image'],
        ),
    ],
    ids='motion video claims directory gain bytes c2pa extended'.split(),
)
def test_what_a_changed_jpeg_does_not_keep(tmp_path, data, note, gone):
    photo, result = edited(tmp_path, data)
    assert len(photo.notes) == 1 and re.search(note, photo.notes[0])
    assert not [word for word in gone if word in result] and all(word in data for word in gone)
    # into another format likewise; and what is not changed keeps all
    assert not [word for word in gone if word in edited(tmp_path, data, target='png')[1]]
    photo.save(tmp_path / 'c.jpg', photo.rgb)
    assert (tmp_path / 'c.jpg').read_bytes() == data and not photo.notes


@pytest.mark.parametrize(
    'data',
    [
        jpeg(),
        jpeg(behind=bytes(100)),
        jpeg((0xE1, XMP + packet(''))),
        jpeg((0xEB, b'HDR_RI ver=11')),
        jpeg((0xE2, b'other')),
    ],
    ids='plain zeros xmp app11 app2'.split(),
)
def test_an_ordinary_jpeg_has_no_notes(tmp_path, data):
    photo, result = edited(tmp_path, data)
    assert not photo.notes
    segment = data[2 : 4 + int.from_bytes(data[4:6], 'big')]
    assert result[2 : 2 + len(segment)] == segment


def in_format(suffix, packet=None, chunk=False):
    """Returns the portrait in a format, with XMP or with C2PA."""
    file, options = io.BytesIO(), {}
    if suffix == 'tif':
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags.update({700: packet} if packet else {52545: b'jumb'} if chunk else {})
        tags.tagtype.update({52545: 7})
        options = {'tiffinfo': tags}
    elif suffix in ('webp', 'avif'):
        options = {'xmp': packet or b'<a/>'}
    if suffix == 'png':
        return png(
            *[(b'iTXt', b'XML:com.adobe.xmp' + bytes(5) + packet)] if packet else [(b'caBX', b'jumb')] if chunk else []
        )
    if suffix == 'jpg':
        return jpeg(*[(0xE1, XMP + packet)] if packet else [(0xEB, JUMBF)] if chunk else [])
    portrait(SIZE).save(file, {'tif': 'TIFF', 'webp': 'WEBP', 'avif': 'AVIF'}[suffix], **options)
    data = file.getvalue()
    if chunk and suffix == 'webp':
        data = data[:4] + struct.pack('<I', len(data) + 4) + data[8:] + b'C2PA' + struct.pack('<I', 4) + b'jumb'
    if chunk and suffix == 'avif':
        data += box(b'uuid', bytes.fromhex('d8fec3d61b0e483c92975828877ec481') + b'jumb')
    return data


@pytest.mark.parametrize('suffix', FORMATS)
def test_in_every_format(tmp_path, suffix):
    """Claims and credentials are removed with a note, other XMP is preserved, and the mark is added if wanted."""
    photo, data = edited(tmp_path, in_format(suffix, packet('xmlns:r="http://ns.x.org/r/" r:Kept="yes"')), suffix)
    assert b'r:Kept="yes"' in data and xmp.MARK.encode() not in data and not photo.notes
    photo, data = edited(tmp_path, in_format(suffix, MOTION), suffix)
    assert b'MotionPhoto' not in data and b'image/jpeg</dc:format>' in data and 'its XMP' in photo.notes[0]
    photo, data = edited(tmp_path, in_format(suffix, chunk=True), suffix)
    assert b'jumb' not in data and 'C2PA' in photo.notes[0] and len(photo.notes) == 1
    for old in None, MOTION:
        _, data = edited(tmp_path, in_format(suffix, old), suffix, mark=True)
        assert data.count(xmp.MARK.encode()) == 1 and b'MotionPhoto' not in data
        with Image.open(io.BytesIO(data)) as image:
            found = image.tag_v2[700] if suffix == 'tif' else image.info['xmp']
            assert xmp.MARK.encode() in found
    photo.save(tmp_path / f'c.{suffix}', photo.rgb, mark=True)
    assert (tmp_path / f'c.{suffix}').read_bytes() == in_format(suffix, chunk=True)


@pytest.mark.parametrize('target', [*FORMATS, 'bmp', 'jfif'])
def test_the_mark_in_another_format(tmp_path, target):
    _, data = edited(tmp_path, in_format('png'), 'png', target, mark=True)
    assert data.count(xmp.MARK.encode()) == (target != 'bmp')
    # what is only converted was not made by a model
    photo = Photo.open(tmp_path / 'a.png')
    photo.save(tmp_path / f'c.{target}', photo.rgb, mark=True)
    assert xmp.MARK.encode() not in (tmp_path / f'c.{target}').read_bytes()


def test_xmp_that_leaves_no_room_for_the_mark(tmp_path):
    full = packet(f'xmlns:r="http://ns.x.org/r/" r:Long="{"x" * 64900}"')
    _, data = edited(tmp_path, jpeg((0xE1, XMP + full)), mark=True)
    assert full in data and xmp.MARK.encode() not in data


def test_bytes_behind_a_webp(tmp_path):
    photo, data = edited(tmp_path, in_format('webp') + b'some text', 'webp')
    assert '9 bytes after' in photo.notes[0] and b'some text' not in data
