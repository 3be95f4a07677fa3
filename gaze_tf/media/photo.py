"""Photographs in files: read as upright RGB, and written back so that only what was changed changes."""

import contextlib
import pathlib

import numpy as np

from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media import formats, left_out, metadata, photo_files, photo_modes, photo_reading, xmp
from gaze_tf.media.previews import Picture

SUFFIXES = formats.WRITTEN
MAX_BYTES = 4 << 30
# rows that are compared and repainted at a time, so that no second copy of a large picture is needed
_STRIP = 64


class Photo:
    """A photograph and the file it came from, kept as bytes, so that saving needs the file no more.

    path: of the file.
    rgb: uint8 [H, W, 3], read-only; upright (EXIF orientation applied), values as stored: no colour profile is
        applied, transparency is left out, 16-bit values are rounded to 8.
    data: the file's bytes.
    notes: sentences on what will not be kept as it was if the photo is changed, or was not when it was saved; empty for
        nearly every photo.
    """

    def __init__(self, path, data):
        """Reads the photo of a file's bytes; raises GazeError. `Photo.open` is the usual way."""
        self.path, self.data = pathlib.Path(path), data
        with self._told():
            image, pixels, notes = photo_reading.read(data)
            self.notes = (*notes, *left_out.notes(image, data))
            self._format, self._orientation = image.format, image.info['orientation']
            height, width = photo_modes.shape(pixels)
            self.rgb = np.empty([width, height, 3] if self._orientation >= 5 else [height, width, 3], np.uint8)
            stored = photo_modes.as_stored(self.rgb, self._orientation)
            for top in range(0, height, _STRIP):
                stored[top : top + _STRIP] = photo_modes.rgb_rows(pixels, top, min(top + _STRIP, height))
        self.rgb.flags.writeable = False
        if SUFFIXES.get(self.path.suffix.lower(), self._format) != self._format:
            self.notes += (
                f'{self.path} is a {self._format} in spite of its name: under that name it is encoded anew.',
            )

    @classmethod
    def open(cls, path):
        """The photo in a file; raises GazeError if there is none, or none that could be written back."""
        path = pathlib.Path(path)
        if path.is_dir():
            raise GazeError(f'--input: {path} is a folder: name a photo in it.')
        try:
            if path.stat().st_size > MAX_BYTES:
                raise GazeError(f'--input: {path} is larger than {MAX_BYTES >> 30} GB: make it smaller.')
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise GazeError(f'--input: there is no file {path}.') from error
        except OSError as error:
            raise GazeError(f'--input: {path} cannot be read ({error.strerror or error}).') from error
        except MemoryError as error:
            raise GazeError(f'--input: {path} takes more memory than there is: make it smaller.') from error
        if not data:
            raise GazeError(f'--input: {path} is empty (0 bytes): copy it again from where it came.')
        return cls(path, data)

    def save(self, path, rgb, mark=False):
        """Writes the photo with the pixels of rgb, uint8 [H, W, 3], upright; whole or not at all.

        Only pixels that differ from `self.rgb` are changed in the stored picture, in its own mode, with all its bits:
        the others stay identical in PNG, TIFF, BMP and lossless WebP. The suffix of `path` is the format. If it is the
        source's, metadata (EXIF, ICC profile, XMP, resolution, texts) and orientation stay, and a photo without
        changes is copied byte by byte. A JPEG is encoded once, with the source's quantization tables and chroma
        subsampling; a lossy WebP with quality 95; a TIFF compressed lossily is written losslessly. Into another format
        go EXIF, ICC profile and resolution, where it has them, and the pixels upright: JPEG with quality 95 and full
        chroma, WebP losslessly unless the source was lossy; 16-bit colour becomes 8-bit outside PNG. Previews inside
        metadata are made anew, and what would be false of the changed picture is left out (see `notes`). mark: whether
        XMP is to say that it was repainted (IPTC digital source type); BMP cannot. Missing folders are made. Raises
        GazeError if it cannot be written.
        """
        path = pathlib.Path(path)
        target = SUFFIXES.get(path.suffix.lower())
        if target is None:
            raise GazeError(
                f'--output={path} must end in {", ".join(SUFFIXES)}: the formats that photos are written in.'
            )
        if rgb.shape != self.rgb.shape or rgb.dtype != np.uint8:
            raise ValueError(f'uint8 {list(self.rgb.shape)} expected, {rgb.dtype} {list(rgb.shape)} given.')
        before, after = (photo_modes.as_stored(upright, self._orientation) for upright in (self.rgb, rgb))
        changes = list(_changes(before, after))
        if not changes and target == self._format:
            _write(path, lambda file: file.write(self.data))
            # all of the file stays as it was
            self.notes = ()
            return
        formats.check_written(target)
        # of what is only converted, nothing was made by a model
        notes, mark = [], mark and bool(changes)
        picture = Picture(rgb, self._orientation if target == self._format else 1)

        def fill(file):
            with self._told():
                image, pixels, _ = photo_reading.read(self.data)
            metadata.renew(image, picture, mark)
            pixels = pixels.copy() if isinstance(pixels, np.ndarray) else pixels
            for top, changed in changes:
                rows = slice(top, top + len(changed))
                photo_modes.repaint(pixels, top, changed, before[rows][changed], after[rows][changed])
            if target == self._format:
                photo_files.write_alike(file, self.data, image, pixels)
            else:
                pixels = photo_modes.turned(pixels, self._orientation)
                packet = xmp.renewed(None, mark).packet
                notes.extend(photo_files.write_as(file, target, self.data, image, pixels, packet))
            metadata.renew_file(file, target, picture, mark)

        _write(path, fill, lambda data: self._check(data, target))
        self.notes += tuple(note for note in notes if note not in self.notes)

    def _check(self, data, target):
        """Opens what was written, before it takes its place; raises Exception."""
        image, pixels, notes = photo_reading.read(data)
        upright = photo_modes.shape(pixels)[:: -1 if image.info['orientation'] >= 5 else 1]
        if image.format != target or upright != self.rgb.shape[:2] or notes:
            raise ValueError(' '.join(['it does not open as it should', *notes]))

    @contextlib.contextmanager
    def _told(self):
        """What reading the file raises becomes a GazeError."""
        # decoders raise nearly anything on broken files
        try:
            yield
        except photo_reading.Unknown as error:
            heif = formats.is_heif(self.data) and not formats.add_heif()
            hint = (
                "HEIC needs a package: pip install 'gaze_tf[heif]'"
                if heif
                else 'JPEG, PNG, TIFF, WebP, AVIF, BMP and still GIF are'
            )
            raise GazeError(f'--input: {self.path} is not a photo in a format that can be read: {hint}.') from error
        except photo_reading.Refused as error:
            raise GazeError(f'--input: {self.path} {error}.') from error
        except photo_modes.UnsupportedMode as error:
            raise GazeError(
                f'--input: {self.path} has {error}, which cannot be edited: convert it to a 16-bit PNG or '
                'to 8 bits per channel.'
            ) from error
        except MemoryError as error:
            raise GazeError(f'--input: {self.path} takes more memory than there is: make it smaller.') from error
        except Exception as error:
            raise GazeError(
                f'--input: {self.path} is damaged or cut off ({_first_line(error)}): copy it again from where it came.'
            ) from error


def _changes(before, after):
    """Yields (first row, bool [rows, W]) of each strip in which the two, uint8 [H, W, 3], differ."""
    for top in range(0, len(before), _STRIP):
        changed = (before[top : top + _STRIP] != after[top : top + _STRIP]).any(axis=-1)
        if changed.any():
            yield top, changed


def _write(path, fill, check=None):
    """Calls fill(file) on a new file that then becomes `path`, if check(bytes in it) raises nothing; raises GazeError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            fill(file)
            if check:
                file.seek(0)
                check(file.read())
    except GazeError:
        raise
    # encoders raise nearly anything for what does not fit into their format
    except Exception as error:
        why = getattr(error, 'strerror', None) or _first_line(error)
        raise GazeError(f'--output: {path} cannot be written ({why}).') from error


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
