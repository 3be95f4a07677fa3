"""Photos that are odd inside: what is intact opens, what is damaged is told in a sentence, and what is written opens."""

import io
import struct
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gaze_tf.errors import GazeError
from gaze_tf.media import photo_files, photo_reading
from gaze_tf.media.photo import Photo
from tests.photos import HEIGHT, SRGB, WIDTH, changed, in_mode, png, portrait, stored


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(folder, name, data):
    (folder / name).write_bytes(data)
    return Photo.open(folder / name)


def saved(photo, path):
    """Upright pixels, int, of the changed photo that was written there, as Pillow reads them."""
    photo.save(path, changed(photo))
    return stored(path, 'RGB')[1]


def refused(folder, name, data, message):
    with pytest.raises(GazeError, match=message) as caught:
        opened(folder, name, data)
    assert '\n' not in str(caught.value) and name in str(caught.value)


def exif(orientation=6, **tags):
    values = Image.Exif()
    values.update({271: 'Maker', 274: orientation})
    return values.tobytes()


# --- PNG ----------------------------------------------------------------------------------------------------


def chunk(name, content):
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def with_chunks(data, *chunks, before=b'IDAT'):
    at = data.index(before) - 4
    return data[:at] + b''.join(chunk(*pair) for pair in chunks) + data[at:]


LONG = b'A face. ' * 300_000


@pytest.mark.parametrize(
    'name, content',
    [
        (b'zTXt', b'Comment\0\0' + zlib.compress(LONG)),
        (b'iTXt', b'Comment\0\1\0en\0\0' + zlib.compress(LONG)),
        (b'tEXt', b'Comment\0' + LONG),
        (b'iCCP', b'printer\0\0' + zlib.compress(SRGB + LONG)),
    ],
    # a profile tells the second in which it was made
    ids=['zTXt', 'iTXt', 'tEXt', 'iCCP'],
)
def test_long_texts_and_profiles_of_a_png(tmp_path, name, content):
    photo = opened(tmp_path, 'a.png', with_chunks(encoded(in_mode('RGB'), 'PNG'), (name, content)))
    assert photo.notes == ()
    photo.save(tmp_path / 'b.png', changed(photo))
    assert chunk(name, content) in (tmp_path / 'b.png').read_bytes()
    np.testing.assert_array_equal(Photo.open(tmp_path / 'b.png').rgb, changed(photo))


def test_what_is_packed_to_fill_the_memory_stays_packed(tmp_path, monkeypatch):
    """Of a profile that unpacks to 48 MB no more than the limit is unpacked, and it does not go into other formats."""
    unpacked, unpacker = [], zlib.decompressobj

    class Counted:
        def __init__(self):
            self._own = unpacker()

        def decompress(self, *args):
            unpacked.append(result := self._own.decompress(*args))
            return result

        def __getattr__(self, name):
            return getattr(self._own, name)

    bomb = b'name\0\0' + zlib.compress(bytes(48 << 20))
    data = with_chunks(encoded(in_mode('RGB'), 'PNG'), (b'iCCP', bomb), (b'zTXt', b'XML:com.adobe.xmp\0\0' + bomb[6:]))
    monkeypatch.setattr(zlib, 'decompressobj', Counted)
    photo = opened(tmp_path, 'a.png', data)
    assert max(map(len, unpacked)) < 40 << 20
    photo.save(tmp_path / 'b.tif', changed(photo))
    assert (tmp_path / 'b.tif').stat().st_size < 10_000


def test_what_is_behind_the_end_of_a_png_is_left_out(tmp_path):
    source = encoded(in_mode('RGB'), 'PNG', pnginfo=texts(Title='A face'))
    photo = opened(tmp_path, 'a.png', source + source[60:] + b'\0' * 8)
    assert photo.notes == (f'{len(source) - 52} bytes behind its end will be left out.',)
    np.testing.assert_array_equal(saved(photo, tmp_path / 'b.png'), changed(photo))
    data = (tmp_path / 'b.png').read_bytes()
    assert data.endswith(b'IEND\xaeB`\x82') and data.count(b'IEND') == 1 == data.count(b'tEXtTitle')


def texts(**values):
    info = PngImagePlugin.PngInfo()
    for name, value in values.items():
        info.add_text(name, value)
    return info


