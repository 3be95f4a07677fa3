"""Photos in files: read as upright RGB, and written back so that only the edited pixels change."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from PIL import Image

from gaze_tf.errors import GazeError, first_line
from gaze_tf.files import new_file
from gaze_tf.media import edit_notes, formats, metadata, photo_reading, photo_writing, stored_pixels, xmp
from gaze_tf.media.previews import Picture

SUFFIXES = formats.WRITTEN
MAX_BYTES = 4 << 30
# rows that are compared and repainted at a time, to avoid copying large pictures
_STRIP = 64


class Photo:
    """A photo and the bytes of its file. Saving does not read the file again.

    Attributes:
      path: pathlib.Path of the file.
      rgb: uint8 [H, W, 3], read-only, upright (the EXIF orientation is applied). Values are those in the file: color
        profiles are not applied, transparency is dropped, 16-bit values are rounded to 8 bits.
      data: the bytes of the file.
      notes: tuple of sentences on what an edit does not preserve, or did not preserve when the photo was saved. It is
        empty for nearly every photo.
    """

    def __init__(self, path: pathlib.Path | str, data: bytes) -> None:
        """Reads a photo from the bytes of its file; usually called by `Photo.open`. Raises GazeError."""
        self.path, self.data = pathlib.Path(path), data
        with self._reading_errors():
            image, pixels, notes = photo_reading.read(data)
            self.notes: tuple[str, ...] = (*notes, *edit_notes.collect(image, data))
            self._format, self._orientation = image.format, image.info['orientation']
            height, width = stored_pixels.shape(pixels)
            self.rgb = np.empty([width, height, 3] if self._orientation >= 5 else [height, width, 3], np.uint8)
            stored = stored_pixels.as_stored(self.rgb, self._orientation)
            for top in range(0, height, _STRIP):
                stored[top : top + _STRIP] = stored_pixels.read_rgb_rows(pixels, top, min(top + _STRIP, height))
        self.rgb.flags.writeable = False
        if SUFFIXES.get(self.path.suffix.lower(), self._format) != self._format:
            self.notes += (f'It is a {self._format} despite its suffix, and is converted if it keeps that suffix.',)

    @classmethod
    def open(cls, path: pathlib.Path | str) -> 'Photo':
        """Opens the photo in a file. Raises GazeError if it cannot be read, or could not be written back."""
        path = pathlib.Path(path)
        if path.is_dir():
            raise GazeError('this is a folder: name a photo in it.', path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise GazeError(f'larger than {MAX_BYTES >> 30} GB: make it smaller.', path)
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise GazeError('there is no such file.', path) from error
        except OSError as error:
            raise GazeError(f'cannot be read ({error.strerror or error}).', path) from error
        except MemoryError as error:
            raise _out_of_memory(path) from error
        if not data:
            raise GazeError('the file is empty (0 bytes): copy it again from its source.', path)
        return cls(path, data)

    def save(self, path: pathlib.Path | str, rgb: np.ndarray, mark: bool = False) -> None:
        """Writes the photo with new pixels to a file, which appears whole or not at all.

        Only pixels that differ from `self.rgb` change in the stored picture, which keeps its mode and bit depth. All
        other pixels stay identical in PNG, TIFF, BMP and lossless WebP.

        The suffix of `path` is the format. In the format of the source, metadata (EXIF, ICC profile, XMP, resolution,
        texts) and orientation are preserved, and a photo without changes is copied byte by byte. JPEGs are re-encoded
        once, with their original quantization tables and chroma subsampling; lossy WebPs with quality 95; TIFFs with
        lossy compression are written losslessly.

        In another format the pixels are upright, and EXIF, ICC profile and resolution are preserved where that format
        has them. JPEGs have quality 95 and full chroma; WebPs are lossless unless the source was lossy; 16-bit color
        becomes 8-bit except in PNG.

        Previews inside the metadata are replaced, and metadata that an edit makes false is left out (see `notes`).
        Missing folders are created.

        Args:
          path: of the file to write.
          rgb: uint8 [H, W, 3], upright, of the shape of `self.rgb`.
          mark: whether the XMP says that a model repainted parts of the picture (IPTC digital source type). BMP files
            cannot say it.

        Raises:
          GazeError: the file cannot be written.
        """
        path = pathlib.Path(path)
        target = SUFFIXES.get(path.suffix.lower())
        if target is None:
            raise GazeError(f'must end in {", ".join(SUFFIXES)}: the formats that photos are written in.', path)
        if rgb.shape != self.rgb.shape or rgb.dtype != np.uint8:
            raise ValueError(f'uint8 {list(self.rgb.shape)} expected, {rgb.dtype} {list(rgb.shape)} given.')
        before, after = (stored_pixels.as_stored(upright, self._orientation) for upright in (self.rgb, rgb))
        changes = list(_changes(before, after))
        if not changes and target == self._format:
            _write(path, lambda file: file.write(self.data))
            # the whole file is preserved
            self.notes = ()
            return
        formats.check_writable(target, path)
        # a conversion alone paints nothing
        mark = mark and bool(changes)
        picture = Picture(rgb, self._orientation if target == self._format else 1)
        notes: list[str] = []

        def fill(file: IO[bytes]) -> None:
            with self._reading_errors():
                image, pixels, _ = photo_reading.read(self.data)
            metadata.renew(image, picture, mark)
            pixels = pixels.copy() if isinstance(pixels, np.ndarray) else pixels
            for top, changed in changes:
                rows = slice(top, top + len(changed))
                stored_pixels.repaint(pixels, top, changed, before[rows][changed], after[rows][changed])
            notes.extend(self._encode(file, target, image, pixels, mark))
            metadata.renew_file(file, target, picture, mark)

        _write(path, fill, lambda data: self._check(data, target))
        self.notes += tuple(note for note in notes if note not in self.notes)

    def _encode(self, file: IO[bytes], target: str, image: Image.Image, pixels: Any, mark: bool) -> list[str]:
        """Writes stored pixels and metadata in the format `target`; returns sentences on what that cannot hold."""
        if target == self._format:
            photo_writing.write_same_format(file, self.data, image, pixels)
            return []
        pixels = stored_pixels.turn(pixels, self._orientation)
        packet = xmp.renew(None, mark).packet
        return photo_writing.write_other_format(file, target, self.data, image, pixels, packet)

    def _check(self, data: bytes, target: str) -> None:
        """Opens what was written, before it replaces a file. Raises any exception if it does not open as expected."""
        image, pixels, notes = photo_reading.read(data)
        upright = stored_pixels.shape(pixels)[:: -1 if image.info['orientation'] >= 5 else 1]
        if image.format != target or upright != self.rgb.shape[:2] or notes:
            raise ValueError(' '.join(['the written file does not open as it should', *notes]))

    @contextlib.contextmanager
    def _reading_errors(self) -> Iterator[None]:
        """Turns exceptions of reading the file into GazeErrors."""
        try:
            yield
        except photo_reading.Unknown as error:
            heif = formats.is_heif(self.data) and not formats.register_heif()
            hint = (
                "HEIC needs a package: pip install 'gaze_tf[heif]'"
                if heif
                else 'use JPEG, PNG, TIFF, WebP, AVIF, BMP or a still GIF'
            )
            raise GazeError(f'this is not a photo in a format that can be read: {hint}.', self.path) from error
        except photo_reading.Refused as error:
            raise GazeError(f'{error}.', self.path) from error
        except stored_pixels.UnsupportedMode as error:
            raise GazeError(
                f'this photo has {error}, which cannot be edited: convert it to a 16-bit PNG or to 8 bits per channel.',
                self.path,
            ) from error
        except MemoryError as error:
            raise _out_of_memory(self.path) from error
        # decoders raise nearly any exception on broken files
        except Exception as error:
            raise GazeError(
                f'damaged or cut off ({first_line(error)}): copy it again from its source.', self.path
            ) from error


def _out_of_memory(path: pathlib.Path) -> GazeError:
    return GazeError('there is not enough memory to open it: make it smaller.', path)


def _changes(before: np.ndarray, after: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, bool [rows, W]) of each strip in which two pictures, uint8 [H, W, 3], differ."""
    for top in range(0, len(before), _STRIP):
        changed = (before[top : top + _STRIP] != after[top : top + _STRIP]).any(axis=-1)
        if changed.any():
            yield top, changed


def _write(path: pathlib.Path, fill: Callable[[IO[bytes]], Any], check: Callable[[bytes], None] | None = None) -> None:
    """Calls fill(file) on a new file, which becomes `path` unless check(its bytes) raises. Raises GazeError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            fill(file)
            if check:
                file.seek(0)
                check(file.read())
    except GazeError:
        raise
    # encoders raise nearly any exception for what their format cannot hold
    except Exception as error:
        why = getattr(error, 'strerror', None) or first_line(error)
        raise GazeError(f'cannot be written ({why}).', path) from error
