"""Adds the AI mark (the IPTC digital source type of repainted pictures, `xmp.MARK`) to animations and videos."""

import pathlib
import struct
from collections.abc import Sequence

from gaze_tf.media import xmp

# suffix → formats in which no program looks for XMP
_WITHOUT = {'.bmp': 'BMP', '.mkv': 'Matroska'}
_XMP_BOX = bytes.fromhex('be7acfcb97a942e89c71999491e3afac')


def build_packet() -> bytes:
    """Returns an XMP packet with only the mark."""
    packet = xmp.renew(None, mark=True).packet
    assert packet is not None
    return packet


def list_unmarked(paths: Sequence[pathlib.Path | str]) -> list[str]:
    """Returns sentences on the results, of these paths, whose format cannot hold the mark."""
    suffixes = [pathlib.Path(path).suffix.lower() for path in paths]
    return [
        f'{name} has no place for the mark: {suffixes.count(suffix)} of {len(suffixes)} results without it ({suffix}).'
        for suffix, name in _WITHOUT.items()
        if suffix in suffixes
    ]


def mark_gif(path: pathlib.Path | str) -> None:
    """Adds the mark to a GIF file. Raises OSError."""
    with open(path, 'r+b') as file:
        file.seek(-1, 2)
        # the packet is not split into blocks: a reader that takes it for blocks ends in the numbers that follow it
        file.write(b'!\xff\x0bXMP DataXMP' + build_packet() + b'\x01' + bytes(range(255, -1, -1)) + b'\0;')


def mark_mp4(path: pathlib.Path | str) -> None:
    """Adds the mark to an MP4 file, in its own box. Raises OSError."""
    content = _XMP_BOX + build_packet()
    with open(path, 'ab') as file:
        file.write(struct.pack('>I4s', len(content) + 8, b'uuid') + content)
