"""How a photo's pixels become a file: encoded by Pillow (16-bit colour by TensorFlow), with the source's metadata.

What Pillow would rewrite or lose in JPEG and PNG is copied from the source's bytes, segment by segment.
"""
import io
import os
import shutil
import struct
import tempfile

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from gaze_tf.editing import photo_modes

_MODES = {'JPEG': ('L', 'RGB', 'CMYK'), 'PNG': ('L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'),
          'TIFF': (*photo_modes.MODES, 'I;16'), 'WEBP': ('RGB', 'RGBA'), 'AVIF': ('RGB', 'RGBA'), 'BMP': ('L', 'P', 'RGB')}
_ORIENTATION, _PREDICTOR, _XMP = 274, 317, 700
# tags that describe a TIFF's content, not how its pixels are laid out: names, texts, dates, EXIF, GPS
_TIFF_TAGS = (269, 270, 271, 272, _ORIENTATION, 285, 305, 306, 315, 316, 33432, 34665, 34853)
_TIFF_DIRECTORIES = (34665, 34853)
# in the EXIF directory, the position of one more
_INTEROPERABILITY = 0xa005
# resolution, XMP, IPTC, Photoshop
_TIFF_KEPT = (282, 283, 296, 700, 33723, 34377)
_TIFF_LOSSLESS = ('raw', 'packbits', 'tiff_lzw', 'tiff_adobe_deflate', 'tiff_deflate', 'lzma', 'zstd')
# chunks of PNG that are about colours, which stay what they were; others say themselves if they may be copied
_PNG_COLOURS = (b'cHRM', b'gAMA', b'iCCP', b'sBIT', b'sRGB', b'cICP', b'mDCV', b'cLLI')
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'


def orientation(image):
    """Of EXIF, 1 to 8; 1 is upright."""
    value = _exif(image).get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def write_alike(file, data, image, pixels):
    """Writes stored pixels to a binary file in the format and with the metadata of the source.

    data: the source's bytes; image: opened from them; pixels: as photo_modes has them. Raises OSError, ValueError.
    """
    if image.format in ('JPEG', 'MPO', 'PNG'):
        name, splice = ('PNG', _splice_png) if image.format == 'PNG' else ('JPEG', _splice_jpeg)
        # beside the result: where there is room for it
        with tempfile.TemporaryFile(dir=os.path.dirname(file.name) or '.') as encoded:
            _encode(encoded, name, pixels, **({} if name == 'PNG' else _jpeg_options(image)))
            encoded.seek(0)
            splice(file, data, encoded)
    elif image.format == 'TIFF':
        compression, exif = image.info.get('compression', 'raw'), _exif(image)
        compression = compression if compression in _TIFF_LOSSLESS else 'tiff_adobe_deflate'
        tags = {_PREDICTOR: image.tag_v2[_PREDICTOR]} if _PREDICTOR in image.tag_v2 and compression != 'raw' else {}
        tags.update({tag: image.tag_v2[tag] for tag in _TIFF_KEPT if tag in image.tag_v2})
        _encode(file, 'TIFF', pixels, exif=exif, tags=tags, icc_profile=image.info.get('icc_profile'),
                compression=compression)
    else:
        options = {key: image.info[key] for key in ('icc_profile', 'exif', 'xmp', 'dpi') if key in image.info}
        _encode(file, image.format, pixels, **options, **_new_options(image.format, data, image))


def write_as(file, target, data, image, pixels, xmp=None):
    """The same for another format than the source's, with upright pixels; xmp: for formats that Pillow writes XMP of."""
    pixels = _fitted(pixels, target)
    options = {'dpi': image.info['dpi']} if 'dpi' in image.info else {}
    options.update(_new_options(target, data, image))
    if xmp and target in ('WEBP', 'AVIF', 'TIFF'):
        options.update({'tags': {_XMP: xmp}} if target == 'TIFF' else {'xmp': xmp})
    profile = image.info.get('icc_profile')
    # a profile describes the channels of one colour space
    space = {'L': b'GRAY', 'LA': b'GRAY', 'I;16': b'GRAY', 'CMYK': b'CMYK', 'LAB': b'Lab '}
    fits = profile and profile[16:20] == space.get(getattr(pixels, 'mode', 'RGB'), b'RGB ')
    exif = _exif(image)
    if exif.get(_ORIENTATION, 1) != 1:
        exif[_ORIENTATION] = 1
        options['exif'] = exif
    elif exif:
        options['exif'] = image.info.get('exif', exif)
    _encode(file, target, pixels, icc_profile=profile if fits else None, **options)


def _exif(image):
    """The EXIF tags of an image, without those that tell how a TIFF's pixels are laid out."""
    try:
        exif = image.getexif()
    except Exception:       # Pillow raises nearly anything on broken tags, without which the photo is still one
        exif = Image.Exif()
    if image.format == 'TIFF':
        for tag in set(exif) - set(_TIFF_TAGS):
            del exif[tag]
    return exif


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
    if isinstance(pixels, np.ndarray) and pixels.shape[-1] > 1:
        import tensorflow as tf
        file.write(tf.io.encode_png(pixels).numpy())
        return
    if isinstance(pixels, np.ndarray):
        size = pixels.shape[1], pixels.shape[0]
        pixels = Image.frombytes('I;16', size, pixels.astype('<u2').tobytes())
    if target == 'TIFF':
        _encode_tiff(file, pixels, **options)
    else:
        pixels.save(_NoDescriptor(file), target, **options)


