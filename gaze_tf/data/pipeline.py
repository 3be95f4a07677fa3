"""Streams of training batches from TFRecords, and the one place where image ranges are converted.

Batch number n of a stream depends on (seed, domain, n) alone: a run that is resumed at step n sees exactly what an
uninterrupted run would have seen.
"""

import hashlib
import logging
import os
import pathlib
from typing import NamedTuple

import tensorflow as tf

from gaze_tf.config import AugmentConfig, eye_shares
from gaze_tf.data import augment as augmentation
from gaze_tf.data import records
from gaze_tf.errors import GazeError

log = logging.getLogger(__name__)
NOT_AUGMENTED = AugmentConfig()
_REPAIR = (
    'Run `gaze-tf prepare` again, which rewrites only damaged shards, or train with `skip_corrupt`, which skips what '
    'cannot be read.'
)
# what reading raises; the last one when TensorFlow's message quotes bytes of the record
UNREADABLE = tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError
# Shards read in turn, and serialized examples (20 to 40 kB each) held to be drawn from.
_CYCLE_LENGTH = 8
_SHUFFLE_BUFFER = 4096


class Batch(NamedTuple):
    """Faces and where their eyes are.

    image: [B, S, S, 3] RGB: uint8 from streams, or float32 in [-1, 1] for networks. With twins [B, S, S, 6]: the last
      three channels are the same face looking at the camera.
    eyes: [B, 4] float32 pixels, (left_x, left_y, right_x, right_y); left has the smaller x.
    mirrored: bool [], whether these faces must still be mirrored (see `for_networks`).
    """

    image: tf.Tensor
    eyes: tf.Tensor
    mirrored: tf.Tensor | bool = False

    def twins(self) -> list['Batch']:
        """[the faces, their twins], two Batches, of a stream with twins."""
        return [self._replace(image=image) for image in tf.split(self.image, 2, axis=-1)]


def to_float(image: tf.Tensor) -> tf.Tensor:
    """uint8 in [0, 255] of any shape → float32 in [-1, 1]; a float32 image is returned as it is."""
    image = tf.convert_to_tensor(image)
    return image if image.dtype == tf.float32 else tf.cast(image, tf.float32) / 127.5 - 1


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """float in [-1, 1] of any shape → uint8 in [0, 255], rounded; values beyond the range are clipped."""
    return tf.cast(tf.clip_by_value(tf.round((image + 1) * 127.5), 0, 255), tf.uint8)


def mirror(batch: Batch) -> Batch:
    """The mirrored faces: images reversed along their width, eyes (S - x, y), left and right swapped.

    It is S - x, not S - 1 - x: an eye box is [x - w/2, x + w/2), so that the box of the mirrored eye is
    exactly the mirrored box. Images may have any dtype. (The original code mirrored images, but neither Y's
    eye positions nor the order of the eyes.)
    """
    left_x, left_y, right_x, right_y = tf.unstack(batch.eyes, axis=-1)
    shape = tf.shape(batch.image)
    width = tf.cast(shape[-2], batch.eyes.dtype)
    # as one tall image: tf.reverse is 5 times faster on 3 axes than on 4
    rows = tf.reverse(tf.reshape(batch.image, [-1, shape[-2], shape[-1]]), axis=[1])
    return Batch(tf.reshape(rows, shape), tf.stack([width - right_x, right_y, width - left_x, left_y], axis=-1))


def for_networks(batch: Batch) -> Batch:
    """The Batch for networks: float32 in [-1, 1], and mirrored if it must be.

    Training steps call it on the device: it would take a tenth of the time of the cores that decode images.
    """
    image, eyes, mirrored = batch
    if mirrored is not False:
        image, eyes = tf.cond(mirrored, lambda: mirror(batch)[:2], lambda: (image, eyes))
    return Batch(to_float(image), eyes)


