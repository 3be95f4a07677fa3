"""Writes photos: Pillow encodes the pixels (png_parts 16-bit color), and the metadata of the source are preserved.

Metadata that Pillow would rewrite or lose in JPEG and PNG are copied from the bytes of the source, part by part.
"""

import io
import mmap
import os
import shutil
import struct
import tempfile
from typing import IO, Any

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from gaze_tf.media import jpeg_parts, png_parts, stored_pixels, tiff_tags

_MODES = {
    'JPEG': ('L', 'RGB', 'CMYK'),
    'PNG': ('L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'),
    'TIFF': (*stored_pixels.MODES, 'I;16'),
    'WEBP': ('RGB', 'RGBA'),
    'AVIF': ('RGB', 'RGBA'),
    'BMP': ('L', 'P', 'RGB'),
}
_PREDICTOR = 317
_EXIF = b'Exif\0\0'
# most bytes of EXIF in a segment of a JPEG, after its length and name
_JPEG_EXIF = 65535 - 2 - len(_EXIF)
_TIFF_LOSSLESS = ('raw', 'packbits', 'tiff_lzw', 'tiff_adobe_deflate', 'tiff_deflate', 'lzma', 'zstd')
# chunks of PNG about colors, which an edit does not change; other chunks say themselves whether they may be copied
_PNG_COLORS = (b'cHRM', b'gAMA', b'iCCP', b'sBIT', b'sRGB', b'cICP', b'mDCV', b'cLLI')


def write_same_format(file: IO[bytes], data: bytes, image: Image.Image, pixels: Any) -> None:
    """Writes stored pixels to a binary file in the format and with the metadata of the source.

    Args:
      file: a new file from `files.new_file`.
      data: the bytes of the source.
      image: the image that photo_reading has opened from them.
      pixels: a Pillow image or an array; see stored_pixels.

    Raises OSError, ValueError and, like the encoders, nearly any exception for what the format cannot hold.
    """
    if image.format in ('JPEG', 'PNG'):
        splice = _splice_png if image.format == 'PNG' else _splice_jpeg
        # beside the result, where there is room for it
        with tempfile.TemporaryFile(dir=os.path.dirname(file.name) or '.') as encoded:
            _encode(encoded, image.format, pixels, **({} if image.format == 'PNG' else _jpeg_options(image)))
            encoded.seek(0)
            splice(file, data, encoded)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        compression = image.info.get('compression', 'raw')
        compression = compression if compression in _TIFF_LOSSLESS else 'tiff_adobe_deflate'
        # 2 is the predictor for whole numbers
        predictor = {_PREDICTOR: 2} if image.tag_v2.get(_PREDICTOR) == 2 and compression != 'raw' else {}
        _encode(file, 'TIFF', pixels, tags=image.info['tags'], compression=compression, tiffinfo=predictor)
    else:
        options = {key: image.info[key] for key in ('icc_profile', 'exif', 'xmp', 'dpi') if image.info.get(key)}
        kind = str(image.format)
        _encode(file, kind, pixels, **options, **_new_options(kind, data, image))