@pytest.mark.parametrize('cut', [1, 4, 9, 12])
def test_a_png_without_its_end(tmp_path, cut):
    data = encoded(in_mode('RGB'), 'PNG')
    photo = opened(tmp_path, 'a.png', data[:-cut])
    assert photo.notes == ('Its end marker is missing; all pixels are there.',)
    np.testing.assert_array_equal(photo.rgb, stored_bytes(data))
    np.testing.assert_array_equal(saved(photo, tmp_path / 'b.png'), changed(photo))


def stored_bytes(data):
    return np.array(Image.open(io.BytesIO(data)).convert('RGB'))


@pytest.mark.parametrize(
    'name, content',
    [
        (b'pHYs', b'\0\0'),
        (b'gAMA', b''),
        (b'sRGB', b''),
        (b'cHRM', b'\0' * 5),
        (b'iCCP', b'x\0\5abc'),
        (b'zTXt', b'key\0\1abc'),
    ],
)
def test_chunks_that_others_refuse_are_left_out(tmp_path, name, content):
    photo = opened(tmp_path, 'a.png', with_chunks(encoded(in_mode('RGB'), 'PNG'), (name, content)))
    assert name.decode() in photo.notes[0]
    np.testing.assert_array_equal(saved(photo, tmp_path / 'b.png'), changed(photo))
    assert name + content not in (tmp_path / 'b.png').read_bytes()


def test_a_chunk_with_a_wrong_checksum_is_left_out(tmp_path):
    data = bytearray(with_chunks(encoded(in_mode('RGB'), 'PNG'), (b'tEXt', b'Title\0A face')))
    data[data.index(b'A face')] ^= 1
    photo = opened(tmp_path, 'a.png', bytes(data))
    assert "'tEXt'" in photo.notes[0]
    saved(photo, tmp_path / 'b.png')
    assert b'tEXt' not in (tmp_path / 'b.png').read_bytes()


def without(data, name):
    at = data.index(name) - 4
    return data[:at] + data[at + 12 + int.from_bytes(data[at : at + 4], 'big') :]


def test_pngs_whose_pixels_cannot_be_right(tmp_path):
    colours = encoded(in_mode('P'), 'PNG')
    refused(tmp_path, 'a.png', without(colours, b'PLTE'), 'there is no palette')
    refused(tmp_path, 'a.png', with_chunks(colours, (b'tRNS', bytes(300))), 'transparency has 300 bytes')
    grey, rgb = (encoded(in_mode(mode), 'PNG') for mode in ('L', 'RGB'))
    refused(tmp_path, 'a.png', with_chunks(grey, (b'tRNS', b'\0')), 'transparency has 1 bytes, not 2')
    refused(tmp_path, 'a.png', with_chunks(rgb, (b'tRNS', bytes(256))), 'transparency has 256 bytes, not 6')
    refused(tmp_path, 'a.png', without(rgb, b'IHDR'), 'header is missing')


@pytest.mark.parametrize('bits', [8, 16])
def test_rows_that_are_missing_in_a_png(tmp_path, bits):
    """The stream of pixels ends well, too early."""
    values = np.full([HEIGHT, WIDTH, 3], 257, np.uint16)
    data = png(values) if bits == 16 else encoded(portrait(), 'PNG')
    header = data[16:20] + struct.pack('>I', HEIGHT + 9) + data[24:29]
    refused(tmp_path, 'a.png', data[:8] + chunk(b'IHDR', header) + data[33:], 'last rows are missing')


def test_interlaced_pngs_have_all_their_rows(tmp_path):
    """Adam7 by hand, of grey pixels in 11 columns and 9 rows (odd numbers, so that passes differ in size)."""
    values = np.arange(99, dtype=np.uint8).reshape(9, 11)
    passes = [
        values[0::8, 0::8],
        values[0::8, 4::8],
        values[4::8, 0::4],
        values[0::4, 2::4],
        values[2::4, 0::2],
        values[0::2, 1::2],
        values[1::2, :],
    ]
    rows = b''.join(b'\0' + row.tobytes() for part in passes for row in part)

    def file(rows):
        return (
            b'\x89PNG\r\n\x1a\n'
            + chunk(b'IHDR', struct.pack('>IIBBBBB', 11, 9, 8, 0, 0, 0, 1))
            + chunk(b'IDAT', zlib.compress(rows))
            + chunk(b'IEND', b'')
        )

    np.testing.assert_array_equal(opened(tmp_path, 'a.png', file(rows)).rgb[..., 0], values)
    refused(tmp_path, 'a.png', file(rows[:-1]), 'last rows are missing')


