"""Pixels in the modes that photos are stored in: to RGB and, of those that change, back.

Stored pixels are a Pillow image of 8 bits per channel or, for 16 bits, an array uint16 [H, W, C].
"""

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from gaze_tf.files import reason

MODES = ('L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'LAB')
# by EXIF orientation: what makes stored pixels upright
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnsupportedMode(Exception):
    """Says what kind of pixels a picture has."""


def stored_pixels(image, data):
    """(stored pixels, notes) of an image opened from the bytes `data`; an array is read-only. Raises UnsupportedMode."""
    notes = []
    if image.format == 'PNG' and data[24] == 16:
        # Pillow reads 16-bit colour as 8
        import tensorflow as tf

        try:
            # (.numpy() would copy it)
            return np.asarray(tf.io.decode_png(data, dtype=tf.uint16)), notes
        except tf.errors.OpError as error:
            raise ValueError(reason(error)) from error
    if image.mode not in (*MODES, '1', 'PA') and not image.mode.startswith('I;16'):
        raise UnsupportedMode(f'pixels of the mode {image.mode}')
    if image.format == 'TIFF':
        _check_tiff(image)
    image.load()
    if image.mode in ('P', 'PA') and not image.getpalette():
        raise ValueError('its palette is missing')
    if image.mode.startswith('I;16'):
        return np.array(image).astype(np.uint16)[..., None], notes
    if image.mode == '1':
        notes.append('Black-and-white pixels of one bit are written as grey levels.')
        image = image.convert('L')
    elif image.mode == 'PA':
        image = image.convert('RGBA')
    return image, notes


def _check_tiff(image):
    bits, grey = max(image.tag_v2.get(258, (1,))), image.tag_v2.get(262)
    # Pillow reads 16-bit colour as 8, does not scale 12 bits and does not invert 16-bit grey from white to black
    if bits > 8 and not (image.mode.startswith('I;16') and bits == 16 and grey == 1):
        raise UnsupportedMode(f'pixels of {bits} bits (TIFF, {image.mode})')


def bare(pixels):
    """Stored pixels without what their file says beside them, of which encoders would take what they know."""
    if isinstance(pixels, np.ndarray):
        return pixels
    # (a copy of the image, not of its pixels)
    plain = pixels._new(pixels.im)
    plain.info = {name: value for name, value in pixels.info.items() if name == 'transparency'}
    return plain


def shape(pixels):
    """(height, width) of stored pixels."""
    return pixels.shape[:2] if isinstance(pixels, np.ndarray) else pixels.size[::-1]


def as_stored(upright, orientation):
    """A view of upright pixels [H, W, C] in the order in which a file of this EXIF orientation stores them."""
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)


def turned(pixels, orientation, back=False):
    """Stored pixels of either kind, turned upright from this EXIF orientation, or back into it."""
    opposite = {6: 8, 8: 6}.get(orientation, orientation)
    if isinstance(pixels, np.ndarray):
        return np.ascontiguousarray(as_stored(pixels, orientation if back else opposite))
    return pixels.transpose(_TURNS[opposite if back else orientation]) if orientation > 1 else pixels


def eight_bits(values):
    """uint16 values rounded to uint8."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def rgb_rows(pixels, top, bottom):
    """uint8 [bottom - top, W, 3] of some rows of stored pixels."""
    if isinstance(pixels, np.ndarray):
        rows = eight_bits(pixels[top:bottom])
        return rows[..., :3] if rows.shape[-1] >= 3 else rows[..., :1].repeat(3, axis=-1)
    rows = pixels.crop((0, top, pixels.width, bottom))
    # of palettes Pillow would say that transparency is lost, which stays in the file
    rows.info.pop('transparency', None)
    return np.asarray(rows.convert('RGB'))


def repaint(pixels, top, changed, old, new):
    """Changes stored pixels in place where `changed`, bool [rows, W], is true in the rows from `top`.

    old, new: their RGB, uint8 [N, 3]. Alpha stays.
    """
    if isinstance(pixels, np.ndarray):
        rows = pixels[top : top + len(changed)]
        rows[changed] = _moved_16(rows[changed], old, new)
        return
    box = 0, top, pixels.width, top + len(changed)
    rows = np.array(pixels.crop(box))
    rows[changed] = _values(pixels, rows[changed], new)
    pixels.paste(Image.frombytes(pixels.mode, (rows.shape[1], rows.shape[0]), rows.tobytes()), box)


def _moved_16(values, old, new):
    """uint16 [N, C] moved by as much as the 8-bit colours are, so that the low bits survive."""
    if values.shape[-1] < 3:
        old, new = _converted(old, 'L')[:, None], _converted(new, 'L')[:, None]
    colours = slice(0, old.shape[-1])
    moved = values.astype(np.int32)
    moved[:, colours] += 257 * (new.astype(np.int32) - old)
    return moved.clip(0, 65535).astype(np.uint16)


def _values(image, stored, rgb):
    """What takes the place of stored values [N] or [N, C] so that their colours are rgb, uint8 [N, 3]."""
    if image.mode == 'P':
        return _nearest(image, stored, rgb)
    if image.mode == 'CMYK':
        return _cmyk(stored, rgb)
    if image.mode in ('LA', 'RGBA'):
        colours = _converted(rgb, image.mode[:-1]).reshape(len(rgb), -1)
        return np.concatenate([colours, stored[:, -1:]], axis=-1)
    values = _converted(rgb, image.mode)
    key = image.info.get('transparency')
    if key is not None:
        # of the one colour that means transparent, the next one
        hit = (values == key).reshape(len(values), -1).all(axis=-1)
        values[hit & (values != stored).reshape(len(values), -1).any(axis=-1)] ^= 1
    return values


def _converted(rgb, mode):
    """uint8 [N, 3] as Pillow converts it: [N] or [N, C]."""
    return np.array(Image.fromarray(rgb[None]).convert(mode))[0]


def _nearest(image, stored, rgb):
    """The palette's nearest colours among those as opaque as the stored ones: indices uint8 [N]."""
    palette = np.array(image.getpalette('RGB'), np.uint8).reshape(-1, 3)
    opacity, transparency = np.full(256, 255, np.uint8), image.info.get('transparency', b'')
    if isinstance(transparency, int):
        opacity[transparency] = 0
    else:
        opacity[: len(transparency)] = np.frombuffer(transparency, np.uint8)
    indices = np.empty_like(stored)
    for alpha in np.unique(opacity[stored]):
        choice, where = np.flatnonzero(opacity[: len(palette)] == alpha), opacity[stored] == alpha
        indices[where] = choice[cKDTree(palette[choice]).query(rgb[where])[1]]
    return indices


def _cmyk(stored, rgb):
    """C, M, Y for which Pillow's conversion gives rgb; K stays where it leaves room for the brightest channel."""
    wanted = rgb.astype(np.int32)
    light = np.maximum(255 - stored[:, 3:].astype(np.int32), wanted.max(axis=-1, keepdims=True))
    # R = light - C * light / 255, each rounded
    ink = (255 * (light - wanted) + light // 2) // np.maximum(light, 1)
    return np.concatenate([np.where(light > 0, ink, stored[:, :3]), 255 - light], axis=-1).astype(np.uint8)
