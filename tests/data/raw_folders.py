"""Small folders in CelebAGaze's layout, and what `gaze-tf prepare` makes of them."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.data import celebagaze, records

FOLDERS = {'x': '1', 'y': '0'}


def jpeg(seed, width=32, height=32, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, **{'format': 'JPEG', **options})
    return data.getvalue()


def prepare(raw, *more):
    """Exit status of the command; X then has 6 + 2 images, Y 4 + 3, in shards of at most 3."""
    return main(
        [
            'prepare',
            f'--data_dir={raw}',
            f'--output_dir={raw.parent / "records"}',
            '--img_size=32',
            '--test_x=2',
            '--test_y=3',
            '--shard_size=3',
            *more,
        ]
    )


def stored(raw, domain, split):
    """The records of a split in order, as numpy values."""
    folder = raw.parent / 'records'
    paths = [str(folder / shard.file) for shard in records.load_manifest(folder).select(domain, split)]
    return [
        records.Record(*(value.numpy() for value in records.parse(serialized)))
        for serialized in tf.data.TFRecordDataset(paths)
    ]


def names(raw, domain, split):
    return [record.name.decode() for record in stored(raw, domain, split)]


def set_row(raw, table, number, row):
    path = raw / table
    lines = path.read_bytes().split(b'\n')
    lines[number - 1] = row if isinstance(row, bytes) else row.encode()
    path.write_bytes(b'\n'.join(lines))


def assert_unfinished(raw):
    folder = raw.parent / 'records'
    with pytest.raises(celebagaze.GazeError, match='not complete'):
        records.load_manifest(folder)
    assert not list(folder.glob('*.tmp'))
