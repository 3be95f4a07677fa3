"""Tells the user which parts of a photo's file are left out when the edited photo is saved."""

import io
import re
from collections.abc import Iterator

from PIL import Image

from gaze_tf.media import jpeg_parts, metadata, photo_writing, png_parts, previews, xmp

_CREDENTIALS = 'Its content credentials (C2PA) are left out: editing invalidates them.'
_VIDEO = (
    'The video in the file (motion photo), which shows the eyes before the edit, is left out, and so is its '
    'description in XMP.'
)
_PICTURES = 'Only the first of the pictures in the file is kept; others may be a gain map, a preview or a depth map.'
_BEHIND = '{} bytes after the end of the picture are left out.'
_CLAIMS = {
    'pictures': 'The description of a video or of more pictures is removed from its XMP, as they are left out.',
    'credentials': 'The address of content credentials (C2PA) is removed from its XMP: editing invalidates them.',
    'preview': 'The preview in its XMP, which shows the eyes before the edit, is removed.',
    'source': 'The statement that a camera took this picture (IPTC digital source type) is removed from its XMP.',
    'unreadable': 'Its XMP is left out: it is damaged, and contains claims that editing makes false.',
}
_MOVIE = re.compile(rb'\0\0\0[\x08-\xff]ftyp')
# the box for C2PA in AVIF and HEIC files
_C2PA_BOX = b'uuid\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c'
# how much of AVIF and HEIC files is searched for gain maps, depth maps and the coding of the picture
_FRONT = 2**16
_AUXILIARY = re.compile(rb'tmap|hdrgainmap|auxid:2\0|auxiliary:depth')
_AV1 = re.compile(rb'av1C\x81.(.)', re.DOTALL)


def collect(image: Image.Image, data: bytes) -> list[str]:
    """Returns sentences on what saving the edited photo would leave out.

    image: as photo_reading has opened it from the bytes `data` of the file.
    """
    if image.format == 'JPEG':
        said, packet, claims = _jpeg(image, data)
    elif image.format == 'PNG':
        names = {name for name, _ in png_parts.read_chunks(io.BytesIO(data), skip=b'IDAT')}
        said, claims = [_CREDENTIALS] if b'caBX' in names else [], set()
        packet = image.info.get('xmp')
    else:
        said, claims, packet = _others(image, data), set(), image.info.get('xmp')
    claims |= xmp.renew(packet).claims
    if _VIDEO in said or _PICTURES in said:
        claims -= {'pictures'}
    if _CREDENTIALS in said:
        claims -= {'credentials'}
    return said + [_CLAIMS[claim] for claim in sorted(claims)]


def _jpeg(image: Image.Image, data: bytes) -> tuple[list[str], bytes | None, set[str]]:
    """Returns (sentences, XMP, kinds of claims in the extended XMP)."""
    said, found = [], list(jpeg_parts.read_segments(io.BytesIO(data)))
    if any(metadata.is_credentials(*segment) for segment in found):
        said.append(_CREDENTIALS)
    end = previews.jpeg_end(data)
    behind = data[end:] if end else b''
    if _MOVIE.search(behind):
        said.append(_VIDEO)
    # some makers put a few bytes of their own before the next picture
    if image.info['several'] or _VIDEO not in said and b'\xff\xd8\xff' in behind[:4096]:
        said.append(_PICTURES)
    elif _VIDEO not in said and behind.strip(b'\0'):
        said.append(_BEHIND.format(len(data) - end))
    packet, more = metadata.jpeg_packets(found)
    return said, packet, {'pictures'} if xmp.makes_claims(more) else set()


def _others(image: Image.Image, data: bytes) -> list[str]:
    said = []
    boxes = [data[at : at + 16] for at in _boxes(data)] if image.format in ('AVIF', 'HEIF', 'JPEG2000') else []
    if (
        any(box.startswith((_C2PA_BOX, b'jumb')) for box in boxes)
        or image.info.get('credentials')
        or image.format == 'WEBP'
        and b'C2PA' in photo_writing.webp_chunks(data)
        or image.format == 'GIF'
        and b'C2PA_GIF' in data
    ):
        said.append(_CREDENTIALS)
    if any(box.startswith(b'mpvd') for box in boxes):
        said.append(_VIDEO)
    if image.format != 'JPEG2000' and boxes and _AUXILIARY.search(data, 0, _FRONT):
        said.append(_PICTURES)
    end = 8 + int.from_bytes(data[4:8], 'little')
    if image.format == 'WEBP' and data[end:].strip(b'\0'):
        said.append(_BEHIND.format(len(data) - end))
    bits = image.info.get('bit_depth', 8)
    if image.format == 'AVIF' and (coding := _AV1.search(data, 0, _FRONT)) and coding[1][0] & 0x40:
        bits = 12 if coding[1][0] & 0x20 else 10
    if bits > 8:
        said.append(f'Its {bits} bits per channel are rounded to 8.')
    return said


def _boxes(data: bytes) -> Iterator[int]:
    """Yields the positions of the names of the boxes in a file."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], 'big')
        yield at + 4
        # 0 means to the end of the file; 1 means that eight bytes after the name hold the size
        size = int.from_bytes(data[at + 8 : at + 16], 'big') if size == 1 else size or len(data)
        at += max(size, 8)
