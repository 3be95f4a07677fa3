"""The formats that photos are read and written in, by file suffix. Reading HEIC needs an extra package."""

import functools
import pathlib

from gaze_tf.errors import GazeError

# suffix → format; these are read and written
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
# these are only read: an edited photo becomes a JPEG
READ_ONLY = {'.heic': 'HEIF', '.heif': 'HEIF', '.hif': 'HEIF'}
PHOTOS = (*WRITTEN, *READ_ONLY)


def output_name(path: pathlib.Path) -> str:
    """Returns the file name of an edited photo: the same one, or that of a JPEG if the format is only read."""
    return f'{path.stem}.jpg' if path.suffix.lower() in READ_ONLY else path.name


def is_heif(data: bytes) -> bool:
    """Whether the bytes of a file are HEIC or a related format other than AVIF."""
    return (
        data[4:8] == b'ftyp'
        and data[8:12] in (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1', b'MiHE')
        and b'avif' not in data[8:64]
    )


@functools.cache
def register_heif() -> bool:
    """Lets Pillow read HEIC, once per process. Returns whether the package for it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    # thumbnails are not used
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def check_writable(target: str, path: pathlib.Path) -> None:
    """Raises GazeError about `path` if this Pillow cannot write the format `target`."""
    from PIL import features

    if target == 'AVIF' and not features.check('avif'):
        raise GazeError(
            'this Pillow cannot write AVIF: update it (pip install -U pillow), or choose another suffix.', path
        )
