"""Reads the tags of TIFF and EXIF from bytes that may hold anything, and writes checked tags.

Values remain bytes all the time: no library guesses their types, and no encoder gets values that it does not expect.
"""

import mmap
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple, Union

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
# type → bytes of a value, and bytes of the numbers in it
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WORDS = {**_SIZES, 5: 4, 10: 4}
_INTEGERS = {1: 'B', 3: 'H', 4: 'I', 6: 'b', 8: 'h', 9: 'i', 13: 'I', 16: 'Q', 17: 'q', 18: 'Q'}
_WORD = {4: 'I', 8: 'Q'}
# tags whose value is the position of a directory; the last one is inside the directory of EXIF
_DIRECTORIES = (EXIF, GPS, 0xA005)
# names, texts, dates
_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432)
# tags whose values are bytes → the types that they may have; some programs store IPTC as LONG
_BYTES = {
    XMP: (_BYTE, UNDEFINED),
    IPTC: (_BYTE, UNDEFINED, LONG),
    PHOTOSHOP: (_BYTE, UNDEFINED),
    ICC: (_BYTE, UNDEFINED),
}
# tags that EXIF has in all formats; for the others, other formats have other places
_OF_EXIF = (*_TEXTS, ORIENTATION, EXIF, GPS)


class Tag(NamedTuple):
    """The value of a tag.

    Attributes:
      kind: the number of its type.
      count: how many values of that type it has.
      content: their bytes.
      order: the byte order of these, '<' or '>'.
    """

    kind: int
    count: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody needs here
    content: bytes
    order: str = '<'


# {number: Tag, or the tags of a directory}
Tags = dict[int, Union[Tag, 'Tags']]


def integers(tag: Tag | Tags) -> tuple[int, ...]:
    """Returns the values of a tag; () if they are not whole numbers from 0."""
    if isinstance(tag, dict) or tag.kind not in _INTEGERS:
        return ()
    values = struct.unpack(f'{tag.order}{tag.count}{_INTEGERS[tag.kind]}', tag.content)
    return values if min(values, default=0) >= 0 else ()


def of_integers(values: tuple[int, ...], big: bool = False) -> Tag:
    """Returns a Tag of whole numbers, with a type that only BigTIFF has if `big` is true and they need it."""
    kind = SHORT if max(values) < 1 << 16 else LONG if max(values) < 1 << 32 or not big else _LONG8
    return Tag(kind, len(values), struct.pack(f'<{len(values)}{_INTEGERS[kind]}', *values))


def of_bytes(content: bytes) -> Tag:
    """Returns a Tag of bytes."""
    return Tag(_BYTE, len(content), content)


