"""Directories of TIFF and EXIF: read from bytes that may hold anything, and written from values that were checked.

Values stay bytes all the way: no library guesses their types, and no encoder sees one that is not its own.
"""

import struct
from typing import NamedTuple

import numpy as np

ORIENTATION, EXIF, GPS = 274, 34665, 34853
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP, IPTC, PHOTOSHOP, ICC, C2PA = (
    282,
    283,
    296,
    700,
    33723,
    34377,
    34675,
    52545,
)
SHORT, LONG, UNDEFINED = 3, 4, 7
_BYTE, _ASCII, _RATIONAL, _SIGNED_RATIONAL, _LONG8 = 1, 2, 5, 10, 16
# bytes of a value of each type, and of the numbers in it
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WORDS = {**_SIZES, 5: 4, 10: 4}
_INTEGERS = {1: 'B', 3: 'H', 4: 'I', 6: 'b', 8: 'h', 9: 'i', 13: 'I', 16: 'Q', 17: 'q', 18: 'Q'}
_WORD = {4: 'I', 8: 'Q'}
# tags that are the position of a directory; in that of EXIF there is one more
_DIRECTORIES = (EXIF, GPS, 0xA005)
# names, texts, dates
_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432)
# those whose values some writers store as LONG, though they are bytes
_BYTES = {
    XMP: (_BYTE, UNDEFINED),
    IPTC: (_BYTE, UNDEFINED, LONG),
    PHOTOSHOP: (_BYTE, UNDEFINED),
    ICC: (_BYTE, UNDEFINED),
}
# what EXIF says itself, wherever it is: not the rest, for which other formats have other places
_OF_EXIF = (*_TEXTS, ORIENTATION, EXIF, GPS)


class Tag(NamedTuple):
    """A value: kind, the number of its type; count; content, its bytes, in byte order `order` ('<' or '>')."""

    kind: int
    count: int
    content: bytes
    order: str = '<'


def integers(tag):
    """Its values; () if they are not whole numbers from 0."""
    if tag.kind not in _INTEGERS:
        return ()
    values = struct.unpack(f'{tag.order}{tag.count}{_INTEGERS[tag.kind]}', tag.content)
    return values if min(values, default=0) >= 0 else ()


def of_integers(values, big=False):
    """The Tag of whole numbers; big: whether it may be one of BigTIFF."""
    kind = SHORT if max(values) < 1 << 16 else LONG if max(values) < 1 << 32 or not big else _LONG8
    return Tag(kind, len(values), struct.pack(f'<{len(values)}{_INTEGERS[kind]}', *values))


def of_bytes(content):
    """The Tag of bytes."""
    return Tag(_BYTE, len(content), content)


class Reader:
    """Reads directories of a TIFF file, or of EXIF (its bytes without 'Exif\\0\\0').

    order: its byte order; big: whether it is a BigTIFF; first: position of its first directory. Raises ValueError if it
    does not begin like one.
    """

    def __init__(self, data):
        self._data, self._left = data, len(data)
        self.order = {b'II': '<', b'MM': '>'}.get(bytes(data[:2]))
        version = struct.unpack_from(f'{self.order}H', data, 2)[0] if self.order and len(data) >= 16 else None
        if version not in (42, 43):
            raise ValueError('no TIFF header')
        self.big = version == 43
        (self.first,) = struct.unpack_from(self.order + ('8xQ' if self.big else '4xI'), data)

    def read(self, at, deep=2):
        """({number: Tag, or a dict likewise}, numbers of the tags that cannot be read, position of the next directory or 0).

        Raises ValueError if there is no directory. deep: how many directories may be in each other.
        """
        count = self._number(at, 'Q' if self.big else 'H')
        at += 8 if self.big else 2
        size, room = _layout(self.big)
        following = self._number(at + count * size, _WORD[room], missing=0)
        if at + count * size > len(self._data):
            raise ValueError(f'a directory of {count} tags is cut off')
        tags, bad = {}, []
        for entry in range(at, at + count * size, size):
            number, kind = struct.unpack_from(self.order + 'HH', self._data, entry)
            if number in tags:
                continue
            tag = self._tag(kind, self._number(entry + 4, _WORD[room]), entry + 4 + room, room)
            if tag is not None and number in _DIRECTORIES:
                tag = self._directory(tag, deep)
            if tag is None:
                bad.append(number)
            else:
                tags[number] = tag
        return tags, bad, following

    def _number(self, at, word, missing=None):
        if at + struct.calcsize(word) <= len(self._data):
            return struct.unpack_from(self.order + word, self._data, at)[0]
        if missing is None:
            raise ValueError('a directory is missing')
        return missing

    def _tag(self, kind, count, at, room):
        """The Tag whose value, or whose value's position, is at a position; None if it cannot be."""
        size = count * _SIZES.get(kind, 0)
        if size > room:
            at = self._number(at, _WORD[room])
        # all values together are no more than the file, so that a small one cannot grow
        if not 0 < size <= min(self._left, len(self._data) - at):
            return None
        self._left -= size
        return Tag(kind, count, bytes(self._data[at : at + size]), self.order)

    def _directory(self, tag, deep):
        """What is at the position that a tag holds."""
        position = integers(tag)
        try:
            return self.read(position[0], deep - 1)[0] if position and deep else None
        except ValueError:
            return None


def _layout(big):
    """Bytes of an entry of a directory, and of the value or position in it."""
    return (20, 8) if big else (12, 4)


