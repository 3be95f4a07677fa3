"""Replaces the previews in the metadata of edited photos (EXIF thumbnails, previews of camera makers and Photoshop)."""

import io
import re
import struct

import numpy as np
from PIL import Image, ImageOps

from gaze_tf.media import stored_pixels

_STRIPS = 273
# previews are made from a picture that is thinned out to about this many pixels on its longer side
_FINE = 2048
# most pixels of all previews of a photo together, so that forged headers cannot cause endless work
_MOST = 2**24
# a marker that ends compressed data: the end of the picture, or a segment between two scans
_MARKER = re.compile(rb'\xff[\x02-\xcf\xd8-\xfe]')


class Picture:
    """An edited picture, of which previews are made.

    Args:
      rgb: uint8 [H, W, 3], upright.
      orientation: the EXIF orientation in which it is stored.
    """

    def __init__(self, rgb: np.ndarray, orientation: int) -> None:
        step = max(max(rgb.shape[:2]) // _FINE, 1)
        self._upright, self._orientation, self._left = rgb[::step, ::step], orientation, _MOST

    def encode_preview(self, size: tuple[int, int], length: int) -> bytes | None:
        """Returns a JPEG of this size, (width, height), with exactly `length` bytes; None if that is impossible."""
        self._left -= size[0] * size[1]
        if self._left < 0:
            return None
        choices = [stored_pixels.as_stored(self._upright, self._orientation), self._upright]
        wide = [abs(np.log(rgb.shape[1] / rgb.shape[0] * size[1] / size[0])) for rgb in choices]
        # some makers store the thumbnails of turned photos upright: its proportions tell
        shown = Image.fromarray(np.ascontiguousarray(choices[1 if wide[1] < wide[0] else 0]))
        shown = ImageOps.pad(shown, size, Image.Resampling.LANCZOS)
        for quality in 90, 80, 65, 45, 20, 5:
            encoded = io.BytesIO()
            shown.save(encoded, 'JPEG', quality=quality, optimize=True)
            spare = length - encoded.tell()
            if spare >= 0:
                return _stuffed(encoded.getvalue(), spare)
        return None


def renew(content: bytes, picture: Picture) -> bytes:
    """Returns a block of metadata with all previews in it replaced by previews of a Picture.

    Its length does not change, so that positions in it remain valid. Previews that cannot be replaced (too small for a
    JPEG, not compressed, damaged) become zeros.
    """
    block, at = bytearray(_without_strips(content)), 0
    while (start := block.find(b'\xff\xd8\xff', at)) >= 0:
        at = end = jpeg_end(block, start)
        if not end:
            at = start + 3
            continue
        try:
            with Image.open(io.BytesIO(block[start:end]), formats=['JPEG']) as old:
                new = picture.encode_preview(old.size, end - start)
        except Exception:  # the bytes only look like a JPEG; decoders raise nearly any exception
            at = start + 3
            continue
        block[start:end] = new or bytes(end - start)
    return bytes(block)


def _stuffed(jpeg: bytes, spare: int) -> bytes:
    """Makes a JPEG longer by `spare` bytes."""
    filling = b''
    while spare >= 4:
        size = min(spare, 65537)
        size -= 4 if 0 < spare - size < 4 else 0
        filling += b'\xff\xfe' + struct.pack('>H', size - 2) + bytes(size - 4)
        spare -= size
    # any number of 0xff may precede a marker
    return jpeg[:2] + filling + b'\xff' * spare + jpeg[2:]


def jpeg_end(data: bytes | bytearray, start: int = 0) -> int:
    """Returns where the JPEG ends that starts at `start`; 0 if its end is missing."""
    at = start + 2
    while at < len(data):
        # like decoders, skip bytes that belong to nothing
        found = _MARKER.match(data, at) or _MARKER.search(data, at)
        if not found:
            return 0
        at = found.end()
        if found[0] == b'\xff\xd9':
            return at
        if found[0] != b'\xff\xd8':
            at += max(int.from_bytes(data[at : at + 2], 'big'), 2)
    return 0


def _without_strips(block: bytes) -> bytes:
    """Removes an uncompressed thumbnail from EXIF: cuts off its directory, the second one, and zeroes its pixels."""
    head = 6 if block.startswith(b'Exif\0\0') else 0
    order = {b'II*\0': '<', b'MM\0*': '>'}.get(block[head : head + 4])
    if not order:
        return block

    def number(kind: str, position: int) -> int:
        return struct.unpack_from(order + kind, block, head + position)[0]

    def entries(directory: int) -> dict[int, int]:
        return {
            number('H', entry): entry for entry in range(directory + 2, directory + 2 + 12 * number('H', directory), 12)
        }

    try:
        first = number('I', 4)
        link = first + 2 + 12 * number('H', first)
        second = number('I', link)
        tags = entries(second) if second else {}
        if _STRIPS not in tags:
            return block
        counts = [number('I', tags[tag] + 4) for tag in (_STRIPS, 279)]
        found = [number('I', tags[tag] + 8) for tag in (_STRIPS, 279)]
    except (struct.error, KeyError):
        return block
    cut = bytearray(block)
    cut[head + link : head + link + 4] = bytes(4)
    if counts == [1, 1]:
        start, size = head + found[0], found[1]
        cut[start : start + size] = bytes(len(cut[start : start + size]))
    return bytes(cut)
