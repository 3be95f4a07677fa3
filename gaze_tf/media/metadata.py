"""Corrects the metadata of an edited photo: removes or replaces what became false, and adds the AI mark if wanted.

Call `renew` before WebP, AVIF and TIFF are written, and `renew_file` after JPEG and PNG are written.
`edit_notes.collect` tells the user what is left out for good.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

from PIL import Image

from gaze_tf.media import jpeg_parts, previews, tiff_tags, xmp

_EXIF, _XMP, _EXTENDED = b'Exif\0\0', b'http://ns.adobe.com/xap/1.0/\0', b'http://ns.adobe.com/xmp/extension/\0'
_GAIN_MAP = b'urn:iso:std:iso:ts:21496:-1'
_PNG_XMP = b'XML:com.adobe.xmp'
_RAW_PROFILE = b'Raw profile type '
# most bytes of a segment's content
_LONGEST = 65533
# most bytes to which a compressed text may unpack
_UNPACKED = 2**26
# TIFF tags that may contain previews: the notes of a camera's maker, and Photoshop's data
_WITH_PREVIEWS = 37500, tiff_tags.PHOTOSHOP


def renew(image: Image.Image, picture: previews.Picture, mark: bool = False) -> None:
    """Corrects the metadata that photo_reading has read, in place: previews in EXIF, and claims in XMP.

    Args:
      image: whose `info` is corrected.
      picture: the edited picture.
      mark: whether to add the AI mark to XMP.
    """
    info: dict[Any, Any] = image.info
    if info.get('exif'):
        info['exif'] = previews.renew(info['exif'], picture)
    info['xmp'] = xmp.renew(info.get('xmp'), mark).packet
    if image.format == 'TIFF':
        tags = _renewed_tags(info['tags'], picture)
        tags.pop(tiff_tags.XMP, None)
        info['tags'] = {**tags, **({tiff_tags.XMP: tiff_tags.of_bytes(info['xmp'])} if info['xmp'] else {})}


def _renewed_tags(tags: tiff_tags.Tags, picture: previews.Picture) -> tiff_tags.Tags:
    """Returns tags with the previews in maker notes and Photoshop's data replaced."""
    return {
        number: _renewed_tags(tag, picture)
        if isinstance(tag, dict)
        else tag._replace(content=previews.renew(tag.content, picture))
        if number in _WITH_PREVIEWS
        else tag
        for number, tag in tags.items()
    }


def renew_file(file: IO[bytes], target: str, picture: previews.Picture, mark: bool = False) -> None:
    """Corrects the metadata in a file that photo_writing has written, if its format `target` is JPEG or PNG.

    `file` is open for reading and writing bytes; for the other arguments see `renew`. Raises OSError.
    """
    if target not in ('JPEG', 'PNG'):
        return
    file.seek(0)
    data = file.read()
    parts = (_jpeg if target == 'JPEG' else _png)(data, picture, mark)
    if parts is not None:
        file.seek(0)
        file.writelines(parts)
        file.truncate()


def is_credentials(marker: int, content: bytes) -> bool:
    """Whether a segment of a JPEG is of the format (JUMBF) that stores C2PA content credentials."""
    return marker == 0xEB and content[:2] == b'JP' and content[12:16] == b'jumb'


def jpeg_packets(found: Sequence[tuple[int, bytes]]) -> tuple[bytes | None, bytes]:
    """Returns (XMP or None, extended XMP or b'') from the segments (marker, content) of a JPEG."""
    main = [content[len(_XMP) :] for marker, content in found if marker == 0xE1 and content.startswith(_XMP)]
    pieces = [
        content[len(_EXTENDED) + 40 :] for marker, content in found if marker == 0xE1 and content.startswith(_EXTENDED)
    ]
    return main[0] if main else None, b''.join(pieces)


def _jpeg(data: bytes, picture: previews.Picture, mark: bool) -> list[bytes | memoryview] | None:
    """Returns the corrected parts of a JPEG file; None if nothing changes."""
    source = io.BytesIO(data)
    found, start = list(jpeg_parts.read_segments(source)), source.tell()
    kept, marked = [], not mark
    extended = not xmp.makes_claims(jpeg_packets(found)[1])
    for marker, content in found:
        if is_credentials(marker, content) or marker == 0xE2 and content.startswith(_GAIN_MAP):
            continue
        if marker == 0xE1 and content.startswith(_XMP):
            content, marked = _jpeg_xmp(content[len(_XMP) :], not marked, extended), True
        elif marker == 0xE1 and content.startswith(_EXTENDED):
            content = content if extended else b''
        elif marker == 0xE0:
            content = _without_small_picture(content)
        if 0xE1 <= marker <= 0xEF and marker != 0xE2 and content:
            content = previews.renew(content, picture)
        if content or not 0xE0 <= marker <= 0xEF:
            kept.append((marker, content))
    if not marked:
        # after EXIF, which readers expect first
        place = next(
            (k for k, (marker, content) in enumerate(kept) if marker != 0xE0 and not content.startswith(_EXIF)),
            len(kept),
        )
        kept.insert(place, (0xE1, _jpeg_xmp(None, mark)))
    if kept == found:
        return None
    return [data[:2], *(jpeg_parts.build_segment(*each) for each in kept), memoryview(data)[start:]]