def write(tags, at, order='<', big=False):
    """(what is to be written at an even position `at` of a file, the position in it of the directory of {number: Tag or a
    dict likewise})."""
    body, entries, (_, room) = bytearray(), [], _layout(big)

    def put(content):
        start = at + len(body)
        body.extend(content + bytes(len(content) % 2))
        return start

    for number, tag in sorted(tags.items()):
        if isinstance(tag, dict):
            inner, start = write(tag, at + len(body), order, big)
            put(inner)
            tag = Tag(LONG, 1, struct.pack('<I', start))
        content = _in_order(tag, order)
        if len(content) > room:
            content = struct.pack(order + _WORD[room], put(content))
        entries.append(
            struct.pack(order + 'HH' + _WORD[room], number, tag.kind, tag.count) + content.ljust(room, b'\0')
        )
    # no directory follows
    start = put(struct.pack(order + ('Q' if big else 'H'), len(entries)) + b''.join(entries) + bytes(room))
    return bytes(body), start


def _in_order(tag, order):
    """The bytes of a Tag in a byte order."""
    if tag.order == order:
        return tag.content
    return np.frombuffer(tag.content, f'u{_WORDS[tag.kind]}').byteswap().tobytes()


def checked(tags):
    """({number: Tag or dict} of those that say what a picture is, each of the type that belongs to it, numbers of those
    of another type or none)."""
    kept = {number: value for number, tag in tags.items() if (value := _checked(number, tag)) is not None}
    return kept, [number for number in tags if number not in kept]


def _checked(number, tag):
    if number in (EXIF, GPS):
        return tag
    if number in _TEXTS:
        return tag if tag.kind == _ASCII else None
    if number in _BYTES:
        # (as LONG, whose order depends on the file's, they are bytes in order all the same)
        return (
            None
            if tag.kind not in _BYTES[number]
            else tag
            if tag.kind != LONG
            else Tag(UNDEFINED, len(tag.content), tag.content)
        )
    if number in (X_RESOLUTION, Y_RESOLUTION):
        return tag if tag.kind == _RATIONAL and tag.count == 1 and _ratio(tag) else None
    limit = {ORIENTATION: 8, RESOLUTION_UNIT: 3}.get(number)
    values = integers(tag) if limit else ()
    return of_integers(values) if len(values) == 1 and 1 <= values[0] <= limit else None


def _ratio(tag):
    """A positive RATIONAL; None if it is none."""
    above, below = struct.unpack(f'{tag.order}2I', tag.content)
    return above / below if above and below else None


def resolution(tags):
    """(x, y) in dots an inch; None if checked tags do not say it."""
    unit = {2: 1.0, 3: 2.54}.get(integers(tags[RESOLUTION_UNIT])[0] if RESOLUTION_UNIT in tags else 2)
    if unit is None or X_RESOLUTION not in tags or Y_RESOLUTION not in tags:
        return None
    return tuple(_ratio(tags[number]) * unit for number in (X_RESOLUTION, Y_RESOLUTION))


def of_resolution(dpi):
    """The tags that say it."""
    tags = {
        number: Tag(_RATIONAL, 1, struct.pack('<2I', round(value * 1000), 1000))
        for number, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi)
    }
    return {**tags, RESOLUTION_UNIT: of_integers((2,))}


def read_exif(block):
    """Checked tags of EXIF's bytes (without 'Exif\\0\\0'); none if they cannot be read."""
    try:
        reader = Reader(block)
        return checked(reader.read(reader.first)[0])[0]
    except ValueError:
        return {}


def exif_of(tags):
    """EXIF's bytes with what checked tags of a TIFF say of a picture; b'' if that is nothing."""
    tags = {number: tag for number, tag in tags.items() if number in _OF_EXIF}
    if not tags:
        return b''
    body, start = write(tags, 8)
    return b'II*\0' + struct.pack('<I', start) + body


def upright(block):
    """EXIF's bytes with the orientation 1, all else in its place; as they are if they do not say one."""
    value = of_integers((1,))
    return _edited(block, lambda number, tag: value if number == ORIENTATION else tag)


def without_orientation(block):
    """EXIF's bytes without an orientation, all else in its place."""
    return _edited(block, lambda number, tag: None if number == ORIENTATION else tag)


def without_misfits(block):
    """EXIF's bytes without a resolution that is no fraction, for which Pillow refuses the whole file."""
    return _edited(
        block,
        lambda number, tag: (
            None if number in (X_RESOLUTION, Y_RESOLUTION) and tag.kind not in (_RATIONAL, _SIGNED_RATIONAL) else tag
        ),
    )


def _edited(block, change):
    """EXIF's bytes with what change(number, Tag), which fits into 4 bytes or is None, says of each tag that is no directory;
    all others stay where they are."""
    try:
        reader = Reader(block)
        tags, _, _ = reader.read(reader.first)
    except ValueError:
        return block
    changes = {
        number: new for number, tag in tags.items() if isinstance(tag, Tag) and (new := change(number, tag)) != tag
    }
    if reader.big or not changes:
        return block
    start, order = reader.first, reader.order
    (count,) = struct.unpack_from(f'{order}H', block, start)
    entries = []
    for at in range(start + 2, start + 2 + 12 * count, 12):
        (number,) = struct.unpack_from(f'{order}H', block, at)
        new = changes.get(number, block[at : at + 12])
        if isinstance(new, Tag):
            new = struct.pack(f'{order}HHI', number, new.kind, new.count) + _in_order(new, order).ljust(4, b'\0')
        entries += [new] if new else []
    end = start + 2 + 12 * count
    directory = struct.pack(f'{order}H', len(entries)) + b''.join(entries) + block[end : end + 4]
    return block[:start] + directory.ljust(end + 4 - start, b'\0')[: len(block) - start] + block[end + 4 :]
