"""A training set in CelebAGaze's layout from one's own photos: faces found, aligned and cut out."""

import json
import pathlib
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from gaze_tf.compositing.align import align_face
from gaze_tf.data import celebagaze
from gaze_tf.errors import GazeError
from gaze_tf.files import new_folder
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.faces import NO_LIMIT
from gaze_tf.media.formats import PHOTOS
from gaze_tf.media.photo import Photo

FOLDERS = {'x': '1', 'y': '0'}
# how far a face may be enlarged to fill its frame
MAX_ENLARGED = 2.0
# irises within so much of the eye's width from its middle look at the camera, those beyond the
# second number look elsewhere; in between, and on heads that are turned further than this, the irises do not tell
_AT_CAMERA, _ELSEWHERE, _MAX_YAW = 0.05, 0.09, 15.0
# a training set is to have gazes and nods of all kinds
_LIMITS = faces_lib.Limits(max_pitch=NO_LIMIT, max_gaze=NO_LIMIT)


class Photos(NamedTuple):
    """Photos of a folder with their domain: 'x' (eyes at the camera), 'y' (elsewhere), or 'sort' by their irises."""

    folder: pathlib.Path
    domain: str


def make(sources, output, detector, img_size=256, faces='largest', limits=_LIMITS):
    """Writes faces as CelebAGaze has them: 1/NAME.jpg, 1.txt (domain X), 0/NAME.jpg, 0.txt (domain Y), rejects.json.

    Args:
      sources: list of Photos.
      output: folder, which must not exist yet.
      detector: uint8 [H, W, 3] → list of Face, the largest first.
      img_size: side of the faces in pixels.
      faces: which of a photo: 'largest', 'all' or numbers.
      limits: faces beyond them are rejected.

    Returns:
      ({'x': number of faces, 'y': …}, rejects: list of {'file', 'face', 'reason'}, files that are no photos among them).

    Raises:
      GazeError: no photos, no face fit to be used, or an output that exists or cannot be written.
    """
    found = [(path, source.domain) for source in sources for path in photos_in(source.folder)]
    rows, taken = {'x': [], 'y': []}, set()
    rejects = [
        {'file': file, 'face': None, 'reason': why} for source in sources for file, why in left_out(source.folder)
    ]
    with new_folder(output) as folder:
        for name in FOLDERS.values():
            (folder / name).mkdir()
        for path, domain in tqdm(found, unit=' photos', dynamic_ncols=True):
            for index, face, rgb, problem in _faces(path, detector, faces, limits, img_size):
                chosen, problem = ('', problem) if problem else _sorted(face) if domain == 'sort' else (domain, '')
                if problem:
                    rejects.append({'file': str(path), 'face': index, 'reason': problem})
                    continue
                name = unique_name(path.stem, taken)
                frame = align_face(face.eyes, rgb.shape[1::-1], img_size)
                image = Image.fromarray(frame.cut(rgb).numpy())
                image.save(folder / FOLDERS[chosen] / f'{name}.jpg', quality=95, subsampling=0)
                rows[chosen].append(' '.join([name, *(f'{value:.1f}' for value in frame.eyes)]))
        if not any(rows.values()):
            first = next(reject for reject in rejects if reject['file'] == str(found[0][0]))
            raise GazeError(
                f'None of {len(found)} photos has a face to train on; the first: {first["file"]}: {first["reason"]}.'
            )
        for domain, name in FOLDERS.items():
            (folder / f'{name}.txt').write_text(''.join(f'{row}\n' for row in rows[domain]), encoding='utf-8')
        (folder / 'rejects.json').write_text(json.dumps(rejects, indent=1) + '\n', encoding='utf-8')
    return {domain: len(found) for domain, found in rows.items()}, rejects


def photos_in(folder):
    """Paths of the photos in a folder and the folders in it, sorted; raises GazeError if there are none."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise GazeError(f'{folder} is not a folder.')
    found = sorted(path for path in folder.rglob('*') if path.suffix.lower() in PHOTOS and path.is_file())
    if not found:
        raise GazeError(f'There are no photos ({" ".join(PHOTOS)}) in {folder}.')
    return found


def left_out(folder):
    """[(file, why)] of the files in a folder, and in those in it, that are not taken for photos; without hidden ones."""
    paths = sorted(path for path in pathlib.Path(folder).rglob('*') if path.is_file() and not path.name.startswith('.'))
    return [
        (str(path), f'no photo by its name ({" ".join(PHOTOS)})') for path in paths if path.suffix.lower() not in PHOTOS
    ]


def _faces(path, detector, which, limits, img_size):
    """Yields (index, Face, photo, what is wrong with it or '') of a photo; index and Face are None if it has none."""
    try:
        rgb = Photo.open(path).rgb
        found = with_seen(rgb, detector(rgb))
        if not found:
            raise GazeError('no face was found')
        chosen = faces_lib.choose(found, which)
    except GazeError as error:
        yield None, None, None, error.problem
        return
    size = rgb.shape[1::-1]
    for index, face in chosen:
        problem = faces_lib.why_not(face, limits, size)
        scale = align_face(face.eyes, size, img_size).scale
        if not problem and scale > MAX_ENLARGED:
            problem = (
                f'it would have to be enlarged {scale:.1f} times (at most {MAX_ENLARGED:g}; a smaller --img_size helps)'
            )
        yield index, face, rgb, problem


def _sorted(face):
    """(domain, '') as the irises propose it, or ('', why they do not)."""
    if abs(face.yaw) > _MAX_YAW:
        return '', f'the head is turned {face.yaw:.0f} degrees: its irises do not tell where it looks'
    offset = abs(faces_lib.iris_offset(face)[0])
    if offset <= _AT_CAMERA:
        return 'x', ''
    if offset >= _ELSEWHERE:
        return 'y', ''
    return '', f'its irises are {offset:.2f} of the eye from the middle: neither clearly at the camera nor elsewhere'


def unique_name(stem, taken):
    """A name for a row of the data set that no other face has."""
    stem = celebagaze.usable_name('_'.join(stem.split()))
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f'{stem}-{number}'
    celebagaze.check_name(name)
    taken.add(name)
    return name