def _jpeg_xmp(packet: bytes | None, mark: bool, extended: bool = True) -> bytes:
    """Returns the content of the segment with the corrected XMP; b'' if nothing is left.

    The mark is left out if there is no room for it.
    """
    new = xmp.renew(packet, mark, extended).packet
    if new and len(new) > _LONGEST - len(_XMP):
        new = xmp.renew(packet, False, extended).packet
    return _XMP + new if new else b''


def _without_small_picture(content: bytes) -> bytes:
    """Returns an APP0 segment without its uncompressed thumbnail; b'' if it holds nothing else."""
    if content.startswith(b'JFIF\0') and len(content) > 14:
        return content[:12] + b'\0\0'
    return b'' if content.startswith(b'JFXX\0') and content[5:6] != b'\x10' else content


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yields (name, content) of the chunks of a PNG, up to its end."""
    at, view = 8, memoryview(data)
    while at + 8 <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        yield name, view[at + 8 : at + 8 + size]
        at += 12 + size
        if name == b'IEND':
            return


def _png_packet(found: Sequence[tuple[bytes, memoryview]]) -> bytes | None:
    """Returns the XMP from the chunks (name, content) of a PNG; None if there is none."""
    for name, content in found:
        if name == b'iTXt' and bytes(content[: len(_PNG_XMP) + 1]) == _PNG_XMP + b'\0':
            return _text(name, bytes(content)) or None
    return None


def _png(data: bytes, picture: previews.Picture, mark: bool) -> list[bytes | memoryview] | None:
    """Returns the corrected parts of a PNG file; None if nothing changes."""
    found = list(_chunks(data))
    kept: list[tuple[bytes, bytes | memoryview]] = []
    content: bytes | memoryview | None
    packet = xmp.renew(_png_packet(found), mark).packet
    new_chunk = _PNG_XMP + bytes(5) + packet if packet else None
    for name, content in found:
        if name in (b'iTXt', b'zTXt', b'tEXt') and bytes(content[: len(_PNG_XMP) + 1]) == _PNG_XMP + b'\0':
            # XMP that does not change is not written again
            same = (_text(name, bytes(content)) or None) == packet
            content, new_chunk = content if same else new_chunk, None
        elif name in (b'zTXt', b'tEXt') and bytes(content[: len(_RAW_PROFILE)]) == _RAW_PROFILE:
            content = _raw_profile(name, bytes(content), picture)
        elif name == b'eXIf':
            content = previews.renew(bytes(content), picture)
        elif name == b'IDAT' and new_chunk:
            kept.append((b'iTXt', new_chunk))
            new_chunk = None
        if content is not None:
            kept.append((name, content))
    if kept == found:
        return None
    parts: list[bytes | memoryview] = [data[:8]]
    for name, part in kept:
        parts += [struct.pack('>I4s', len(part), name), part, struct.pack('>I', zlib.crc32(part, zlib.crc32(name)))]
    return parts


def _text(name: bytes, content: bytes) -> bytes:
    """Returns the text of a chunk; b'' if it cannot be read."""
    keyword, _, rest = content.partition(b'\0')
    if name == b'tEXt':
        return rest
    compressed = name == b'zTXt' or rest[:1] == b'\1'
    rest = rest[1:] if name == b'zTXt' else (rest[2:].split(b'\0', 2) + [b''] * 2)[2]
    try:
        return zlib.decompressobj().decompress(rest, _UNPACKED) if compressed else rest
    except zlib.error:
        return b''


def _raw_profile(name: bytes, content: bytes, picture: previews.Picture) -> bytes | None:
    """Corrects a chunk with EXIF, XMP or Photoshop's data in hexadecimal digits, as ImageMagick writes them.

    Returns its content; None if nothing is left.
    """
    keyword, text = content.partition(b'\0')[0], _text(name, content)
    kind, _, digits = text.strip().partition(b'\n')
    try:
        old = bytes.fromhex(digits.strip().partition(b'\n')[2].decode('ascii'))
    except ValueError:
        return content
    head = _XMP if old.startswith(_XMP) else b''
    if head or keyword.endswith(b' xmp'):
        packet = xmp.renew(old[len(head) :]).packet
        new = packet and head + packet
    else:
        new = previews.renew(old, picture)
    if not new or new == old:
        return new and content
    written = new.hex()
    lines = '\n'.join(written[at : at + 72] for at in range(0, len(written), 72))
    text = b'\n%s\n%8d\n%s\n' % (kind, len(new), lines.encode())
    return keyword + b'\0' + (b'\0' + zlib.compress(text) if name == b'zTXt' else text)