def _encode_tiff(file, pixels, exif=None, tags=(), **options):
    """With EXIF (Exif or bytes), of which Pillow writes no directory beside its own with compressed pixels."""
    if not isinstance(exif, Image.Exif):
        loaded = Image.Exif()
        loaded.load(exif or b'')
        exif = loaded
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in set(exif) & set(_TIFF_TAGS) - set(_TIFF_DIRECTORIES):
        info[tag] = exif[tag]
    for tag, value in dict(tags).items():
        info[tag] = value
    # Pillow would copy XMP and Photoshop's data of a TIFF that it has read, whatever it is given here
    pixels.__dict__.pop('tag_v2', None)
    # libtiff, which compresses, needs the descriptor, and checks what it writes
    target = _NoDescriptor(file) if options['compression'] == 'raw' else file
    pixels.save(target, 'TIFF', tiffinfo=info, **options)
    _add_directories(file, {tag: exif.get_ifd(tag) for tag in _TIFF_DIRECTORIES if exif.get_ifd(tag)})


def _add_directories(file, directories):
    """Adds {tag: {tag: value}} to the first directory of a little-endian TIFF, which is written anew at its end."""
    if not directories:
        return
    file.seek(4)
    file.seek(*struct.unpack('<I', file.read(4)))
    count, = struct.unpack('<H', file.read(2))
    entries = [file.read(12) for _ in range(count)]
    for tag, values in directories.items():
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        for key, value in values.items():
            if key != _INTEROPERABILITY:
                directory[key] = value
        start = _even_end(file)
        file.write(directory.tobytes(start))
        entries.append(struct.pack('<HHII', tag, 4, 1, start))
    start = _even_end(file)
    file.write(struct.pack('<H', len(entries)) + b''.join(sorted(entries, key=lambda entry: entry[1::-1])) + bytes(4))
    file.seek(4)
    file.write(struct.pack('<I', start))


def _even_end(file):
    """The position at the end of a file, where a directory may start."""
    if file.seek(0, os.SEEK_END) % 2:
        file.write(b'\0')
    return file.tell()


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
    tables = [image.quantization[layer[3]] for layer in image.layer]
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
        lossy = {'JPEG', 'MPO', 'AVIF', 'HEIF', 'JPEG2000'}
        lossless = b'VP8L' in webp_chunks(data) if image.format == 'WEBP' else image.format not in lossy
        return {'lossless': True, 'exact': True} if lossless else {'quality': 95, 'exact': True}
    if target == 'AVIF':
        return {'quality': 90, 'subsampling': '4:4:4'}
    return {'compression': 'tiff_adobe_deflate'} if target == 'TIFF' else {}


def webp_chunks(data):
    names, at = set(), 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from('<4sI', data, at)
        names.add(name)
        at += 8 + size + size % 2
    return names


def _png_chunks(source, passed_over=b''):
    """Yields (name, the whole chunk) of a binary file that holds a PNG, but for those of one name (chunk None)."""
    source.seek(len(_PNG_SIGNATURE))
    while len(head := source.read(8)) == 8:
        size, name = struct.unpack('>I4s', head)
        if name == passed_over:
            source.seek(size + 4, os.SEEK_CUR)
        yield name, None if name == passed_over else head + source.read(size + 4)


def _splice_png(file, data, encoded):
    """Writes the picture of `encoded`, a file, among the other chunks of the source."""
    _, header = next(_png_chunks(encoded))
    # of these the values are pixel values, or belong to entries of the palette, which they follow
    alike = (b'tRNS', b'bKGD', b'hIST') if data[24:26] == header[16:18] or data[25] == 3 else ()
    kept = [], [], []       # before the palette, before the pixels, after them
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


def _jpeg_segments(source):
    """Yields (marker, content) up to the compressed data of a binary file that holds a JPEG, which is read so far."""
    source.seek(2)
    while True:
        start = source.tell()
        head = source.read(4)
        if len(head) < 4 or head[0] != 0xff or head[1] == 0xda:
            source.seek(start)
            return
        if head[1] == 0xff:     # a fill byte
            source.seek(start + 1)
            continue
        yield head[1], source.read(int.from_bytes(head[2:], 'big') - 2)


def _is_metadata(marker, content):
    """Whether a segment is about the picture, not needed to decode it, and true of its first picture alone."""
    adobe, several = marker == 0xee and content.startswith(b'Adobe'), marker == 0xe2 and content.startswith(b'MPF')
    return (0xe0 <= marker <= 0xef or marker == 0xfe) and not adobe and not several


def _splice_jpeg(file, data, encoded):
    """Writes the picture of `encoded`, a file, after the metadata of the source."""
    def put(marker, content):
        file.write(bytes([0xff, marker]) + (len(content) + 2).to_bytes(2, 'big') + content)

    file.write(b'\xff\xd8')
    for marker, content in _jpeg_segments(io.BytesIO(data)):
        if _is_metadata(marker, content):
            put(marker, content)
    for marker, content in _jpeg_segments(encoded):
        if not 0xe0 <= marker <= 0xef and marker != 0xfe or content.startswith(b'Adobe'):
            put(marker, content)
    shutil.copyfileobj(encoded, file)