class Reader:
    """Reads directories of a TIFF file, or of EXIF (its bytes without 'Exif\\0\\0').

    Raises ValueError if the data have no TIFF header.

    Attributes:
      order: the byte order, '<' or '>'.
      big: whether it is a BigTIFF.
      first: the position of the first directory.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data, self._left = data, len(data)
        self.order = {b'II': '<', b'MM': '>'}.get(bytes(data[:2]), '')
        version = struct.unpack_from(f'{self.order}H', data, 2)[0] if self.order and len(data) >= 16 else None
        if version not in (42, 43):
            raise ValueError('no TIFF header')
        self.big = version == 43
        (self.first,) = struct.unpack_from(self.order + ('8xQ' if self.big else '4xI'), data)

    def read(self, at: int, deep: int = 2) -> tuple[Tags, list[int], int]:
        """Reads the directory at a position, and directories in it up to `deep` levels.

        Returns:
          (the tags, numbers of the tags that cannot be read, position of the next directory or 0).

        Raises:
          ValueError: there is no directory.
        """
        count = self._number(at, 'Q' if self.big else 'H')
        at += 8 if self.big else 2
        size, room = _layout(self.big)
        following = self._number(at + count * size, _WORD[room], missing=0)
        if at + count * size > len(self._data):
            raise ValueError(f'a directory of {count} tags is cut off')
        tags: Tags = {}
        bad: list[int] = []
        for entry in range(at, at + count * size, size):
            number, kind = struct.unpack_from(self.order + 'HH', self._data, entry)
            if number in tags:
                continue
            tag = self._tag(kind, self._number(entry + 4, _WORD[room]), entry + 4 + room, room)
            value = self._directory(tag, deep) if tag is not None and number in _DIRECTORIES else tag
            if value is None:
                bad.append(number)
            else:
                tags[number] = value
        return tags, bad, following

    def _number(self, at: int, word: str, missing: int | None = None) -> int:
        if at + struct.calcsize(word) <= len(self._data):
            return struct.unpack_from(self.order + word, self._data, at)[0]
        if missing is None:
            raise ValueError('a directory is missing')
        return missing

    def _tag(self, kind: int, count: int, at: int, room: int) -> Tag | None:
        """Returns the Tag whose value, or the position of whose value, is at a position; None if it cannot be read."""
        size = count * _SIZES.get(kind, 0)
        if size > room:
            at = self._number(at, _WORD[room])
        # all values together may not be larger than the file, so that a small file cannot fill the memory
        if not 0 < size <= min(self._left, len(self._data) - at):
            return None
        self._left -= size
        return Tag(kind, count, bytes(self._data[at : at + size]), self.order)

    def _directory(self, tag: Tag, deep: int) -> Tags | None:
        """Returns the tags at the position that a tag holds; None if they cannot be read."""
        position = integers(tag)
        try:
            return self.read(position[0], deep - 1)[0] if position and deep else None
        except ValueError:
            return None


def _layout(big: bool) -> tuple[int, int]:
    """Returns the bytes of an entry of a directory, and of the value or position in it."""
    return (20, 8) if big else (12, 4)


def write(tags: Tags, at: int, order: str = '<', big: bool = False) -> tuple[bytes, int]:
    """Returns (bytes to write at the even position `at` of a file, position in the file of the directory of `tags`)."""
    body, entries, (_, room) = bytearray(), [], _layout(big)

    def put(content: bytes) -> int:
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


def _in_order(tag: Tag, order: str) -> bytes:
    """Returns the bytes of a Tag in a byte order."""
    if tag.order == order:
        return tag.content
    return np.frombuffer(tag.content, f'u{_WORDS[tag.kind]}').byteswap().tobytes()


def check_tags(tags: Tags) -> tuple[Tags, list[int]]:
    """Returns (the known tags that describe a picture and have the right type, numbers of all others)."""
    kept = {number: value for number, tag in tags.items() if (value := _checked(number, tag)) is not None}
    return kept, [number for number in tags if number not in kept]


def _checked(number: int, tag: Tag | Tags) -> Tag | Tags | None:
    """Returns a tag of the type that belongs to its number; None if it has another one, or is unknown."""
    if number in (EXIF, GPS):
        return tag
    if isinstance(tag, dict):
        return None
    if number in _TEXTS:
        return tag if tag.kind == _ASCII else None
    if number in _BYTES:
        if tag.kind not in _BYTES[number]:
            return None
        # the order of bytes stored as LONG does not depend on the byte order of the file
        return Tag(UNDEFINED, len(tag.content), tag.content) if tag.kind == LONG else tag
    if number in (X_RESOLUTION, Y_RESOLUTION):
        return tag if tag.kind == _RATIONAL and tag.count == 1 and _ratio(tag) else None
    limit = {ORIENTATION: 8, RESOLUTION_UNIT: 3}.get(number)
    values = integers(tag) if limit else ()
    return of_integers(values) if limit and len(values) == 1 and 1 <= values[0] <= limit else None


def _ratio(tag: Tag | Tags) -> float:
    """Returns the value of a RATIONAL if it is positive, else 0."""
    if isinstance(tag, dict):
        return 0.0
    above, below = struct.unpack(f'{tag.order}2I', tag.content)
    return above / below if above and below else 0.0


def read_resolution(tags: Tags) -> tuple[float, ...] | None:
    """Returns (x, y) in dots per inch; None if checked tags do not say it."""
    unit = {2: 1.0, 3: 2.54}.get(integers(tags[RESOLUTION_UNIT])[0] if RESOLUTION_UNIT in tags else 2)
    if unit is None or X_RESOLUTION not in tags or Y_RESOLUTION not in tags:
        return None
    return tuple(_ratio(tags[number]) * unit for number in (X_RESOLUTION, Y_RESOLUTION))


def of_resolution(dpi: Iterable[float]) -> Tags:
    """Returns the tags for a resolution, (x, y) in dots per inch."""
    tags: Tags = {
        number: Tag(_RATIONAL, 1, struct.pack('<2I', round(value * 1000), 1000))
        for number, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi)
    }
    return {**tags, RESOLUTION_UNIT: of_integers((2,))}


def read_exif(block: bytes) -> Tags:
    """Returns the checked tags of EXIF bytes (without 'Exif\\0\\0'); none if they cannot be read."""
    try:
        reader = Reader(block)
        return check_tags(reader.read(reader.first)[0])[0]
    except ValueError:
        return {}


def build_exif(tags: Tags) -> bytes:
    """Returns EXIF bytes with what the checked tags of a TIFF say about the picture; b'' if that is nothing."""
    tags = {number: tag for number, tag in tags.items() if number in _OF_EXIF}
    if not tags:
        return b''
    body, start = write(tags, 8)
    return b'II*\0' + struct.pack('<I', start) + body


def set_upright(block: bytes) -> bytes:
    """Returns EXIF bytes with the orientation 1 if they have an orientation. All else remains in its place."""
    value = of_integers((1,))
    return _edited(block, lambda number, tag: value if number == ORIENTATION else tag)


def drop_orientation(block: bytes) -> bytes:
    """Returns EXIF bytes without an orientation. All else remains in its place."""
    return _edited(block, lambda number, tag: None if number == ORIENTATION else tag)


def drop_misfits(block: bytes) -> bytes:
    """Returns EXIF bytes without a resolution that is not a fraction, for which Pillow would refuse the whole file."""
    return _edited(
        block,
        lambda number, tag: (
            None if number in (X_RESOLUTION, Y_RESOLUTION) and tag.kind not in (_RATIONAL, _SIGNED_RATIONAL) else tag
        ),
    )


def _edited(block: bytes, change: Callable[[int, Tag], Tag | None]) -> bytes:
    """Returns EXIF bytes in which change(number, Tag) replaces each tag that is not a directory.

    It returns a Tag of at most 4 bytes, or None to remove the tag. All else remains in its place.
    """
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
        if number not in changes:
            entries.append(block[at : at + 12])
        elif new := changes[number]:
            head = struct.pack(f'{order}HHI', number, new.kind, new.count)
            entries.append(head + _in_order(new, order).ljust(4, b'\0'))
    end = start + 2 + 12 * count
    directory = struct.pack(f'{order}H', len(entries)) + b''.join(entries) + block[end : end + 4]
    return block[:start] + directory.ljust(end + 4 - start, b'\0')[: len(block) - start] + block[end + 4 :]
