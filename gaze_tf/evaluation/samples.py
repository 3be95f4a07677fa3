"""The held-out faces of a folder in CelebAGaze's layout and, of turned or drawn eyes, their truth.

    truth.csv      where the eyes look; columns that are read: name, split, identity, yaw_deg, pitch_deg, the positions
                   and the radius of the irises, and the twin's file and irises
    twins/         each held-out face of domain Y, all the same but looking at the camera
    options.json   of drawn faces: what they were drawn with

Everything is brought into the model's frame of side S, as `gaze-tf prepare` does it. In truth.csv, pixel i of an image
has its center at i.
"""

import csv
import hashlib
import io
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.compositing.align import MEAN_EYES, Frame
from gaze_tf.compositing.blend import put_back
from gaze_tf.data import celebagaze, images
from gaze_tf.errors import GazeError

# what truth.csv must tell: all of its columns but the domain
_COLUMNS = tuple(name for name in celebagaze.TRUTH_COLUMNS if name != 'domain')
_SIDES = ('left', 'right')


class Truth(NamedTuple):
    """gaze: yaw, pitch in degrees. iris, twin_iris: [2, 2], centers (x, y) in pixels; radius in pixels."""

    identity: str
    gaze: np.ndarray
    iris: np.ndarray
    twin_iris: np.ndarray
    radius: float


