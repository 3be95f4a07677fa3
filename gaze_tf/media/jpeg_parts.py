"""Reads the segments of JPEGs as libjpeg does, however odd the file, so that decoders get only those that they need."""

import io
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from PIL import JpegImagePlugin

SOI, EOI, SOS, DQT = 0xD8, 0xD9, 0xDA, 0xDB
_EXIF, _XMP, _ICC = b'Exif\0\0', b'http://ns.adobe.com/xap/1.0/\0', b'ICC_PROFILE\0'
# markers of a frame: 0xc0 to 0xcf except tables and extensions
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# ends the compressed data of a scan, in which 0xff can only come before a zero or as part of a restart marker
_NEXT = re.compile(rb'\xff+([\x01-\xcf\xd8-\xfe])')


class Coding(NamedTuple):
    """How a JPEG is encoded.

    Attributes:
      tables: the quantization table of each component at its first scan (64 values or None), in the order of the frame.
      ended: whether it has an end marker.
      whole: whether its scans hold all bits of all coefficients.
    """

    tables: list[list[int] | None]
    ended: bool
    whole: bool


class Metadata(NamedTuple):
    """Metadata of a JPEG.

    Attributes:
      exif: bytes without 'Exif\\0\\0', or b''.
      icc: the color profile, or None.
      xmp: bytes.
      several: whether it lists more pictures than the first.
    """

    exif: bytes
    icc: bytes | None
    xmp: bytes
    several: bool


def read_segments(source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yields (marker, content) of the segments of a JPEG in a binary file, and stops where its compressed data begin.

    Like libjpeg, it skips anything between segments, and takes segments with a length below 2 for empty ones.
    """
    source.seek(2)
    while len(head := source.read(2)) == 2:
        marker = head[1]
        if head[0] != 0xFF or marker == 0xFF:
            source.seek(-1, io.SEEK_CUR)
        elif marker in (EOI, SOS):
            source.seek(-2, io.SEEK_CUR)
            return
        # other markers have no content
        elif marker > 1 and not 0xD0 <= marker <= SOI:
            yield marker, source.read(max(int.from_bytes(source.read(2), 'big') - 2, 0))


def build_segment(marker: int, content: bytes) -> bytes:
    """Returns the bytes of a segment."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, 'big') + content


def strip_metadata(data: bytes) -> bytes:
    """Returns a JPEG without metadata, except for the two segments that tell its color space."""
    source = io.BytesIO(data)
    head: list[bytes | memoryview] = [b'\xff\xd8']
    for marker, content in read_segments(source):
        jfif, adobe = marker == 0xE0 and content.startswith(b'JFIF\0'), marker == 0xEE and content.startswith(b'Adobe')
        if jfif or adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            head.append(build_segment(marker, content))
    return b''.join([*head, memoryview(data)[source.tell() :]])


def read_metadata(data: bytes) -> Metadata:
    """Returns the metadata of a JPEG."""
    exif, profile, xmp, several = [], [], b'', False
    for marker, content in read_segments(io.BytesIO(data)):
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


def read_coding(data: bytes) -> Coding:
    """Returns how a JPEG is encoded."""
    ended = False
    quantized: dict[int, int] = {}  # component → number of its table
    tables: dict[int, list[int]] = {}  # number → table
    latched: dict[int, list[int] | None] = {}  # component → its table at its first scan
    missing: dict[int, set[int]] = {}  # component → coefficients that no scan has completed
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
                latched.setdefault(component, tables.get(quantized.get(component, -1)))
                if bits & 15 == 0:
                    missing.get(component, set()).difference_update(range(first, last + 1))
        ended = ended or marker == EOI
    return Coding([latched.get(component) for component in quantized], ended, not any(missing.values()))


def _all_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (marker, content) of all segments, also those between scans, and of the end marker."""
    source = io.BytesIO(data)
    yield from read_segments(source)
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


def _tables(content: bytes) -> dict[int, list[int]]:
    """Returns {number: its 64 values, row by row} of the tables in a segment."""
    found = {}
    while content:
        step = 2 if content[0] >> 4 else 1
        values = [int.from_bytes(content[at : at + step], 'big') for at in range(1, 1 + 64 * step, step)]
        found[content[0] & 15] = [values[index] for index in JpegImagePlugin.zigzag_index]
        content = content[1 + 64 * step :]
    return found


def add_endings(data: bytes) -> tuple[bytes, bytes]:
    """Completes a JPEG without an end marker in two ways.

    If decoding needs more data than the file holds, the two pictures differ.
    """
    data = data.rstrip(b'\xff')
    # the second ending holds data for every restart interval that may follow
    last = max(range(8), key=lambda number: data.rfind(bytes([0xFF, 0xD0 + number])))
    more = b''.join(b'\x5a\xa5\x5a\xff' + bytes([0xD0 + (last + step) % 8]) for step in range(1, 9))
    return data + b'\xff\xd9', data + more + b'\xff\xd9'
