"""How a photo's pixels become a file: encoded by Pillow (16-bit colour by TensorFlow), with the source's metadata.

What Pillow would rewrite or lose in JPEG and PNG is copied from the source's bytes, segment by segment.
"""

import io
import mmap
import os
import shutil
import struct
import tempfile

import numpy as np
from PIL import Image, JpegImagePlugin

from gaze_tf.media import photo_modes, tiff_tags
from gaze_tf.media.jpeg_parts import segment
from gaze_tf.media.jpeg_parts import segments as _jpeg_segments
from gaze_tf.media.png_parts import SIGNATURE as _PNG_SIGNATURE
from gaze_tf.media.png_parts import chunks as _png_chunks
from gaze_tf.media.png_parts import write_deep

_MODES = {
    'JPEG': ('L', 'RGB', 'CMYK'),
    'PNG': ('L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'),
    'TIFF': (*photo_modes.MODES, 'I;16'),
    'WEBP': ('RGB', 'RGBA'),
    'AVIF': ('RGB', 'RGBA'),
    'BMP': ('L', 'P', 'RGB'),
}
_PREDICTOR = 317
_EXIF = b'Exif\0\0'
# bytes of it in a segment of JPEG, after its length and name
_JPEG_EXIF = 65535 - 2 - len(_EXIF)
_TIFF_LOSSLESS = ('raw', 'packbits', 'tiff_lzw', 'tiff_adobe_deflate', 'tiff_deflate', 'lzma', 'zstd')
# chunks of PNG that are about colours, which stay what they were; others say themselves if they may be copied
_PNG_COLOURS = (b'cHRM', b'gAMA', b'iCCP', b'sBIT', b'sRGB', b'cICP', b'mDCV', b'cLLI')


def write_alike(file, data, image, pixels):
    """Writes stored pixels to a binary file in the format and with the metadata of the source.

    data: the source's bytes; image: opened from them; pixels: as photo_modes has them. Raises OSError, ValueError.
    """
    if image.format in ('JPEG', 'PNG'):
        name, splice = ('PNG', _splice_png) if image.format == 'PNG' else ('JPEG', _splice_jpeg)
        # beside the result: where there is room for it
        with tempfile.TemporaryFile(dir=os.path.dirname(file.name) or '.') as encoded:
            _encode(encoded, name, pixels, **({} if name == 'PNG' else _jpeg_options(image)))
            encoded.seek(0)
            splice(file, data, encoded)
    elif image.format == 'TIFF':
        compression = image.info.get('compression', 'raw')
        compression = compression if compression in _TIFF_LOSSLESS else 'tiff_adobe_deflate'
        # the one that whole numbers have
        predictor = {_PREDICTOR: 2} if image.tag_v2.get(_PREDICTOR) == 2 and compression != 'raw' else {}
        _encode(file, 'TIFF', pixels, tags=image.info['tags'], compression=compression, tiffinfo=predictor)
    else:
        options = {key: image.info[key] for key in ('icc_profile', 'exif', 'xmp', 'dpi') if image.info.get(key)}
        _encode(file, image.format, pixels, **options, **_new_options(image.format, data, image))


def write_as(file, target, data, image, pixels, xmp=None):
    """The same for another format than the source's, with upright pixels; list of notes on what that cannot hold.

    xmp: a packet; JPEG and PNG get theirs from metadata.renew_file.
    """
    pixels = _fitted(pixels, target)
    exif, profile, dpi = (image.info.get(name) for name in ('exif', 'icc_profile', 'dpi'))
    # a profile describes the channels of one colour space
    space = {'L': b'GRAY', 'LA': b'GRAY', 'I;16': b'GRAY', 'CMYK': b'CMYK', 'LAB': b'Lab '}
    fits = profile and profile[16:20] == space.get(getattr(pixels, 'mode', 'RGB'), b'RGB ')
    exif, notes = exif and tiff_tags.without_misfits(tiff_tags.upright(exif.removeprefix(_EXIF))), []
    if target == 'JPEG' and exif and len(exif) > _JPEG_EXIF:
        exif, notes = None, [f'{len(exif)} bytes of EXIF are left out: a JPEG can hold {_JPEG_EXIF}.']
    if target == 'TIFF':
        tags = {**(tiff_tags.of_resolution(dpi) if dpi else {}), **tiff_tags.read_exif(exif or b'')}
        tags.update({tiff_tags.ICC: tiff_tags.Tag(tiff_tags.UNDEFINED, len(profile), profile)} if fits else {})
        tags.update({tiff_tags.XMP: tiff_tags.of_bytes(xmp)} if xmp else {})
        options = {'tags': tags}
    else:
        options = {'exif': exif and _EXIF + exif, 'icc_profile': fits and profile, 'dpi': dpi}
        options.update({'xmp': xmp} if target in ('WEBP', 'AVIF') else {})
        options = {name: value for name, value in options.items() if value}
    _encode(file, target, pixels, **options, **_new_options(target, data, image))
    return notes


