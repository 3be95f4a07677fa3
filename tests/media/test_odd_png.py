"""Odd PNGs: what is intact opens, damage is reported in a sentence, and what is written opens."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gaze_tf.media.photo import Photo
from tests.photos import HEIGHT, SRGB, WIDTH, changed, chunk, encoded, in_mode, opened, png, portrait, refused, saved


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
    """A profile that would unpack to 48 MB is unpacked only up to the limit, and not written in other formats."""
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
    assert photo.notes == (f'{len(source) - 52} bytes after its end will be left out.',)
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
    colors = encoded(in_mode('P'), 'PNG')
    refused(tmp_path, 'a.png', without(colors, b'PLTE'), 'there is no palette')
    refused(tmp_path, 'a.png', with_chunks(colors, (b'tRNS', bytes(300))), 'transparency has 300 bytes')
    gray, rgb = (encoded(in_mode(mode), 'PNG') for mode in ('L', 'RGB'))
    refused(tmp_path, 'a.png', with_chunks(gray, (b'tRNS', b'\0')), 'transparency has 1 bytes, not 2')
    refused(tmp_path, 'a.png', with_chunks(rgb, (b'tRNS', bytes(256))), 'transparency has 256 bytes, not 6')
    refused(tmp_path, 'a.png', without(rgb, b'IHDR'), 'header is missing')


@pytest.mark.parametrize('bits', [8, 16])
def test_rows_that_are_missing_in_a_png(tmp_path, bits):
    """The stream of pixels ends regularly, but too early."""
    values = np.full([HEIGHT, WIDTH, 3], 257, np.uint16)
    data = png(values) if bits == 16 else encoded(portrait(), 'PNG')
    header = data[16:20] + struct.pack('>I', HEIGHT + 9) + data[24:29]
    refused(tmp_path, 'a.png', data[:8] + chunk(b'IHDR', header) + data[33:], 'last rows are missing')


def test_interlaced_pngs_have_all_their_rows(tmp_path):
    """Adam7 by hand, of gray pixels in 11 columns and 9 rows (odd numbers, so that passes differ in size)."""
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
    """A header without pixels is refused before anything is decoded."""
    header = struct.pack('>IIBBBBB', 14000, 14000, 16, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    refused(tmp_path, 'a.png', data, '14000x14000 pixels of 16 bits are more than 100 million')
