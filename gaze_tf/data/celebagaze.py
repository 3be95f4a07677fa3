"""The raw CelebAGaze layout: read, checked, split and packed into TFRecords.

    <data_dir>/1/<name>.jpg   <data_dir>/1.txt     domain X: eyes at the camera
    <data_dir>/0/<name>.jpg   <data_dir>/0.txt     domain Y: eyes elsewhere
    <data_dir>/twins/<name>.jpg or .png            of Y, if there are any: the same face, looking at the camera

A row of a .txt is `name left_x left_y right_x right_y`: single spaces, pixels of that image, no
extension in the name. "Left" is the eye with the smaller x (the subject's right eye).
"""

import concurrent.futures
import csv
import functools
import hashlib
import json
import os
import pathlib
import re
from typing import NamedTuple

import tqdm

from gaze_tf.compositing.align import MEAN_EYES
from gaze_tf.config import FRAME_EYES, eye_shares
from gaze_tf.data import images, records
from gaze_tf.errors import GazeError
from gaze_tf.files import alone_in

FOLDERS = {'x': '1', 'y': '0'}
_NUMBER = re.compile(r'-?\d+(\.\d+)?', re.ASCII)
_OUR_FILE = re.compile(r'[xy]-(train|test)-\d{5}-of-\d{5}\.tfrecord(\.tmp)?')
_EXTENSIONS = '.jpg', '.jpeg'
# bytes; file systems take 255 with all that is added
_LONGEST_NAME = 200
_LISTED = 50
# Images in memory at once while a shard is written.
_CHUNK = 64


class Face(NamedTuple):
    """A usable row: its image exists, though it has not been opened yet.

    eyes: (left_x, left_y, right_x, right_y), float pixels of the image. where: file and line of the row. twin: file of the
    twin, which need not be there, or None where it is not asked for.
    """

    name: str
    path: pathlib.Path
    eyes: tuple
    where: str
    bytes: int
    mtime_ns: int
    twin: pathlib.Path | None = None


class Listing(NamedTuple):
    """A domain's rows: usable faces in order, number without an image, what is wrong with the rest."""

    faces: list
    missing: int
    problems: list


class Report(NamedTuple):
    """What `prepare` did: the finished manifest, and how many shards were written and found as they were."""

    manifest: records.Manifest
    written: int
    kept: int


def read_domain(data_dir, domain):
    """The Listing of domain 'x' or 'y'.

    Raises GazeError when the folder or the .txt is missing, or when not one image is there.
    """
    data_dir = pathlib.Path(data_dir)
    folder, table = data_dir / FOLDERS[domain], data_dir / f'{FOLDERS[domain]}.txt'
    for path, there in ((folder, folder.is_dir()), (table, table.is_file())):
        if not there:
            raise GazeError(f'{path} is missing: --data_dir must hold 1/, 1.txt, 0/ and 0.txt.')
    try:
        files = {entry.name: entry.stat() for entry in os.scandir(folder) if entry.is_file()}
        lines = table.read_bytes().removeprefix(b'\xef\xbb\xbf').rstrip().split(b'\n')
    except OSError as error:
        raise GazeError(f'Cannot read domain {domain.upper()}: {error}') from error

    listing, missing, lines_by_name = Listing([], 0, []), 0, {}
    for number, line in enumerate(lines, 1):
        where = f'{table}:{number}'
        try:
            name, eyes = parse_row(line)
            if name in lines_by_name:
                raise GazeError(f'duplicate name {name!r}, first on line {lines_by_name[name]}')
        except GazeError as error:
            listing.problems.append(f'{where}: {error}')
            continue
        lines_by_name[name] = number
        status = files.get(f'{name}.jpg')
        if status is None:
            missing += 1
        else:
            listing.faces.append(Face(name, folder / f'{name}.jpg', eyes, where, status.st_size, status.st_mtime_ns))
    if missing and not listing.faces:
        raise GazeError(
            f'No image found for domain {domain.upper()}: {folder} holds none of the {missing} '
            f'<name>.jpg that {table} names.'
        )
    return listing._replace(missing=missing)


