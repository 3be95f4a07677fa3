"""python -m tools.fuzz.records --cases=200

Runs `gaze-tf prepare` and the start of `gaze-tf pretrain`, with a tiny model, on damaged records, manifests and
checkpoints. Every command must end with status 0, or with status 1 and a message, within --seconds of computing and
--megabytes; `prepare` must leave what it wrote at first. Each kind gets so many --cases:

    manifest     bytes of manifest.json, or values in it, then training starts
    shard        bytes of a shard, then training starts (every second time with --skip_corrupt) and takes a step
    record       a shard whose records are whole but hold something else, of which the manifest knows, then the same
    prepare      bytes of shards and manifest, then `prepare` again
    checkpoint   bytes of a checkpoint's files, and of the index under right checksums, then training goes on
    beside       config.json and records.json of a run in the same ways

Cases follow from --seed, the kind and their number. They run in processes that may die; failing cases are kept in
--keep. Exit status 1 if there are any.
"""

import collections
import contextlib
import hashlib
import io
import json
import math
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback

from absl import app, flags

flags.DEFINE_integer('cases', 200, 'Inputs of each kind.', lower_bound=1)
flags.DEFINE_list('kinds', ['manifest', 'shard', 'record', 'prepare', 'checkpoint', 'beside'], 'Kinds to try.')
flags.DEFINE_integer('seed', 0, 'Of all that is drawn.')
flags.DEFINE_integer('seconds', 20, 'Limit for one command (ten times as long where it only waits).', lower_bound=1)
flags.DEFINE_integer('megabytes', 2000, 'Limit for what one process allocates beyond its start.', lower_bound=1)
flags.DEFINE_string('keep', '', 'Folder for the inputs that went wrong.')

SIZE, STEPS = 32, 2
MODEL = {'img_size': SIZE, 'crop_w': 13, 'crop_h': 9, 'crop_px': 8, 'code_size': 4, 'n_layers_r': 1}
# cases that one process runs, so that memory which TensorFlow keeps is given back
A_PROCESS = 40
ODD = (
    None,
    True,
    False,
    -1,
    0,
    1,
    1.5,
    2**31,
    10**30,
    math.inf,
    math.nan,
    '',
    '0',
    'x' * 999,
    '../../x',
    '/',
    '\ud800',
    '\0',
    [],
    {},
    [[]],
    {'': 0},
)


def main(_):
    options, found, failures = flags.FLAGS, collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _in_a_process(_set_up, folder)
        for kind in options.kinds:
            for number, outcome in _outcomes(folder, kind, options):
                found[kind, outcome.partition(':')[0]] += 1
                if not outcome.startswith('fine'):
                    failures.append(f'{kind} {number}: {outcome}')
                    print(failures[-1], flush=True)
                    if options.keep:
                        shutil.copytree(
                            folder / 'case', pathlib.Path(options.keep) / f'{kind}-{number}', dirs_exist_ok=True
                        )
            print(kind, dict((outcome, count) for (of, outcome), count in found.items() if of == kind), flush=True)
    print(f'{sum(found.values())} inputs, {len(failures)} went wrong')
    return 1 if failures else 0


def _in_a_process(function, *args):
    process = multiprocessing.get_context('spawn').Process(target=function, args=args)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f'The set-up failed with status {process.exitcode}.')


def _outcomes(folder, kind, options):
    """Yields (number, outcome in words) of all cases of a kind; where a process dies, another one continues."""
    spawn, number = multiprocessing.get_context('spawn'), 0
    while number < options.cases:
        ours, theirs = spawn.Pipe()
        numbers = range(number, min(number + A_PROCESS, options.cases))
        process = spawn.Process(target=_run, args=(theirs, folder, kind, numbers, options.seed, options.megabytes))
        process.start()
        theirs.close()
        try:
            assert ours.recv() == 'ready'
            for number in numbers:
                if not _answers(ours, process, options.seconds):
                    yield number, f'hangs: for {options.seconds} seconds'
                    break
                yield number, ours.recv()
        except EOFError:
            process.join()
            yield number, f'dies: with status {process.exitcode}'
        finally:
            process.kill()
            process.join()
        number += 1


