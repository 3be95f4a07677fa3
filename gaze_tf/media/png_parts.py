"""Reads and writes the chunks of PNGs. They are checked before a decoder gets them, and unpacked within limits."""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np

SIGNATURE = b'\x89PNG\r\n\x1a\n'
# most bytes to which a compressed text or profile may unpack; the largest color profiles of printers have 10 MB
_UNPACKED = 32 << 20
# rows that are packed at a time
_ROWS = 64
_LENGTHS = {b'cHRM': 32, b'gAMA': 4, b'sRGB': 1, b'pHYs': 9, b'tIME': 7, b'cICP': 4, b'mDCV': 24, b'cLLI': 8}
# color type → channels; for interlaced pixels, the first pixel (x, y) of each pass and the steps (x, y) to the next
_CHANNELS = {2: 3, 4: 2, 6: 4}
_INTERLACED = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
_AT_ONCE = 1 << 20
_PALETTE = 3
_XMP, _RAW_EXIF = b'XML:com.adobe.xmp', b'Raw profile type exif'
# color type → bytes of a tRNS chunk, except for palettes
_TRANSPARENT = {0: 2, 2: 6}


class PngParts(NamedTuple):
    """What a PNG holds.

    Attributes:
      decodable: the PNG with only its pixels, their transparency and the resolution.
      notes: list of sentences on what will be left out of an edited file.
      exif: bytes without 'Exif\\0\\0', or b''.
      icc: the color profile, or None.
      xmp: bytes.
      frames: number of pictures.
    """

    decodable: bytes
    notes: list[str]
    exif: bytes
    icc: bytes | None
    xmp: bytes
    frames: int


def read_chunks(source: IO[bytes], skip: bytes = b'') -> Iterator[tuple[bytes, bytes]]:
    """Yields (name, the whole chunk) of a binary file that holds a PNG, up to the end chunk.

    Damaged chunks are left out. Chunks with the name `skip` are not read: b'' takes their place.
    """
    source.seek(len(SIGNATURE))
    while len(head := source.read(8)) == 8:
        size, name = struct.unpack('>I4s', head)
        if name == skip:
            source.seek(size + 4, os.SEEK_CUR)
            yield name, b''
        elif is_intact(chunk := head + source.read(size + 4)):
            yield name, chunk
        if name == b'IEND':
            return


def is_intact(chunk: bytes | memoryview) -> bool:
    """Whether a chunk is whole, and has the right checksum and the size that its kind must have."""
    size, name = int.from_bytes(chunk[:4], 'big'), bytes(chunk[4:8])
    if len(chunk) != 12 + size or not name.isalpha() or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], 'big'):
        return False
    if name in (b'iCCP', b'zTXt'):
        # a name of up to 79 bytes, and a zero for the only compression there is
        return 0 < bytes(chunk[8:88]).find(b'\0\0') < min(size - 1, 80)
    return size == _LENGTHS.get(name, size)


def read_parts(data: bytes) -> PngParts:
    """Reads a PNG. Raises ValueError if its pixels cannot be right."""
    view, at, name = memoryview(data), len(SIGNATURE), b''
    pixels: list[memoryview] = []
    found: dict[bytes, list[memoryview]] = {}
    broken: list[str] = []
    while name != b'IEND' and at + 8 <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        chunk, at = view[at : at + size + 12], at + size + 12
        if name == b'IDAT':
            # the decoder will say whether it is damaged
            pixels.append(chunk)
        elif is_intact(chunk):
            if name in found and name in (b'IHDR', b'PLTE'):
                raise ValueError(f'it has two chunks {name.decode()}')
            found.setdefault(name, []).append(chunk[8:-4])
        elif name[0] & 32:
            broken.append(name.decode('latin-1'))
        elif pixels:
            name = b''
            break
        else:
            raise ValueError(f'its chunk {name.decode("latin-1")!r} is broken')
    notes = [f'Its damaged chunks {", ".join(map(repr, dict.fromkeys(broken)))} will be left out.'] if broken else []
    if name != b'IEND':
        notes.append('Its end marker is missing; all pixels are there.')
    elif at < len(data):
        notes.append(f'{len(data) - at} bytes after its end will be left out.')
    needed: dict[bytes, bytes] = {
        name: bytes(found[name][0]) for name in (b'IHDR', b'PLTE', b'tRNS', b'pHYs') if name in found
    }
    _check(needed)
    frames = struct.unpack('>I4x', found[b'acTL'][0])[0] if b'acTL' in found and len(found[b'acTL'][0]) == 8 else 1
    texts = _texts(found)
    return PngParts(
        b''.join([SIGNATURE, *(_chunk(*pair) for pair in needed.items()), *pixels, _chunk(b'IEND', b'')]),
        notes,
        bytes(found[b'eXIf'][0]) if b'eXIf' in found else _raw_profile(texts.get(_RAW_EXIF, b'')),
        _profile(found),
        texts.get(_XMP, b''),
        max(2, frames) if b'fdAT' in found else 1,
    )