def parse_row(line):
    """(name, eyes) of one row (bytes, its line end is ignored); raises GazeError saying what is wrong."""
    try:
        fields = line.rstrip().decode('utf-8').split(' ')
    except UnicodeDecodeError as error:
        raise GazeError('the row is not UTF-8 text') from error
    if len(fields) != 5:
        raise GazeError(
            'the row must be `name left_x left_y right_x right_y` with single spaces, '
            f'and has {len(fields) if line.strip() else 0} fields'
        )
    name, *numbers = fields
    check_name(name)
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise GazeError(f'{number!r} is not a number')
        if float(number) < 0:
            raise GazeError(f'the coordinate {number} lies outside the image')
    eyes = tuple(float(number) for number in numbers)
    if eyes[0] >= eyes[2]:
        raise GazeError(f'left_x ({numbers[0]}) must be smaller than right_x ({numbers[2]})')
    return name, eyes


def check_name(name):
    """Raises GazeError unless a row may begin with it: the name of a file <name>.jpg that is nowhere but in the folder."""
    if not name or ' ' in name or '/' in name or '\\' in name or '..' in name or not name.isprintable():
        raise GazeError(f'{name!r} is not a name for a file in the folder')
    if name.lower().endswith(_EXTENSIONS):
        raise GazeError(f'the name {name!r} must be without its extension')


def usable_name(text):
    """What is nearest to a text, such as the name of a foreign file, and passes `check_name`."""
    name = ''.join('_' if letter in ' /\\' or not letter.isprintable() else letter for letter in text)
    # (and one that is not hidden)
    name = re.sub(r'^\.', '_', re.sub(r'\.{2,}', '.', name))
    # so that a number and an extension still make a name that file systems take
    name = name.encode('utf-8')[:_LONGEST_NAME].decode('utf-8', 'ignore') or '_'
    return f'{name[: name.rindex(".")]}_{name[name.rindex(".") + 1 :]}' if name.lower().endswith(_EXTENSIONS) else name


def read_image(face, img_size, frame_eyes=MEAN_EYES):
    """The Record of a Face in a frame of img_size pixels, with that of its twin, if it is to have one.

    frame_eyes: where eyes stand in the frame, as shares of its side. Where they are CelebAGaze's, an image of img_size keeps
    its own bytes, and others are resized. Raises GazeError (file and reason) when an image is unreadable, truncated or not
    square, when an eye lies outside it, or when the twin is missing or of another size.
    """
    data, image = images.opened(face.path, ['JPEG'])
    width = image.width
    if max(face.eyes) >= width:
        raise GazeError(
            f'{face.where}: the coordinate {max(face.eyes):g} lies outside the image of {width}x{width} pixels'
        )
    frame = images.frame_of(width, face.eyes, img_size, frame_eyes)
    return records.Record(
        images.stored(data, image, frame),
        tuple(frame.eyes.numpy().tolist()),
        face.name,
        _read_twin(face, width, frame) if face.twin else b'',
    )


def _read_twin(face, width, frame):
    if not face.twin.is_file():
        raise GazeError(f'{face.where}: its twin {face.twin} is missing')
    data, image = images.opened(face.twin, ['JPEG', 'PNG'])
    if image.width != width:
        raise GazeError(f'{face.twin}: is {image.width} pixels wide and must be {width}, as the face whose twin it is')
    return images.stored(data, image, frame)


def _with_twins(data_dir, faces):
    """Faces with the files that their twins should be in: those that truth.csv names, or twins/<name>.jpg or .png."""
    table, named = pathlib.Path(data_dir) / 'truth.csv', {}
    if table.is_file():
        try:
            with open(table, newline='', encoding='utf-8') as file:
                named = {row['name']: row['twin'] for row in csv.DictReader(file)}
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            raise GazeError(
                f'{table} cannot be read, or lacks a column ({error}): it must have the columns name and twin.'
            ) from error
    found = []
    for face in faces:
        files = (
            [named[face.name]]
            if named.get(face.name)
            else [f'twins/{face.name}{suffix}' for suffix in ('.jpg', '.png')]
        )
        paths = [table.parent / file for file in files]
        found.append(face._replace(twin=next((path for path in paths if path.is_file()), paths[0])))
    return found


