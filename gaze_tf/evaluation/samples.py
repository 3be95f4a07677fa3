"""The held-out faces of a folder in CelebAGaze's layout and, of rendered ones, what was drawn.

    truth.csv      gaze_tf/synthetic/faces.py's table; of it are used name, split, identity, yaw_deg, pitch_deg, the
                   irises' positions and radius, and the twin's file and irises
    twins/         each held-out face of domain Y, all the same but looking at the camera

All is brought into the model's frame of side S, as `gaze-tf prepare` does it. Positions in truth.csv count pixels from
their centres: pixel i of the file has its centre at i.
"""

import csv
import hashlib
import io
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.compositing.align import MEAN_EYES, Frame
from gaze_tf.compositing.blend import put_back
from gaze_tf.data import celebagaze, images
from gaze_tf.errors import GazeError

_COLUMNS = (
    'name',
    'split',
    'identity',
    'yaw_deg',
    'pitch_deg',
    'left_iris_x',
    'left_iris_y',
    'right_iris_x',
    'right_iris_y',
    'iris_radius',
    'twin',
    'twin_left_iris_x',
    'twin_left_iris_y',
    'twin_right_iris_x',
    'twin_right_iris_y',
)
_SIDES = ('left', 'right')


class Truth(NamedTuple):
    """What the renderer drew. gaze: yaw, pitch in degrees; iris, twin_iris: [2, 2] centres (x, y) and radius in pixels."""

    identity: str
    gaze: np.ndarray
    iris: np.ndarray
    twin_iris: np.ndarray
    radius: float


class Sample(NamedTuple):
    """A held-out face: image uint8 [S, S, 3], eyes float32 [4] in its pixels; of rendered Y truth and the twin's image.

    frame: the align.Frame that shows `image` in the data set's. photo, twin_photo: the data set's images, uint8 [H, H, 3],
    where the frame is not the very same; else None.
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

    def in_photo(self, picture, boxes):
        """The data set's image with the eyes of `picture`, uint8 [S, S, 3] in the frame: what its boxes [2, 4] hold."""
        return picture if self.photo is None else put_back(self.photo, self.frame, self.image, picture, boxes)

    @property
    def eyes_in_photo(self):
        """[4] float32 in pixels of the data set's image."""
        return np.ravel(self.frame.to_photo(np.reshape(self.eyes, (2, 2)))).astype(np.float32)


