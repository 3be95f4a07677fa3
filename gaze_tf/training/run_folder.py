"""What stands beside the checkpoints of a run: its configuration, and what its training data was."""

import dataclasses
import json
import os
import pathlib

from gaze_tf import config as config_lib
from gaze_tf import files
from gaze_tf.data import records
from gaze_tf.errors import GazeError
from gaze_tf.training import checkpoints

RECORDS_NAME = 'records.json'

# options that move files, time or the end of a run, but not what a step computes
_HARMLESS = {
    'data_dir',
    'output_dir',
    'pam_checkpoint',
    'vgg_weights',
    'steps',
    'save_every',
    'keep',
    'log_every',
    'image_every',
    'steps_per_call',
    'startup_timeout',
    'warm_start',
    'stop_patience',
    'stop_metric',
}


def check(directory, groups, manifest):
    """Raises GazeError if a folder holds a run with another model, or checkpoints from other data than `manifest`."""
    path = pathlib.Path(directory) / config_lib.CONFIG_NAME
    if path.is_file():
        earlier = config_lib.load(path)
        shape = 'model' if 'model' in groups else 'encoder'
        if earlier.get(shape) != groups[shape]:
            raise GazeError(
                f'{directory} holds a run with another model (see {path.name}): train with its model '
                'flags, or choose another --output_dir.'
            )
    path = pathlib.Path(directory) / RECORDS_NAME
    # without checkpoints nothing has been learnt from that data
    if path.is_file() and checkpoints.exist(directory):
        differences = _differences(_load(path), _contents(manifest))
        if differences:
            raise GazeError(
                f'The data in --data_dir is not what the run in {directory} began with: '
                f'{"; ".join(differences)}. Restore the data, or start in another --output_dir.'
            )


def write(directory, groups, manifest, checked):
    """Writes (OSError if it cannot) the configurations `groups` and what the data is; makes the folder.

    checked: what `checksums` is to give when the run goes on.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    contents = {**_contents(manifest), 'checked': checked}
    files.write_text(directory / RECORDS_NAME, json.dumps(contents, indent=1) + '\n')
    config_lib.save(directory / config_lib.CONFIG_NAME, **groups)


def checksums(directory):
    """{file name: [size, time of the last change, checksum]} of shards, as the run in a folder found them last."""
    path = pathlib.Path(directory) / RECORDS_NAME
    # runs of earlier versions did not look
    return _load(path).get('checked', {}) if path.is_file() else {}


def place(directory):
    """What tells the folder of a run from another under its name, or None where there is none any more."""
    try:
        status = os.stat(directory)
        return (status.st_dev, status.st_ino) if (pathlib.Path(directory) / config_lib.CONFIG_NAME).is_file() else None
    except OSError:
        return None


def data_of(directory):
    """(number of images by domain and split, such as {'Y train': 30}, fingerprint as in manifest.json) of a run's data.

    None of a run that does not tell. Raises GazeError if the file cannot be read.
    """
    path = pathlib.Path(directory) / RECORDS_NAME
    if not path.is_file():
        return None
    contents = _load(path)
    return _counts(contents), _fingerprint(contents)


def changed(directory, groups):
    """The options that matter to what a step computes and differ from the folder's, as '--lr_g 0.0001 -> 0.0002'."""
    path = pathlib.Path(directory) / config_lib.CONFIG_NAME
    # runs of versions that could not alter faces did not
    earlier = {'augment': config_lib.AugmentConfig(), **config_lib.load(path)} if path.is_file() else {}
    return [
        f'--{name} {getattr(earlier[group], name)} -> {value}'
        for group in groups
        if group in earlier
        for name, value in dataclasses.asdict(groups[group]).items()
        if name not in _HARMLESS and getattr(earlier[group], name) != value
    ]


def _contents(manifest):
    """What identifies the data, wherever it lies: image size and, shard by shard, number of images and checksum."""
    return {
        'img_size': manifest.img_size,
        'shards': {shard.file: [shard.domain, shard.split, shard.count, shard.sha256] for shard in manifest.shards},
    }


def _load(path):
    try:
        contents = json.loads(path.read_text(encoding='utf-8'))
        # it may have been edited by hand
        _counts(contents), _fingerprint(contents), contents['img_size']
        if not all(len(state) == 3 for state in contents.get('checked', {}).values()):
            raise ValueError('checked has something else than sizes, times and checksums')
        return contents
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GazeError(
            f'{path} cannot be read ({error}): remove it if the data is the one that the run began with.'
        ) from error


def _differences(earlier, now):
    """What differs between two `_contents`, in words; numbers of images first, for they say most."""
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


def _fingerprint(contents):
    return records.fingerprint(shard[-1] for shard in contents['shards'].values())


def _counts(contents):
    """Number of images by domain and split, such as {'Y train': 30}."""
    counts = {}
    for domain, split, count, _ in contents['shards'].values():
        name = f'{domain.upper()} {split}'
        counts[name] = counts.get(name, 0) + count
    return counts
