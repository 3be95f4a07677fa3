"""Metadata of a photo that was changed: what would be false of it now is renewed or taken out, and it is marked if wanted.

WebP, AVIF and TIFF get their metadata from `renew`, JPEG and PNG are gone through once they are
written (`renew_file`). What is left out of a file for good is said by `left_out.notes`.
"""

import io
import struct
import zlib

from gaze_tf.media import jpeg_parts, previews, tiff_tags, xmp

_EXIF, _XMP, _EXTENDED = b'Exif\0\0', b'http://ns.adobe.com/xap/1.0/\0', b'http://ns.adobe.com/xmp/extension/\0'
_GAIN_MAP = b'urn:iso:std:iso:ts:21496:-1'
_PNG_XMP = b'XML:com.adobe.xmp'
_RAW_PROFILE = b'Raw profile type '
# of a segment without its header
_LONGEST = 65533
# of texts that are compressed
_UNPACKED = 2**26
# tags of TIFF: the note of a camera's maker, and Photoshop's data
_WITH_PREVIEWS = 37500, tiff_tags.PHOTOSHOP


def renew(image, picture, mark=False):
    """Renews what photo_reading has read of an image's metadata in place: previews in EXIF, claims in XMP; adds the mark.

    picture: previews.Picture of it as it was changed.
    """
    info = image.info
    if info.get('exif'):
        info['exif'] = previews.renewed(info['exif'], picture)
    info['xmp'] = xmp.renewed(info.get('xmp'), mark).packet
    if image.format == 'TIFF':
        tags = _renewed_tags(info['tags'], picture)
        tags.pop(tiff_tags.XMP, None)
        info['tags'] = {**tags, **({tiff_tags.XMP: tiff_tags.of_bytes(info['xmp'])} if info['xmp'] else {})}


def _renewed_tags(tags, picture):
    """{number: Tag, or a dict likewise} with previews in makers' notes and Photoshop's data made anew."""
    return {
        number: _renewed_tags(tag, picture)
        if isinstance(tag, dict)
        else tag._replace(content=previews.renewed(tag.content, picture))
        if number in _WITH_PREVIEWS
        else tag
        for number, tag in tags.items()
    }


def renew_file(file, target, picture, mark=False):
    """Renews a JPEG or PNG, as gaze_tf writes them, in a binary file that can be read; leaves those of other formats.

    picture, mark: as of `renew`. Raises OSError.
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


def is_credentials(marker, content):
    """Whether a segment is one of JUMBF, in which content credentials (C2PA) are."""
    return marker == 0xEB and content[:2] == b'JP' and content[12:16] == b'jumb'


def jpeg_packets(found):
    """(XMP, extended XMP) of (marker, content) of segments: bytes; None and b'' if there is none."""
    main = [content[len(_XMP) :] for marker, content in found if marker == 0xE1 and content.startswith(_XMP)]
    pieces = [
        content[len(_EXTENDED) + 40 :] for marker, content in found if marker == 0xE1 and content.startswith(_EXTENDED)
    ]
    return main[0] if main else None, b''.join(pieces)


def _jpeg(data, picture, mark):
    """The parts of a JPEG file made anew; None if all stays."""
    source = io.BytesIO(data)
    found, start = list(jpeg_parts.segments(source)), source.tell()
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
            content = previews.renewed(content, picture)
        if content or not 0xE0 <= marker <= 0xEF:
            kept.append((marker, content))
    if not marked:
        # behind EXIF, which readers expect first
        place = next(
            (k for k, (marker, content) in enumerate(kept) if marker != 0xE0 and not content.startswith(_EXIF)),
            len(kept),
        )
        kept.insert(place, (0xE1, _jpeg_xmp(None, mark)))
    if kept == found:
        return None
    return [data[:2], *(jpeg_parts.segment(*each) for each in kept), memoryview(data)[start:]]


def _jpeg_xmp(packet, mark, extended=True):
    """The segment of a renewed packet; b'' if nothing is left. The mark is left out where there is no room for it."""
    new = xmp.renewed(packet, mark, extended).packet
    if new and len(new) > _LONGEST - len(_XMP):
        new = xmp.renewed(packet, False, extended).packet
    return _XMP + new if new else b''


def _without_small_picture(content):
    """An APP0 segment without its thumbnail, which is not compressed; b'' if it is nothing but one."""
    if content.startswith(b'JFIF\0') and len(content) > 14:
        return content[:12] + b'\0\0'
    return b'' if content.startswith(b'JFXX\0') and content[5:6] != b'\x10' else content


def _chunks(data):
    """Yields (name, content) of a PNG's chunks in bytes, up to its end; content: memoryview."""
    at, view = 8, memoryview(data)
    while at + 8 <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        yield name, view[at + 8 : at + 8 + size]
        at += 12 + size
        if name == b'IEND':
            return


