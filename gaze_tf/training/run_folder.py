"""The files beside the checkpoints of a run: its configuration, and what its training data is."""

import json
import os
import pathlib

from gaze_tf import config as config_lib
from gaze_tf import files
from gaze_tf.data import records
from gaze_tf.errors import GazeError
from gaze_tf.training import checkpoints
from gaze_tf.training.job import TrainingJob

RECORDS_NAME = 'records.json'

Checksums = dict[str, list]  # {file name of a shard: [size, time of the last change, checksum]}


def check(job: TrainingJob, manifest: records.Manifest) -> None:
    """Raises GazeError if the job's folder holds a run with another model, or checkpoints from other data."""
    path = job.directory / config_lib.CONFIG_NAME
    if path.is_file():
        earlier = config_lib.load(path)
        if earlier.get('model', earlier.get('encoder')) != job.networks:
            raise GazeError(
                f'{job.directory} holds a run with another model (see {path.name}): train with the options of its '
                'model, or choose another `output_dir`.'
            )
    path = job.directory / RECORDS_NAME
    # without checkpoints nothing was learned from that data
    if path.is_file() and checkpoints.exist(job.directory):
        differences = _differences(_load(path), _contents(manifest))
        if differences:
            raise GazeError(
                f'The data in `data_dir` is not the data that the run in {job.directory} began with: '
                f'{"; ".join(differences)}. Restore the data, or start in another `output_dir`.'
            )


def write(job: TrainingJob, manifest: records.Manifest, checked: Checksums) -> None:
    """Writes the configurations and what the data is into the job's folder, which is made. Raises OSError.

    checked: what `checksums` is to give when the run goes on.
    """
    job.directory.mkdir(parents=True, exist_ok=True)
    contents = {**_contents(manifest), 'checked': checked}
    files.write_text(job.directory / RECORDS_NAME, json.dumps(contents, indent=1) + '\n')
    config_lib.save(job.directory / config_lib.CONFIG_NAME, **job.groups)


def checksums(directory: pathlib.Path | str) -> Checksums:
    """The checksums of shards as the run in a folder last found them."""
    path = pathlib.Path(directory) / RECORDS_NAME
    # runs of earlier versions did not store them
    return _load(path).get('checked', {}) if path.is_file() else {}


def place(directory: pathlib.Path | str) -> tuple[int, int] | None:
    """What tells the folder of a run from another of the same name; None if there is no run in it."""
    try:
        status = os.stat(directory)
        return (status.st_dev, status.st_ino) if (pathlib.Path(directory) / config_lib.CONFIG_NAME).is_file() else None
    except OSError:
        return None


def data_of(directory: pathlib.Path | str) -> tuple[dict[str, int], str] | None:
    """(number of images by domain and split, such as {'Y train': 30}, fingerprint as in manifest.json) of a run's data.

    None if the run does not say. Raises GazeError if its file cannot be read.
    """
    path = pathlib.Path(directory) / RECORDS_NAME
    if not path.is_file():
        return None
    contents = _load(path)
    return _counts(contents), _fingerprint(contents)


def changed(job: TrainingJob) -> str:
    """The options that affect results and differ from those in the job's folder, as '`lr_g` 0.0001 -> 0.0002, …'."""
    path = job.directory / config_lib.CONFIG_NAME
    # runs of versions without random changes of faces made none
    earlier = {'augment': config_lib.AugmentConfig(), **config_lib.load(path)} if path.is_file() else {}
    return ', '.join(
        f'`{name}` {getattr(earlier[group], name)} -> {value}'
        for group, part in job.groups.items()
        if group in earlier
        for name, value in part.affecting('results').items()
        if getattr(earlier[group], name) != value
    )


def _contents(manifest: records.Manifest) -> dict:
    """What identifies the data, wherever it is: image size and, of each shard, number of images and checksum."""
    return {
        'img_size': manifest.img_size,
        'shards': {shard.file: [shard.domain, shard.split, shard.count, shard.sha256] for shard in manifest.shards},
    }


def _load(path: pathlib.Path) -> dict:
    try:
        contents = json.loads(path.read_text(encoding='utf-8'))
        # it may have been edited by hand
        _counts(contents), _fingerprint(contents), contents['img_size']
        if not all(len(state) == 3 for state in contents.get('checked', {}).values()):
            raise ValueError('checked must hold sizes, times and checksums')
        return contents
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GazeError(
            f'{path} cannot be read ({error}): remove it if the data is still that which the run began with.'
        ) from error


def _differences(earlier: dict, now: dict) -> list[str]:
    """What differs between two `_contents`, in words; numbers of images first, as they say most."""
    found = []
    if earlier['img_size'] != now['img_size']:
        found.append(f'images were {earlier["img_size"]} pixels wide and are now {now["img_size"]}')
    before, after = _counts(earlier), _counts(now)
    found += [
        f'{name} had {before.get(name, 0)} images and now has {after.get(name, 0)}'
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if not found and list(earlier['shards'].items()) != list(now['shards'].items()):
        names = [name for name in earlier['shards'] if earlier['shards'][name] != now['shards'].get(name)]
        found.append(
            f'{", ".join(names[:3])}{" and others" * (len(names) > 3)} had other contents'
            if names
            else 'the images are divided into other files'
        )
    return found


def _fingerprint(contents: dict) -> str:
    return records.fingerprint(shard[-1] for shard in contents['shards'].values())


def _counts(contents: dict) -> dict[str, int]:
    """Number of images by domain and split, such as {'Y train': 30}."""
    counts: dict[str, int] = {}
    for domain, split, count, _ in contents['shards'].values():
        name = f'{domain.upper()} {split}'
        counts[name] = counts.get(name, 0) + count
    return counts
