"""Reads photo files: pixels as they are stored, and metadata.

Decoders get only the parts of a file that hold pixels; metadata are read here. Settings of the whole process, such as
Pillow's limits and Python's warnings, are not changed.
"""

import io
import re
from typing import Any, NamedTuple

from PIL import Image, ImageChops, JpegImagePlugin, PngImagePlugin

from gaze_tf.media import formats, jpeg_parts, png_parts, stored_pixels, tiff_parts, tiff_tags

MAX_PIXELS = 200_000_000
# with 16 bits per channel, which take twice the memory
MAX_DEEP_PIXELS = 100_000_000
_OTHERS = ('WEBP', 'BMP', 'GIF', 'AVIF', 'JPEG2000', 'HEIF')
_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_EXIF = b'Exif\0\0'
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
# lowest and highest resolution, in dots per inch, that every format can store
_RESOLUTIONS = 1, 65535


class Refused(Exception):
    """Says why a photo is not read."""


class Unknown(Exception):
    """The format of the bytes is not known."""


class StoredPhoto(NamedTuple):
    """A photo as it is stored.

    Attributes:
      image: Pillow's image, of which `format`, `info` and (JPEG) `layer` are used. If the file has them, `info` holds
        exif (bytes, with 'Exif\\0\\0'), icc_profile, xmp (bytes), dpi (x, y) and orientation (1 to 8). For a TIFF it
        holds also tags ({number: tiff_tags.Tag}) and credentials (whether there were C2PA content credentials); for a
        JPEG qtables (the quantization table of each component) and several (whether the file lists more pictures).
      pixels: a Pillow image or an array; see stored_pixels.
      notes: list of sentences for the user.
    """

    image: Image.Image
    pixels: Any
    notes: list[str]


def read(data: bytes) -> StoredPhoto:
    """Reads a photo from the bytes of its file.

    Raises Refused, Unknown, stored_pixels.UnsupportedMode, MemoryError and, like the decoders, nearly any exception for
    a damaged file.
    """
    if data[:3] == b'\xff\xd8\xff':
        found = _jpeg(data)
    elif data[:8] == png_parts.SIGNATURE:
        found = _png(data)
    elif data[:4] in _TIFF:
        found = _tiff(data)
    else:
        found = _other(data)
    info = found.image.info
    exif = tiff_tags.read_exif((info.get('exif') or b'').removeprefix(_EXIF))
    # The decoder of HEIC has turned the pixels already. In AVIF, Pillow's EXIF tells how the file turns them, and XMP
    # does not count.
    info['orientation'] = (
        1
        if found.image.format == 'HEIF'
        else _orientation(exif, b'' if found.image.format == 'AVIF' else info.get('xmp') or b'')
    )
    dpi = info.get('dpi') or tiff_tags.read_resolution(exif)
    low, high = _RESOLUTIONS
    info['dpi'] = dpi if dpi and all(low <= value <= high for value in dpi) else None
    # otherwise the image would keep the bytes of the file in memory
    found.image.fp = None  # type: ignore[attr-defined]  # only images of files have it
    return found._replace(pixels=stored_pixels.drop_info(found.pixels))


def _jpeg(data: bytes) -> StoredPhoto:
    coding, metadata = jpeg_parts.read_coding(data), jpeg_parts.read_metadata(data)
    notes: list[str] = []
    clean = jpeg_parts.strip_metadata(data)
    image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(clean))
    _check(image)
    if coding.ended:
        pixels, notes = stored_pixels.load(image, clean)
    else:
        image, pixels = _without_end(clean, coding)
        notes.append('Its end marker is missing; all pixels are there.')
    if tiff_tags.drop_misfits(metadata.exif) != metadata.exif:
        notes.append('The resolution in its EXIF is not a fraction and will be left out.')
    _add(image, metadata)
    image.info.update({'qtables': coding.tables, 'several': metadata.several})
    return StoredPhoto(image, pixels, notes)