def write_other_format(
    file: IO[bytes], target: str, data: bytes, image: Image.Image, pixels: Any, xmp: bytes | None = None
) -> list[str]:
    """Writes upright pixels in another format than that of the source; for arguments and errors see
    `write_same_format`.

    Args:
      target: the format.
      xmp: an XMP packet for TIFF, WebP and AVIF. `metadata.renew_file` adds the one for JPEG and PNG.

    Returns:
      A list of sentences on what the format cannot hold.
    """
    pixels = _fitted(pixels, target)
    info: dict[Any, Any] = image.info
    exif, profile, dpi = (info.get(name) for name in ('exif', 'icc_profile', 'dpi'))
    # a profile describes the channels of one color space
    space = {'L': b'GRAY', 'LA': b'GRAY', 'I;16': b'GRAY', 'CMYK': b'CMYK', 'LAB': b'Lab '}
    fits = profile and profile[16:20] == space.get(getattr(pixels, 'mode', 'RGB'), b'RGB ')
    if exif:
        exif = tiff_tags.drop_misfits(tiff_tags.set_upright(exif.removeprefix(_EXIF)))
    notes: list[str] = []
    if target == 'JPEG' and exif and len(exif) > _JPEG_EXIF:
        notes = [f'{len(exif)} bytes of EXIF are left out: a JPEG can hold {_JPEG_EXIF}.']
        exif = None
    options: dict[str, Any]
    if target == 'TIFF':
        tags = {**(tiff_tags.of_resolution(dpi) if dpi else {}), **tiff_tags.read_exif(exif or b'')}
        if profile and fits:
            tags[tiff_tags.ICC] = tiff_tags.Tag(tiff_tags.UNDEFINED, len(profile), profile)
        tags.update({tiff_tags.XMP: tiff_tags.of_bytes(xmp)} if xmp else {})
        options = {'tags': tags}
    else:
        options = {'exif': exif and _EXIF + exif, 'icc_profile': fits and profile, 'dpi': dpi}
        options.update({'xmp': xmp} if target in ('WEBP', 'AVIF') else {})
        options = {name: value for name, value in options.items() if value}
    _encode(file, target, pixels, **options, **_new_options(target, data, image))
    return notes


def _fitted(pixels: Any, target: str) -> Any:
    """Returns upright pixels in a mode that the format `target` has."""
    modes = _MODES[target]
    if isinstance(pixels, np.ndarray):
        if pixels.shape[-1] == 1 and 'I;16' in modes:
            return pixels
        values = stored_pixels.to_eight_bits(pixels)
        pixels = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    see_through = pixels.mode in ('LA', 'RGBA') or 'transparency' in pixels.info
    if pixels.mode in modes and not ('transparency' in pixels.info and target != 'PNG'):
        return pixels
    if see_through and 'RGBA' in modes:
        return pixels.convert('RGBA')
    return pixels.convert('L' if pixels.mode in ('L', 'LA') and 'L' in modes else 'RGB')


def _encode(file: IO[bytes], target: str, pixels: Any, **options: Any) -> None:
    """Encodes pixels in their mode."""
    if isinstance(pixels, np.ndarray) and target == 'PNG':
        png_parts.write_deep(file, pixels)
        return
    if isinstance(pixels, np.ndarray):
        size = pixels.shape[1], pixels.shape[0]
        pixels = Image.frombytes('I;16', size, pixels.astype('<u2').tobytes())
    if target == 'TIFF':
        _encode_tiff(file, pixels, **options)
    else:
        if target == 'AVIF' and 'exif' in options:
            options['exif'] = _exif_of_avif(options['exif'])
        pixels.save(_NoDescriptor(file), target, **options)


def _exif_of_avif(exif: bytes) -> bytes:
    """Returns EXIF bytes without an orientation of 1, for which Pillow would rewrite all of EXIF, or fail."""
    block = exif.removeprefix(_EXIF)
    tag = tiff_tags.read_exif(block).get(tiff_tags.ORIENTATION)
    return _EXIF + tiff_tags.drop_orientation(block) if tag is None or tiff_tags.integers(tag) == (1,) else exif


def _encode_tiff(file: IO[bytes], pixels: Image.Image, tags: tiff_tags.Tags, **options: Any) -> None:
    """Encodes a TIFF without tags for the metadata, then adds them to the directory, so that no encoder sees them."""
    # libtiff, which compresses, needs the file descriptor, and notices a full disk itself
    target: Any = _NoDescriptor(file) if options['compression'] == 'raw' else file
    pixels.save(target, 'TIFF', **options)
    file.flush()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = tiff_tags.Reader(data)
        written, _, _ = reader.read(reader.first)
    start = file.seek(0, os.SEEK_END)
    file.write(bytes(start % 2))
    body, directory = tiff_tags.write({**written, **tags}, start + start % 2, reader.order)
    file.write(body)
    file.seek(4)
    file.write(struct.pack(f'{reader.order}I', directory))


