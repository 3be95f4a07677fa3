"""Packs a folder in CelebAGaze's layout into TFRecords: everything is checked, split and stored."""

import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tqdm

from gaze_tf.compositing.align import MEAN_EYES
from gaze_tf.config import eye_shares
from gaze_tf.data import celebagaze, images, records
from gaze_tf.data.celebagaze import Listing, Row
from gaze_tf.data.pack_options import PackOptions
from gaze_tf.errors import GazeError
from gaze_tf.files import alone_in

_OUR_FILE = re.compile(r'[xy]-(train|test)-\d{5}-of-\d{5}\.tfrecord(\.tmp)?')
_LISTED = 50
# images in memory at a time while a shard is written
_CHUNK = 64


class Packed(NamedTuple):
    """What `pack` did: the finished manifest, and how many shards were written and kept."""

    manifest: records.Manifest
    written: int
    kept: int


class _Planned(NamedTuple):
    """A shard to be written: its rows, and a hash of all that its contents depend on."""

    domain: str
    split: str
    rows: list[Row]
    key: str


class _HasBadImages(Exception):
    """Ends the writing of a shard that is not kept."""


def pack(data_dir: pathlib.Path | str, output_dir: pathlib.Path | str, options: PackOptions) -> Packed:
    """Packs a folder in CelebAGaze's layout into TFRecords and a manifest; does only what is missing.

    Each image is opened once and decoded, to make sure that it is whole. Shards are kept when the rows and image files
    that they were made from are unchanged (size and time) and their checksum is still right; files of earlier runs
    that no longer belong are removed. For what is done to images see `images.read_image`. A bad image among the
    last rows still counts as one that is held out for testing.

    Args:
      data_dir: the data set's folder.
      output_dir: the records folder; made if needed.
      options: PackOptions.

    Raises:
      GazeError: the layout is not there, no training rows would be left, the disk refuses, or (all of
        them listed) rows or images are bad. The records folder is then not complete.
    """
    listings = {domain: celebagaze.read_domain(data_dir, domain) for domain in records.DOMAINS}
    if options.twins:
        listings['y'] = listings['y']._replace(rows=celebagaze.with_twins(data_dir, listings['y'].rows))
    problems = [problem for listing in listings.values() for problem in listing.problems]
    try:
        plan = _plan(listings, options)
    except GazeError as error:
        if problems and not options.skip_bad:
            raise _listed(problems) from error
        raise
    with alone_in(output_dir):
        return _pack(pathlib.Path(output_dir), listings, plan, options)


def _pack(
    output_dir: pathlib.Path, listings: dict[str, Listing], plan: dict[str, _Planned], options: PackOptions
) -> Packed:
    """`pack` for planned shards, into a folder that no other process writes into."""
    problems = [problem for listing in listings.values() for problem in listing.problems]
    skip_bad = options.skip_bad
    shards = _finished(output_dir, plan, skip_bad)
    kept = len(shards)

    def manifest(complete: bool) -> records.Manifest:
        return records.Manifest(
            options.img_size,
            complete,
            {domain: listing.missing for domain, listing in listings.items()},
            {domain: tuple(listing.problems) for domain, listing in listings.items()},
            tuple(shards[file] for file in plan if file in shards),
            options.frame_eyes,
        )

    if (skip_bad or not problems) and _earlier(output_dir) == manifest(complete=True):
        return Packed(manifest(complete=True), 0, kept)
    read = functools.partial(images.read_image, img_size=options.img_size, frame_eyes=eye_shares(options.frame_eyes))
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
    # another program may have removed some meanwhile
    records.check_sizes(output_dir, manifest(complete=False))
    records.save_manifest(output_dir, manifest(complete=True))
    return Packed(manifest(complete=True), len(shards) - kept, kept)