def train_stream(
    records_dir: pathlib.Path | str,
    domain: str,
    img_size: int,
    batch_size: int,
    seed: int,
    flip: bool = True,
    skip_corrupt: bool = False,
    start_step: int = 0,
    parts: int = 1,
    own: range = range(1),
    twins: bool = False,
    augment: AugmentConfig = NOT_AUGMENTED,
) -> tf.data.Dataset:
    """The endless stream of training batches of one domain.

    Each epoch goes once through all images in its own order, drawn from (seed, domain, epoch); a batch may hold
    images of two epochs. With `flip` a whole batch is mirrored with probability 1/2.

    Args:
      records_dir: folder written by `gaze-tf prepare`.
      domain: 'x' (eyes at the camera) or 'y' (eyes elsewhere).
      img_size: side S of the images in pixels; must be the size that was prepared.
      batch_size: images B in a batch; may be more than there are, then images repeat.
      seed: integer; the two domains are shuffled differently under the same seed.
      flip: whether to mirror; `for_networks` does it.
      skip_corrupt: skip images that cannot be decoded, and all that follows a damaged record in its
        shard (the next record cannot be found), instead of failing with tf.errors.DataLossError or
        tf.errors.InvalidArgumentError, which `explain_corruption` explains. Every epoch is then shorter
        than the manifest says, so that `start_step` resumes near the exact place. The stream
        ends before an epoch in which nothing can be read.
      start_step: number of the first batch.
      parts, own: each batch has `parts` equal parts; yields the parts `own` (a range of numbers, in order),
        each as a Batch of B / parts images, and decodes no others; `parts` divides B. (With skip_corrupt,
        such a reader may skip other images than a reader of whole batches.)
      twins: whether faces come with their twins (see Batch).
      augment: how faces are changed at random, each by (seed, domain, its number in the stream); its twin is changed in
        the same way.

    Returns:
      tf.data.Dataset of Batch: image [B, S, S, 3] uint8 (a quarter of the bytes of floats on the way to the
      device), eyes [B, 4] float32 pixels, mirrored bool [].

    Raises:
      GazeError: the folder is not complete, its images have another size, or it has none to train on.
    """
    paths, count = _shards(records_dir, domain, 'train', img_size)
    if twins:
        _check_twins(paths, skip_corrupt)
    first_epoch, offset = divmod(start_step * batch_size, count)
    shuffle_seed = _derived_seed(seed, domain, 'shuffle')
    flip_seed = _derived_seed(seed, domain, 'flip')
    augment_seed = _derived_seed(seed, domain, 'augment')

    def read_epoch(epoch):
        skipped = tf.where(epoch == first_epoch, tf.constant(offset, tf.int64), 0)
        return _epoch(paths, tf.stack([shuffle_seed, epoch]), skip_corrupt).skip(skipped)

    def face(number, serialized):
        images, eyes = _decode(serialized, img_size, twins)
        images = augmentation.augment(images, eyes, tf.stack([augment_seed, number]), augment)
        return _joined(images, eyes)

    def finish(number, faces):
        draw = tf.random.stateless_uniform([], seed=tf.stack([flip_seed, number // len(own)]))
        return Batch(*faces, mirrored=tf.logical_and(flip, draw < 0.5))

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    if skip_corrupt:
        # otherwise it would look for the next face forever, and signals would go unheard
        epochs = epochs.take_while(lambda _: _readable(paths, img_size, twins).take(1).reduce(False, lambda *_: True))
    stream = epochs.flat_map(read_epoch).enumerate(start=start_step * batch_size)
    part_size = batch_size // parts
    if len(own) < parts:
        mine = slice(own.start * part_size, own.stop * part_size)
        stream = stream.batch(batch_size).map(lambda numbers, serialized: (numbers[mine], serialized[mine])).unbatch()
    stream = stream.map(face, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if skip_corrupt:
        stream = stream.ignore_errors()
    stream = stream.batch(part_size, drop_remainder=True).enumerate(start=start_step * len(own))
    stream = stream.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # decoded images go straight into their batch: 7 % faster
    options.experimental_optimization.map_and_batch_fusion = True
    return stream.prefetch(tf.data.AUTOTUNE).with_options(options)


def _epoch(paths, seeds, skip_corrupt):
    """All serialized records of `paths` once, in an order drawn from `seeds` ([2] int64).

    Call it in a function that tf.data traces.
    """
    # this seeds only the graph of that function: the order must not depend on the program's global seed
    # (not 0: TensorFlow would then test the truth of the other seed, a tensor)
    tf.random.set_seed(1)
    record_seed = tf.random.stateless_uniform([], seeds, minval=None, maxval=None, dtype=tf.int64)

    def read_shard(path):
        shard = tf.data.TFRecordDataset(path)
        return shard.ignore_errors() if skip_corrupt else shard

    shards = tf.data.Dataset.from_tensor_slices(tf.random.experimental.stateless_shuffle(paths, seeds))
    return shards.interleave(
        read_shard, cycle_length=_CYCLE_LENGTH, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).shuffle(_SHUFFLE_BUFFER, seed=record_seed, reshuffle_each_iteration=False)


def _readable(paths, img_size, twins):
    """All that can be read in `paths`, in order, as a Dataset of (images, eyes) as in a Batch."""
    shards = tf.data.Dataset.from_tensor_slices(paths)
    records_there = shards.flat_map(lambda path: tf.data.TFRecordDataset(path).ignore_errors())
    return records_there.map(lambda serialized: _joined(*_decode(serialized, img_size, twins))).ignore_errors()


def fixed_batch(
    records_dir: pathlib.Path | str,
    domain: str,
    split: str,
    img_size: int,
    count: int,
    twins: bool = False,
    skip_corrupt: bool = False,
) -> Batch:
    """The first `count` faces of a split ('train' or 'test') in order, or all when it has fewer, as a Batch.

    Raises GazeError as `train_stream` does, and when one of them (with `skip_corrupt`: all of them) cannot be read.
    """
    paths, available = _shards(records_dir, domain, split, img_size)
    faces = (
        _readable(paths, img_size, twins)
        if skip_corrupt
        else tf.data.TFRecordDataset(paths).map(lambda serialized: _joined(*_decode(serialized, img_size, twins)))
    )
    try:
        return Batch(*faces.take(count).batch(min(count, available)).get_single_element())
    except UNREADABLE as error:
        raise explain_corruption(records_dir, error, skip_corrupt) from error


def check_contents(records_dir: pathlib.Path | str, known: dict[str, list], skip_corrupt: bool) -> None:
    """Raises GazeError unless all shards hold what `gaze-tf prepare` wrote; with `skip_corrupt` it only warns.

    known: see `records.changed_shards`.
    """
    manifest = records.load_manifest(records_dir)
    changed = records.changed_shards(records_dir, manifest, known)
    if changed:
        problems = '; '.join(
            _damage(records_dir, shard, manifest.img_size)
            or f'{pathlib.Path(records_dir) / shard.file} is not the file that was written'
            for shard in changed
        )
        if not skip_corrupt:
            raise GazeError(f'{problems}. {_REPAIR}')
        log.warning('%s. What can be read is used (`skip_corrupt`).', problems)


def explain_corruption(
    records_dir: pathlib.Path | str, error: Exception | None, skip_corrupt: bool = False
) -> GazeError:
    """The GazeError for an `error`, one of UNREADABLE, that a stream raised, or for its end with `skip_corrupt`.

    TensorFlow does not say which file it was, so every shard is read again: the message names each damaged shard with
    its first damaged record and the reason, and says what to do.
    """
    try:
        manifest = records.load_manifest(records_dir)
    except GazeError as explanation:
        return explanation
    found = list(filter(None, (_damage(records_dir, shard, manifest.img_size) for shard in manifest.shards)))
    if not found:
        return GazeError(f'Reading {records_dir} failed, yet every record can be read now: {error}')
    if skip_corrupt:
        return GazeError(
            f'Nothing is left of a domain with `skip_corrupt`: {"; ".join(found)}. Run `gaze-tf prepare` again, '
            'which rewrites only damaged shards.'
        )
    return GazeError(f'{"; ".join(found)}. {_REPAIR}')


def _damage(records_dir: pathlib.Path | str, shard: records.Shard, img_size: int) -> str | None:
    """What is wrong with the first record of a Shard that cannot be read, in words, or None."""

    def decode(serialized):
        (image,), _ = _decode(serialized, img_size)
        twin = records.parse(serialized).twin
        return tf.cond(twin == '', lambda: image, lambda: _decode_image(twin, img_size))

    path, number = pathlib.Path(records_dir) / shard.file, 1
    faces = tf.data.TFRecordDataset(os.fsencode(path)).map(
        decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    try:
        for _ in faces:
            number += 1
        return None
    except tf.errors.DataLossError:
        why = 'its checksum is wrong or the file is cut off'
    except UNREADABLE:
        why = f'its image is not a JPEG of {img_size}x{img_size} pixels, or its eyes lie outside it'
    return f'{path}: record {number} of {shard.count} cannot be read ({why})'


def _decode(serialized, img_size, twins=False):
    """One face from the bytes of its record: (a tuple of its image and, with `twins`, its twin's, uint8 [S, S, 3]; its
    eyes [4] float32)."""
    record = records.parse(serialized)
    files = (record.image, record.twin) if twins else (record.image,)
    # (a comparison with NaN is false)
    inside = tf.reduce_all((0 <= record.eyes) & (record.eyes <= img_size))
    return tuple(_decode_image(tf.where(inside, file, ''), img_size) for file in files), record.eyes


def _decode_image(file, img_size):
    # the size in a damaged header might take all memory
    fits = tf.reduce_all(tf.io.extract_jpeg_shape(file)[:2] == img_size)
    image = tf.io.decode_jpeg(tf.where(fits, file, ''), channels=3, dct_method='INTEGER_ACCURATE')
    return tf.ensure_shape(image, [img_size, img_size, 3])


def _joined(images, eyes):
    """(images, eyes) of `_decode` as in a Batch."""
    return tf.concat(images, axis=-1), eyes


def _shards(records_dir, domain, split, img_size):
    """(paths as strings, number of records) of one domain and split; raises GazeError."""
    manifest = records.load_manifest(records_dir)
    if manifest.img_size != img_size:
        raise GazeError(
            f'The images in {records_dir} are {manifest.img_size} pixels wide, not {img_size}: '
            f'use `img_size={manifest.img_size}`, or run `gaze-tf prepare` with `img_size={img_size}`.'
        )
    count = manifest.count(domain, split)
    if not count:
        raise GazeError(f'{records_dir} has no {split} images of domain {domain.upper()}.')
    # as bytes: names need not be text
    return [os.fsencode(pathlib.Path(records_dir) / shard.file) for shard in manifest.select(domain, split)], count


def check_frame(records_dir: pathlib.Path | str, frame_eyes: str) -> None:
    """Raises GazeError unless the eyes in the images of a records folder are at `frame_eyes` (see EncoderConfig)."""
    found = records.load_manifest(records_dir).frame_eyes
    if eye_shares(found) != eye_shares(frame_eyes):
        raise GazeError(
            f'The images in {records_dir} have the eyes at {found} of their side, not at {frame_eyes}: use '
            f'`frame_eyes={found}`, or run `gaze-tf prepare` with `frame_eyes={frame_eyes}`.'
        )


def _check_twins(paths, skip_corrupt):
    """Raises GazeError if faces have no twins; `gaze-tf prepare` stores the twins of all faces or of none."""
    twin = tf.data.TFRecordDataset(paths[:1]).map(lambda serialized: records.parse(serialized).twin).take(1)
    if not all((twin.ignore_errors() if skip_corrupt else twin).as_numpy_iterator()):
        raise GazeError(
            f'{os.fsdecode(paths[0])} has no twins, which `lam_twin` learns from: run `gaze-tf prepare` with its '
            'option `twins`.'
        )


def _derived_seed(*parts):
    """A non-negative integer below 2**62, different for each purpose."""
    text = '/'.join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big') >> 2
