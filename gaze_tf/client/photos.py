"""Photos corrected by a model on a server.

Faces are found here. The server's signature `correct_encoded` aligns them, repaints their eyes and puts those back.
"""

import collections
import concurrent.futures
import contextlib
import io
import itertools
import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from PIL import Image

from gaze_tf.client.options import ClientOptions
from gaze_tf.client.remote import RemoteModel, ServerError
from gaze_tf.editing.editor import Edited, open_photo
from gaze_tf.editing.face_reports import report_faces
from gaze_tf.errors import GazeError
from gaze_tf.export.checks import MAX_PIXELS, checked_files, decoded
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.faces import Face, Limits
from gaze_tf.media.photo import Photo

if TYPE_CHECKING:
    from gaze_tf.client.over_grpc import GrpcModel
    from gaze_tf.client.over_rest import RestModel


class GazeClient:
    """Corrects photos with a model on a server. Threads may call it at the same time.

    TensorFlow decodes photos here, too. If the server's GPU is in this machine,
    `tf.config.set_visible_devices([], 'GPU')` leaves it to the server.
    """

    def __init__(
        self,
        server: str,
        options: ClientOptions | None = None,
        *,
        header: str | None = None,
        limits: Limits | None = None,
        detector: Callable[[np.ndarray], list[Face]] | None = None,
    ):
        """Does not connect yet: whether the server answers shows with the first photo.

        Args:
          server: HOST:PORT of its gRPC port, or with the option `rest` of its REST port.
          options: which model to call, and how to reach it.
          header: 'Name: value' that is sent with each request, such as 'Authorization: Bearer TOKEN'.
          limits: what a face must be like to be edited.
          detector: a function from an image uint8 [H, W, 3] to a list of Face, the largest first; None for that of
            `make_detector`, which is loaded on first use.

        Raises:
          GazeError: the address, an option or the header is malformed.
        """
        self._remote = RemoteModel(server, options or ClientOptions(), header)
        self._model = _model(self._remote)
        self._limits, self._detector = limits or Limits(), detector
        self._detecting = threading.Lock()

    def __enter__(self) -> 'GazeClient':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, which ends running requests."""
        self._model.close()

    def correct(
        self,
        photo: pathlib.Path | str | Photo | np.ndarray,
        eyes: Sequence[float] | None = None,
        faces: str | Sequence[int] = 'largest',
    ) -> Edited:
        """Repaints the eyes of a photo so that they look at the camera.

        Args:
          photo: a path, a Photo, or RGB uint8 [H, W, 3].
          eyes: (left_x, left_y, right_x, right_y) of one face, in pixels of the upright photo; skips face detection.
          faces: 'largest', 'all', or numbers of faces by size such as '0,2' or [0, 2].

        Raises:
          ServerError: the server cannot be reached, is of another kind, or does not have the model.
          GazeError: the photo cannot be read, is too large, was refused, or was not answered in time.
        """
        return self._send(*self._find_faces(photo, eyes, faces))

    def correct_many(
        self,
        photos: Iterable[pathlib.Path | str | Photo | np.ndarray],
        eyes: Iterable[Sequence[float] | None] | None = None,
        faces: str | Sequence[int] = 'largest',
        concurrency: int = 4,
    ) -> Iterator[Edited | GazeError]:
        """Corrects photos; yields for each, in order, its Edited, or the GazeError that says why it failed.

        While `concurrency` photos are with the server, faces are found in one more; no others are read ahead.

        Args:
          photos: as for `correct`.
          eyes: for each photo its eyes, or None.
          faces: as for `correct`.
          concurrency: the number of photos that the server has at the same time.

        Raises:
          ServerError: every other photo would fail, too.
        """
        with concurrent.futures.ThreadPoolExecutor(concurrency) as senders:
            waiting: collections.deque[concurrent.futures.Future] = collections.deque()
            for photo, own in zip(photos, itertools.repeat(None) if eyes is None else eyes):
                try:
                    waiting.append(senders.submit(self._send, *self._find_faces(photo, own, faces)))
                except GazeError as error:
                    waiting.append(concurrent.futures.Future())
                    waiting[-1].set_exception(error)
                if len(waiting) > concurrency:
                    yield _outcome(waiting.popleft())
            while waiting:
                yield _outcome(waiting.popleft())

    def _find_faces(self, photo, eyes, faces):
        """(the Photo or None, its pixels, a FaceReport for each face)."""
        photo, rgb = open_photo(photo)
        # the server always corrects in full
        reports = [
            report._replace(strength=float(report.done))
            for report in report_faces(rgb, self._detect, self._limits, eyes, faces)
        ]
        height, width = rgb.shape[:2]
        if width * height > MAX_PIXELS and any(report.done for report in reports):
            raise GazeError(
                f'the photo has {width}x{height} pixels, a server takes {MAX_PIXELS // 10**6} million: make it '
                'smaller.',
                about=photo.path if photo else None,
            )
        return photo, rgb, reports

    def _detect(self, rgb):
        # mediapipe cannot do two at a time
        with self._detecting:
            if self._detector is None:
                self._detector = make_detector()
            return self._detector(rgb)

    def _send(self, photo, rgb, reports):
        """The Edited photo: sends a request for each face, and takes from each answer what it changed."""
        faces = [report.face for report in reports if report.done]
        image = rgb.copy() if faces else rgb
        encoded = _encoded(photo, rgb, faces[0].eyes) if faces else b''
        for face in faces:
            eyes = _inside(face.eyes, rgb.shape[1::-1])
            self._merge(image, rgb, self._decoded(self._model.correct(encoded, eyes), rgb.shape), eyes)
        return Edited(image, reports, photo)

    def _decoded(self, answer, shape):
        """The pixels of an answer as uint8 of this shape; raises GazeError."""
        try:
            with Image.open(io.BytesIO(answer), formats=['PNG']) as image:
                if image.size == shape[1::-1]:
                    return np.asarray(image.convert('RGB'))
                why = f'{image.size[0]}x{image.size[1]} pixels for a photo of {shape[1]}x{shape[0]}'
        except Exception as error:  # Pillow raises nearly anything on broken files
            raise self._remote.bad_answer(error) from error
        raise self._remote.bad_answer(why)

    def _merge(self, image, rgb, answer, eyes):
        """Copies into `image` the pixels that `answer` changed in `rgb`; they must be near the eyes."""
        near = _near(eyes)
        changed = (answer != rgb).any(axis=-1)
        image[near][changed[near]] = answer[near][changed[near]]
        changed[near] = False
        if changed.any():
            y, x = np.argwhere(changed)[0]
            raise self._remote.bad_answer(
                f'it changed {np.count_nonzero(changed)} pixels far from the eyes, the first at {x}, {y}'
            )


def _model(remote: RemoteModel) -> 'GrpcModel | RestModel':
    """What calls the model; imports the packages of its protocol only."""
    if remote.options.rest:
        from gaze_tf.client.over_rest import RestModel

        return RestModel(remote)
    from gaze_tf.client.over_grpc import GrpcModel

    return GrpcModel(remote)


def _outcome(future):
    try:
        return future.result()
    except ServerError:
        raise
    except GazeError as error:
        return error


def _encoded(photo, rgb, eyes):
    """The photo's own bytes if the server decodes them to the same pixels, otherwise a PNG."""
    if photo:
        # the photo may have another format, an orientation, or damage that Pillow tolerates
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            files, _ = checked_files(tf.constant([photo.data]), tf.constant([eyes], tf.float32))
            if np.array_equal(decoded(files[0]), rgb):
                return photo.data
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, 'PNG', compress_level=1)
    return file.getvalue()


def _inside(eyes, size):
    """Eyes as float32 [4]; rounding must not move them out of the photo of this (width, height)."""
    return np.minimum(np.float32(eyes), np.nextafter(np.float32(size * 2), np.float32(0)))


def _near(eyes):
    """Rows and columns up to the distance of the eyes around them, which is more than eye boxes have."""
    x, y = np.reshape(eyes, (2, 2)).T
    reach = np.hypot(x[1] - x[0], y[1] - y[0]) + 2
    return tuple(slice(max(0, int(at.min() - reach)), int(at.max() + reach) + 1) for at in (y, x))