def _answers(pipe, process, seconds):
    """Whether something comes before the process has computed for so many seconds, or waited for ten times as many."""

    def computed():
        fields = pathlib.Path(f'/proc/{process.pid}/stat').read_text(encoding='ascii').rpartition(') ')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    start, limit = computed(), time.monotonic() + 10 * seconds
    while not pipe.poll(1):
        if computed() - start > seconds or time.monotonic() > limit:
            return False
    return True


def _run(pipe, folder, kind, numbers, seed, megabytes):
    """Of each process: sends the outcome of one case after the other."""
    import tensorflow as tf

    import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
    from gaze_tf.cli import main as cli

    tf.constant(1)  # TensorFlow starts its threads
    with open('/proc/self/statm', encoding='ascii') as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 10**6,) * 2)
    case = folder / 'case'
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe.send('ready')
    for number in numbers:
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        rng = random.Random(f'{seed} {kind} {number}')
        for name in ('records', 'run'):
            shutil.copytree(folder / name, case / name)
        MUTATIONS[kind](rng, case)
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                status = cli.main(_command(kind, number, folder, case))
        except BaseException:  # pylint: disable=broad-except
            pipe.send(f'traceback: {traceback.format_exc(limit=-3)}')
            continue
        line = (said.getvalue().splitlines() or [''])[-1]
        if status == 0 and kind == 'prepare' and _fingerprint(case) != _fingerprint(folder):
            pipe.send('wrong: other records than before')
        elif status == 0 or status == 1 and line.startswith('gaze-tf '):
            pipe.send(f'fine, status {status}')
        else:
            pipe.send(f'wrong: status {status}, {line!r}')
        tf.keras.backend.clear_session()


def _command(kind, number, folder, case):
    if kind == 'prepare':
        return _prepare(folder / 'faces', case / 'records')
    # a step takes longest, for the graph is built for it
    steps = STEPS + (kind in ('shard', 'record'))
    return _pretrain(case / 'records', case / 'run', steps, skip_corrupt=number % 2 == 1)


def _prepare(faces, records):
    return [
        'prepare',
        f'--data_dir={faces}',
        f'--output_dir={records}',
        f'--img_size={SIZE}',
        '--test_x=1',
        '--test_y=1',
        '--shard_size=3',
    ]


def _pretrain(records, run, steps, skip_corrupt=False):
    options = {
        **MODEL,
        'data_dir': records,
        'output_dir': run,
        'steps': steps,
        'skip_corrupt': skip_corrupt,
        'batch_size': 2,
        'save_every': 1,
        'keep': 2,
        'log_every': 9,
        'image_every': 9,
        'xla': 'off',
    }
    return ['pretrain', *(f'--{name}={value}' for name, value in options.items())]


def _set_up(folder):
    """Writes faces, their records and a run of STEPS steps."""
    import numpy as np
    from PIL import Image

    import gaze_tf  # noqa: F401
    from gaze_tf.cli import main as cli

    rng = np.random.default_rng(0)
    for name in '10':
        (folder / 'faces' / name).mkdir(parents=True)
        for number in range(6):
            pixels = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((SIZE, SIZE))
            pixels.save(folder / 'faces' / name / f'{number}.jpg')
        (folder / 'faces' / f'{name}.txt').write_text(''.join(f'{number} 9 12 22 12\n' for number in range(6)))
    for command in _prepare(folder / 'faces', folder / 'records'), _pretrain(folder / 'records', folder / 'run', STEPS):
        if cli.main(command):
            sys.exit(1)
    shutil.rmtree(folder / 'run' / 'tensorboard')


def _fingerprint(folder):
    return json.loads((folder / 'records' / 'manifest.json').read_text())['fingerprint']