def test_deep_pngs_have_a_limit_of_their_own(tmp_path):
    """Header and no pixels: it is refused before anything is decoded."""
    header = struct.pack('>IIBBBBB', 14000, 14000, 16, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    refused(tmp_path, 'a.png', data, '14000x14000 pixels of 16 bits, more than 100 million')


# --- JPEG ---------------------------------------------------------------------------------------------------


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
    """(a JPEG of three scans, each with a table of its own before it, the RGB it shows)."""
    channels = in_mode('RGB').convert('YCbCr').split()
    greys = [encoded(channel, 'JPEG', quality=quality) for channel, quality in zip(channels, qualities)]
    parts = [dict(pieces(data)) for data in greys]
    frame = parts[0][0xC0][:5] + b'\3' + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    tables = b''.join(
        b'\xff\xc4' + (len(content) + 2).to_bytes(2, 'big') + content
        for marker, content in pieces(greys[0])
        if marker == 0xC4
    )
    data = b'\xff\xd8\xff\xc0' + (len(frame) + 2).to_bytes(2, 'big') + frame + tables
    for number, (part, grey) in enumerate(zip(parts, greys)):
        scan = grey[grey.index(b'\xff\xda') + 10 : -2]
        data += b'\xff\xdb\0\x43' + part[0xDB] + b'\xff\xda\0\x08\1' + bytes([number + 1, 0, 0, 63, 0]) + scan
    shown = Image.merge('YCbCr', [Image.open(io.BytesIO(grey)) for grey in greys]).convert('RGB')
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
    """There, nothing tells from the data alone that more should follow."""
    restarts = encoded(portrait((200, 160)), 'JPEG', quality=90, restart_marker_blocks=2)
    for marker in b'\xff\xd3', b'\xff\xd7', b'\xff\xd0':
        refused(tmp_path, 'a.jpg', restarts[: restarts.rindex(marker)], 'last rows are missing')
    scans = encoded(portrait((200, 160)), 'JPEG', quality=90, progressive=True)
    refused(tmp_path, 'a.jpg', scans[: scans.rindex(b'\xff\xc4')], 'last rows are missing')


# --- EXIF ---------------------------------------------------------------------------------------------------


def block(*tags, order='<'):
    """The bytes of EXIF with (number, type, count, bytes of the value) in one directory."""
    entries, more, at = b'', b'', 8 + 2 + 12 * len(tags) + 4
    for number, kind, count, content in tags:
        if len(content) > 4:
            content, more = struct.pack(order + 'I', at + len(more)), more + content
        entries += struct.pack(order + 'HHI', number, kind, count) + content.ljust(4, b'\0')
    return (
        (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'IH', 8, len(tags)) + entries + bytes(4) + more
    )


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


# --- TIFF ---------------------------------------------------------------------------------------------------


def tiff(*tags, compression=1, order='<', grey=1, **changes):
    """The portrait in grey, with (number, type, count, bytes of the value); changes: of the layout's tags, likewise."""
    pixels = in_mode('L').tobytes()
    pixels = zlib.compress(pixels) if compression == 8 else pixels

    def number(value):
        return 4, 1, struct.pack(order + 'I', value)

    layout = {
        256: number(WIDTH),
        257: number(HEIGHT),
        258: number(8),
        259: number(compression),
        262: number(grey),
        277: number(1),
        278: number(HEIGHT),
        279: number(len(pixels)),
    }
    layout.update({int(name[1:]): value for name, value in changes.items()})
    layout.update({tag[0]: tag[1:] for tag in tags})
    layout[273] = number(0)
    size = len(block(*[(tag, *value) for tag, value in layout.items()], order=order))
    layout[273] = number(size)
    return block(*[(tag, *layout[tag]) for tag in sorted(layout)], order=order) + pixels


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
    """None reaches an encoder, which would take numbers for addresses: it opens, or is not kept and there is a note."""
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
    """As LONG, too, as many programs store it: the bytes are in the order of the standard, whatever the file's is."""
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
    refused(tmp_path, 'a.tif', tiff(grey=3), 'palette is missing')


@pytest.mark.parametrize('compression', ['group4', 'group3', 'tiff_ccitt'])
@pytest.mark.parametrize('grey', [0, 1])
@pytest.mark.parametrize('fill', [1, 2])
def test_faxes(tmp_path, compression, grey, fill):
    image = portrait((200, 500)).convert('1')
    data = encoded(image, 'TIFF', compression=compression, tiffinfo={262: grey, 266: fill})
    photo = opened(tmp_path, 'a.tif', data)
    np.testing.assert_array_equal(photo.rgb[..., 0], np.array(image) * 255)
    with Image.open(io.BytesIO(data)) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]
    for at in size // 3, size // 2, size - 40:
        # enough ones to be no code
        broken = bytearray(data)
        broken[start + at : start + at + 3] = b'\0\0\0'
        refused(tmp_path, 'b.tif', bytes(broken), 'fax compression|damaged')


