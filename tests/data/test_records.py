"""The TFRecord schema and the manifest."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.config import FRAME_EYES
from gaze_tf.data import records
from gaze_tf.errors import GazeError

RECORD = records.Record(b'\xff\xd8 any bytes \x00', (1.5, 2.0, 30.25, 4.0), 'gesicht_ä')


@pytest.fixture
def folder(tmp_path):
    """A finished records folder with one shard of two records."""
    name = records.shard_name('x', 'train', 0, 1)
    count, size, checksum = records.write_shard(tmp_path / name, [RECORD, RECORD])
    shard = records.Shard(name, 'x', 'train', count, size, checksum, 'key', ('what was wrong',))
    manifest = records.Manifest(32, True, {'x': 1, 'y': 0}, {'x': ('row',), 'y': ()}, (shard,))
    records.save_manifest(tmp_path, manifest)
    return tmp_path


def test_round_trip(folder):
    stored = list(tf.data.TFRecordDataset(str(folder / 'x-train-00000-of-00001.tfrecord')))
    assert len(stored) == 2
    for parse in (records.parse, tf.function(records.parse)):
        record = parse(stored[1])
        assert record.image.numpy() == RECORD.image
        assert record.eyes.dtype == tf.float32 and record.eyes.shape == [4]
        np.testing.assert_array_equal(record.eyes, RECORD.eyes)
        assert record.name.numpy().decode('utf-8') == RECORD.name


def test_a_twin_is_stored_beside_the_image_and_need_not_be():
    for twin in (b'', b'\xff\xd8 twin'):
        assert records.parse(records.encode(RECORD._replace(twin=twin))).twin.numpy() == twin
    # what an earlier version wrote has no such feature, and what has no twin is stored as it was
    example = tf.train.Example.FromString(records.encode(RECORD))
    assert set(example.features.feature) == {'image', 'eyes', 'name'}


def test_a_manifest_that_does_not_tell_where_eyes_stand(folder):
    manifest = records.load_manifest(folder)
    values = json.loads((folder / 'manifest.json').read_text())
    assert values.pop('frame_eyes') == FRAME_EYES
    (folder / 'manifest.json').write_text(json.dumps(values))
    assert records.load_manifest(folder) == manifest
    records.save_manifest(folder, dataclasses.replace(manifest, frame_eyes='0.2,0.45,0.8,0.45'))
    assert records.load_manifest(folder).frame_eyes == '0.2,0.45,0.8,0.45'


def test_equal_records_give_equal_bytes():
    assert records.encode(RECORD) == records.encode(records.Record(*RECORD))


def test_failing_source_leaves_no_file(tmp_path):
    def failing():
        yield RECORD
        raise RuntimeError('no more')

    with pytest.raises(RuntimeError):
        records.write_shard(tmp_path / 'shard', failing())
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(GazeError, match='Cannot write .*shard'):
        records.write_shard(tmp_path / 'missing' / 'shard', [RECORD])


def test_manifest_round_trip(folder):
    manifest = records.load_manifest(folder)
    assert manifest.count('x', 'train') == 2 and manifest.count('y', 'train') == 0
    assert manifest.shards[0].left_out == ('what was wrong',) and manifest.bad_rows['x'] == ('row',)
    records.save_manifest(folder, manifest)
    assert records.load_manifest(folder) == manifest
    other = dataclasses.replace(manifest, shards=(dataclasses.replace(manifest.shards[0], sha256='0' * 64),))
    assert other.fingerprint != manifest.fingerprint


def test_no_manifest(tmp_path):
    with pytest.raises(GazeError, match='has no manifest.json'):
        records.load_manifest(tmp_path)
    with pytest.raises(GazeError, match='has no manifest.json'):
        records.load_manifest(tmp_path / 'nowhere')


@pytest.mark.parametrize('text', ['{"version": 1', '[]', '{"version": 99}', '{"version": 1}', '[' * 100_000])
def test_unreadable_manifest(tmp_path, text):
    (tmp_path / 'manifest.json').write_text(text)
    with pytest.raises(GazeError, match='manifest.json cannot be read .*run `gaze-tf prepare` again'):
        records.load_manifest(tmp_path)


def test_unfinished_manifest(folder):
    records.save_manifest(folder, dataclasses.replace(records.load_manifest(folder), complete=False))
    with pytest.raises(GazeError, match='is not complete: run `gaze-tf prepare` again'):
        records.load_manifest(folder)


def test_missing_and_cut_shards_are_named(folder):
    path = folder / 'x-train-00000-of-00001.tfrecord'
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(GazeError, match=f'{path.name} has {len(data) - 1} bytes instead of {len(data)}'):
        records.load_manifest(folder)
    path.unlink()
    with pytest.raises(GazeError, match=f'{path.name} is missing'):
        records.load_manifest(folder)


def edited(folder, change):
    path = folder / 'manifest.json'
    values = json.loads(path.read_text())
    change(values, values['shards'][0])
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    'change',
    [
        lambda values, shard: values.update(img_size='32'),
        lambda values, shard: values.update(img_size=0),
        lambda values, shard: values.update(img_size=True),
        lambda values, shard: values.update(complete='yes'),
        lambda values, shard: values.update(missing=[]),
        lambda values, shard: values.update(missing={'x': None}),
        lambda values, shard: values.update(bad_rows={'x': [1]}),
        lambda values, shard: values.update(bad_rows='none'),
        lambda values, shard: values.update(frame_eyes=7),
        lambda values, shard: values.update(frame_eyes='1,2'),
        lambda values, shard: values.update(shards={'a': 1}),
        lambda values, shard: values.update(shards=[1]),
        lambda values, shard: values['shards'].append(shard),
        lambda values, shard: shard.update(file='../../etc/passwd'),
        lambda values, shard: shard.update(file=None),
        lambda values, shard: shard.update(domain='y'),
        lambda values, shard: shard.update(count=2.5),
        lambda values, shard: shard.update(count=-1),
        lambda values, shard: shard.update(count=10**18),
        lambda values, shard: shard.update(bytes='much'),
        lambda values, shard: shard.update(sha256=None),
        lambda values, shard: shard.update(left_out=[None]),
        lambda values, shard: shard.update(more=1),
        lambda values, shard: shard.pop('key'),
    ],
)
def test_manifests_edited_by_hand(folder, change):
    edited(folder, change)
    with pytest.raises(GazeError, match='manifest.json cannot be read .*run `gaze-tf prepare` again') as error:
        records.load_manifest(folder)
    assert '\n' not in str(error.value)


def test_checksums_are_found_again_only_where_a_file_was_touched(folder, monkeypatch):
    manifest, known, read = records.load_manifest(folder), {}, []
    checksum = records.file_sha256
    monkeypatch.setattr(records, 'file_sha256', lambda path: read.append(path.name) or checksum(path))
    (shard,) = manifest.shards
    path = folder / shard.file
    for _ in range(2):
        assert records.changed_shards(folder, manifest, known) == [] and read == [shard.file]
    # as JSON gives it back
    known = json.loads(json.dumps(known))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(0, manifest.shards[0].bytes))
    for _ in range(2):
        assert records.changed_shards(folder, manifest, known) == [shard] and len(read) == 2
    path.write_bytes(content)
    assert records.changed_shards(folder, manifest, known) == [] and len(read) == 3