def _without_end(clean: bytes, coding: jpeg_parts.Coding) -> tuple[Image.Image, Any]:
    """Returns (image, pixels) of a JPEG without an end marker. Raises ValueError if more than the marker is missing."""
    both = []
    for data in jpeg_parts.add_endings(clean):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        both.append((image, stored_pixels.load(image, data)[0]))
    if not coding.whole or ImageChops.difference(both[0][1], both[1][1]).getbbox():
        raise ValueError('its last rows are missing')
    return both[0]


def _png(data: bytes) -> StoredPhoto:
    parts = png_parts.read_parts(data)
    image = PngImagePlugin.PngImageFile(io.BytesIO(parts.decodable))
    _check(image, parts.frames, deep=data[24] == 16)
    png_parts.check_rows(parts.decodable)
    pixels, notes = stored_pixels.load(image, parts.decodable)
    _add(image, parts)
    return StoredPhoto(image, pixels, parts.notes + notes)


def _tiff(data: bytes) -> StoredPhoto:
    image, tags, dropped, pages, reduced = tiff_parts.open_first_page(data)
    _check(image, pages)
    # most raw formats are TIFFs whose first picture is a preview
    if reduced:
        raise Refused('this is a raw picture, or starts with a preview: export it as TIFF or JPEG')
    pixels, notes = stored_pixels.load(image, data)
    tiff_parts.check_fax(image, data)
    exif = tiff_tags.build_exif(tags)
    image.info.update({'tags': tags, 'exif': exif and _EXIF + exif, 'dpi': tiff_tags.read_resolution(tags)})
    for name, number in ('icc_profile', tiff_tags.ICC), ('xmp', tiff_tags.XMP):
        if isinstance(tag := tags.get(number), tiff_tags.Tag):
            image.info[name] = tag.content
    # edit_notes has its own sentence about credentials
    image.info['credentials'] = tiff_tags.C2PA in dropped
    others = sorted(set(dropped) - {tiff_tags.C2PA})
    if others:
        notes.append(
            f'TIFF tags that are unknown, or have values of another type, will be left out: '
            f'{", ".join(map(str, others))}.'
        )
    return StoredPhoto(image, pixels, notes)


def _other(data: bytes) -> StoredPhoto:
    Image.init()
    formats.register_heif()
    for name in _OTHERS:
        # the AVIF decoder would also accept some kinds of HEIC
        if name == 'AVIF' and formats.is_heif(data):
            continue
        opener, accepts = Image.OPEN.get(name, (None, None))
        # a string says that the decoder is missing
        if opener and accepts and accepts(data[:16]) is True:
            image = opener(io.BytesIO(data), '')
            _check(image, getattr(image, 'n_frames', 1))
            return StoredPhoto(image, *stored_pixels.load(image, data))
    raise Unknown


def _add(image: Image.Image, parts: jpeg_parts.Metadata | png_parts.PngParts) -> None:
    """Adds the metadata that the reader of a format has found."""
    image.info.update({'exif': parts.exif and _EXIF + parts.exif, 'icc_profile': parts.icc, 'xmp': parts.xmp})


def _check(image: Image.Image, frames: int = 1, deep: bool = False) -> None:
    """Raises Refused for pictures that are too large, and for files of which only the first picture would be kept."""
    (width, height), most = image.size, MAX_DEEP_PIXELS if deep else MAX_PIXELS
    if width * height > most:
        raise Refused(
            f'{width}x{height} pixels{" of 16 bits" if deep else ""} are more than {most // 10**6} million: make it '
            'smaller'
        )
    if frames > 1:
        raise Refused(
            f'this file has {frames} frames or pages, and all but the first would be lost: save the one to edit as a '
            'separate file'
        )


def _orientation(exif: tiff_tags.Tags, xmp: bytes) -> int:
    """Returns the orientation, 1 (upright) to 8, from checked EXIF tags or, if those do not say it, from XMP."""
    if tiff_tags.ORIENTATION in exif:
        return tiff_tags.integers(exif[tiff_tags.ORIENTATION])[0]
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else 1
