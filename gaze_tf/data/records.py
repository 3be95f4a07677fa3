"""TFRecords of faces: the schema of an example, the writer of shards, and the manifest of a folder.

A records folder holds shards, `<domain>-<split>-<index>-of-<total>.tfrecord`, and `manifest.json`.
Domain 'x' is eyes at the camera, 'y' eyes elsewhere. A shard appears under its name only when it is
whole, and the manifest says `complete` only when every shard is there.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import tensorflow as tf

from gaze_tf.config import FRAME_EYES, eye_shares
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file, reason, write_text

DOMAINS = ('x', 'y')
SPLITS = ('train', 'test')
MANIFEST_NAME = 'manifest.json'
VERSION = 1
_SHARD_NAME = re.compile(r'([xy])-(train|test)-\d{5}-of-\d{5}\.tfrecord')

_FEATURES = {
    'image': tf.io.FixedLenFeature([], tf.string),
    'eyes': tf.io.FixedLenFeature([4], tf.float32),
    'name': tf.io.FixedLenFeature([], tf.string),
    'twin': tf.io.FixedLenFeature([], tf.string, default_value=''),
}


class Record(NamedTuple):
    """One face as it is stored.

    image: JPEG bytes of a square RGB or gray image.
    eyes: (left_x, left_y, right_x, right_y), float32 pixels of that image; left has the smaller x.
    name: the image's name in its raw folder, without extension.
    twin: JPEG bytes of the same face looking at the camera, with its eyes in the same places; empty if there is none.
    """

    image: bytes
    eyes: tuple[float, ...]
    name: str
    twin: bytes = b''


def encode(record: Record) -> bytes:
    """The bytes of one TFRecord; equal records give equal bytes."""
    features = {
        'image': tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.image])),
        'eyes': tf.train.Feature(float_list=tf.train.FloatList(value=record.eyes)),
        'name': tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.name.encode('utf-8')])),
    }
    if record.twin:
        features['twin'] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.twin]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor) -> Record:
    """A Record of tensors from the bytes of `encode` (scalar string tensor): string, [4] float32, string, string."""
    features = tf.io.parse_single_example(serialized, _FEATURES)
    return Record(features['image'], features['eyes'], features['name'], features['twin'])


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of a records folder, as the manifest lists it.

    key: hash of the source rows and files that it was made from.
    left_out: what was wrong with each image that `skip_bad` left out.
    """

    file: str
    domain: str
    split: str
    count: int
    bytes: int
    sha256: str
    key: str
    left_out: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a records folder holds.

    img_size: side of the square images, in pixels.
    complete: whether every shard was written.
    missing: number of source rows without an image, by domain.
    bad_rows: what was wrong with each source row that `skip_bad` left out, by domain.
    shards: every Shard, in the order of the source rows.
    frame_eyes: where eyes are in the images, as in EncoderConfig.
    """

    img_size: int
    complete: bool
    missing: dict[str, int]
    bad_rows: dict[str, tuple[str, ...]]
    shards: tuple[Shard, ...]
    frame_eyes: str = FRAME_EYES

    def select(self, domain: str, split: str) -> list[Shard]:
        """The shards of one domain and split, in order."""
        return [shard for shard in self.shards if (shard.domain, shard.split) == (domain, split)]

    def count(self, domain: str, split: str) -> int:
        """Number of records of one domain and split."""
        return sum(shard.count for shard in self.select(domain, split))

    @property
    def fingerprint(self) -> str:
        """Hash of the contents of all shards (hex string)."""
        return fingerprint(shard.sha256 for shard in self.shards)


def fingerprint(checksums: Iterable[str]) -> str:
    """Hash of the checksums of all shards (hex strings, in order)."""
    return hashlib.sha256(''.join(checksums).encode()).hexdigest()


def shard_name(domain: str, split: str, index: int, total: int) -> str:
    """File name of a shard, such as x-train-00000-of-00022.tfrecord."""
    return f'{domain}-{split}-{index:05d}-of-{total:05d}.tfrecord'


def write_shard(path: pathlib.Path, records: Iterable[Record]) -> tuple[int, int, str]:
    """Writes Records to `path`; returns (count, bytes, sha256).

    The file appears when all of it is written, and never if `records` raises. Raises GazeError when the disk refuses.
    """
    count = 0
    try:
        with new_file(path) as file:
            # as bytes: names need not be text
            with tf.io.TFRecordWriter(os.fsencode(file.name)) as writer:
                for record in records:
                    writer.write(encode(record))
                    count += 1
            size, checksum = os.stat(file.name).st_size, file_sha256(file.name)
    except (OSError, tf.errors.OpError) as error:
        raise GazeError(f'Cannot write {path}: {reason(error)}.') from error
    return count, size, checksum


def file_sha256(path: pathlib.Path | str) -> str:
    """SHA-256 of a file's contents (hex string), read in pieces."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def save_manifest(records_dir: pathlib.Path | str, manifest: Manifest) -> None:
    """Writes `manifest` into its folder; an interruption leaves the old one. Raises GazeError."""
    path = pathlib.Path(records_dir) / MANIFEST_NAME
    values = {
        'version': VERSION,
        'complete': manifest.complete,
        'img_size': manifest.img_size,
        'frame_eyes': manifest.frame_eyes,
        'counts': {domain: {split: manifest.count(domain, split) for split in SPLITS} for domain in DOMAINS},
        'missing': manifest.missing,
        'bad_rows': manifest.bad_rows,
        'fingerprint': manifest.fingerprint,
        'shards': [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    try:
        write_text(path, json.dumps(values, indent=1) + '\n')
    except OSError as error:
        raise GazeError(f'Cannot write {path}: {reason(error)}.') from error


def read_manifest(records_dir: pathlib.Path | str) -> Manifest:
    """The Manifest of a folder, complete or not. Raises GazeError when there is none or it cannot be read."""
    path = pathlib.Path(records_dir) / MANIFEST_NAME
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
        if values['version'] != VERSION:
            raise ValueError(f'its version is {values["version"]}, not {VERSION}')
        shards = tuple(Shard(**{**shard, 'left_out': tuple(shard['left_out'])}) for shard in values['shards'])
        bad_rows = {domain: tuple(rows) for domain, rows in values['bad_rows'].items()}
        # earlier versions wrote no frame_eyes and knew only these
        manifest = Manifest(
            values['img_size'],
            values['complete'],
            values['missing'],
            bad_rows,
            shards,
            values.get('frame_eyes', FRAME_EYES),
        )
        _check_manifest(manifest)
        return manifest
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GazeError(
            f'{records_dir} has no {MANIFEST_NAME}: it is not a folder written by `gaze-tf prepare`.'
        ) from error
    except RecursionError as error:
        raise GazeError(f'{path} cannot be read (it is nested too deeply): run `gaze-tf prepare` again.') from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, GazeError) as error:
        raise GazeError(f'{path} cannot be read ({error}): run `gaze-tf prepare` again.') from error


def _check_manifest(manifest: Manifest) -> None:
    """Raises ValueError or GazeError unless every value is of its kind: manifests are also edited by hand."""

    def check(fits: Any, what: str) -> None:
        if not fits:
            raise ValueError(what)

    def is_number(value: Any, least: int = 0) -> bool:
        # to Python True is a number
        return type(value) is int and least <= value

    check(is_number(manifest.img_size, 1), 'img_size is no number of pixels')
    check(type(manifest.complete) is bool, 'complete is neither true nor false')
    check(all(map(is_number, manifest.missing.values())), 'missing must hold numbers')
    texts = [text for rows in manifest.bad_rows.values() for text in rows]
    for shard in manifest.shards:
        named = _SHARD_NAME.fullmatch(shard.file) if isinstance(shard.file, str) else None
        check(
            named and (shard.domain, shard.split) == named.groups(),
            f'{shard.file!r} is not a shard of {shard.domain!r} {shard.split!r}',
        )
        # a record takes 16 bytes more than its contents
        check(
            is_number(shard.count) and is_number(shard.bytes) and 16 * shard.count <= shard.bytes,
            f'the count or the bytes of {shard.file} are impossible',
        )
        texts += [shard.sha256, shard.key, *shard.left_out]
    check(all(isinstance(text, str) for text in texts), 'a value must be text')
    check(len({shard.file for shard in manifest.shards}) == len(manifest.shards), 'a shard is listed twice')
    eye_shares(manifest.frame_eyes)


def load_manifest(records_dir: pathlib.Path | str) -> Manifest:
    """The Manifest of a finished records folder.

    Raises GazeError when there is none, when it is not complete, or when a shard is missing or has another size than
    the manifest says.
    """
    manifest = read_manifest(records_dir)
    if not manifest.complete:
        raise GazeError(f'{records_dir} is not complete: run `gaze-tf prepare` again; it does only what is missing.')
    check_sizes(records_dir, manifest)
    return manifest


def check_sizes(records_dir: pathlib.Path | str, manifest: Manifest) -> None:
    """Raises GazeError when a shard is missing or has another size than the manifest says."""
    for shard in manifest.shards:
        path = pathlib.Path(records_dir) / shard.file
        size = path.stat().st_size if path.is_file() else None
        if size != shard.bytes:
            problem = 'is missing' if size is None else f'has {size} bytes instead of {shard.bytes}'
            raise GazeError(f'{path} {problem}: run `gaze-tf prepare` again; it rewrites only that shard.')


def changed_shards(records_dir: pathlib.Path | str, manifest: Manifest, known: dict[str, list]) -> list[Shard]:
    """The Shards whose files differ from the checksums in the manifest.

    known: {file name: [size, time of the last change in nanoseconds, checksum]} of earlier calls: files that have not
    been touched since are not read again. It is updated. Raises GazeError when a file cannot be read.
    """

    def state(shard: Shard) -> list:
        path = pathlib.Path(records_dir) / shard.file
        try:
            status = path.stat()
            earlier = known.get(shard.file)
            here = [status.st_size, status.st_mtime_ns]
            return [*here, earlier[2] if earlier and list(earlier[:2]) == here else file_sha256(path)]
        except OSError as error:
            raise GazeError(f'{path} cannot be read: {reason(error)}.') from error

    # hashing releases the GIL
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found = dict(zip((shard.file for shard in manifest.shards), pool.map(state, manifest.shards)))
    known.clear()
    known.update(found)
    return [shard for shard in manifest.shards if found[shard.file][2] != shard.sha256]
