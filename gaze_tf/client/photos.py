"""Photo in, corrected photo out, by a model on a server (TensorFlow Serving, or `gaze-tf serve`).

    with GazeClient('localhost:8500') as client:
        client.correct('photo.jpg').save('corrected.jpg')

Faces are found here; the server's `correct_encoded` aligns them, repaints their eyes and puts those back.
"""

import collections
import concurrent.futures
import contextlib
import io
import itertools
import threading

import numpy as np
import tensorflow as tf
from PIL import Image

from gaze_tf.client.remote import RemoteModel, ServerError
from gaze_tf.editing.editor import Edited, chosen_faces, opened
from gaze_tf.errors import GazeError
from gaze_tf.export.checks import MAX_PIXELS, checked_files, decoded
from gaze_tf.inference.faces import Limits


class GazeClient:
    """A model on a server, for photos; may be called from several threads.

    TensorFlow decodes photos here, too: where the server's GPU is in this machine,
    `tf.config.set_visible_devices([], 'GPU')` leaves it to the server.
    """

    def __init__(
        self,
        server,
        rest=False,
        model='gaze',
        version=None,
        label=None,
        signature='correct_encoded',
        timeout=30.0,
        retries=3,
        max_message_mb=64,
        limits=Limits(),
        detector=None,
        tls=False,
        ca=None,
        header=None,
    ):
        """Raises GazeError for what no server could be asked with; whether there is one shows with the first photo.

        Args:
          server: HOST:PORT of its gRPC port.
          rest: whether that is its REST port.
          model: the model's name there.
          version, label: which version of it, one of the two at most; the newest if none is given.
          signature: takes `image` and `eyes` and gives a PNG of the same size.
          timeout: seconds that a request may take, with its retries.
          retries: how often a server that is not available is asked again, with growing waits between; 0 to 4.
          max_message_mb: the largest request and answer in MiB (over REST photos grow by a third).
          limits: faces_lib.Limits beyond which a face is left alone.
          detector: uint8 [H, W, 3] → list of Face, the largest first; mediapipe's, loaded when first needed, if None.
          tls: whether the connection is encrypted.
          ca: PEM file of the certificates that vouch for the server; if None, those that vouch for public servers.
          header: 'Name: value' that is sent with each request, such as 'Authorization: Bearer TOKEN'.
        """
        remote = RemoteModel(
            server, model, version, label, signature, timeout, retries, max_message_mb, tls, ca, header
        )
        remote.check()
        self._remote, self._limits, self._detector = remote, limits, detector
        self._detecting = threading.Lock()
        if rest:
            from gaze_tf.client.client_rest import RestModel

            self._model = RestModel(remote)
        else:
            from gaze_tf.client.client_grpc import GrpcModel

            self._model = GrpcModel(remote)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connections; requests that are under way end."""
        self._model.close()

    def correct(self, photo, eyes=None, faces='largest'):
        """A photo with eyes that look at the camera.

        Args:
          photo: a path, a Photo, or RGB uint8 [H, W, 3].
          eyes: (left_x, left_y, right_x, right_y) of one face, in pixels of the upright photo, to do without a detector.
          faces: 'largest', 'all', or numbers of faces by size such as '0,2' or [0, 2].

        Returns:
          editor.Edited.

        Raises:
          ServerError: the server cannot be reached, is of another kind, or does not have the model.
          GazeError: anything else: the photo cannot be read, is too large, was refused, or was not answered in time.
        """
        return self._send(*self._look(photo, eyes, faces))

    def correct_many(self, photos, eyes=None, faces='largest', concurrency=4):
        """Yields for each of the photos, in order, its Edited, or the GazeError that says why there is none.

        Faces of one photo are looked for while `concurrency` others are with the server; more are not read ahead. For
        photos and faces see `correct`; eyes: for each photo its eyes or None.

        Raises ServerError, with which no other photo would fare better.
        """
        with concurrent.futures.ThreadPoolExecutor(concurrency) as senders:
            waiting = collections.deque()
            for photo, own in zip(photos, itertools.repeat(None) if eyes is None else eyes):
                try:
                    waiting.append(senders.submit(self._send, *self._look(photo, own, faces)))
                except GazeError as error:
                    waiting.append(concurrent.futures.Future())
                    waiting[-1].set_exception(error)
                if len(waiting) > concurrency:
                    yield _outcome(waiting.popleft())
            while waiting:
                yield _outcome(waiting.popleft())

    def _look(self, photo, eyes, faces):
        """(Photo or None, its pixels, FaceReport of each face)."""
        photo, rgb = opened(photo)
        # the server corrects in full
        reports = [
            report._replace(strength=float(report.done))
            for report in chosen_faces(rgb, self._find, self._limits, eyes, faces)
        ]
        height, width = rgb.shape[:2]
        if width * height > MAX_PIXELS and any(report.done for report in reports):
            raise GazeError(
                f'{photo.path if photo else "The photo"} has {width}x{height} pixels; a server takes '
                f'{MAX_PIXELS // 10**6} million: make it smaller.'
            )
        return photo, rgb, reports

    def _find(self, rgb):
        # mediapipe cannot do two at a time
        with self._detecting:
            if self._detector is None:
                from gaze_tf.inference.mediapipe_detector import MediapipeDetector

                self._detector = MediapipeDetector()
            return self._detector(rgb)

    def _send(self, photo, rgb, reports):
        """The Edited photo: one request for each face, and of each answer what it changed."""
        faces = [report.face for report in reports if report.done]
        image = rgb.copy() if faces else rgb
        encoded = _encoded(photo, rgb, faces[0].eyes) if faces else b''
        for face in faces:
            eyes = _inside(face.eyes, rgb.shape[1::-1])
            self._merge(image, rgb, self._decoded(self._model.correct(encoded, eyes), rgb.shape), eyes)
        return Edited(image, reports, photo)

    def _decoded(self, answer, shape):
        """The pixels of an answer, uint8 of this shape; raises GazeError."""
        try:
            with Image.open(io.BytesIO(answer), formats=['PNG']) as image:
                if image.size == shape[1::-1]:
                    return np.asarray(image.convert('RGB'))
                why = f'{image.size[0]}x{image.size[1]} pixels for a photo of {shape[1]}x{shape[0]}'
        except Exception as error:  # Pillow raises nearly anything on broken files
            raise self._remote.rubbish(error) from error
        raise self._remote.rubbish(why)

    def _merge(self, image, rgb, answer, eyes):
        """Takes into `image` what `answer` changed of `rgb`, which must lie near the eyes."""
        near = _near(eyes)
        changed = (answer != rgb).any(axis=-1)
        image[near][changed[near]] = answer[near][changed[near]]
        changed[near] = False
        if changed.any():
            y, x = np.argwhere(changed)[0]
            raise self._remote.rubbish(
                f'it changed {np.count_nonzero(changed)} pixels far from the eyes, the first at {x}, {y}'
            )


def _outcome(future):
    try:
        return future.result()
    except ServerError:
        raise
    except GazeError as error:
        return error


def _encoded(photo, rgb, eyes):
    """The photo's own bytes if the server decodes them to these pixels, else a PNG of those."""
    if photo:
        # it is of another format, lies on its side, or is broken where Pillow does not mind
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            files, _ = checked_files(tf.constant([photo.data]), tf.constant([eyes], tf.float32))
            if np.array_equal(decoded(files[0]), rgb):
                return photo.data
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, 'PNG', compress_level=1)
    return file.getvalue()


def _inside(eyes, size):
    """Eyes in the picture of this (width, height) as float32 [4]: rounding must not take them out of it."""
    return np.minimum(np.float32(eyes), np.nextafter(np.float32(size * 2), np.float32(0)))


def _near(eyes):
    """Rows and columns that reach as far from both eyes as these are from each other: more than boxes of eyes do."""
    x, y = np.reshape(eyes, (2, 2)).T
    reach = np.hypot(x[1] - x[0], y[1] - y[0]) + 2
    return tuple(slice(max(0, int(at.min() - reach)), int(at.max() + reach) + 1) for at in (y, x))
