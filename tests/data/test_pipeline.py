"""The training streams."""

import io
import itertools
import resource

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.data import pipeline, records
from gaze_tf.errors import GazeError

SIZE = 32
COUNTS = {('x', 'train'): 21, ('x', 'test'): 3, ('y', 'train'): 17}
# 21 images in shards of 6, as far apart as 8-bit grey levels allow
STEP = 10


def jpeg(number):
    """A face whose left half is grey of level STEP * number and whose right half is white."""
    pixels = np.full((SIZE, SIZE, 3), 255, np.uint8)
    pixels[:, : SIZE // 2] = STEP * number
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, 'JPEG', quality=100)
    return data.getvalue()


def write(folder, replaced=()):
    """Writes a records folder; `replaced` maps (domain, number) of training images to other bytes."""
    shards = []
    for (domain, split), count in COUNTS.items():
        faces = [records.Record(dict(replaced).get((domain, i), jpeg(i)), (i, 5, 30, 7), str(i)) for i in range(count)]
        pieces = [faces[start : start + 6] for start in range(0, count, 6)]
        for index, piece in enumerate(pieces):
            name = records.shard_name(domain, split, index, len(pieces))
            written = records.write_shard(folder / name, piece)
            shards.append(records.Shard(name, domain, split, *written, 'key'))
    records.save_manifest(folder, records.Manifest(SIZE, True, {}, {}, tuple(shards)))
    return folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp('records'))


def stream(folder, domain='x', batch_size=4, seed=3, **options):
    return pipeline.train_stream(folder, domain, SIZE, batch_size, seed, **options)


def take(dataset, count):
    return [pipeline.Batch(*(value.numpy() for value in batch)) for batch in dataset.take(count)]


def flipped(batch):
    """Whether networks get a batch mirrored; it must be so as a whole."""
    faces = pipeline.for_networks(batch)
    by_image = faces.image[:, 0, 0, 0] > faces.image[:, 0, -1, 0]
    by_eyes = faces.eyes[:, 1] == 7
    assert np.all(by_image == by_eyes[0]) and np.all(by_eyes == by_eyes[0])
    return bool(by_eyes[0])


def numbers(batches):
    """The numbers of the images in a list of batches."""
    dark = [batch.image.min(axis=(1, 2, 3)) for batch in batches]
    return [int(round(v)) for v in np.concatenate(dark) / STEP]


def same(batches, others):
    return len(batches) == len(others) and all(all(map(np.array_equal, a, b)) for a, b in zip(batches, others))


def test_shapes_ranges_and_contents(folder):
    dataset = stream(folder)
    assert dataset.element_spec == pipeline.Batch(
        tf.TensorSpec([4, SIZE, SIZE, 3], tf.uint8), tf.TensorSpec([4, 4], tf.float32), tf.TensorSpec([], tf.bool)
    )
    for batch in take(stream(folder, flip=False), 6):
        found = numbers([batch])
        np.testing.assert_array_equal(batch.eyes, [[i, 5, 30, 7] for i in found])
        decoded = [np.asarray(Image.open(io.BytesIO(jpeg(i)))) for i in found]
        np.testing.assert_array_equal(batch.image, decoded)


def test_range_conversions_invert_each_other():
    levels = tf.range(256)
    image = pipeline.to_float(tf.cast(levels, tf.uint8))
    assert image.dtype == tf.float32 and image[0] == -1 and image[-1] == 1
    assert pipeline.to_float(image) is image
    np.testing.assert_array_equal(pipeline.to_uint8(image), levels)
    rounded = pipeline.to_uint8(tf.constant([-1.2, 1.2, 0.0032, 0.0046]))
    np.testing.assert_array_equal(rounded, [0, 255, 128, 128])
    np.testing.assert_array_equal(pipeline.to_uint8(image + 0.4 / 127.5), levels)


