"""Images of a data set in a model's frame: as they are, resized, or cut anew if the frame has the eyes elsewhere."""

import io
import pathlib
from collections.abc import Collection

import numpy as np
import tensorflow as tf
from PIL import Image

from gaze_tf.compositing import align
from gaze_tf.data import records
from gaze_tf.data.celebagaze import Row
from gaze_tf.errors import GazeError


def read_image(row: Row, img_size: int, frame_eyes: tuple[float, ...] = align.MEAN_EYES) -> records.Record:
    """The Record of a Row in a frame of img_size pixels; with its twin, if the row has one.

    frame_eyes: where eyes are in the frame, as shares of its side. Where they are CelebAGaze's, an image of img_size
    keeps its bytes, and others are resized. Raises GazeError (file and reason) when an image is unreadable, truncated
    or not square, when an eye lies outside it, or when the twin is missing or of another size.
    """
    data, image = open_image(row.path, ['JPEG'])
    width = image.width
    if max(row.eyes) >= width:
        raise GazeError(
            f'{row.where}: the coordinate {max(row.eyes):g} lies outside the image of {width}x{width} pixels'
        )
    frame = frame_of(width, row.eyes, img_size, frame_eyes)
    return records.Record(
        encode_jpeg(data, image, frame),
        tuple(frame.eyes.numpy().tolist()),
        row.name,
        _read_twin(row, row.twin, width, frame) if row.twin else b'',
    )


def _read_twin(row: Row, twin: pathlib.Path, width: int, frame: align.Frame) -> bytes:
    if not twin.is_file():
        raise GazeError(f'{row.where}: its twin {twin} is missing')
    data, image = open_image(twin, ['JPEG', 'PNG'])
    if image.width != width:
        raise GazeError(f'{twin}: is {image.width} pixels wide and must be {width}, the width of the face')
    return encode_jpeg(data, image, frame)


def open_image(path: pathlib.Path, formats: Collection[str]) -> tuple[bytes, Image.Image]:
    """(bytes, Pillow image) of a square image file, RGB or gray; formats: the allowed ones, such as 'JPEG'.

    Raises GazeError (file and reason) when it is unreadable, truncated, or anything else.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = 'not an image' if isinstance(error, Image.UnidentifiedImageError) else error
        raise GazeError(f'{path}: cannot be read ({reason})') from error
    width, height = image.size
    if _format(image) not in formats:
        raise GazeError(f'{path}: is a {image.format} file and must be a {" or ".join(formats)}')
    if image.mode not in ('RGB', 'L'):
        raise GazeError(f'{path}: has colors in {image.mode} and must be RGB or gray')
    if width != height:
        raise GazeError(f'{path}: is {width}x{height} pixels; crop it to a square first')
    return data, image


def frame_of(
    width: int, eyes: tuple[float, ...], img_size: int, frame_eyes: tuple[float, ...] = align.MEAN_EYES
) -> align.Frame:
    """The align.Frame of side img_size for the face with `eyes` in a square image of a data set.

    If frame_eyes are CelebAGaze's, it is the whole image, wherever the eyes are: that is how the data set was cut.
    Otherwise it is `align.align_face`.
    """
    if tuple(frame_eyes) != align.MEAN_EYES:
        return align.align_face(eyes, (width, width), img_size, frame_eyes)
    return align.Frame(
        tf.constant(_whole(width, img_size)), tf.constant(np.multiply(eyes, img_size) / width, tf.float32), img_size
    )


def in_frame(image: Image.Image, frame: align.Frame) -> Image.Image:
    """What a Frame shows of a square Pillow image: an RGB image of the frame's size."""
    image, size = image.convert('RGB'), (frame.size, frame.size)
    if not shows_all(frame, image.width):
        return Image.fromarray(frame.cut(np.asarray(image)).numpy())
    # Pillow's filters widen with the reduction, so this does not alias
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def encode_jpeg(data: bytes, image: Image.Image, frame: align.Frame) -> bytes:
    """The JPEG bytes of `in_frame` for an image with its bytes: the same bytes, if the frame does not change a JPEG."""
    if image.width == frame.size and _format(image) == 'JPEG' and shows_all(frame, image.width):
        return data
    file = io.BytesIO()
    in_frame(image, frame).save(file, 'JPEG', quality=95, subsampling='4:4:4')
    return file.getvalue()


def shows_all(frame: align.Frame, width: int) -> bool:
    """Whether a Frame is all of a square image, as it is or resized."""
    return np.array_equal(frame.matrix, _whole(width, frame.size))


def _format(image: Image.Image) -> str | None:
    return 'JPEG' if image.format == 'MPO' else image.format


def _whole(width: int, size: int) -> np.ndarray:
    """The matrix of the Frame that is a whole image."""
    return np.eye(2, 3) * (size / width)
