"""The segments of a JPEG: found as libjpeg finds them, however odd the file, so that decoders need only see good ones."""

import io
import re
from typing import NamedTuple

from PIL import JpegImagePlugin

SOI, EOI, SOS, DQT = 0xD8, 0xD9, 0xDA, 0xDB
_EXIF, _XMP, _ICC = b'Exif\0\0', b'http://ns.adobe.com/xap/1.0/\0', b'ICC_PROFILE\0'
# start of a frame: all of 0xc0 to 0xcf but tables and extensions
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# what ends the compressed data of a scan: neither a zero that follows 0xff in it, nor a restart
_NEXT = re.compile(rb'\xff+([\x01-\xcf\xd8-\xfe])')


class Coding(NamedTuple):
    """How a JPEG is encoded: tables, the quantization table of each component in force at its first scan (None: there is
    none), in the order of the frame; ended: whether it has its end marker; whole: whether its scans hold all bits."""

    tables: list
    ended: bool
    whole: bool


class Metadata(NamedTuple):
    """exif: its bytes, without 'Exif\\0\\0', or b''; icc: the colour profile, or None; xmp: bytes; several: whether there
    are more pictures behind the first."""

    exif: bytes
    icc: bytes | None
    xmp: bytes
    several: bool


def segments(source):
    """Yields (marker, content) up to the compressed data of a binary file that holds a JPEG, which is read so far.

    Between segments libjpeg passes over anything; a length of less than 2 is that of an empty one.
    """
    source.seek(2)
    while len(head := source.read(2)) == 2:
        marker = head[1]
        if head[0] != 0xFF or marker == 0xFF:
            source.seek(-1, io.SEEK_CUR)
        elif marker in (EOI, SOS):
            source.seek(-2, io.SEEK_CUR)
            return
        # markers without a content
        elif marker > 1 and not 0xD0 <= marker <= SOI:
            yield marker, source.read(max(int.from_bytes(source.read(2), 'big') - 2, 0))


def segment(marker, content):
    """Its bytes."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, 'big') + content


def decodable(data):
    """The JPEG without metadata: of what is not needed to decode it there are only the two that tell its colour space."""
    source, head = io.BytesIO(data), [b'\xff\xd8']
    for marker, content in segments(source):
        jfif, adobe = marker == 0xE0 and content.startswith(b'JFIF\0'), marker == 0xEE and content.startswith(b'Adobe')
        if jfif or adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            head.append(segment(marker, content))
    return b''.join([*head, memoryview(data)[source.tell() :]])


def metadata(data):
    """Its Metadata."""
    exif, profile, xmp, several = [], [], b'', False
    for marker, content in segments(io.BytesIO(data)):
        if marker == 0xE1 and content.startswith(_EXIF):
            exif.append(content[len(_EXIF) :])
        elif marker == 0xE1 and content.startswith(_XMP):
            xmp = content[len(_XMP) :]
        elif marker == 0xE2 and content.startswith(_ICC) and len(content) > 14:
            profile.append((content[12], content[13], content[14:]))
        several = several or marker == 0xE2 and content.startswith(b'MPF\0')
    whole = [(number, count) for number, count, _ in sorted(profile)] == [
        (k + 1, len(profile)) for k in range(len(profile))
    ]
    icc = b''.join(part for _, _, part in sorted(profile)) if profile and whole else None
    return Metadata(b''.join(exif), icc, xmp, several)


def coding(data):
    """Its Coding."""
    quantized, tables, latched, missing, ended = {}, {}, {}, {}, False
    for marker, content in _all_segments(data):
        if marker == DQT:
            tables.update(_tables(content))
        elif marker in _FRAMES:
            quantized = {content[at]: content[at + 2] for at in range(6, len(content) - 2, 3)}
            missing = {component: set(range(64)) for component in quantized}
        elif marker == SOS and content and len(content) >= 4 + 2 * content[0]:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            for component in content[1 : 1 + 2 * count : 2]:
                latched.setdefault(component, tables.get(quantized.get(component)))
                if bits & 15 == 0:
                    missing.get(component, set()).difference_update(range(first, last + 1))
        ended = ended or marker == EOI
    return Coding([latched.get(component) for component in quantized], ended, not any(missing.values()))


def _all_segments(data):
    """Yields (marker, content) of those between scans, too, and of the end marker."""
    source = io.BytesIO(data)
    yield from segments(source)
    at = source.tell()
    while match := _NEXT.search(data, at):
        marker, at = match[1][0], match.end()
        if marker == EOI:
            yield marker, b''
            return
        if marker >= 0xC0 and marker != SOI:
            size = max(int.from_bytes(data[at : at + 2], 'big'), 2)
            yield marker, data[at + 2 : at + size]
            at += size


def _tables(content):
    """{number: its 64 values, row by row} of the tables in a segment."""
    found = {}
    while content:
        step = 2 if content[0] >> 4 else 1
        values = [int.from_bytes(content[at : at + step], 'big') for at in range(1, 1 + 64 * step, step)]
        found[content[0] & 15] = [values[index] for index in JpegImagePlugin.zigzag_index]
        content = content[1 + 64 * step :]
    return found


def endings(data):
    """Two JPEGs of one without an end marker: what is decoded differs where it takes more than the file holds."""
    data = data.rstrip(b'\xff')
    # (past restarts, of which it may end before any)
    last = max(range(8), key=lambda number: data.rfind(bytes([0xFF, 0xD0 + number])))
    more = b''.join(b'\x5a\xa5\x5a\xff' + bytes([0xD0 + (last + step) % 8]) for step in range(1, 9))
    return data + b'\xff\xd9', data + more + b'\xff\xd9'