def bytes_of(rng, data):
    """Other bytes, which are like these."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        start = rng.randrange(len(data) + 1)
        end = min(start + rng.choice([1, 2, 4, 8, 64, 1000]), len(data))
        how = rng.randrange(7)
        if how == 0 and start < len(data):
            data[start] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[start:end] = rng.randbytes(end - start)
        elif how == 2:
            data[start:end] = rng.choice([b'\0', b'\xff', b'\x7f', b'\x80']) * (end - start)
        elif how == 3:
            del data[start : rng.choice([end, len(data)])]
        elif how == 4:
            data[start:start] = rng.randbytes(end - start)
        elif how == 5:
            data[start:start] = data[start:end] * rng.choice([1, 3])
        else:
            other = rng.randrange(len(data) + 1)
            data[start:end], data[other:other] = b'', data[start:end]
    return bytes(data)


def json_of(rng, text):
    """The JSON of other values, or other text."""
    if rng.random() < 0.3:
        return bytes_of(rng, text)
    if rng.random() < 0.02:
        return rng.choice([b'[', b'{"a":']) * 100_000
    values = {'': json.loads(text)}
    for _ in range(rng.choice([1, 1, 2])):
        holder, key = values, ''
        while isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.8:
            holder = holder[key]
            key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if rng.random() < 0.1 and holder is not values:
            del holder[key]
            if not values['']:
                break
        else:
            holder[key] = rng.choice(ODD)
    return json.dumps(values['']).encode()


def change(rng, path, how=bytes_of):
    path.write_bytes(how(rng, path.read_bytes()))


def shard(rng, case):
    change(rng, rng.choice(sorted((case / 'records').glob('*.tfrecord'))))


def prepared(rng, case):
    if rng.random() < 0.7:
        shard(rng, case)
    if rng.random() < 0.5:
        change(rng, case / 'records' / 'manifest.json', json_of)


def record(rng, case):
    """Records that are whole but hold something else, of which the manifest knows."""
    import tensorflow as tf

    from gaze_tf.data import records

    path = rng.choice(sorted((case / 'records').glob('*.tfrecord')))
    found = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    for number in rng.sample(range(len(found)), rng.randint(1, len(found))):
        if rng.random() < 0.5:
            found[number] = bytes_of(rng, found[number])
        else:
            parsed = records.parse(found[number])
            eyes = [rng.choice([value, -1e30, math.nan, math.inf]) for value in parsed.eyes.numpy().tolist()]
            found[number] = records.encode(
                records.Record(bytes_of(rng, parsed.image.numpy()), eyes, 'x', rng.choice([b'', b'twin']))
            )
    with tf.io.TFRecordWriter(str(path)) as writer:
        for serialized in found:
            writer.write(serialized)
    manifest = case / 'records' / 'manifest.json'
    values = json.loads(manifest.read_text())
    for each in values['shards']:
        if each['file'] == path.name:
            each.update(bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    manifest.write_text(json.dumps(values))
    # the run began with this data
    (case / 'run' / 'records.json').unlink()


def checkpoint(rng, case):
    path = rng.choice(sorted((case / 'run').glob('step-*')))
    change(rng, path, index_of if path.suffix == '.index' and rng.random() < 0.7 else bytes_of)


def index_of(rng, data):
    """A checkpoint's index, which is a table as LevelDB has them, with another byte or two under a right checksum."""
    data = bytearray(data)
    places = [_handle(data, _handle(data, len(data) - 48)[2])[:2]]  # the footer: of two indices the second
    position, end = places[0][0], sum(places[0])
    restarts = int.from_bytes(data[end - 4 : end], 'little')
    while position < end - 4 - 4 * restarts:
        _, position = _varint(data, position)
        rest, position = _varint(data, position)
        size, position = _varint(data, position)
        places.append(_handle(data, position + rest)[:2])
        position += rest + size
    start, size = rng.choice(places)
    for _ in range(rng.choice([1, 1, 2])):
        data[start + rng.randrange(size)] = rng.randrange(256)
    # the checksum covers the byte that says how the block is compressed
    crc = _crc32c(data[start : start + size + 1])
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    data[start + size + 1 : start + size + 5] = masked.to_bytes(4, 'little')
    return bytes(data)


def _varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        value, shift, position = value | (byte & 127) << shift, shift + 7, position + 1
        if byte < 128:
            return value, position


def _handle(data, position):
    """(start, size, position behind it) of a block."""
    start, position = _varint(data, position)
    size, position = _varint(data, position)
    return start, size, position


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


MUTATIONS = {
    'manifest': lambda rng, case: change(rng, case / 'records' / 'manifest.json', json_of),
    'shard': shard,
    'record': record,
    'prepare': prepared,
    'checkpoint': checkpoint,
    'beside': lambda rng, case: change(rng, case / 'run' / rng.choice(['config.json', 'records.json']), json_of),
}

if __name__ == '__main__':
    app.run(main)