def test_mirror():
    rng = np.random.default_rng(0)
    batch = pipeline.Batch(
        tf.constant(rng.uniform(-1, 1, (2, 6, 8, 3)), tf.float32),
        tf.constant([[1, 2, 5, 3], [0, 1, 7.5, 4]], tf.float32),
    )
    mirrored = pipeline.mirror(batch)
    np.testing.assert_array_equal(mirrored.image, batch.image.numpy()[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.eyes, [[3, 3, 7, 2], [0.5, 4, 8, 1]])
    assert same([pipeline.mirror(mirrored)], [batch])


def test_flips_half_of_the_batches_by_seed(folder):
    flips = {seed: [flipped(batch) for batch in take(stream(folder, seed=seed), 200)] for seed in (3, 4)}
    for seed in flips:
        assert 70 <= sum(flips[seed]) <= 130
    assert flips[3] != flips[4]
    assert flips[3] != [flipped(batch) for batch in take(stream(folder, 'y', seed=3), 200)]
    assert not any(flipped(batch) for batch in take(stream(folder, flip=False), 20))


def test_mirrored_batches_are_mirrors_of_the_plain_ones(folder):
    plain, augmented = take(stream(folder, flip=False), 12), take(stream(folder), 12)
    for a, b in zip(plain, augmented):
        expected = pipeline.mirror(a) if flipped(b) else a
        assert same([b._replace(mirrored=False)], [a])
        faces = pipeline.for_networks(b)
        np.testing.assert_array_equal(faces.image, pipeline.to_float(expected.image))
        np.testing.assert_array_equal(faces.eyes, expected.eyes)


def test_every_image_once_in_an_epoch_and_epochs_differ(folder):
    # 21 batches of 4: 4 epochs of 21, with batches across their borders
    found = numbers(take(stream(folder), 21))
    epochs = [found[start : start + 21] for start in range(0, 84, 21)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(21))
    for a, b in itertools.combinations(epochs + [list(range(21))], 2):
        assert a != b


def test_order_depends_on_seed_and_domain_only(folder):
    first = take(stream(folder), 10)
    tf.random.set_seed(1234)
    again = take(stream(folder), 10)
    assert same(first, again)
    assert numbers(first) != numbers(take(stream(folder, seed=4), 10))
    shared = [i for i in numbers(first)[:21] if i < 17]
    assert shared != numbers(take(stream(folder, 'y'), 5))[:17]


def test_runs_of_earlier_versions_go_on_with_the_same_faces(folder):
    # as recorded before faces could be altered
    whole, part = take(stream(folder), 6), take(stream(folder, parts=2, own=range(1, 2), start_step=7), 6)
    assert numbers(whole) == [6, 3, 13, 15, 17, 7, 2, 16, 1, 19, 0, 5, 18, 4, 9, 11, 14, 20, 10, 12, 8, 15, 9, 8]
    assert [bool(batch.mirrored) for batch in whole] == [False, True, True, False, False, False]
    assert numbers(part) == [2, 6, 17, 16, 5, 7, 5, 17, 14, 4, 3, 6]


@pytest.mark.parametrize('start_step', [1, 5, 6, 20, 37])
def test_resumed_is_uninterrupted(folder, start_step):
    whole = take(stream(folder), 45)
    assert same(whole[start_step:], take(stream(folder, start_step=start_step), 45 - start_step))


def test_resuming_far_out_reads_no_earlier_epochs(folder):
    start_step = 21 * 10**9
    assert sorted(numbers(take(stream(folder, start_step=start_step, batch_size=1), 21))) == list(range(21))


def test_batch_larger_than_the_domain(folder):
    (batch,) = take(stream(folder, batch_size=50), 1)
    assert batch.image.shape[0] == 50 and set(numbers([batch])) == set(range(21))


def test_fixed_batch(folder):
    batch = pipeline.fixed_batch(folder, 'x', 'train', SIZE, 8)
    assert batch.image.shape == [8, SIZE, SIZE, 3]
    assert numbers([pipeline.Batch(batch.image.numpy(), batch.eyes.numpy())]) == list(range(8))
    assert pipeline.fixed_batch(folder, 'x', 'test', SIZE, 8).eyes.shape == [3, 4]
    with pytest.raises(GazeError, match='has no test images of domain Y'):
        pipeline.fixed_batch(folder, 'y', 'test', SIZE, 8)


def test_other_size_is_refused(folder):
    with pytest.raises(GazeError, match='are 32 pixels wide, not 64: use `img_size=32`'):
        pipeline.train_stream(folder, 'x', 64, 4, seed=0)


def test_another_frame_is_refused(folder):
    pipeline.check_frame(folder, '0.30703125,0.362890625,0.69453125,.362109375')
    with pytest.raises(
        GazeError,
        match='`frame_eyes=0.30703125,0.362890625,0.69453125,0.362109375`, or .* `frame_eyes=0.2,0.45,0.8,0.45`',
    ):
        pipeline.check_frame(folder, '0.2,0.45,0.8,0.45')


def flip_bytes(folder, name):
    """Damages the second record of a shard; its size stays."""
    path = folder / name
    data = bytearray(path.read_bytes())
    middle = len(data) // 6 + len(data) // 12
    data[middle : middle + 3] = bytes(value ^ 255 for value in data[middle : middle + 3])
    path.write_bytes(bytes(data))


def test_damaged_shard_stops_with_its_name(tmp_path):
    write(tmp_path)
    flip_bytes(tmp_path, 'x-train-00001-of-00004.tfrecord')
    with pytest.raises(tf.errors.DataLossError) as caught:
        take(stream(tmp_path), 6)
    message = str(pipeline.explain_corruption(tmp_path, caught.value))
    assert f'{tmp_path / "x-train-00001-of-00004.tfrecord"}: record 2 of 6 cannot be read' in message
    assert 'checksum' in message and '`gaze-tf prepare`' in message and '`skip_corrupt`' in message
    assert message.count('cannot be read (') == 1
    assert len(take(stream(tmp_path, 'y'), 6)) == 6


def test_damaged_shard_is_skipped(tmp_path):
    write(tmp_path)
    flip_bytes(tmp_path, 'x-train-00001-of-00004.tfrecord')
    found = numbers(take(stream(tmp_path, skip_corrupt=True, batch_size=1), 64))
    # records 2 to 6 of that shard are lost, in every epoch of the 16 that remain
    assert {i: found.count(i) for i in set(found)} == {i: 4 for i in range(21) if i not in range(7, 12)}


@pytest.mark.parametrize('bad', [b'garbage', jpeg(1)[:-150], b''], ids=['garbage', 'truncated', 'empty'])
def test_garbage_image_stops_with_its_shard(tmp_path, bad):
    write(tmp_path, {('x', 9): bad})
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        take(stream(tmp_path), 6)
    message = str(pipeline.explain_corruption(tmp_path, caught.value))
    assert f'{tmp_path / "x-train-00001-of-00004.tfrecord"}: record 4 of 6 cannot be read' in message
    assert 'not a JPEG of 32x32 pixels' in message
    with pytest.raises(GazeError, match='x-train-00001-of-00004.tfrecord: record 4'):
        pipeline.fixed_batch(tmp_path, 'x', 'train', SIZE, 21)


def test_garbage_image_is_skipped(tmp_path):
    write(tmp_path, {('x', 9): b'garbage', ('x', 20): jpeg(1)[:-150]})
    found = numbers(take(stream(tmp_path, skip_corrupt=True, batch_size=1), 57))
    assert {i: found.count(i) for i in set(found)} == {i: 3 for i in range(21) if i not in (9, 20)}


def test_error_without_damage_is_passed_on(folder):
    error = tf.errors.DataLossError(None, None, 'the disk was away')
    message = str(pipeline.explain_corruption(folder, error))
    assert 'every record can be read now: the disk was away' in message


def damage_all(folder, domain):
    """Flips a bit in the first record of every shard of a domain's training faces."""
    for path in folder.glob(f'{domain}-train-*'):
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(bytes(data))


def test_a_stream_of_which_nothing_can_be_read_ends(tmp_path):
    write(tmp_path)
    damage_all(tmp_path, 'x')
    assert take(stream(tmp_path, skip_corrupt=True), 1) == []
    message = str(pipeline.explain_corruption(tmp_path, None, skip_corrupt=True))
    assert message.startswith('Nothing is left of a domain with `skip_corrupt`: ') and message.count('record 1 of') == 4
    assert all(path.name in message for path in tmp_path.glob('x-train-*'))
    assert len(take(stream(tmp_path, 'y', skip_corrupt=True), 6)) == 6


def test_a_stream_without_images_ends(tmp_path):
    write(tmp_path, {('x', number): b'garbage' for number in range(21)})
    assert take(stream(tmp_path, skip_corrupt=True), 1) == []


def test_a_stream_ends_when_its_last_record_goes(tmp_path):
    write(tmp_path)
    batches = iter(stream(tmp_path, skip_corrupt=True))
    next(batches)
    damage_all(tmp_path, 'x')
    # a few epochs have been read ahead
    assert sum(1 for _ in batches) < 1000


def test_pictures_without_what_is_corrupt(tmp_path):
    write(tmp_path)
    flip_bytes(tmp_path, 'x-train-00000-of-00004.tfrecord')
    with pytest.raises(GazeError, match='x-train-00000-of-00004.tfrecord: record 2'):
        pipeline.fixed_batch(tmp_path, 'x', 'train', SIZE, 3)
    batch = pipeline.fixed_batch(tmp_path, 'x', 'train', SIZE, 3, skip_corrupt=True)
    assert numbers([pipeline.Batch(batch.image.numpy(), batch.eyes.numpy())]) == [0, 6, 7]
    damage_all(tmp_path, 'x')
    with pytest.raises(GazeError, match='Nothing is left of a domain'):
        pipeline.fixed_batch(tmp_path, 'x', 'train', SIZE, 3, skip_corrupt=True)


def test_contents_are_those_that_were_prepared(tmp_path, caplog):
    write(tmp_path)
    pipeline.check_contents(tmp_path, {}, skip_corrupt=False)
    # as large, and every record can be read
    (tmp_path / 'x-train-00001-of-00004.tfrecord').write_bytes(
        (tmp_path / 'x-train-00000-of-00004.tfrecord').read_bytes()
    )
    flip_bytes(tmp_path, 'y-train-00000-of-00003.tfrecord')
    sizes = {shard.file: shard.bytes for shard in records.read_manifest(tmp_path).shards}
    path = tmp_path / 'x-train-00001-of-00004.tfrecord'
    with open(path, 'ab') as file:
        file.truncate(sizes[path.name])
    with pytest.raises(GazeError) as error:
        pipeline.check_contents(tmp_path, {}, skip_corrupt=False)
    message = str(error.value)
    assert str(path) in message and 'y-train-00000-of-00003.tfrecord: record 2 of 6 cannot be read' in message
    assert '`gaze-tf prepare` again' in message and message.count('.tfrecord') == 2
    pipeline.check_contents(tmp_path, {}, skip_corrupt=True)
    assert 'What can be read is used (`skip_corrupt`)' in caplog.text and message.split('. Run')[0] in caplog.text


@pytest.mark.parametrize('eyes', [(np.nan, 5, 30, 7), (3, 5, np.inf, 7), (-1e30, 5, 30, 7), (3, 5, 33, 7)])
def test_eyes_that_are_nowhere(tmp_path, eyes):
    write(tmp_path)
    name = 'y-train-00000-of-00003.tfrecord'
    first, *rest = [records.Record(jpeg(i), (i, 5, 30, 7), str(i)) for i in range(6)]
    records.write_shard(tmp_path / name, [first._replace(eyes=eyes), *rest])
    with pytest.raises(GazeError, match=f'{name}: record 1 of 6 cannot be read .* its eyes lie outside it'):
        pipeline.fixed_batch(tmp_path, 'y', 'train', SIZE, 8)
    assert 0 not in numbers(take(stream(tmp_path, 'y', skip_corrupt=True, batch_size=1), 40))


def test_bytes_that_are_no_record_and_no_text(tmp_path):
    write(tmp_path)
    name, size = 'x-train-00001-of-00004.tfrecord', (tmp_path / 'x-train-00001-of-00004.tfrecord').stat().st_size
    with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
        # 16 bytes are those of the frame
        writer.write(b'\xf2' * (size - 16))
    with pytest.raises(GazeError, match=f'{name}: record 1 of 6 cannot be read'):
        pipeline.fixed_batch(tmp_path, 'x', 'train', SIZE, 21)


def test_a_header_that_claims_gigabytes_costs_nothing(tmp_path):
    data = bytearray(jpeg(9))
    start = data.index(b'\xff\xc0') + 5  # height and width, behind a length and a precision
    data[start : start + 4] = b'\xff\xf0\xff\xf0'
    write(tmp_path, {('x', 9): bytes(data)})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = numbers(take(stream(tmp_path, skip_corrupt=True, batch_size=1), 20))
    assert sorted(found) == [number for number in range(21) if number != 9]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1e6  # kilobytes
