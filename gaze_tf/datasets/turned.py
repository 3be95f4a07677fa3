"""A data set from photos of people who look at the camera: for domain Y their eyes are turned."""

import concurrent.futures
import concurrent.futures.process
import functools
import json
import multiprocessing
import os
import pathlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gaze_tf.compositing.align import Frame, align_face
from gaze_tf.data import celebagaze
from gaze_tf.datasets.directions import draw_directions
from gaze_tf.datasets.from_photos import REJECTS_NAME, list_left_out, why_too_small
from gaze_tf.datasets.people import PersonPhoto, list_photos
from gaze_tf.datasets.turned_options import TurnedOptions
from gaze_tf.errors import GazeError
from gaze_tf.files import new_folder, write_text
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.faces import Face
from gaze_tf.media.photo import Photo
from gaze_tf.turning.turn import LOOSE, EyeTurner, check_face
from gaze_tf.turning.unfit import Unfit

# side of the smallest faces to look for, as a share of the photo's longest side: smaller ones would not fill a frame
_SMALLEST = 0.06
DEFAULTS = TurnedOptions()


class Made(NamedTuple):
    """x, y: number of faces of each domain; test_x, test_y: of those held out, which come last; people: their number;
    rejects: list of {'file', 'reason'}."""

    x: int
    y: int
    test_x: int
    test_y: int
    people: int
    rejects: list[dict[str, str]]


class _Done(NamedTuple):
    """What became of a PersonPhoto. rows: of truth.csv; eyes: [4], of all its faces, in the frame; reason: why domain Y
    has no faces of it, or ''."""

    rows: list[dict[str, Any]]
    eyes: tuple[float, ...] = ()
    reason: str = ''


def make(
    folders: Sequence[pathlib.Path | str],
    output: pathlib.Path | str,
    options: TurnedOptions = DEFAULTS,
    workers: int | None = None,
) -> Made:
    """Writes a data set.

        1/NAME.jpg, 1.txt       domain X: faces at the camera, aligned; also of photos whose eyes cannot be turned well
        0/NAME_1.jpg …, 0.txt   domain Y: the same faces with their eyes turned
        twins/NAME_1.jpg …      each face of Y as the photo has it, at the camera
        truth.csv               a row for each face
        rejects.json            files that are left out, or have no face in domain Y, and why

    Args:
      folders: folders of photos of people who look at the camera; subfolders are searched, too.
      output: folder, which must not exist yet.
      options: TurnedOptions.
      workers: number of processes (one for each core by default); results do not depend on it.

    Raises:
      GazeError: no photos, bad patterns, no photo that is fit, no detector, or an output that exists or cannot be
        written.
    """
    photos = list_photos(folders, options.identity, options.test_people)
    with new_folder(output) as folder:
        celebagaze.make_folders(folder, twins=True)
        done = list(zip(photos, _turn_all(photos, folder, options, workers)))
        fit = [(photo, one) for photo, one in done if one.rows]
        rejects = [{'file': str(photo.path), 'reason': one.reason} for photo, one in done if one.reason]
        if not any(not one.reason for _, one in fit):
            raise GazeError(
                f'None of {len(photos)} photos is fit; the first: {rejects[0]["file"]}: {rejects[0]["reason"]}.'
            )
        rejects += [{'file': file, 'reason': why} for each in folders for file, why in list_left_out(each)]
        # faces that are held out come last
        rows = [
            (row, one.eyes)
            for split in ('train', 'test')
            for photo, one in fit
            if photo.split == split
            for row in one.rows
        ]
        faces = {
            domain: [(row['name'], eyes) for row, eyes in rows if row['domain'] == domain.upper()]
            for domain in celebagaze.FOLDERS
        }
        celebagaze.write_tables(folder, faces)
        celebagaze.write_truth(folder, [row for row, _ in rows])
        write_text(folder / REJECTS_NAME, json.dumps(rejects, indent=1) + '\n')

    def count(domain: str, *splits: str) -> int:
        return sum(row['domain'] == domain and row['split'] in splits for row, _ in rows)

    x, y = (count(domain, 'train', 'test') for domain in 'XY')
    people = len({photo.identity for photo, _ in fit})
    return Made(x, y, count('X', 'test'), count('Y', 'test'), people, rejects)


def _turn_all(
    photos: list[PersonPhoto], folder: pathlib.Path, options: TurnedOptions, workers: int | None
) -> Iterator[_Done]:
    """Yields the _Done of each photo in order, made by processes that each load mediapipe once."""
    workers = min(workers or len(os.sched_getaffinity(0)), len(photos))
    # not forked: TensorFlow's threads would be missing
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), _start_worker, (folder, options)
    )
    try:
        yield from tqdm(pool.map(_turn_in_worker, photos), total=len(photos), unit=' photos', dynamic_ncols=True)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise GazeError('A process that turned eyes was killed, perhaps for lack of memory: start again.') from error
    finally:
        pool.shutdown(cancel_futures=True)