def _png_packet(found):
    """The XMP among (name, content) of chunks; None if there is none."""
    for name, content in found:
        if name == b'iTXt' and bytes(content[: len(_PNG_XMP) + 1]) == _PNG_XMP + b'\0':
            return _text(name, bytes(content)) or None
    return None


def _png(data, picture, mark):
    """The parts of a PNG file made anew; None if all stays."""
    found, kept = list(_chunks(data)), []
    packet = xmp.renewed(_png_packet(found), mark).packet
    new_chunk = _PNG_XMP + bytes(5) + packet if packet else None
    for name, content in found:
        if name in (b'iTXt', b'zTXt', b'tEXt') and bytes(content[: len(_PNG_XMP) + 1]) == _PNG_XMP + b'\0':
            # one that stays is not written anew
            same = (_text(name, bytes(content)) or None) == packet
            content, new_chunk = content if same else new_chunk, None
        elif name in (b'zTXt', b'tEXt') and bytes(content[: len(_RAW_PROFILE)]) == _RAW_PROFILE:
            content = _raw_profile(name, bytes(content), picture)
        elif name == b'eXIf':
            content = previews.renewed(bytes(content), picture)
        elif name == b'IDAT' and new_chunk:
            kept.append((b'iTXt', new_chunk))
            new_chunk = None
        if content is not None:
            kept.append((name, content))
    if kept == found:
        return None
    parts = [data[:8]]
    for name, content in kept:
        parts += [
            struct.pack('>I4s', len(content), name),
            content,
            struct.pack('>I', zlib.crc32(content, zlib.crc32(name))),
        ]
    return parts


def _text(name, content):
    """The text of a chunk in bytes; b'' if it cannot be read."""
    keyword, _, rest = content.partition(b'\0')
    if name == b'tEXt':
        return rest
    compressed = name == b'zTXt' or rest[:1] == b'\1'
    rest = rest[1:] if name == b'zTXt' else (rest[2:].split(b'\0', 2) + [b''] * 2)[2]
    try:
        return zlib.decompressobj().decompress(rest, _UNPACKED) if compressed else rest
    except zlib.error:
        return b''


def _raw_profile(name, content, picture):
    """A chunk of EXIF, XMP or Photoshop's data in hexadecimal digits, as ImageMagick writes them; None if nothing is left."""
    keyword, text = content.partition(b'\0')[0], _text(name, content)
    kind, _, digits = text.strip().partition(b'\n')
    try:
        old = bytes.fromhex(digits.strip().partition(b'\n')[2].decode('ascii'))
    except ValueError:
        return content
    head = _XMP if old.startswith(_XMP) else b''
    if head or keyword.endswith(b' xmp'):
        packet = xmp.renewed(old[len(head) :]).packet
        new = packet and head + packet
    else:
        new = previews.renewed(old, picture)
    if not new or new == old:
        return new and content
    digits = new.hex()
    lines = '\n'.join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = b'\n%s\n%8d\n%s\n' % (kind, len(new), lines.encode())
    return keyword + b'\0' + (b'\0' + zlib.compress(text) if name == b'zTXt' else text)
