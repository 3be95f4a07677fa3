"""TFRecords of faces: one example's schema, the shard writer and the manifest that describes a folder.

A records folder holds shards, `<domain>-<split>-<index>-of-<total>.tfrecord`, and `manifest.json`.
Domain 'x' is eyes at the camera, 'y' eyes elsewhere. A shard appears under its name only when it is
whole, and the manifest says `complete` only when every shard is there.
"""
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import NamedTuple

import tensorflow as tf

from gaze_tf.config import FRAME_EYES
from gaze_tf.errors import GazeError

DOMAINS = ('x', 'y')
SPLITS = ('train', 'test')
MANIFEST_NAME = 'manifest.json'
VERSION = 1

_FEATURES = {
    'image': tf.io.FixedLenFeature([], tf.string),
    'eyes': tf.io.FixedLenFeature([4], tf.float32),
    'name': tf.io.FixedLenFeature([], tf.string),
    'twin': tf.io.FixedLenFeature([], tf.string, default_value=''),
}


class Record(NamedTuple):
    """One face as it is stored.

    image: JPEG bytes of a square RGB or grey image.
    eyes: (left_x, left_y, right_x, right_y), float32 pixels of that image; left has the smaller x.
    name: the image's name in its raw folder, without extension.
    twin: JPEG bytes of the same face looking at the camera, with its eyes in the same places; empty where there is none.
    """
    image: bytes
    eyes: tuple
    name: str
    twin: bytes = b''


def encode(record):
    """The bytes of one TFRecord; equal records give equal bytes."""
    features = {
        'image': tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.image])),
        'eyes': tf.train.Feature(float_list=tf.train.FloatList(value=record.eyes)),
        'name': tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.name.encode('utf-8')])),
    }
    if record.twin:
        features['twin'] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[record.twin]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def parse(serialized):
    """A Record of tensors from what `encode` wrote (scalar string tensor): string, [4] float32, string, string."""
    features = tf.io.parse_single_example(serialized, _FEATURES)
    return Record(features['image'], features['eyes'], features['name'], features['twin'])


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of a records folder, as the manifest lists it.

    key: hash of the source rows and files that it was made from.
    left_out: what was wrong with each image that --skip_bad left out of it.
    """
    file: str
    domain: str
    split: str
    count: int
    bytes: int
    sha256: str
    key: str
    left_out: tuple = ()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a records folder holds.

    img_size: side of the square images, in pixels.
    complete: whether preparing came to its end.
    missing: number of source rows without an image, by domain.
    bad_rows: what was wrong with each source row that --skip_bad left out, by domain.
    shards: every Shard, in the order of the source rows.
    frame_eyes: where eyes stand in the images, as --frame_eyes.
    """
    img_size: int
    complete: bool
    missing: dict
    bad_rows: dict
    shards: tuple
    frame_eyes: str = FRAME_EYES

    def select(self, domain, split):
        """The shards of one domain and split, in order."""
        return [shard for shard in self.shards if (shard.domain, shard.split) == (domain, split)]

    def count(self, domain, split):
        """Number of records of one domain and split."""
        return sum(shard.count for shard in self.select(domain, split))

    @property
    def fingerprint(self):
        """Hash of all shards' contents, and so of the source as it was prepared (hex string)."""
        return fingerprint(shard.sha256 for shard in self.shards)


def fingerprint(checksums):
    """Hash of the checksums of all shards (hex strings, in order)."""
    return hashlib.sha256(''.join(checksums).encode()).hexdigest()


def shard_name(domain, split, index, total):
    """File name of a shard, such as x-train-00000-of-00022.tfrecord."""
    return f'{domain}-{split}-{index:05d}-of-{total:05d}.tfrecord'


def write_shard(path, records):
    """Writes an iterable of Record to `path`; returns (count, bytes, sha256).

    Nothing is found at `path` until all of it is written; if `records` raises, nothing ever is.
    Raises GazeError when the disk refuses.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + '.tmp')
    count = 0
    try:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in records:
                writer.write(encode(record))
                count += 1
        size, checksum = temporary.stat().st_size, file_sha256(temporary)
        os.replace(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        raise GazeError(f'Cannot write {path}: {error}') from error
    finally:
        temporary.unlink(missing_ok=True)
    return count, size, checksum


def file_sha256(path):
    """SHA-256 of a file's contents (hex string), read in pieces."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def save_manifest(records_dir, manifest):
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
    temporary = path.with_name(path.name + '.tmp')
    try:
        temporary.write_text(json.dumps(values, indent=1) + '\n', encoding='utf-8')
        os.replace(temporary, path)
    except OSError as error:
        raise GazeError(f'Cannot write {path}: {error}') from error


def read_manifest(records_dir):
    """The Manifest of a folder, complete or not; GazeError when there is none or it cannot be read."""
    path = pathlib.Path(records_dir) / MANIFEST_NAME
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
        if values['version'] != VERSION:
            raise ValueError(f'its version is {values["version"]}, not {VERSION}')
        shards = tuple(Shard(**{**shard, 'left_out': tuple(shard['left_out'])}) for shard in values['shards'])
        bad_rows = {domain: tuple(rows) for domain, rows in values['bad_rows'].items()}
        # earlier versions wrote no frame_eyes and had no others
        return Manifest(values['img_size'], values['complete'], values['missing'], bad_rows, shards,
                        values.get('frame_eyes', FRAME_EYES))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GazeError(f'{records_dir} has no {MANIFEST_NAME}: it is not a folder written by '
                        '`gaze-tf prepare`.') from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GazeError(f'{path} cannot be read ({error}): run `gaze-tf prepare` again.') from error


def load_manifest(records_dir):
    """The Manifest of a finished records folder.

    Raises GazeError when there is none, when preparing was interrupted, or when a shard is missing or
    has another size than was written.
    """
    manifest = read_manifest(records_dir)
    if not manifest.complete:
        raise GazeError(f'{records_dir} is not complete: run `gaze-tf prepare` again, it does only what is '
                        'missing.')
    for shard in manifest.shards:
        path = pathlib.Path(records_dir) / shard.file
        size = path.stat().st_size if path.is_file() else None
        if size != shard.bytes:
            problem = 'is missing' if size is None else f'has {size} bytes instead of {shard.bytes}'
            raise GazeError(f'{path} {problem}: run `gaze-tf prepare` again, it rewrites only that shard.')
    return manifest
