"""Files of photos become stored pixels: decoders see what pixels need and no more, and metadata are read beside them.

Nothing that belongs to the whole process, such as Pillow's limits and Python's warnings, is touched.
"""

import io
import re
from typing import NamedTuple

from PIL import Image, ImageChops, JpegImagePlugin, PngImagePlugin

from gaze_tf.media import formats, jpeg_parts, photo_modes, png_parts, tiff_parts, tiff_tags

MAX_PIXELS = 200_000_000
# of 16 bits, which take twice the memory
MAX_DEEP_PIXELS = 100_000_000
_OTHERS = ('WEBP', 'BMP', 'GIF', 'AVIF', 'JPEG2000', 'HEIF')
_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_EXIF = b'Exif\0\0'
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
# dots an inch that every format can say
_RESOLUTIONS = 1, 65535


class Refused(Exception):
    """Why a photo is not read, in words that follow its name."""


class Unknown(Exception):
    """The bytes are of no format that is read."""


class Read(NamedTuple):
    """image: Pillow's, of which `format`, `info` and JPEG's `layer` are used; pixels: as photo_modes has them; notes: list
    of sentences.

    In info are, where the file has them: exif (bytes, with 'Exif\\0\\0'), icc_profile, xmp (bytes), dpi (x, y), orientation
    (1 to 8); of a TIFF tags, as tiff_tags has them, and credentials, whether it had any (C2PA); of a JPEG qtables, a table
    of each component, and several, whether more pictures are listed behind it.
    """

    image: Image.Image
    pixels: object
    notes: list


def read(data):
    """The Read of a file's bytes. Raises Refused, Unknown, photo_modes.UnsupportedMode, MemoryError and, as decoders do,
    nearly anything on damaged files."""
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
    # of HEIC the decoder has turned the pixels, whatever metadata say; of AVIF EXIF says how the file turns them, and XMP
    # does not count
    info['orientation'] = (
        1
        if found.image.format == 'HEIF'
        else _orientation(exif, b'' if found.image.format == 'AVIF' else info.get('xmp') or b'')
    )
    dpi = info.get('dpi') or tiff_tags.resolution(exif)
    low, high = _RESOLUTIONS
    info['dpi'] = dpi if dpi and all(low <= value <= high for value in dpi) else None
    # a file that is held would hold its bytes
    found.image.fp = None
    return found._replace(pixels=photo_modes.bare(found.pixels))


def _jpeg(data):
    coding, metadata, notes = jpeg_parts.coding(data), jpeg_parts.metadata(data), []
    clean = jpeg_parts.decodable(data)
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(clean))
    _check(image)
    if coding.ended:
        pixels, notes = photo_modes.stored_pixels(image, clean)
    else:
        image, pixels = _without_end(clean, coding)
        notes.append('Its end marker is missing; all pixels are there.')
    if tiff_tags.without_misfits(metadata.exif) != metadata.exif:
        notes.append('The resolution in its EXIF is no number and will be left out.')
    _add(image, metadata)
    image.info.update({'qtables': coding.tables, 'several': metadata.several})
    return Read(image, pixels, notes)


def _without_end(clean, coding):
    """(image, pixels) of a JPEG whose end marker is missing; raises ValueError if that is not all."""
    both = []
    for data in jpeg_parts.endings(clean):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        both.append((image, photo_modes.stored_pixels(image, data)[0]))
    if not coding.whole or ImageChops.difference(both[0][1], both[1][1]).getbbox():
        raise ValueError('its last rows are missing')
    return both[0]


def _png(data):
    parts = png_parts.parts(data)
    image = PngImagePlugin.PngImageFile(io.BytesIO(parts.decodable))
    _check(image, parts.frames, deep=data[24] == 16)
    png_parts.check_rows(parts.decodable)
    pixels, notes = photo_modes.stored_pixels(image, parts.decodable)
    _add(image, parts)
    return Read(image, pixels, parts.notes + notes)


def _tiff(data):
    image, tags, dropped, pages, reduced = tiff_parts.opened(data)
    _check(image, pages)
    # the first picture in most raw formats, which are TIFF inside
    if reduced:
        raise Refused('holds a raw picture or starts with a preview: export it as TIFF or JPEG')
    pixels, notes = photo_modes.stored_pixels(image, data)
    tiff_parts.check_fax(image, data)
    exif = tiff_tags.exif_of(tags)
    image.info.update({'tags': tags, 'exif': exif and _EXIF + exif, 'dpi': tiff_tags.resolution(tags)})
    for name, number in ('icc_profile', tiff_tags.ICC), ('xmp', tiff_tags.XMP):
        if number in tags:
            image.info[name] = tags[number].content
    # of credentials `left_out` says more
    image.info['credentials'] = tiff_tags.C2PA in dropped
    dropped = set(dropped) - {tiff_tags.C2PA}
    if dropped:
        notes.append(
            f'TIFF tags that are not known, or hold values of another type, will be left out: '
            f'{", ".join(map(str, sorted(dropped)))}.'
        )
    return Read(image, pixels, notes)


def _other(data):
    Image.init()
    formats.add_heif()
    for name in _OTHERS:
        # that of AVIF takes some kinds of HEIC for its own
        if name == 'AVIF' and formats.is_heif(data):
            continue
        opener, accepts = Image.OPEN.get(name, (None, lambda start: False))
        # (a text says that there is no decoder)
        if accepts(data[:16]) is True:
            image = opener(io.BytesIO(data), '')
            _check(image, getattr(image, 'n_frames', 1))
            return Read(image, *photo_modes.stored_pixels(image, data))
    raise Unknown


def _add(image, parts):
    """What a format's own reader found."""
    image.info.update({'exif': parts.exif and _EXIF + parts.exif, 'icc_profile': parts.icc, 'xmp': parts.xmp})


def _check(image, frames=1, deep=False):
    """Raises Refused for pictures that are too large, or of which more than the first would be lost."""
    (width, height), most = image.size, MAX_DEEP_PIXELS if deep else MAX_PIXELS
    if width * height > most:
        raise Refused(
            f'has {width}x{height} pixels{" of 16 bits" if deep else ""}, more than {most // 10**6} million: '
            'make it smaller'
        )
    if frames > 1:
        raise Refused(
            f'has {frames} frames or pages, and all but the first would be lost: save the one to be edited as '
            'a file of its own'
        )


def _orientation(exif, xmp):
    """Of EXIF's checked tags or, where they say nothing, of XMP; 1, upright, to 8."""
    if tiff_tags.ORIENTATION in exif:
        return tiff_tags.integers(exif[tiff_tags.ORIENTATION])[0]
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else 1