class Sample(NamedTuple):
    """A held-out face: image uint8 [S, S, 3] with eyes float32 [4] in its pixels; of domain Y also truth and twin.

    twin: the same face looking at the camera, uint8 [S, S, 3]; None, like truth, where nobody knows it.
    frame: the align.Frame that cuts `image` out of the data set's image.
    photo, twin_photo: the data set's images, uint8 [H, H, 3]; None where `image` and `twin` are the very same.
    """

    domain: str
    name: str
    image: np.ndarray
    eyes: np.ndarray
    frame: Frame
    photo: np.ndarray | None = None
    truth: Truth | None = None
    twin: np.ndarray | None = None
    twin_photo: np.ndarray | None = None

    @property
    def whole(self) -> np.ndarray:
        """The data set's image, uint8 [H, H, 3]."""
        return self.image if self.photo is None else self.photo

    @property
    def whole_twin(self) -> np.ndarray | None:
        """The twin as the data set has it, uint8 [H, H, 3]."""
        return self.twin if self.photo is None else self.twin_photo

    def in_photo(self, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """The data set's image, uint8 [H, H, 3], with the eye boxes [2, 4] of `picture`, uint8 [S, S, 3], put back."""
        return picture if self.photo is None else put_back(self.photo, self.frame, self.image, picture, boxes)

    @property
    def eyes_in_photo(self) -> np.ndarray:
        """[4] float32 in pixels of the data set's image."""
        return np.ravel(self.frame.to_photo(np.reshape(self.eyes, (2, 2)))).astype(np.float32)


class Samples:
    """Held-out faces, read when they are asked for.

    size: S. names: {'x': [...], 'y': [...]} in the order of the tables.
    has_truth: whether truth and twins of Y are known. drawn: whether the faces are drawings of gaze_tf.synthetic.
    fingerprint: sha256 over names, eyes, truth and files. left_out: bad rows and images, in words.
    shared_identities: how many people of the held-out Y are in training rows, too; None without truth.
    """

    def __init__(
        self,
        data: pathlib.Path | str,
        size: int,
        test_sizes: dict[str, int],
        skip_bad: bool = False,
        frame_eyes: tuple[float, ...] = MEAN_EYES,
    ) -> None:
        """Holds out the last usable rows of each table, as `gaze-tf prepare` does.

        test_sizes: {'x': number, 'y': number}. frame_eyes: where eyes stand in the model's frame, as shares of its
        side. Every file is opened once here, so that bad ones are known before the work. Raises GazeError: the layout
        is not there or holds too few faces, truth.csv lacks columns or rows, a twin cannot be read, or (without
        skip_bad) a row or an image is bad.
        """
        self.size, self._frame_eyes = size, frame_eyes
        self.left_out: list[str] = []
        self._folder = pathlib.Path(data)
        self._faces: dict[str, list] = {}
        for domain, count in test_sizes.items():
            rows = self._rows(domain)
            if not 0 < count <= len(rows):
                raise GazeError(
                    f'`test_{domain}={count}` faces are to be held out, but domain {domain.upper()} of '
                    f'`data={data}` has '
                    f'{len(rows)} usable rows.'
                )
            # an image that turns out to be bad still counts, as it does for `gaze-tf prepare`
            self._faces[domain] = rows[-count:]
        self._truth = _read_truth(self._folder / 'truth.csv')
        self.has_truth = self._truth is not None
        self.drawn = self.has_truth and (self._folder / 'options.json').is_file()
        self.fingerprint = self._check()
        if self.left_out and not skip_bad:
            raise GazeError(
                f'`data={data}` has bad rows or images ({len(self.left_out)}); the first: {self.left_out[0]}. '
                'Repair them, or leave them out with `skip_bad`.'
            )
        for domain, faces in self._faces.items():
            if not faces:
                raise GazeError(f'Every held-out image of domain {domain.upper()} of `data={data}` is bad.')
        self.names = {domain: [face.name for face in faces] for domain, faces in self._faces.items()}
        self.shared_identities = self._shared_identities()

    def read(self, domain: str, names: list[str]) -> list[Sample]:
        """The Samples of these names, in this order."""
        faces = {face.name: face for face in self._faces[domain]}
        return [self._sample(domain, faces[name]) for name in names]

    def batches(self, domain: str, size: int) -> Iterator[list[Sample]]:
        """Yields lists of at most `size` Samples of a domain, in order."""
        faces = self._faces[domain]
        for start in range(0, len(faces), size):
            yield [self._sample(domain, face) for face in faces[start : start + size]]

    def _rows(self, domain):
        """The usable rows of a domain; notes what is wrong with the others."""
        folder = celebagaze.FOLDERS[domain]
        for path in (self._folder / folder, self._folder / f'{folder}.txt'):
            if not path.exists():
                raise GazeError(f'{path} is missing: `data` must be a folder with 1/, 1.txt, 0/ and 0.txt.')
        listing = celebagaze.read_domain(self._folder, domain)
        self.left_out += listing.problems
        return listing.rows

    def _sample(self, domain, face):
        record = images.read_image(face, self.size, self._frame_eyes)
        with Image.open(io.BytesIO(record.image)) as image:
            picture = np.array(image.convert('RGB'))
        frame = self._frame(face)
        same = np.array_equal(frame.matrix, np.eye(2, 3))
        sample = Sample(
            domain, face.name, picture, np.array(record.eyes, np.float32), frame, None if same else _pixels(face.path)
        )
        if domain == 'x' or not self.has_truth:
            return sample
        row = self._truth[face.name]
        twin = self._twin(row, face)
        return sample._replace(
            truth=_truth(row, frame),
            twin=np.array(images.in_frame(twin, frame)),
            twin_photo=None if same else np.array(twin),
        )

    def _frame(self, face):
        return images.frame_of(_side(face.path), face.eyes, self.size, self._frame_eyes)

    def _twin(self, row, face):
        path = self._folder / row['twin']
        try:
            with Image.open(path) as image:
                twin = image.convert('RGB')
        except (OSError, SyntaxError, ValueError) as error:
            raise GazeError(
                f'{path}, the twin of {row["name"]}, cannot be read ({error}): make the data set again.'
            ) from error
        side = _side(face.path)
        if twin.size != (side, side):
            raise GazeError(
                f'{path} has {twin.width}x{twin.height} pixels, and {row["name"]}, whose twin it is, '
                f'{side}x{side}: make the data set again.'
            )
        return twin

    def _check(self):
        """The fingerprint of what is held out. Leaves out images that cannot be read and notes why."""
        digest = hashlib.sha256()
        for domain, faces in self._faces.items():
            for face in list(faces):
                try:
                    images.read_image(face, self.size, self._frame_eyes)
                except GazeError as error:
                    self.left_out.append(str(error))
                    faces.remove(face)
                    continue
                parts = [f'{domain} {face.name} {face.eyes}'.encode(), face.path.read_bytes()]
                if domain == 'y' and self.has_truth:
                    parts += self._checked_truth(face)
                for part in parts:
                    digest.update(len(part).to_bytes(8, 'big') + part)
        return digest.hexdigest()

    def _checked_truth(self, face):
        table, row = self._folder / 'truth.csv', self._truth.get(face.name)
        if row is None:
            raise GazeError(
                f'{table} has no row for {face.name}, which is held out: make the data set again, or remove '
                'truth.csv to measure without angles.'
            )
        if not row['twin']:
            raise GazeError(
                f'{table} names no twin of {face.name}, which `test_y={len(self._faces["y"])}` holds out: give '
                'the number of faces that were made for testing.'
            )
        try:
            _truth(row, self._frame(face))
        except (TypeError, ValueError) as error:
            raise GazeError(
                f'{table}: fields in the row of {face.name} are not numbers: make the data set again.'
            ) from error
        self._twin(row, face)
        return [repr(sorted(row.items())).encode(), (self._folder / row['twin']).read_bytes()]

    def _shared_identities(self):
        if not self.has_truth:
            return None
        people = {self._truth[name]['identity'] for name in self.names['y']}
        others = {row['identity'] for row in self._truth.values() if row['split'] == 'train'}
        return len(people & others)


def _read_truth(path):
    """{name: row} of truth.csv, or None if there is none; raises GazeError."""
    try:
        with open(path, newline='', encoding='utf-8') as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise GazeError(
                    f'{path} has no column {missing[0]}: make the data set again, or remove it to measure without '
                    'angles.'
                )
            return {row['name']: row for row in reader}
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GazeError(f'{path} cannot be read ({error}).') from error


def _truth(row, frame):
    """The Truth of a row, in pixels of a Frame; TypeError or ValueError where fields are no numbers."""

    def irises(prefix):
        centers = np.array([[float(row[f'{prefix}{side}_iris_{axis}']) for axis in 'xy'] for side in _SIDES])
        return frame.to_frame(centers + 0.5).numpy() - 0.5

    gaze = np.array([float(row['yaw_deg']), float(row['pitch_deg'])])
    truth = Truth(row['identity'], gaze, irises(''), irises('twin_'), float(row['iris_radius']) * float(frame.scale))
    if not all(np.isfinite(values).all() for values in truth[1:]):
        raise ValueError('not finite')
    return truth


def _pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


def _side(path):
    with Image.open(path) as image:
        return image.width
