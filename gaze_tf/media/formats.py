"""Which formats photos are read and written in, by the ends of their names, and HEIC by an extra package."""

import functools

from gaze_tf.errors import GazeError

# by suffix, the formats that are written
WRITTEN = {
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.jfif': 'JPEG',
    '.png': 'PNG',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.avif': 'AVIF',
}
# those that are only read: a photo that is changed becomes a JPEG
READ_ONLY = {'.heic': 'HEIF', '.heif': 'HEIF', '.hif': 'HEIF'}
PHOTOS = (*WRITTEN, *READ_ONLY)


def output_name(path):
    """The name of the file that a photo (a pathlib.Path) becomes: its own, or that of a JPEG where its format is only read."""
    return f'{path.stem}.jpg' if path.suffix.lower() in READ_ONLY else path.name


def is_heif(data):
    """Whether a file's bytes are HEIC or its kin, not AVIF."""
    return (
        data[4:8] == b'ftyp'
        and data[8:12] in (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1', b'MiHE')
        and b'avif' not in data[8:64]
    )


@functools.cache
def add_heif():
    """Adds HEIC to what Pillow reads, once for all; whether the package for it is there."""
    try:
        import pillow_heif
    except ImportError:
        return False
    # with thumbnails of no interest: the picture itself is read
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def check_written(target):
    """Raises GazeError for a format that this Pillow cannot write."""
    from PIL import features

    if target == 'AVIF' and not features.check('avif'):
        raise GazeError(
            '--output: this Pillow cannot write AVIF: update it (pip install -U pillow), or choose another suffix.'
        )