def _plan(listings: dict[str, Listing], options: PackOptions) -> dict[str, _Planned]:
    """{file name: _Planned} in the order of the rows; GazeError when a domain has no row to train on."""
    plan, size = {}, options.shard_size
    for domain, listing in listings.items():
        held_out = options.test_x if domain == 'x' else options.test_y
        rows, border = listing.rows, len(listing.rows) - held_out
        if border <= 0:
            raise GazeError(
                f'No training rows are left for domain {domain.upper()}: it has {len(rows)} usable rows, and '
                f'`test_{domain}={held_out}` holds out the last of them.'
            )
        for split, part in (('train', rows[:border]), ('test', rows[border:])):
            pieces = [part[start : start + size] for start in range(0, len(part), size)]
            for index, piece in enumerate(pieces):
                key = hashlib.sha256(json.dumps(_source(piece, options)).encode()).hexdigest()
                name = records.shard_name(domain, split, index, len(pieces))
                plan[name] = _Planned(domain, split, piece, key)
    return plan


def _source(rows: list[Row], options: PackOptions) -> list:
    """All that the contents of a shard depend on. Shards of earlier versions stay valid."""
    source = [records.VERSION, options.img_size, [(row.name, row.eyes, row.bytes, row.mtime_ns) for row in rows]]
    frame_eyes = eye_shares(options.frame_eyes)
    if frame_eyes != MEAN_EYES:
        source.append(frame_eyes)
    twins = [row.twin for row in rows if row.twin]
    if twins:
        states = [twin.stat() if twin.is_file() else None for twin in twins]
        source.append([(str(twin), state and (state.st_size, state.st_mtime_ns)) for twin, state in zip(twins, states)])
    return source


def _earlier(output_dir: pathlib.Path) -> records.Manifest | None:
    """The manifest that an earlier run left, finished or not, or None."""
    try:
        return records.read_manifest(output_dir)
    except GazeError:
        return None


def _finished(output_dir: pathlib.Path, plan: dict[str, _Planned], skip_bad: bool) -> dict[str, records.Shard]:
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


def _remove_stale(output_dir: pathlib.Path, shards: dict[str, records.Shard]) -> None:
    """Removes shards of earlier runs, finished or not, that are not among `shards`."""
    for path in output_dir.iterdir():
        if _OUR_FILE.fullmatch(path.name) and path.name not in shards:
            path.unlink()


def _write_missing(
    output_dir: pathlib.Path,
    plan: dict[str, _Planned],
    there: set[str],
    read: Callable[[Row], records.Record],
    skip_bad: bool,
) -> Iterator[tuple[records.Shard | None, list[str]]]:
    """Writes the planned shards that are not `there`; yields (Shard, its bad images) for each.

    Shard is None when it was not kept because of bad images. At most _CHUNK images are in memory at a time.
    """
    missing = {file: planned for file, planned in plan.items() if file not in there}
    total = sum(len(planned.rows) for planned in missing.values())
    with (
        concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm.tqdm(total=total, unit=' images', disable=not total) as bar,
    ):
        for file, planned in missing.items():
            bad: list[str] = []
            found = _read_rows(planned.rows, read, pool, bar, bad, skip_bad)
            try:
                count, size, checksum = records.write_shard(output_dir / file, found)
            except _HasBadImages:
                yield None, bad
            else:
                yield (
                    records.Shard(file, planned.domain, planned.split, count, size, checksum, planned.key, tuple(bad)),
                    bad,
                )


def _read_rows(
    rows: list[Row],
    read: Callable[[Row], records.Record],
    pool: concurrent.futures.Executor,
    bar: tqdm.tqdm,
    bad: list[str],
    skip_bad: bool,
) -> Iterator[records.Record]:
    """Yields the Records that `read` makes from rows, in order; appends to `bad` what is wrong with the others."""

    def try_to_read(row: Row) -> records.Record | str:
        try:
            return read(row)
        except GazeError as error:
            return str(error)

    for start in range(0, len(rows), _CHUNK):
        for result in pool.map(try_to_read, rows[start : start + _CHUNK]):
            bar.update()
            if isinstance(result, records.Record):
                yield result
            else:
                bad.append(result)
    if bad and not skip_bad:
        raise _HasBadImages


def _listed(problems: list[str]) -> GazeError:
    """The error that lists the first _LISTED problems of the source."""
    lines = problems[:_LISTED]
    if len(problems) > _LISTED:
        lines.append(f'... and {len(problems) - _LISTED} more')
    return GazeError(
        '\n  '.join([f'{len(problems)} bad rows or images:', *lines])
        + '\nRepair them, or leave them out with `skip_bad`.'
    )
