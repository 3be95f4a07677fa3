"""The mark of an edited picture (IPTC digital source type, see xmp.MARK) in animations and videos, and where it cannot be."""

import pathlib
import struct

from gaze_tf.media import xmp

# by suffix: formats that nobody looks for XMP in
_WITHOUT = {'.bmp': 'BMP', '.mkv': 'Matroska'}
_XMP_BOX = bytes.fromhex('be7acfcb97a942e89c71999491e3afac')


def packet():
    """XMP that says nothing else: bytes."""
    return xmp.renewed(None, mark=True).packet


def notes(paths):
    """List of sentences on the results that cannot be marked, by their names."""
    suffixes = [pathlib.Path(path).suffix.lower() for path in paths]
    return [
        f'{name} has no place for the mark: {suffixes.count(suffix)} of {len(suffixes)} results without it ({suffix}).'
        for suffix, name in _WITHOUT.items()
        if suffix in suffixes
    ]


def mark_gif(path):
    """Adds the mark to a GIF file; raises OSError."""
    with open(path, 'r+b') as file:
        file.seek(-1, 2)
        # not in blocks: a reader of blocks that begins anywhere in the packet ends in the numbers behind it
        file.write(b'!\xff\x0bXMP DataXMP' + packet() + b'\x01' + bytes(range(255, -1, -1)) + b'\0;')


def mark_mp4(path):
    """Adds the mark to an MP4 file, in a box of its own; raises OSError."""
    content = _XMP_BOX + packet()
    with open(path, 'ab') as file:
        file.write(struct.pack('>I4s', len(content) + 8, b'uuid') + content)