class _NoDescriptor:
    """A file that hides its descriptor: Pillow writes to descriptors without noticing that the disk is full."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write, self.seek, self.tell, self.flush = file.write, file.seek, file.tell, file.flush


def _jpeg_options(image: Any) -> dict[str, Any]:
    """Returns the options that encode a JPEG like the source, a JpegImageFile."""
    options: dict[str, Any] = {'progressive': bool(image.info.get('progressive'))}
    adobe = image.info.get('adobe_transform')
    if len(image.layer) == 4 and adobe == 2:
        # its tables are for luma and chroma, but Pillow writes inks
        return {**options, 'quality': 95, 'subsampling': 0}
    # Pillow uses the last table for all remaining channels
    tables = list(image.info['qtables'])
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()
    options['qtables'] = tables
    if len(image.layer) == 3:
        known = JpegImagePlugin.get_sampling(image)
        options.update(subsampling=0 if known < 0 else known, keep_rgb=adobe == 0)
    return options


def _new_options(target: str, data: bytes, image: Image.Image) -> dict[str, Any]:
    """Returns the options of a format that do not depend on the metadata of the source."""
    if target == 'JPEG':
        return {'quality': 95, 'subsampling': 0}
    if target == 'WEBP':
        lossy = {'JPEG', 'AVIF', 'HEIF', 'JPEG2000'}
        lossless = b'VP8L' in webp_chunks(data) if image.format == 'WEBP' else image.format not in lossy
        return {'lossless': True, 'exact': True} if lossless else {'quality': 95, 'exact': True}
    if target == 'AVIF':
        return {'quality': 90, 'subsampling': '4:4:4'}
    return {'compression': 'tiff_adobe_deflate'} if target == 'TIFF' else {}


def webp_chunks(data: bytes) -> set[bytes]:
    """Returns the names of the chunks of a WebP."""
    names, at = set(), 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from('<4sI', data, at)
        names.add(name)
        at += 8 + size + size % 2
    return names


def _splice_png(file: IO[bytes], data: bytes, encoded: IO[bytes]) -> None:
    """Writes the pixels of the file `encoded` among the other chunks of the source."""
    _, header = next(png_parts.read_chunks(encoded))
    # the values in these chunks are pixel values, or belong to the palette, which they must follow
    alike = (b'tRNS', b'bKGD', b'hIST') if data[24:26] == header[16:18] or data[25] == 3 else ()
    # chunks before the palette, before the pixels, after the pixels
    kept: tuple[list[bytes], ...] = [], [], []
    place = 0
    for name, chunk in png_parts.read_chunks(io.BytesIO(data), skip=b'IDAT'):
        place = 2 if name == b'IDAT' else place
        ancillary, copyable = name[0] & 32, name[3] & 32
        if ancillary and (copyable or name in _PNG_COLORS or name in alike):
            kept[1 if name in alike else place].append(chunk)
    file.write(png_parts.SIGNATURE)
    for name, chunk in png_parts.read_chunks(encoded):
        if now := {b'IDAT': 1, b'IEND': 2}.get(name):
            file.writelines(kept[now])
            kept[now].clear()
        if not name[0] & 32:
            file.write(chunk)
        if name == b'IHDR':
            file.writelines(kept[0])


def _is_metadata(marker: int, content: bytes) -> bool:
    """Whether a segment is metadata of the first picture that decoding does not need."""
    adobe, several = marker == 0xEE and content.startswith(b'Adobe'), marker == 0xE2 and content.startswith(b'MPF')
    return (0xE0 <= marker <= 0xEF or marker == 0xFE) and not adobe and not several


def _splice_jpeg(file: IO[bytes], data: bytes, encoded: IO[bytes]) -> None:
    """Writes the picture of the file `encoded` after the metadata of the source."""
    file.write(b'\xff\xd8')
    for marker, content in jpeg_parts.read_segments(io.BytesIO(data)):
        if _is_metadata(marker, content):
            if marker == 0xE1 and content.startswith(_EXIF):
                content = _EXIF + tiff_tags.drop_misfits(content[len(_EXIF) :])
            file.write(jpeg_parts.build_segment(marker, content))
    for marker, content in jpeg_parts.read_segments(encoded):
        if not 0xE0 <= marker <= 0xEF and marker != 0xFE or content.startswith(b'Adobe'):
            file.write(jpeg_parts.build_segment(marker, content))
    shutil.copyfileobj(encoded, file)