_options: tuple[pathlib.Path, TurnedOptions]


def _start_worker(folder: pathlib.Path, options: TurnedOptions) -> None:
    """Called once in each process."""
    global _options
    # Ctrl-C is for the first process alone, and the processes share the cores already
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.set_visible_devices([], 'GPU')
    cv2.setNumThreads(1)
    _options = folder, options


@functools.cache
def _worker() -> '_Worker':
    """The one of this process; with the first photo, as errors of `_start_worker` would not reach the first process."""
    return _Worker(*_options)


def _turn_in_worker(photo: PersonPhoto) -> _Done:
    return _worker().turn(photo)


class _Worker:
    """Writes the faces of one photo after the other into a data set's folder."""

    def __init__(self, folder: pathlib.Path, options: TurnedOptions) -> None:
        self._folder, self._options = folder, options
        self._detector = make_detector(options.face_model, _SMALLEST)

    def turn(self, photo: PersonPhoto) -> _Done:
        """Writes the faces of a photo."""
        try:
            rgb = Photo.open(photo.path).rgb
            face, frame = self._find_face(rgb)
        except GazeError as error:
            return _Done([], reason=error.problem)
        eyes = tuple(frame.eyes.numpy().tolist())
        try:
            turner = EyeTurner(rgb, face, self._detector, self._options.seed, strict=True)
        except Unfit as error:
            self._save('x', photo.name, frame.cut(rgb).numpy())
            return _Done([_truth('X', photo)], eyes, f'only in domain X: {error}')
        return _Done(self._write(photo, rgb, turner, frame), eyes)

    def _find_face(self, rgb: np.ndarray) -> tuple[Face, Frame]:
        faces = with_seen(rgb, self._detector(rgb)[:1])
        if not faces:
            raise Unfit('no face was found')
        frame = align_face(faces[0].eyes, rgb.shape[1::-1], self._options.img_size)
        problem = why_too_small(float(frame.scale))
        if problem:
            raise Unfit(problem)
        check_face(faces[0], LOOSE, rgb.shape[1::-1])
        return faces[0], frame

    def _write(self, photo: PersonPhoto, rgb: np.ndarray, turner: EyeTurner, frame: Frame) -> list[dict[str, Any]]:
        """Writes the faces of a photo; returns their rows of truth.csv."""
        options = self._options
        directions = draw_directions(
            options.seed, photo.name, options.directions, options.min_angle, options.max_angle, options.retouch_x
        )
        at_camera = frame.cut(rgb).numpy()
        self._save('x', photo.name, frame.cut(turner.render(*directions.x)).numpy() if directions.x else at_camera)
        direction = directions.x or (0.0, 0.0)
        rows = [_truth('X', photo, direction=direction, **_irises('', turner, frame, direction))]
        for number, direction in enumerate(directions.y, start=1):
            name = f'{photo.name}_{number}'
            self._save('y', name, frame.cut(turner.render(*direction)).numpy())
            celebagaze.save_image(self._folder / celebagaze.TWINS, name, at_camera)
            twin = {'twin': f'{celebagaze.TWINS}/{name}.jpg', **_irises('twin_', turner, frame, (0, 0))}
            rows.append(_truth('Y', photo, name, direction, **_irises('', turner, frame, direction), **twin))
        return rows

    def _save(self, domain: str, name: str, face: np.ndarray) -> None:
        celebagaze.save_image(celebagaze.image_folder(self._folder, domain), name, face)


def _truth(
    domain: str, photo: PersonPhoto, name: str = '', direction: tuple[float, float] = (0.0, 0.0), **columns: str
) -> dict[str, Any]:
    """A row of truth.csv; by default its name is the photo's."""
    return {
        'domain': domain,
        'name': name or photo.name,
        'split': photo.split,
        'identity': photo.identity,
        'yaw_deg': f'{direction[0]:.4f}',
        'pitch_deg': f'{direction[1]:.4f}',
        **columns,
    }


def _irises(prefix: str, turner: EyeTurner, frame: Frame, direction: tuple[float, float]) -> dict[str, str]:
    """The columns of truth.csv for the irises, in the frame: centers and, except for a twin, the radius."""
    centers = np.asarray(frame.to_frame(turner.irises(*direction) + 0.5)) - 0.5
    radius = {} if prefix else {'iris_radius': f'{turner.iris_radius * float(frame.scale):.3f}'}
    return {**radius, **celebagaze.iris_columns(centers, prefix)}
