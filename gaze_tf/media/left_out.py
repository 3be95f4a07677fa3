"""What of a photo's file is left out once the photo is changed, in sentences for the user."""

import io
import re

from gaze_tf.media import jpeg_parts, metadata, photo_files, png_parts, previews, xmp

_CREDENTIALS = 'Its content credentials (C2PA) are left out: an edited picture voids them.'
_VIDEO = (
    'The video in the file (motion photo), which shows the eyes as they were, is left out, with what XMP says of it.'
)
_PICTURES = 'Of the pictures in the file (also a gain map, a preview or a depth map) only the first stays.'
_BEHIND = '{} bytes behind the end of the picture are left out.'
_CLAIMS = {
    'pictures': 'What its XMP says of a video or of further pictures in the file is taken out: they do not stay.',
    'credentials': 'The address of content credentials (C2PA) in its XMP is taken out: an edited picture voids them.',
    'preview': 'The preview in its XMP, which shows the eyes as they were, is taken out.',
    'source': 'What its XMP says of its source (IPTC: as a camera took it) is taken out.',
    'unreadable': 'Its XMP is damaged, with claims that an edited picture voids, and is left out.',
}
_MOVIE = re.compile(rb'\0\0\0[\x08-\xff]ftyp')
# C2PA's box in AVIF and HEIC files
_C2PA_BOX = b'uuid\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c'
# in the description at the front of AVIF and HEIC files: gain maps and depth maps, and how the picture is coded
_FRONT = 2**16
_AUXILIARY = re.compile(rb'tmap|hdrgainmap|auxid:2\0|auxiliary:depth')
_AV1 = re.compile(rb'av1C\x81.(.)', re.DOTALL)


def notes(image, data):
    """List of sentences on a photo's bytes and its image, as photo_reading has it."""
    if image.format == 'JPEG':
        said, packet, claims = _jpeg(image, data)
    elif image.format == 'PNG':
        names = {name for name, _ in png_parts.chunks(io.BytesIO(data), passed_over=b'IDAT')}
        said, packet, claims = [_CREDENTIALS] if b'caBX' in names else [], image.info.get('xmp'), set()
    else:
        said, packet, claims = _others(image, data), image.info.get('xmp'), set()
    claims |= xmp.renewed(packet).claims
    if _VIDEO in said or _PICTURES in said:
        claims -= {'pictures'}
    if _CREDENTIALS in said:
        claims -= {'credentials'}
    return said + [_CLAIMS[claim] for claim in sorted(claims)]


def _jpeg(image, data):
    said, found = [], list(jpeg_parts.segments(io.BytesIO(data)))
    if any(metadata.is_credentials(*segment) for segment in found):
        said.append(_CREDENTIALS)
    end = previews.jpeg_end(data)
    behind = data[end:] if end else b''
    if _MOVIE.search(behind):
        said.append(_VIDEO)
    # of some makers, behind a few bytes of their own
    if image.info['several'] or _VIDEO not in said and b'\xff\xd8\xff' in behind[:4096]:
        said.append(_PICTURES)
    elif _VIDEO not in said and behind.strip(b'\0'):
        said.append(_BEHIND.format(len(data) - end))
    packet, more = metadata.jpeg_packets(found)
    return said, packet, {'pictures'} if xmp.makes_claims(more) else set()


def _others(image, data):
    said = []
    boxes = [data[at : at + 16] for at in _boxes(data)] if image.format in ('AVIF', 'HEIF', 'JPEG2000') else []
    if (
        any(box.startswith((_C2PA_BOX, b'jumb')) for box in boxes)
        or image.info.get('credentials')
        or image.format == 'WEBP'
        and b'C2PA' in photo_files.webp_chunks(data)
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
        said.append(f'Its {bits} bits per channel are read as 8.')
    return said


def _boxes(data):
    """Positions of the names of a file's boxes."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], 'big')
        yield at + 4
        # 0: to the end of the file; 1: eight bytes behind the name tell
        size = int.from_bytes(data[at + 8 : at + 16], 'big') if size == 1 else size or len(data)
        at += max(size, 8)