def prepare(data_dir, output_dir, img_size, test_sizes, shard_size, skip_bad, frame_eyes=FRAME_EYES, twins=False):
    """Packs a raw folder into TFRecords and a manifest; does only what an earlier run has not done.

    Each image is opened once and decoded to make sure that it is whole. Shards are kept when the rows
    and image files they were made from are unchanged (size and time) and their checksum still holds;
    files of earlier runs that no longer belong are removed.

    Args:
      data_dir: the raw folder.
      output_dir: the records folder; made if needed.
      img_size: side of the stored images in pixels.
      test_sizes: {'x': number, 'y': number} of last usable rows that are kept for testing; an image
        found to be bad later still counts.
      shard_size: images in a shard, at most.
      skip_bad: leave out bad rows and images instead of failing.
      frame_eyes: where eyes stand in the stored images, as --frame_eyes; for what is done to images see `read_image`.
      twins: whether to store the twins of Y with their faces.

    Returns:
      Report.

    Raises:
      GazeError: the layout is not there, no training rows would be left, the disk refuses, or (all of
        them listed) rows or images are bad. The records folder is then not complete.
    """
    listings = {domain: read_domain(data_dir, domain) for domain in records.DOMAINS}
    if twins:
        listings['y'] = listings['y']._replace(faces=_with_twins(data_dir, listings['y'].faces))
    problems = [problem for listing in listings.values() for problem in listing.problems]
    try:
        plan = _plan(listings, img_size, eye_shares(frame_eyes), test_sizes, shard_size)
    except GazeError as error:
        raise _listed(problems) if problems and not skip_bad else error
    read = functools.partial(read_image, img_size=img_size, frame_eyes=eye_shares(frame_eyes))
    with alone_in(output_dir):
        return _pack(pathlib.Path(output_dir), listings, plan, read, img_size, frame_eyes, skip_bad)


def _pack(output_dir, listings, plan, read, img_size, frame_eyes, skip_bad):
    """`prepare` of the planned shards, into a folder that nobody else writes into; read: Face → its Record."""
    problems = [problem for listing in listings.values() for problem in listing.problems]
    shards = _finished(output_dir, plan, skip_bad)
    kept = len(shards)

    def manifest(complete):
        return records.Manifest(
            img_size,
            complete,
            {domain: listing.missing for domain, listing in listings.items()},
            {domain: tuple(listing.problems) for domain, listing in listings.items()},
            tuple(shards[file] for file in plan if file in shards),
            frame_eyes,
        )

    if (skip_bad or not problems) and _earlier(output_dir) == manifest(complete=True):
        return Report(manifest(complete=True), 0, kept)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        records.save_manifest(output_dir, manifest(complete=False))
        _remove_stale(output_dir, shards)
    except OSError as error:
        raise GazeError(f'Cannot write into {output_dir}: {error}') from error
    for shard, bad in _write_missing(output_dir, plan, set(shards), read, skip_bad):
        problems += bad
        if shard:
            shards[shard.file] = shard
            records.save_manifest(output_dir, manifest(complete=False))
    if problems and not skip_bad:
        raise _listed(problems)
    for domain in records.DOMAINS:
        if not manifest(complete=False).count(domain, 'train'):
            raise GazeError(f'Every training image of domain {domain.upper()} is bad, none is left.')
    # somebody may have removed some meanwhile
    records.check_sizes(output_dir, manifest(complete=False))
    records.save_manifest(output_dir, manifest(complete=True))
    return Report(manifest(complete=True), len(shards) - kept, kept)


class _Planned(NamedTuple):
    """A shard that is to be there: the faces in it, and a hash of all that its contents depend on."""

    domain: str
    split: str
    faces: list
    key: str


class _HasBadImages(Exception):
    """Ends the writing of a shard that is not to be kept."""