# --- the process --------------------------------------------------------------------------------------------


def test_reading_and_writing_touch_nothing_of_the_process(tmp_path, monkeypatch):
    """In several threads, with pictures beyond a limit of Pillow's that somebody else has set."""
    big = portrait((120, 90))
    exif = b'Exif\0\0II*\0\x08\0\0\0\x09\0'
    for suffix, options in ('png', {}), ('jpg', {'exif': exif}), ('tif', {'compression': 'tiff_lzw'}):
        big.save(tmp_path / f'a.{suffix}', **options)
    big.quantize(64).save(tmp_path / 'p.png', transparency=bytes(range(64)))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10_000)
    filters, seen, failed = list(warnings.filters), set(), []

    def watch(*_):
        seen.add((Image.MAX_IMAGE_PIXELS, warnings.filters == filters))

    def work(name):
        # at each call of a function
        sys.settrace(watch)
        try:
            photo = Photo.open(tmp_path / name)
            photo.save(tmp_path / f'out-{name}', changed(photo))
        except Exception as error:
            failed.append(error)

    with monkeypatch.context() as patch:
        patch.setattr(warnings, 'catch_warnings', None)
        threads = [threading.Thread(target=work, args=(name,)) for name in ('a.png', 'a.jpg', 'a.tif', 'p.png')]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed and seen == {(10_000, True)}


def test_warnings_as_errors_are_no_damage(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        image = in_mode('P')
        for name, data in {
            'a.png': encoded(image, 'PNG', transparency=bytes(range(64))),
            'a.jpg': encoded(in_mode('RGB'), 'JPEG', exif=b'Exif\0\0II*\0\x08\0\0\0\x09\0'),
            'a.tif': tiff((305, 2, 99, struct.pack('<I', 1 << 30))),
        }.items():
            photo = opened(tmp_path, name, data)
            photo.save(tmp_path / f'b{name}', changed(photo))


# --- writing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'rubbish',
    [
        b'',
        b'rubbish',
        encoded(portrait((20, 20)), 'PNG'),
        encoded(portrait(), 'BMP'),
        encoded(portrait(), 'PNG') + b'behind the end',
    ],
)
def test_what_does_not_open_does_not_take_its_place(tmp_path, monkeypatch, rubbish):
    photo = opened(tmp_path, 'a.png', encoded(in_mode('RGB'), 'PNG'))
    (tmp_path / 'b.png').write_text('earlier')
    monkeypatch.setattr(photo_files, 'write_alike', lambda file, *args: file.write(rubbish))
    with pytest.raises(GazeError, match='--output: .*b.png cannot be written'):
        photo.save(tmp_path / 'b.png', changed(photo))
    assert (tmp_path / 'b.png').read_text() == 'earlier' and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('error', [KeyError('x'), OverflowError(), struct.error('odd'), MemoryError(), SystemError()])
def test_whatever_decoders_and_encoders_raise_is_one_sentence(tmp_path, monkeypatch, error):
    def fail(*args):
        raise error

    photo = opened(tmp_path, 'a.png', encoded(in_mode('RGB'), 'PNG'))
    monkeypatch.setattr(photo_files, 'write_alike', fail)
    with pytest.raises(GazeError, match='--output: .* cannot be written'):
        photo.save(tmp_path / 'b.png', changed(photo))
    monkeypatch.setattr(photo_reading, '_png', fail)
    refused(tmp_path, 'a.png', photo.data, '--input: .*(damaged or cut off|more memory)')
