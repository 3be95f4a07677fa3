"""A training set in CelebAGaze's layout from photos of people who all look at the camera: domain Y by turning their eyes."""

import concurrent.futures
import csv
import json
import multiprocessing
import os
import pathlib
import signal
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from gaze_tf.compositing.align import align_face
from gaze_tf.datasets import directions as directions_lib
from gaze_tf.datasets import people
from gaze_tf.datasets.from_photos import FOLDERS, MAX_ENLARGED, left_out
from gaze_tf.errors import GazeError
from gaze_tf.files import new_folder
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from gaze_tf.media.photo import Photo
from gaze_tf.turning.eyeball import MAX_ANGLE
from gaze_tf.turning.turn import LOOSE, EyeTurner, check_face
from gaze_tf.turning.unfit import Unfit

COLUMNS = (
    'domain',
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
# side of the smallest faces looked for, as a share of the photo's longest side: smaller ones would not fill a frame
_SMALLEST = 0.06


class Settings(NamedTuple):
    """img_size: side of the faces in pixels. directions: turned versions of each photo, min_angle to max_angle degrees from
    the camera. retouch_x: share of domain X that is turned by up to 2 degrees, so that traces of repainting do not tell the
    domains apart. seed: of all that is drawn, together with the photo's name."""

    img_size: int = 256
    directions: int = 3
    min_angle: float = 10.0
    max_angle: float = 30.0
    retouch_x: float = 0.5
    seed: int = 0


class Made(NamedTuple):
    """x, y, test_x, test_y: faces of each domain, those held out, which come last, among them; people, in how many photos;
    rejects: list of {'file', 'reason'}."""

    x: int
    y: int
    test_x: int
    test_y: int
    people: int
    rejects: list


class _Done(NamedTuple):
    """What became of a people.Photo: rows of truth.csv of domain X and Y, with the faces' eyes [4]; or why there are none of
    Y."""

    rows: list
    eyes: tuple = ()
    reason: str = ''


def make(folders, output, settings=Settings(), identity='', test_people='', workers=None):
    """Writes a data set.

        1/NAME.jpg, 1.txt           domain X: faces at the camera, aligned; also of photos whose eyes cannot be turned well
        0/NAME_1.jpg …, 0.txt       domain Y: the same with their eyes turned
        twins/NAME_1.jpg …          each face of Y as the photo has it, at the camera
        truth.csv                   a row for each face, as `evaluation.samples` reads it
        rejects.json                files that are left out, or of which domain Y has nothing, and why

    Args:
      folders: of photos of people who look at the camera (folders in them, too).
      output: folder, which must not exist yet.
      settings: Settings.
      identity, test_people: see `people.photos_of`.
      workers: processes (one for each core by default); results do not depend on it.

    Returns:
      Made.

    Raises:
      GazeError: bad settings, no photos, none that is fit, or an output that exists or cannot be written.
    """
    _check(settings)
    photos = people.photos_of(folders, identity, test_people)
    with new_folder(output) as folder:
        for name in (*FOLDERS.values(), 'twins'):
            (folder / name).mkdir()
        done = list(zip(photos, _all_done(photos, folder, settings, workers)))
        fit = [(photo, one) for photo, one in done if one.rows]
        rejects = [{'file': str(photo.path), 'reason': one.reason} for photo, one in done if one.reason]
        if not any(not one.reason for _, one in fit):
            raise GazeError(
                f'None of {len(photos)} photos is fit; the first: {rejects[0]["file"]}: {rejects[0]["reason"]}.'
            )
        rejects += [{'file': file, 'reason': why} for each in folders for file, why in left_out(each)]
        # those held out come last
        rows = [
            (row, one.eyes)
            for split in ('train', 'test')
            for photo, one in fit
            if photo.split == split
            for row in one.rows
        ]
        _write_tables(folder, rows)
        (folder / 'rejects.json').write_text(json.dumps(rejects, indent=1) + '\n', encoding='utf-8')
    counts = [
        sum(row['domain'] == domain and row['split'] in splits for row, _ in rows)
        for splits in (('train', 'test'), ('test',))
        for domain in 'XY'
    ]
    return Made(*counts, len({photo.identity for photo, _ in fit}), rejects)


def _check(settings):
    if not 0 < settings.min_angle <= directions_lib.MAX_PITCH:
        raise GazeError(
            f'--min_angle={settings.min_angle:g} must be above 0 and at most {directions_lib.MAX_PITCH:g} '
            'degrees, as far as eyes can look up.'
        )
    if not settings.min_angle <= settings.max_angle <= MAX_ANGLE:
        raise GazeError(
            f'--max_angle={settings.max_angle:g} must be between --min_angle={settings.min_angle:g} and '
            f'{MAX_ANGLE} degrees.'
        )
    if not 0 <= settings.retouch_x <= 1:
        raise GazeError(f'--retouch_x={settings.retouch_x:g} must be a share between 0 and 1.')


def _all_done(photos, folder, settings, workers):
    """Yields the _Done of each photo in order, by processes of which each loads mediapipe once."""
    workers = min(workers or len(os.sched_getaffinity(0)), len(photos))
    # not forked: TensorFlow's threads would be missing
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), _start, (folder, settings)
    )
    try:
        yield from tqdm(pool.map(_turn_in_worker, photos), total=len(photos), unit=' photos', dynamic_ncols=True)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise GazeError(
            'A process that turned eyes was ended from outside, perhaps for want of memory: start again.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker = None


def _start(folder, settings):
    """Of each process."""
    global _worker
    # being interrupted is for the first process alone, and the cores are shared already
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.set_visible_devices([], 'GPU')
    cv2.setNumThreads(1)
    _worker = _Worker(folder, settings)


def _turn_in_worker(photo):
    return _worker.done(photo)


class _Worker:
    """Writes the faces of one photo after the other."""

    def __init__(self, folder, settings):
        self._folder, self._settings = pathlib.Path(folder), settings
        self._detector = MediapipeDetector(_SMALLEST)

    def done(self, photo):
        """The _Done of a people.Photo."""
        try:
            rgb = Photo.open(photo.path).rgb
            face, frame = self._face(rgb)
        except GazeError as error:
            return _Done([], reason=error.problem)
        eyes = tuple(frame.eyes.numpy().tolist())
        try:
            turner = EyeTurner(rgb, face, self._detector, self._settings.seed, strict=True)
        except Unfit as error:
            self._save(FOLDERS['x'], photo.name, frame.cut(rgb).numpy())
            return _Done([_row('X', photo)], eyes, f'only in domain X: {error}')
        return _Done(self._written(photo, rgb, turner, frame), eyes)

    def _face(self, rgb):
        faces = with_seen(rgb, self._detector(rgb)[:1])
        if not faces:
            raise Unfit('no face was found')
        frame = align_face(faces[0].eyes, rgb.shape[1::-1], self._settings.img_size)
        if frame.scale > MAX_ENLARGED:
            raise Unfit(
                f'it would have to be enlarged {frame.scale:.2f} times (at most {MAX_ENLARGED:g}; a smaller '
                '--img_size helps)'
            )
        check_face(faces[0], LOOSE, rgb.shape[1::-1])
        return faces[0], frame

    def _written(self, photo, rgb, turner, frame):
        """Writes the faces of a photo; their rows of truth.csv."""
        settings = self._settings
        directions = directions_lib.drawn(
            settings.seed, photo.name, settings.directions, settings.min_angle, settings.max_angle, settings.retouch_x
        )
        at_camera = frame.cut(rgb).numpy()
        self._save(
            FOLDERS['x'], photo.name, frame.cut(turner.render(*directions.x)).numpy() if directions.x else at_camera
        )
        direction = directions.x or (0.0, 0.0)
        rows = [_row('X', photo, direction=direction, **_irises('', turner, frame, direction))]
        for number, direction in enumerate(directions.y, start=1):
            name = f'{photo.name}_{number}'
            self._save(FOLDERS['y'], name, frame.cut(turner.render(*direction)).numpy())
            self._save('twins', name, at_camera)
            twin = {'twin': f'twins/{name}.jpg', **_irises('twin_', turner, frame, (0, 0))}
            rows.append(_row('Y', photo, name, direction, **_irises('', turner, frame, direction), **twin))
        return rows

    def _save(self, folder, name, face):
        Image.fromarray(face).save(self._folder / folder / f'{name}.jpg', quality=95, subsampling=0)


def _row(domain, photo, name='', direction=(0.0, 0.0), **columns):
    """A row of truth.csv; the name is the photo's, where none is given."""
    return {
        'domain': domain,
        'name': name or photo.name,
        'split': photo.split,
        'identity': photo.identity,
        'yaw_deg': f'{direction[0]:.4f}',
        'pitch_deg': f'{direction[1]:.4f}',
        **columns,
    }


def _irises(prefix, turner, frame, direction):
    """Centres and, of the face itself, the radius in the frame; pixel i has its centre at i, as in truth.csv."""
    centres = np.asarray(frame.to_frame(turner.irises(*direction) + 0.5)) - 0.5
    radius = {} if prefix else {'iris_radius': f'{turner.iris_radius * float(frame.scale):.3f}'}
    return {
        **radius,
        **{
            f'{prefix}{side}_iris_{axis}': f'{value:.3f}'
            for side, centre in zip(('left', 'right'), centres)
            for axis, value in zip('xy', centre)
        },
    }


def _write_tables(folder, rows):
    for domain, name in FOLDERS.items():
        lines = [
            ' '.join([row['name'], *(f'{value:.1f}' for value in eyes)])
            for row, eyes in rows
            if row['domain'] == domain.upper()
        ]
        (folder / f'{name}.txt').write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    with (folder / 'truth.csv').open('w', newline='', encoding='utf-8') as file:
        table = csv.DictWriter(file, COLUMNS, restval='')
        table.writeheader()
        table.writerows(row for row, _ in rows)