def _plan(listings, img_size, frame_eyes, test_sizes, shard_size):
    """{file name: _Planned} in the order of the rows; GazeError when a domain has no row to train on."""
    plan = {}
    for domain, listing in listings.items():
        border = len(listing.faces) - test_sizes[domain]
        if border <= 0:
            raise GazeError(
                f'No training rows are left for domain {domain.upper()}: it has '
                f'{len(listing.faces)} usable rows and '
                f'--test_{domain}={test_sizes[domain]} takes the last of them.'
            )
        for split, faces in (('train', listing.faces[:border]), ('test', listing.faces[border:])):
            pieces = [faces[start : start + shard_size] for start in range(0, len(faces), shard_size)]
            for index, piece in enumerate(pieces):
                key = hashlib.sha256(json.dumps(_source(piece, img_size, frame_eyes)).encode()).hexdigest()
                name = records.shard_name(domain, split, index, len(pieces))
                plan[name] = _Planned(domain, split, piece, key)
    return plan


def _source(faces, img_size, frame_eyes):
    """All that the contents of a shard depend on; what an earlier version made is still valid."""
    source = [records.VERSION, img_size, [(face.name, face.eyes, face.bytes, face.mtime_ns) for face in faces]]
    if frame_eyes != MEAN_EYES:
        source.append(frame_eyes)
    twins = [face.twin for face in faces if face.twin]
    if twins:
        states = [twin.stat() if twin.is_file() else None for twin in twins]
        source.append([(str(twin), state and (state.st_size, state.st_mtime_ns)) for twin, state in zip(twins, states)])
    return source


def _earlier(output_dir):
    """The manifest that an earlier run left, finished or not, or None."""
    try:
        return records.read_manifest(output_dir)
    except GazeError:
        return None


def _finished(output_dir, plan, skip_bad):
    """{file name: Shard} of the planned shards that are there, whole and made from the same source."""
    earlier = _earlier(output_dir)
    finished = {}
    for shard in earlier.shards if earlier else ():
        path = output_dir / shard.file
        if (
            shard.file in plan
            and shard.key == plan[shard.file].key
            and (skip_bad or not shard.left_out)
            and path.is_file()
            and path.stat().st_size == shard.bytes
            and records.file_sha256(path) == shard.sha256
        ):
            finished[shard.file] = shard
    return finished


def _remove_stale(output_dir, shards):
    """Removes the shards of earlier runs, and halves of shards, that are not among `shards`."""
    for path in output_dir.iterdir():
        if _OUR_FILE.fullmatch(path.name) and path.name not in shards:
            path.unlink()


def _write_missing(output_dir, plan, there, read, skip_bad):
    """Writes the planned shards that are not `there`; yields (Shard, its bad images) for each.

    Shard is None when it was not kept because of bad images. Memory stays flat: no more than _CHUNK
    images wait at a time.
    """
    missing = {file: planned for file, planned in plan.items() if file not in there}
    total = sum(len(planned.faces) for planned in missing.values())
    with (
        concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm.tqdm(total=total, unit=' images', disable=not total) as bar,
    ):
        for file, planned in missing.items():
            bad = []
            faces = _read_faces(planned.faces, read, pool, bar, bad, skip_bad)
            try:
                count, size, checksum = records.write_shard(output_dir / file, faces)
            except _HasBadImages:
                yield None, bad
            else:
                yield (
                    records.Shard(file, planned.domain, planned.split, count, size, checksum, planned.key, tuple(bad)),
                    bad,
                )


def _read_faces(faces, read, pool, bar, bad, skip_bad):
    """Yields the Records that `read` makes of faces, in order; appends to `bad` what is wrong with the others."""

    def tried(face):
        try:
            return read(face)
        except GazeError as error:
            return str(error)

    for start in range(0, len(faces), _CHUNK):
        for result in pool.map(tried, faces[start : start + _CHUNK]):
            bar.update()
            if isinstance(result, records.Record):
                yield result
            else:
                bad.append(result)
    if bad and not skip_bad:
        raise _HasBadImages


def _listed(problems):
    """The GazeError that lists what is wrong in the source, the first _LISTED of it."""
    lines = problems[:_LISTED]
    if len(problems) > _LISTED:
        lines.append(f'... and {len(problems) - _LISTED} more')
    return GazeError(
        '\n  '.join([f'{len(problems)} bad rows or images:', *lines])
        + '\nRepair them, or leave them out with --skip_bad.'
    )