def _fitted(pixels, target):
    """Upright pixels in a mode that the target has."""
    modes = _MODES[target]
    if isinstance(pixels, np.ndarray):
        if pixels.shape[-1] == 1 and 'I;16' in modes:
            return pixels
        values = photo_modes.eight_bits(pixels)
        pixels = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    see_through = pixels.mode in ('LA', 'RGBA') or 'transparency' in pixels.info
    if pixels.mode in modes and not ('transparency' in pixels.info and target != 'PNG'):
        return pixels
    if see_through and 'RGBA' in modes:
        return pixels.convert('RGBA')
    return pixels.convert('L' if pixels.mode in ('L', 'LA') and 'L' in modes else 'RGB')


def _encode(file, target, pixels, **options):
    """Pixels to a file, in their mode."""
    if isinstance(pixels, np.ndarray) and target == 'PNG':
        write_deep(file, pixels)
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


def _exif_of_avif(exif):
    """EXIF's bytes without an orientation of 1: where there is one Pillow writes all of EXIF anew, or fails at what is odd."""
    block = exif.removeprefix(_EXIF)
    tag = tiff_tags.read_exif(block).get(tiff_tags.ORIENTATION)
    return _EXIF + tiff_tags.without_orientation(block) if tag is None or tiff_tags.integers(tag) == (1,) else exif


def _encode_tiff(file, pixels, tags, **options):
    """With {number: tiff_tags.Tag or dict}, which no encoder sees: they are added to the directory that it wrote."""
    # libtiff, which compresses, needs the descriptor, and checks what it writes
    pixels.save(_NoDescriptor(file) if options['compression'] == 'raw' else file, 'TIFF', **options)
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
    """A file without a descriptor, to which Pillow would write without noticing that the disk is full."""

    def __init__(self, file):
        self.write, self.seek, self.tell, self.flush = file.write, file.seek, file.tell, file.flush


def _jpeg_options(image):
    """What encodes a JPEG the way it was."""
    options = {'progressive': bool(image.info.get('progressive'))}
    adobe = image.info.get('adobe_transform')
    if len(image.layer) == 4 and adobe == 2:
        # its tables are of luma and chroma, and Pillow writes inks
        return {**options, 'quality': 95, 'subsampling': 0}
    # Pillow gives the last table to all channels that are left
    tables = list(image.info['qtables'])
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()
    options['qtables'] = tables
    if len(image.layer) == 3:
        known = JpegImagePlugin.get_sampling(image)
        options.update(subsampling=0 if known < 0 else known, keep_rgb=adobe == 0)
    return options


def _new_options(target, data, image):
    """The options of a format that do not depend on the source's metadata."""
    if target == 'JPEG':
        return {'quality': 95, 'subsampling': 0}
    if target == 'WEBP':
        lossy = {'JPEG', 'AVIF', 'HEIF', 'JPEG2000'}
        lossless = b'VP8L' in webp_chunks(data) if image.format == 'WEBP' else image.format not in lossy
        return {'lossless': True, 'exact': True} if lossless else {'quality': 95, 'exact': True}
    if target == 'AVIF':
        return {'quality': 90, 'subsampling': '4:4:4'}
    return {'compression': 'tiff_adobe_deflate'} if target == 'TIFF' else {}


def webp_chunks(data):
    """The names of a WebP's chunks: a set of bytes."""
    names, at = set(), 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from('<4sI', data, at)
        names.add(name)
        at += 8 + size + size % 2
    return names


def _splice_png(file, data, encoded):
    """Writes the picture of `encoded`, a file, among the other chunks of the source."""
    _, header = next(_png_chunks(encoded))
    # of these the values are pixel values, or belong to entries of the palette, which they follow
    alike = (b'tRNS', b'bKGD', b'hIST') if data[24:26] == header[16:18] or data[25] == 3 else ()
    kept = [], [], []  # before the palette, before the pixels, after them
    place = 0
    for name, chunk in _png_chunks(io.BytesIO(data), passed_over=b'IDAT'):
        place = 2 if name == b'IDAT' else place
        ancillary, copyable = name[0] & 32, name[3] & 32
        if ancillary and (copyable or name in _PNG_COLOURS or name in alike):
            kept[1 if name in alike else place].append(chunk)
    file.write(_PNG_SIGNATURE)
    for name, chunk in _png_chunks(encoded):
        place = {b'IDAT': 1, b'IEND': 2}.get(name)
        if place:
            file.writelines(kept[place])
            kept[place].clear()
        if not name[0] & 32:
            file.write(chunk)
        if name == b'IHDR':
            file.writelines(kept[0])


def _is_metadata(marker, content):
    """Whether a segment is about the picture, not needed to decode it, and true of its first picture alone."""
    adobe, several = marker == 0xEE and content.startswith(b'Adobe'), marker == 0xE2 and content.startswith(b'MPF')
    return (0xE0 <= marker <= 0xEF or marker == 0xFE) and not adobe and not several


def _splice_jpeg(file, data, encoded):
    """Writes the picture of `encoded`, a file, after the metadata of the source."""
    file.write(b'\xff\xd8')
    for marker, content in _jpeg_segments(io.BytesIO(data)):
        if _is_metadata(marker, content):
            if marker == 0xE1 and content.startswith(_EXIF):
                content = _EXIF + tiff_tags.without_misfits(content[len(_EXIF) :])
            file.write(segment(marker, content))
    for marker, content in _jpeg_segments(encoded):
        if not 0xE0 <= marker <= 0xEF and marker != 0xFE or content.startswith(b'Adobe'):
            file.write(segment(marker, content))
    shutil.copyfileobj(encoded, file)