def write_deep(file: IO[bytes], values: np.ndarray) -> None:
    """Writes a PNG of uint16 [H, W, C] to a binary file, a few rows at a time to avoid copying large pictures."""
    height, width, channels = values.shape
    file.write(
        SIGNATURE
        + _chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    )
    packer = zlib.compressobj()
    for top in range(0, height, _ROWS):
        rows = values[top : top + _ROWS].astype('>u2').view(np.uint8).reshape(-1, 2 * width * channels)
        # the 1 before each row says that it holds differences to the pixel on the left
        filtered = np.ones((len(rows), rows.shape[1] + 1), np.uint8)
        filtered[:, 1:] = rows
        filtered[:, 1 + 2 * channels :] -= rows[:, : -2 * channels]
        file.write(_chunk(b'IDAT', packer.compress(filtered.tobytes())))
    file.write(_chunk(b'IDAT', packer.flush()) + _chunk(b'IEND', b''))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack('>I4s', len(content), name) + content + struct.pack('>I', zlib.crc32(name + content))


def _check(needed: dict[bytes, bytes]) -> None:
    """Raises ValueError if header, palette and transparency do not fit; removes transparency that has no effect."""
    header = needed.get(b'IHDR', b'')
    if len(header) != 13:
        raise ValueError('its header is missing')
    colors, transparent = len(needed.get(b'PLTE', b'')), needed.get(b'tRNS')
    if header[9] == _PALETTE and (colors % 3 or not 3 <= colors <= 768):
        raise ValueError(
            'its pixels are indices into a palette, and there is no palette'
            if not colors
            else f'its palette has {colors} bytes'
        )
    if header[9] in (4, 6):
        needed.pop(b'tRNS', None)
    elif transparent is not None:
        most = colors // 3 if header[9] == _PALETTE else _TRANSPARENT.get(header[9], 0)
        if len(transparent) > most or header[9] != _PALETTE and len(transparent) != most:
            raise ValueError(f'its transparency has {len(transparent)} bytes, not {most}')


def check_rows(decodable: bytes) -> None:
    """Raises ValueError if rows are missing in the IDAT chunks of `PngParts.decodable`; decoders do not report that."""
    width, height, bits, kind, interlaced = struct.unpack('>IIBBxxB', decodable[16:29])
    bits *= _CHANNELS.get(kind, 1)
    passes = _INTERLACED if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
    # each row follows a byte that names its filter
    missing = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)
    unpack, view, at = zlib.decompressobj(), memoryview(decodable), len(SIGNATURE)
    packed: bytes | memoryview
    while missing > 0 and at < len(decodable):
        size, name = struct.unpack_from('>I4s', decodable, at)
        packed, at = view[at + 8 : at + 8 + size] if name == b'IDAT' else b'', at + 12 + size
        while packed and missing > 0 and not unpack.eof:
            missing -= len(unpack.decompress(packed, _AT_ONCE))
            packed = unpack.unconsumed_tail
    while missing > 0 and (rest := unpack.decompress(b'', _AT_ONCE)):
        missing -= len(rest)
    if missing > 0:
        raise ValueError('its last rows are missing')


def _unpacked(content: bytes) -> bytes:
    """Unpacks what zlib has packed. Returns b'' if it is damaged or unreasonably large."""
    unpack = zlib.decompressobj()
    try:
        result = unpack.decompress(content, _UNPACKED)
    except zlib.error:
        return b''
    return result if not unpack.unconsumed_tail else b''


def _profile(found: dict[bytes, list[memoryview]]) -> bytes | None:
    """Returns the color profile of the iCCP chunk, which follows its name and a zero for its compression."""
    name, _, packed = bytes(found[b'iCCP'][0]).partition(b'\0') if b'iCCP' in found else (b'', b'', b'')
    return _unpacked(packed[1:]) or None


def _texts(found: dict[bytes, list[memoryview]]) -> dict[bytes, bytes]:
    """Returns {keyword: text} of the first text with each of the two keywords that are read."""
    texts: dict[bytes, bytes] = {}
    for name in b'tEXt', b'zTXt', b'iTXt':
        for content in found.get(name, ()):
            keyword, _, _ = bytes(content[:80]).partition(b'\0')
            if keyword not in (_XMP, _RAW_EXIF) or keyword in texts:
                continue
            text = bytes(content[len(keyword) + 1 :])
            if name == b'iTXt':
                # it begins with whether and how it is packed, its language, and the keyword in that
                packed, text = text[:1] == b'\1', text[2:].split(b'\0', 2)[-1]
            else:
                packed, text = name == b'zTXt', text[name == b'zTXt' :]
            texts[keyword] = _unpacked(text) if packed else text
    return texts


def _raw_profile(text: bytes) -> bytes:
    """Returns EXIF from a text of ImageMagick: lines with its name, its length and hexadecimal digits."""
    try:
        return bytes.fromhex(''.join(text.decode('latin-1').split('\n')[3:])).removeprefix(b'Exif\0\0')
    except ValueError:
        return b''