class Samples:
    """Held-out faces, read when they are asked for.

    size: S. rendered: whether there is truth. names: {'x': [...], 'y': [...]} in the order of the tables.
    fingerprint: sha256 over names, eyes, truth and files. left_out: bad rows and images, in words.
    shared_identities: of rendered faces, how many people of the held-out Y occur in training rows, too.
    """

    def __init__(self, data_dir, size, test_sizes, skip_bad=False, frame_eyes=MEAN_EYES):
        """The last test_sizes {'x': number, 'y': number} usable rows of each table, as `gaze-tf prepare` holds them out.

        frame_eyes: where eyes stand in the model's frame, as shares of its side.
        Every file is opened once here, so that what is bad is known before the work. Raises GazeError: the layout is not
        there or holds too few faces, truth.csv lacks columns or rows, a twin cannot be read, or (without skip_bad) a row or
        an image is bad.
        """
        self.size, self.left_out, self._frame_eyes = size, [], frame_eyes
        self._folder = pathlib.Path(data_dir)
        if not self._folder.is_dir():
            raise GazeError(f'--data={data_dir} is no folder: it must hold 1/, 1.txt, 0/ and 0.txt.')
        self._faces = {}
        for domain, count in test_sizes.items():
            rows = _rows(self._folder, domain, self.left_out)
            if not 0 < count <= len(rows):
                raise GazeError(
                    f'--test_{domain}={count} faces are to be held out, but domain {domain.upper()} of '
                    f'--data={data_dir} has {len(rows)} usable rows.'
                )
            # an image that turns out to be bad still counts, as it does for `gaze-tf prepare`
            self._faces[domain] = rows[-count:]
        self._truth = _read_truth(self._folder / 'truth.csv')
        self.rendered = self._truth is not None
        self.fingerprint = self._check()
        if self.left_out and not skip_bad:
            raise GazeError(
                f'{len(self.left_out)} bad rows or images in --data={data_dir}; the first: {self.left_out[0]}. '
                'Repair them, or leave them out with --skip_bad.'
            )
        for domain, faces in self._faces.items():
            if not faces:
                raise GazeError(f'Every held-out image of domain {domain.upper()} of --data={data_dir} is bad.')
        self.names = {domain: [face.name for face in faces] for domain, faces in self._faces.items()}
        self.shared_identities = self._shared_identities()

    def read(self, domain, names):
        """The Samples of these names, in this order."""
        faces = {face.name: face for face in self._faces[domain]}
        return [self._sample(domain, faces[name]) for name in names]

    def batches(self, domain, size):
        """Yields lists of at most `size` Samples of a domain, in order."""
        faces = self._faces[domain]
        for start in range(0, len(faces), size):
            yield [self._sample(domain, face) for face in faces[start : start + size]]

    def _sample(self, domain, face):
        record = images.read_image(face, self.size, self._frame_eyes)
        with Image.open(io.BytesIO(record.image)) as image:
            picture = np.array(image.convert('RGB'))
        frame = self._frame(face)
        same = np.array_equal(frame.matrix, np.eye(2, 3))
        sample = Sample(
            domain, face.name, picture, np.array(record.eyes, np.float32), frame, None if same else _pixels(face.path)
        )
        if domain == 'x' or not self.rendered:
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
                f'{path}, the twin of {row["name"]}, cannot be read ({error}): render the faces again.'
            ) from error
        side = _side(face.path)
        if twin.size != (side, side):
            raise GazeError(
                f'{path} has {twin.width}x{twin.height} pixels, and {row["name"]}, whose twin it is, '
                f'{side}x{side}: render the faces again.'
            )
        return twin

    def _check(self):
        """The fingerprint of what is held out; takes what cannot be read out of it and notes why."""
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
                if domain == 'y' and self.rendered:
                    parts += self._checked_truth(face)
                for part in parts:
                    digest.update(len(part).to_bytes(8, 'big') + part)
        return digest.hexdigest()

    def _checked_truth(self, face):
        table, row = self._folder / 'truth.csv', self._truth.get(face.name)
        if row is None:
            raise GazeError(
                f'{table} has no row for {face.name}, which is held out: render the faces again, or remove '
                'truth.csv to go without angles.'
            )
        if not row['twin']:
            raise GazeError(
                f'{table} names no twin of {face.name}, which --test_y={len(self._faces["y"])} holds out: give '
                'the number of faces that were rendered for testing.'
            )
        try:
            _truth(row, self._frame(face))
        except (TypeError, ValueError) as error:
            raise GazeError(
                f'{table}: the row of {face.name} has fields that are no numbers: render the faces again.'
            ) from error
        self._twin(row, face)
        return [repr(sorted(row.items())).encode(), (self._folder / row['twin']).read_bytes()]

    def _shared_identities(self):
        if not self.rendered:
            return None
        people = {self._truth[name]['identity'] for name in self.names['y']}
        others = {row['identity'] for row in self._truth.values() if row['split'] == 'train'}
        return len(people & others)


def _rows(folder, domain, problems):
    """The usable rows of a domain; adds what is wrong with others to `problems`."""
    listing = celebagaze.read_domain(folder, domain)
    problems += listing.problems
    return listing.rows


def _read_truth(path):
    """{name: row} of truth.csv, or None if there is none; raises GazeError."""
    try:
        with open(path, newline='', encoding='utf-8') as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise GazeError(
                    f'{path} has no column {missing[0]}: render the faces again, or remove it to go without angles.'
                )
            return {row['name']: row for row in reader}
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GazeError(f'{path} cannot be read ({error}).') from error


def _truth(row, frame):
    """The Truth of a row, in pixels of a Frame; TypeError or ValueError where fields are no numbers."""

    def irises(prefix):
        centres = np.array([[float(row[f'{prefix}{side}_iris_{axis}']) for axis in 'xy'] for side in _SIDES])
        return frame.to_frame(centres + 0.5).numpy() - 0.5

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
