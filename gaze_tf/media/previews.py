"""Small pictures inside metadata (EXIF thumbnails, previews in makers' notes, Photoshop's) that show the picture as it was."""

import io
import re
import struct

import numpy as np
from PIL import Image, ImageOps

from gaze_tf.media import photo_modes

_STRIPS = 273
# a preview is made from every n-th pixel of a picture of this many on its longer side, which is fine enough for its size
_FINE = 2048
# pixels of all previews of a photo; beyond, whatever headers say, none are made
_MOST = 2**24
# what is not compressed data: the end of the picture, or a segment between two scans
_MARKER = re.compile(rb'\xff[\x02-\xcf\xd8-\xfe]')


class Picture:
    """What previews are to show: rgb uint8 [H, W, 3], upright, and the EXIF orientation in which it is stored."""

    def __init__(self, rgb, orientation):
        step = max(max(rgb.shape[:2]) // _FINE, 1)
        self._upright, self._orientation, self._left = rgb[::step, ::step], orientation, _MOST

    def jpeg(self, size, length):
        """A JPEG of just so many bytes and of this size, (width, height); None if that cannot be."""
        self._left -= size[0] * size[1]
        if self._left < 0:
            return None
        choices = [photo_modes.as_stored(self._upright, self._orientation), self._upright]
        wide = [abs(np.log(rgb.shape[1] / rgb.shape[0] * size[1] / size[0])) for rgb in choices]
        # of photos that are turned some makers store the thumbnail upright, and its sides tell
        shown = Image.fromarray(np.ascontiguousarray(choices[1 if wide[1] < wide[0] else 0]))
        shown = ImageOps.pad(shown, size, Image.Resampling.LANCZOS)
        for quality in 90, 80, 65, 45, 20, 5:
            encoded = io.BytesIO()
            shown.save(encoded, 'JPEG', quality=quality, optimize=True)
            spare = length - encoded.tell()
            if spare >= 0:
                return _stuffed(encoded.getvalue(), spare)
        return None


def renewed(block, picture):
    """A block of metadata, with previews of a Picture in the place of those in it; of the same length, so that positions stay.

    What cannot be made anew (too small for a JPEG, not compressed, damaged) becomes zeros.
    """
    block, at = bytearray(_without_strips(block)), 0
    while (start := block.find(b'\xff\xd8\xff', at)) >= 0:
        at = end = jpeg_end(block, start)
        if not end:
            at = start + 3
            continue
        try:
            with Image.open(io.BytesIO(block[start:end]), formats=['JPEG']) as old:
                new = picture.jpeg(old.size, end - start)
        except Exception:  # of three bytes that only look like a JPEG; decoders raise nearly anything
            at = start + 3
            continue
        block[start:end] = new or bytes(end - start)
    return bytes(block)


def _stuffed(jpeg, spare):
    """A JPEG that is longer by so many bytes."""
    filling = b''
    while spare >= 4:
        size = min(spare, 65537)
        size -= 4 if 0 < spare - size < 4 else 0
        filling += b'\xff\xfe' + struct.pack('>H', size - 2) + bytes(size - 4)
        spare -= size
    # before a marker there may be any number of this byte
    return jpeg[:2] + filling + b'\xff' * spare + jpeg[2:]


def jpeg_end(data, start=0):
    """Where the JPEG ends that starts there in bytes; 0 if its end is missing."""
    at = start + 2
    while at < len(data):
        # (bytes that belong to nothing are passed over, as decoders do)
        found = _MARKER.match(data, at) or _MARKER.search(data, at)
        if not found:
            return 0
        at = found.end()
        if found[0] == b'\xff\xd9':
            return at
        if found[0] != b'\xff\xd8':
            at += max(int.from_bytes(data[at : at + 2], 'big'), 2)
    return 0


def _without_strips(block):
    """EXIF without a thumbnail that is not compressed: its directory, the second one, is cut off and its pixels are zeros."""
    head = 6 if block.startswith(b'Exif\0\0') else 0
    order = {b'II*\0': '<', b'MM\0*': '>'}.get(block[head : head + 4])
    if not order:
        return block

    def number(kind, position):
        return struct.unpack_from(order + kind, block, head + position)[0]

    def entries(directory):
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
