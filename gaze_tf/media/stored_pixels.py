"""Converts pixels between the modes that photos are stored in and RGB.

Stored pixels are a Pillow image (8 bits per channel) or an array uint16 [H, W, C] (16 bits).
"""

from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin
from scipy.spatial import cKDTree

from gaze_tf.files import reason

MODES = ('L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'LAB')
# EXIF orientation → what makes stored pixels upright
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
    """Says which kind of pixels cannot be edited."""


def load(image: Image.Image, data: bytes) -> tuple[Any, list[str]]:
    """Returns (stored pixels, list of notes) of an image opened from the bytes `data`; an array is read-only.

    Raises UnsupportedMode and, like the decoders, nearly any exception for a damaged file.
    """
    notes: list[str] = []
    if image.format == 'PNG' and data[24] == 16:
        # Pillow reads 16-bit color as 8
        import tensorflow as tf

        try:
            # .numpy() would copy it
            return np.asarray(tf.io.decode_png(data, dtype=tf.uint16)), notes
        except tf.errors.OpError as error:
            raise ValueError(reason(error)) from error
    if image.mode not in (*MODES, '1', 'PA') and not image.mode.startswith('I;16'):
        raise UnsupportedMode(f'pixels of the mode {image.mode}')
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image)
    image.load()
    if image.mode in ('P', 'PA') and not image.getpalette():
        raise ValueError('its palette is missing')
    if image.mode.startswith('I;16'):
        return np.array(image).astype(np.uint16)[..., None], notes
    if image.mode == '1':
        notes.append('Black-and-white pixels of one bit are written as gray levels.')
        image = image.convert('L')
    elif image.mode == 'PA':
        image = image.convert('RGBA')
    return image, notes


def _check_tiff(image: TiffImagePlugin.TiffImageFile) -> None:
    bits, gray = max(image.tag_v2.get(258, (1,))), image.tag_v2.get(262)
    # Pillow reads 16-bit color as 8-bit, does not scale 12 bits, and does not invert 16-bit gray where 0 means white
    if bits > 8 and not (image.mode.startswith('I;16') and bits == 16 and gray == 1):
        raise UnsupportedMode(f'pixels of {bits} bits (TIFF, {image.mode})')


def drop_info(pixels: Any) -> Any:
    """Returns stored pixels without the file's metadata, which encoders would otherwise write."""
    if isinstance(pixels, np.ndarray):
        return pixels
    # copies the image object, not its pixels
    plain = pixels._new(pixels.im)
    plain.info = {name: value for name, value in pixels.info.items() if name == 'transparency'}
    return plain


def shape(pixels: Any) -> tuple[int, int]:
    """Returns (height, width) of stored pixels."""
    return (pixels.shape[0], pixels.shape[1]) if isinstance(pixels, np.ndarray) else pixels.size[::-1]


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Returns a view of upright pixels [H, W, C] in the order in which files with this EXIF orientation have them."""
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


def turn(pixels: Any, orientation: int, back: bool = False) -> Any:
    """Turns stored pixels upright from an EXIF orientation, or `back` into it."""
    opposite = {6: 8, 8: 6}.get(orientation, orientation)
    if isinstance(pixels, np.ndarray):
        return np.ascontiguousarray(as_stored(pixels, orientation if back else opposite))
    return pixels.transpose(_TURNS[opposite if back else orientation]) if orientation > 1 else pixels


def to_eight_bits(values: np.ndarray) -> np.ndarray:
    """Rounds uint16 values to uint8."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def read_rgb_rows(pixels: Any, top: int, bottom: int) -> np.ndarray:
    """Returns some rows of stored pixels as RGB, uint8 [bottom - top, W, 3]."""
    if isinstance(pixels, np.ndarray):
        rows = to_eight_bits(pixels[top:bottom])
        return rows[..., :3] if rows.shape[-1] >= 3 else rows[..., :1].repeat(3, axis=-1)
    rows = pixels.crop((0, top, pixels.width, bottom))
    # otherwise Pillow warns that the transparency of palettes is lost; the file keeps it
    rows.info.pop('transparency', None)
    return np.asarray(rows.convert('RGB'))


def repaint(pixels: Any, top: int, changed: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
    """Gives some stored pixels new colors, in place. Alpha is preserved.

    Args:
      pixels: stored pixels.
      top: the first row of `changed`.
      changed: bool [rows, W], which pixels change: N in all.
      old: uint8 [N, 3], their RGB before.
      new: uint8 [N, 3], their RGB after.
    """
    if isinstance(pixels, np.ndarray):
        rows = pixels[top : top + len(changed)]
        rows[changed] = _moved_16(rows[changed], old, new)
        return
    box = 0, top, pixels.width, top + len(changed)
    rows = np.array(pixels.crop(box))
    rows[changed] = _values(pixels, rows[changed], new)
    pixels.paste(Image.frombytes(pixels.mode, (rows.shape[1], rows.shape[0]), rows.tobytes()), box)


def _moved_16(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Adds the difference of 8-bit colors to 16-bit pixels uint16 [N, C], which preserves their low bits."""
    if values.shape[-1] < 3:
        old, new = _converted(old, 'L')[:, None], _converted(new, 'L')[:, None]
    colors = slice(0, old.shape[-1])
    moved = values.astype(np.int32)
    moved[:, colors] += 257 * (new.astype(np.int32) - old)
    return moved.clip(0, 65535).astype(np.uint16)


def _values(image: Image.Image, stored: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Returns the values, [N] or [N, C] like `stored`, that give stored pixels the colors rgb, uint8 [N, 3]."""
    if image.mode == 'P':
        return _nearest(image, stored, rgb)
    if image.mode == 'CMYK':
        return _cmyk(stored, rgb)
    if image.mode in ('LA', 'RGBA'):
        colors = _converted(rgb, image.mode[:-1]).reshape(len(rgb), -1)
        return np.concatenate([colors, stored[:, -1:]], axis=-1)
    values = _converted(rgb, image.mode)
    key = image.info.get('transparency')
    if key is not None:
        # one color means transparent: use the next one
        hit = (values == key).reshape(len(values), -1).all(axis=-1)
        values[hit & (values != stored).reshape(len(values), -1).any(axis=-1)] ^= 1
    return values


def _converted(rgb: np.ndarray, mode: str) -> np.ndarray:
    """Converts uint8 [N, 3] with Pillow to another mode: [N] or [N, C]."""
    return np.array(Image.fromarray(rgb[None]).convert(mode))[0]


def _nearest(image: Image.Image, stored: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Returns indices, uint8 [N], of the nearest colors in the palette that are as opaque as the stored ones."""
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


def _cmyk(stored: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Returns CMYK for which Pillow's conversion gives rgb; K is preserved if it allows the brightest channel."""
    wanted = rgb.astype(np.int32)
    light = np.maximum(255 - stored[:, 3:].astype(np.int32), wanted.max(axis=-1, keepdims=True))
    # R = light - C * light / 255, each rounded
    ink = (255 * (light - wanted) + light // 2) // np.maximum(light, 1)
    return np.concatenate([np.where(light > 0, ink, stored[:, :3]), 255 - light], axis=-1).astype(np.uint8)
