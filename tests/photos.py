"""Small photos that the tests share."""

import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from tests.paths import DATA

PORTRAIT = DATA / 'portrait.png'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
WIDTH, HEIGHT = 40, 30
BOX = slice(10, 18), slice(5, 25)  # rows and columns that are changed


def portrait(size=(WIDTH, HEIGHT)):
    with Image.open(PORTRAIT) as image:
        return image.convert('RGB').resize(size)


def in_mode(mode, size=(WIDTH, HEIGHT)):
    """The portrait in a mode, with an alpha of 0, 128 and 255 where it has one."""
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
    """(mode, values int) as Pillow reads them."""
    with Image.open(path) as image:
        return image.mode, np.array(image if mode is None else image.convert(mode)).astype(int)


def changed(photo, box=BOX, amount=30):
    """Its pixels, darker in a box."""
    rgb = photo.rgb.copy()
    rgb[box] = np.maximum(rgb[box].astype(int) - amount, 7)
    return rgb


def outside(shape, box=BOX):
    mask = np.ones(shape[:2], bool)
    mask[box] = False
    return mask


def png(values, *chunks):
    """The bytes of a 16-bit PNG, without interlace or filters: values uint16 [H, W, C]."""

    def chunk(name, content):
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))

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
