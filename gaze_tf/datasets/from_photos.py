"""A data set in CelebAGaze's layout from your own photos: faces are found, aligned and cut out."""

import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gaze_tf.compositing.align import align_face
from gaze_tf.data import celebagaze
from gaze_tf.errors import GazeError
from gaze_tf.files import new_folder, write_text
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.faces import NO_LIMIT, Face, Limits
from gaze_tf.media.formats import PHOTOS
from gaze_tf.media.photo import Photo

REJECTS_NAME = 'rejects.json'
# how far a face may be enlarged to fill its frame
MAX_ENLARGED = 2.0
# In eye widths from the middle of the eye: irises up to the first number look at the camera, irises beyond the second
# look elsewhere. In between, and on heads that are turned by more than _MAX_YAW degrees, irises do not tell.
_AT_CAMERA, _ELSEWHERE, _MAX_YAW = 0.05, 0.09, 15.0
# a data set should have gazes and nods of all kinds
_LIMITS = Limits(max_pitch=NO_LIMIT, max_gaze=NO_LIMIT)


class PhotoFolder(NamedTuple):
    """A folder of photos and their domain: 'x' (eyes at the camera), 'y' (elsewhere), or 'sort' by their irises."""

    folder: pathlib.Path | str
    domain: str


class FoundFace(NamedTuple):
    """A chosen face. number: by size in its photo; rgb: the photo, uint8 [H, W, 3]; problem: why it is unfit, or ''."""

    number: int
    face: Face
    rgb: np.ndarray
    problem: str


def make(
    sources: Sequence[PhotoFolder],
    output: pathlib.Path | str,
    detector: Callable[[np.ndarray], list[Face]],
    img_size: int = 256,
    faces: str | Sequence[int] = 'largest',
    limits: Limits = _LIMITS,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Writes the faces of photos as a data set, and rejects.json.

    Args:
      sources: folders of photos.
      output: folder, which must not exist yet.
      detector: uint8 [H, W, 3] → list of Face, the largest first.
      img_size: side of the faces in pixels.
      faces: which faces of a photo: 'largest', 'all' or numbers.
      limits: faces beyond them are rejected.

    Returns:
      ({'x': number of faces, 'y': …}, rejects: list of {'file', 'face', 'reason'}, also for files that are not photos).

    Raises:
      GazeError: no photos, no usable face, or an output that exists or cannot be written.
    """
    photos = [(path, source.domain) for source in sources for path in find_photos(source.folder)]
    written: dict[str, list[tuple[str, np.ndarray]]] = {domain: [] for domain in celebagaze.FOLDERS}
    taken: set[str] = set()
    rejects: list[dict[str, Any]] = [
        {'file': file, 'face': None, 'reason': why} for source in sources for file, why in list_left_out(source.folder)
    ]
    with new_folder(output) as folder:
        celebagaze.make_folders(folder)
        for path, domain in tqdm(photos, unit=' photos', dynamic_ncols=True):
            try:
                found = list(_find_faces(path, detector, faces, limits, img_size))
            except GazeError as error:
                rejects.append({'file': str(path), 'face': None, 'reason': error.problem})
                continue
            for index, face, rgb, problem in found:
                chosen = domain
                if domain == 'sort' and not problem:
                    chosen, problem = _sort(face)
                if problem:
                    rejects.append({'file': str(path), 'face': index, 'reason': problem})
                    continue
                name = celebagaze.unique_name(path.stem, taken)
                frame = align_face(face.eyes, rgb.shape[1::-1], img_size)
                celebagaze.save_image(celebagaze.image_folder(folder, chosen), name, frame.cut(rgb).numpy())
                written[chosen].append((name, frame.eyes.numpy()))
        if not any(written.values()):
            first = next(reject for reject in rejects if reject['file'] == str(photos[0][0]))
            raise GazeError(
                f'None of {len(photos)} photos has a face to train on; the first: {first["file"]}: {first["reason"]}.'
            )
        celebagaze.write_tables(folder, written)
        write_text(folder / REJECTS_NAME, json.dumps(rejects, indent=1) + '\n')
    return {domain: len(faces) for domain, faces in written.items()}, rejects


def find_photos(folder: pathlib.Path | str) -> list[pathlib.Path]:
    """Paths of the photos in a folder and its subfolders, sorted. Raises GazeError if there are none."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise GazeError(f'{folder} is not a folder.')
    found = sorted(path for path in folder.rglob('*') if path.suffix.lower() in PHOTOS and path.is_file())
    if not found:
        raise GazeError(f'There are no photos ({" ".join(PHOTOS)}) in {folder}.')
    return found


def list_left_out(folder: pathlib.Path | str) -> list[tuple[str, str]]:
    """[(file, why)] for the files in a folder and its subfolders that are not photos; hidden files are not listed."""
    paths = sorted(path for path in pathlib.Path(folder).rglob('*') if path.is_file() and not path.name.startswith('.'))
    return [
        (str(path), f'not a photo by its name ({" ".join(PHOTOS)})')
        for path in paths
        if path.suffix.lower() not in PHOTOS
    ]


def _find_faces(
    path: pathlib.Path,
    detector: Callable[[np.ndarray], list[Face]],
    which: str | Sequence[int],
    limits: Limits,
    img_size: int,
) -> Iterator[FoundFace]:
    """Yields the chosen faces of a photo. Raises GazeError if it cannot be read or has none."""
    rgb = Photo.open(path).rgb
    found = with_seen(rgb, detector(rgb))
    if not found:
        raise GazeError('no face was found')
    size = rgb.shape[1::-1]
    for index, face in faces_lib.choose(found, which):
        problem = faces_lib.why_not(face, limits, size)
        scale = float(align_face(face.eyes, size, img_size).scale)
        yield FoundFace(index, face, rgb, problem or why_too_small(scale))


def why_too_small(scale: float) -> str:
    """What is wrong with a face that is enlarged by a factor to fill its frame, or ''."""
    if scale <= MAX_ENLARGED:
        return ''
    return f'it would have to be enlarged {scale:.1f} times (at most {MAX_ENLARGED:g}; a smaller `img_size` helps)'


def _sort(face: Face) -> tuple[str, str]:
    """(domain, '') as the irises propose it, or ('', why they do not)."""
    if face.yaw is not None and abs(face.yaw) > _MAX_YAW:
        return '', f'the head is turned {face.yaw:.0f} degrees: its irises do not tell where it looks'
    found = faces_lib.iris_offset(face)
    if not found:
        return '', 'its irises were not found'
    offset = abs(found[0])
    if offset <= _AT_CAMERA:
        return 'x', ''
    if offset >= _ELSEWHERE:
        return 'y', ''
    return '', f'its irises are {offset:.2f} of the eye from the middle: neither clearly at the camera nor elsewhere'
