"""Makes and reads small photos for several test modules."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from gaze_tf.errors import GazeError
from gaze_tf.media.photo import Photo
from tests.paths import DATA

PORTRAIT = DATA / 'portrait.png'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
WIDTH, HEIGHT = 40, 30
BOX = slice(10, 18), slice(5, 25)  # rows and columns that are changed


def portrait(size=(WIDTH, HEIGHT)):
    with Image.open(PORTRAIT) as image:
        return image.convert('RGB').resize(size)


def in_mode(mode, size=(WIDTH, HEIGHT)):
    """Returns the portrait in a mode; alpha, if the mode has it, is 0, 128 and 255."""
    image = portrait(size)
    if mode == 'P':
        return image.quantize(64)
    if mode in ('LA', 'RGBA'):
        alpha = np.zeros(size[::-1], np.uint8)
        alpha[:, 10:], alpha[:, 20:] = 128, 255
        image = image.convert(mode)
        image.putalpha(Image.fromarray(alpha))
        return image
    return image.convert(mode)


def stored(path, mode=None):
    """Returns (mode, values int) as Pillow reads them."""
    with Image.open(path) as image:
        return image.mode, np.array(image if mode is None else image.convert(mode)).astype(int)


def changed(photo, box=BOX, amount=30):
    """Returns the pixels of a photo, darker in a box."""
    rgb = photo.rgb.copy()
    rgb[box] = np.maximum(rgb[box].astype(int) - amount, 7)
    return rgb


def outside(shape, box=BOX):
    mask = np.ones(shape[:2], bool)
    mask[box] = False
    return mask


def png(values, *chunks):
    """Returns the bytes of a 16-bit PNG of uint16 [H, W, C], without interlace or filters."""
    height, width, channels = values.shape
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
    header = struct.pack('>IIBBBBB', width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        chunk(*pair)
        for pair in [
            (b'IHDR', header),
            *chunks,
            (b'IDAT', zlib.compress(rows)),
            (b'tEXt', b'Late\0text'),
            (b'IEND', b''),
        ]
    )


def chunk(name, content):
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def block(*tags, order='<'):
    """Returns EXIF bytes with one directory of tags (number, type, count, bytes of the value)."""
    entries, more, at = b'', b'', 8 + 2 + 12 * len(tags) + 4
    for number, kind, count, content in tags:
        if len(content) > 4:
            content, more = struct.pack(order + 'I', at + len(more)), more + content
        entries += struct.pack(order + 'HHI', number, kind, count) + content.ljust(4, b'\0')
    return (
        (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'IH', 8, len(tags)) + entries + bytes(4) + more
    )


def tiff(*tags, compression=1, order='<', gray=1, **changes):
    """Returns the portrait as a gray TIFF with more tags (number, type, count, bytes of the value).

    changes: {'t' + number: (type, count, bytes)} replace tags that lay out the pixels.
    """
    pixels = in_mode('L').tobytes()
    pixels = zlib.compress(pixels) if compression == 8 else pixels

    def number(value):
        return 4, 1, struct.pack(order + 'I', value)

    layout = {
        256: number(WIDTH),
        257: number(HEIGHT),
        258: number(8),
        259: number(compression),
        262: number(gray),
        277: number(1),
        278: number(HEIGHT),
        279: number(len(pixels)),
    }
    layout.update({int(name[1:]): value for name, value in changes.items()})
    layout.update({tag[0]: tag[1:] for tag in tags})
    layout[273] = number(0)
    size = len(block(*[(tag, *value) for tag, value in layout.items()], order=order))
    layout[273] = number(size)
    return block(*[(tag, *layout[tag]) for tag in sorted(layout)], order=order) + pixels


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(folder, name, data):
    (folder / name).write_bytes(data)
    return Photo.open(folder / name)


def saved(photo, path):
    """Saves an edited photo; returns its upright pixels, int, as Pillow reads them."""
    photo.save(path, changed(photo))
    return stored(path, 'RGB')[1]


def refused(folder, name, data, message):
    with pytest.raises(GazeError, match=message) as caught:
        opened(folder, name, data)
    assert '\n' not in str(caught.value) and name in str(caught.value)
