"""python -m tools.fuzz.requests --count=1000

Random and mutated requests to `gaze-tf serve`, over REST and gRPC, and mutated files where a model or data is loaded: what is
wrong must be refused in one sentence. Everything is made here, of a tiny model with random weights; --seed fixes all
inputs. What is tried runs in processes that may die. Prints how many of which kind ran, and how they ended; inputs that
ended in a traceback, a crash, after more than --seconds or with more than --gigabytes are kept in --output, and the exit
status is then 1.
"""

import base64
import collections
import http.client
import io
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from absl import app, flags, logging
from PIL import Image

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
from gaze_tf.files import new_file

SIZE = 32
KINDS = ('rest', 'grpc', 'config', 'manifest', 'saved_model', 'checkpoint')
ODD = (
    None,
    True,
    -1,
    0,
    2**31,
    10**30,
    1e308,
    -0.5,
    '',
    'x',
    '\x1b[31m',
    'ü\ud800',
    '../../x',
    [],
    {},
    [[]],
    [[[]]] * 3,
    {'b64': 'AA=='},
    {'b64': 1},
    [1, [2]],
    'y' * 10_000,
    list(range(2000)),
)
EYES = [9.0, 12.0, 22.0, 12.0]


def mutated(rng, content):
    """The bytes with one to three changes."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(content) + 1), rng.choice((1, 2, 4, 8, 60))
        change = rng.randrange(6)
        if change == 0:
            content[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del content[at : at + length]
        elif change == 2:
            content[at:at] = content[at : at + length] * rng.choice((1, 2, 500))
        elif change == 3:
            content[at : at + length] = rng.choice((b'\0', b'\xff', b'\x7f', b'\x80')) * length
        elif change == 4:
            del content[at:]
        else:
            content[at:at] = rng.randbytes(length)
    return bytes(content)


def mutated_json(rng, document):
    """The JSON text of a document of which a part is exchanged, left out, put into a list or deeply nested."""
    document = json.loads(json.dumps(document))
    place, key = None, None
    while True:
        value = document if place is None else place[key]
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        if not keys or place is not None and rng.random() < 0.3:
            break
        place, key = value, rng.choice(keys)
    change = rng.randrange(6)
    if change == 0:
        del place[key]
    elif change == 1:
        place[key] = [place[key]] * rng.choice((0, 2, 40))
    elif change == 2:
        place[key] = 'NESTED'
        depth = rng.choice((5, 33, 500, 50_000))
        return json.dumps(document).replace('"NESTED"', '[' * depth + ']' * depth).encode()
    else:
        place[key] = rng.choice(ODD)
    text = json.dumps(document).encode()
    return mutated(rng, text) if rng.random() < 0.2 else text


def make_files(folder):
    """A SavedModel, a run and records under `folder`, made of a tiny model."""
    import tensorflow as tf

    from gaze_tf import config
    from gaze_tf.data import records
    from gaze_tf.export import signatures
    from gaze_tf.models.gaze_model import GazeModel
    from gaze_tf.training import checkpoints

    model = GazeModel(
        config.ModelConfig(
            img_size=SIZE,
            crop_w=13,
            crop_h=9,
            crop_px=8,
            code_size=4,
            ngf=2,
            ndf=2,
            nef=2,
            n_layers_g=2,
            n_layers_d=1,
            n_layers_e=1,
            n_layers_r=1,
        ),
        native_crops=False,
    )
    module, version = signatures.serving_module(model), folder / 'saved_model' / '1'
    tf.saved_model.save(module, str(version), signatures=signatures.signatures_of(module))
    config.save(version / config.CONFIG_NAME, model=model.config)
    (folder / 'checkpoint').mkdir()
    checkpoints.write_first(
        folder / 'checkpoint', tf.train.Checkpoint(model=checkpoints.serving_networks(model)), model=model.config
    )
    (folder / 'config').mkdir()
    config.save(folder / 'config' / config.CONFIG_NAME, model=model.config)
    (folder / 'manifest').mkdir()
    shards = []
    for domain in records.DOMAINS:
        for split in records.SPLITS:
            name = records.shard_name(domain, split, 0, 1)
            found = records.write_shard(
                folder / 'manifest' / name, [records.Record(photo('JPEG'), EYES, f'{domain}{split}')]
            )
            shards.append(records.Shard(name, domain, split, *found, key='0'))
    records.save_manifest(
        folder / 'manifest', records.Manifest(SIZE, True, {'x': 0, 'y': 0}, {'x': (), 'y': ()}, tuple(shards))
    )


def photo(format):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(file, format)
    return file.getvalue()


# --- files that are loaded -----------------------------------------------------------------------------------


def file_inputs(rng, kind, source):
    """Yields for ever {file name: its content, changed}."""
    names = {'config': ['config.json'], 'manifest': ['manifest.json']}.get(kind) or [
        str(path.relative_to(source)) for path in sorted(source.rglob('*')) if path.is_file()
    ]
    contents = {name: (source / name).read_bytes() for name in names}
    while True:
        name = rng.choice(names)
        yield {
            name: mutated_json(rng, json.loads(contents[name]))
            if name.endswith('.json') and rng.random() < 0.7
            else mutated(rng, contents[name])
        }


def load(kind, folder):
    """What reads the files of a kind."""
    from gaze_tf import config
    from gaze_tf.data import records
    from gaze_tf.export import export
    from gaze_tf.inference.network import Network

    {
        'config': lambda: config.load(folder / 'config.json'),
        'manifest': lambda: records.load_manifest(folder),
        'saved_model': lambda: Network(folder),
        'checkpoint': lambda: export.load_model(folder),
    }[kind]()


def work(kind):
    """Loads each folder that is named on stdin; says on stdout how that ended."""
    from gaze_tf.errors import GazeError

    out, sys.stdout = sys.stdout, sys.stderr
    load(kind, pathlib.Path(input()))
    print('ready', file=out, flush=True)
    for line in sys.stdin:
        try:
            load(kind, pathlib.Path(line.rstrip('\n')))
            ended = 'loaded'
        except GazeError as error:
            ended = 'refused' if str(error).isprintable() else 'FAILED: more than a line'
        except Exception as error:
            ended = f'FAILED: {type(error).__name__}: {str(error)[:200]!r}'
        print(ended, file=out, flush=True)


class Loader:
    """A process that loads folders."""

    def __init__(self, kind, source):
        self._kind, self._source, self._process = kind, source, None
        self._folder = pathlib.Path(tempfile.mkdtemp())

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, '-m', __spec__.name, f'--worker={self._kind}'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._process.stdin.write(f'{self._source}\n')
        self._process.stdin.flush()
        assert self._process.stdout.readline() == 'ready\n'

    def run(self, files):
        folder = shutil.copytree(self._source, self._folder / 'input', dirs_exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self._process.stdin.write(f'{folder}\n')
        self._process.stdin.flush()
        return watched(self._process, lambda: self._process.stdout.readline().strip() or 'FAILED: the process died')

    def stop(self):
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder)


# --- requests ------------------------------------------------------------------------------------------------


def documents():
    """Good requests, as JSON has them."""
    face = {'images': np.full([SIZE, SIZE, 3], 100).tolist(), 'eyes': EYES}
    row = {'image': {'b64': base64.b64encode(photo('PNG')).decode()}, 'eyes': EYES}
    return [
        {'signature_name': 'correct_encoded', 'instances': [row, row]},
        {'inputs': {'image': [row['image']], 'eyes': [EYES]}},
        {'signature_name': 'animate', 'instances': [{**face, 'alphas': [0, 1]}]},
        {'signature_name': 'encode', 'instances': [face]},
    ]


def rest_inputs(rng):
    """Yields for ever the bytes of an HTTP request."""
    good = documents()
    while True:
        document = rng.choice(good)
        body = mutated_json(rng, document) if rng.random() < 0.8 else mutated(rng, json.dumps(document).encode())
        path = (
            '/v1/models/gaze:predict'
            if rng.random() < 0.8
            else rng.choice(
                (
                    '/v1/models/gaze',
                    '/v1/models/gaze/metadata',
                    f'/v1/models/gaze/versions/{"9" * rng.choice((1, 19, 5000))}',
                    '/v1/models/gaze/labels/%00%ff:predict',
                    '/' * 3000,
                    '/v1/models/' + 'a' * 9000,
                )
            )
        )
        method = rng.choice(('POST', 'POST', 'POST', 'GET', 'PUT'))
        request = (
            f'{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n'.encode()
            + body
        )
        yield {'request': mutated(rng, request[:300]) + request[300:] if rng.random() < 0.2 else request}


def grpc_inputs(rng):
    """Yields for ever the bytes of a PredictRequest."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    good = {
        'image': np.array([photo('JPEG')] * 2, object),
        'eyes': np.float32([EYES] * 2),
        'images': np.full([2, SIZE, SIZE, 3], 100, np.uint8),
        'alphas': np.float32([[0, 1]] * 2),
    }
    signatures = {
        'correct_encoded': ('image', 'eyes'),
        'correct': ('images', 'eyes'),
        'animate': ('images', 'eyes', 'alphas'),
    }
    while True:
        name = rng.choice(list(signatures))
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = 'gaze', name
        for key in signatures[name]:
            request.inputs[key].CopyFrom(tf.make_tensor_proto(good[key]))
        proto = request.inputs[rng.choice(signatures[name])]
        for _ in range(rng.randint(0, 2)):
            change = rng.randrange(6)
            if change == 0:
                proto.dtype = rng.randrange(0, 30)
            elif change == 1 and proto.tensor_shape.dim:
                rng.choice(proto.tensor_shape.dim).size = rng.choice((-1, 0, 1, 3, 33, 1300, 2**20, 2**40, 2**62))
            elif change == 2:
                for _ in range(rng.choice((1, 40, 300))):
                    proto.tensor_shape.dim.add(size=1)
            elif change == 3:
                proto.tensor_content = rng.choice((b'', b'\0', proto.tensor_content[:-1], proto.tensor_content * 2))
            elif change == 4:
                proto.float_val.extend([float('nan'), float('inf'), -1e30, 5][: rng.randint(1, 4)])
            else:
                proto.string_val.append(mutated(rng, photo(rng.choice(('PNG', 'JPEG')))))
        content = request.SerializeToString()
        yield {'request': mutated(rng, content) if rng.random() < 0.4 else content}


class Server:
    """`gaze-tf serve`, and one way to ask it."""

    def __init__(self, kind, source):
        self._kind, self._source, self._process = kind, source, None

    def start(self):
        self._said = tempfile.TemporaryFile('w+')
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'gaze_tf.cli.main', 'serve', f'--model={self._source}', '--port=0', '--rest_port=0'],
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        line = self._process.stdout.readline()
        self._rest, self._grpc = re.search(r'http://[\d.]+:(\d+)/', line)[1], re.search(r'gRPC on (\S+),', line)[1]

    def run(self, files):
        ask = self._over_rest if self._kind == 'rest' else self._over_grpc
        ended = watched(self._process, lambda: ask(files['request']))
        if self._process.poll() is not None:
            return 'FAILED: the process died'
        self._said.seek(0)
        said = self._said.read()
        self._said.truncate(0)
        return 'FAILED: a traceback' if 'Traceback' in said else ended

    def _over_rest(self, request):
        with socket.create_connection(('127.0.0.1', int(self._rest)), timeout=flags.FLAGS.seconds) as connection:
            try:
                connection.sendall(request)
                head, _, body = request.partition(b'\r\n\r\n')
                if f'Content-Length: {len(body)}\r\n'.encode() not in head:
                    # otherwise more is waited for
                    connection.shutdown(socket.SHUT_WR)
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
            except TimeoutError:
                return 'FAILED: no answer in time'
            # it may not even listen to the end of some, nor answer half of one
            except (OSError, http.client.HTTPException):
                return 'closed'
        return f'FAILED: {response.status}' if response.status in (500, 503) else f'status {response.status}'

    def _over_grpc(self, request):
        import grpc

        with grpc.insecure_channel(self._grpc, [('grpc.max_receive_message_length', -1)]) as channel:
            try:
                channel.unary_unary('/tensorflow.serving.PredictionService/Predict')(
                    request, timeout=flags.FLAGS.seconds
                )
            except grpc.RpcError as error:
                code, why = error.code().name, error.details() or ''
                refused = code in ('INVALID_ARGUMENT', 'NOT_FOUND', 'FAILED_PRECONDITION') or 'deserializing' in why
                return code if refused else f'FAILED: {code}: {why[:200]!r}'
        return 'answered'

    def stop(self):
        self._process.kill()
        self._process.communicate()
        self._said.close()


# --- all of it -----------------------------------------------------------------------------------------------


def watched(process, ask):
    """What `ask` returns, or what was wrong with the process meanwhile, which is then killed."""
    end, found = time.monotonic() + flags.FLAGS.seconds, []
    asking = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    asking.start()
    wrong = ''
    while not wrong and asking.is_alive():
        asking.join(0.05)
        if time.monotonic() > end:
            wrong = 'FAILED: too slow'
        try:
            memory = int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{process.pid}/status').read_text())[1])
        except (OSError, TypeError):
            continue
        if memory > flags.FLAGS.gigabytes * 2**20:
            wrong = 'FAILED: too much memory'
    if wrong:
        process.kill()
    asking.join(5)
    return wrong or (found[0] if found else 'FAILED: no answer')


def fuzz(kind, folder, output):
    """Counter of how the inputs of a kind ended."""
    values, rng, counts = flags.FLAGS, random.Random(f'{flags.FLAGS.seed} {kind}'), collections.Counter()
    source = {
        'rest': folder / 'saved_model',
        'grpc': folder / 'saved_model',
        'saved_model': folder / 'saved_model' / '1',
    }.get(kind, folder / kind)
    inputs = {'rest': rest_inputs, 'grpc': grpc_inputs}.get(kind, lambda rng: file_inputs(rng, kind, source))(rng)
    runner = (Server if kind in ('rest', 'grpc') else Loader)(kind, source)
    runner.start()
    for number in range(values.count):
        files = next(inputs)
        ended = runner.run(files)
        counts[ended] += 1
        if ended.startswith('FAILED:'):
            for name, content in files.items():
                path = output / kind / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with new_file(path) as file:
                    file.write(content)
            print(f'{kind} {number}: {ended}', flush=True)
            runner.stop()
            runner = type(runner)(kind, source)
            runner.start()
    runner.stop()
    return counts


def main(_):
    values = flags.FLAGS
    if values.worker:
        work(values.worker)
        return 0
    logging.set_verbosity(logging.ERROR)  # TensorFlow tells how it names what it saves
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        make_files(pathlib.Path(folder))
        for kind in values.kind:
            start = time.monotonic()
            counts = fuzz(kind, pathlib.Path(folder), pathlib.Path(values.output))
            failed = failed or any(ended.startswith('FAILED:') for ended in counts)
            print(
                f'{kind}: {sum(counts.values())} inputs in {time.monotonic() - start:.0f} s: '
                + ', '.join(f'{count} {ended}' for ended, count in counts.most_common()),
                flush=True,
            )
    return int(failed)


if __name__ == '__main__':
    flags.DEFINE_integer('count', 200, 'Inputs of each kind.', lower_bound=1)
    flags.DEFINE_multi_enum('kind', list(KINDS), list(KINDS), 'What is tried; may be given several times.')
    flags.DEFINE_integer('seed', 0, 'Fixes all inputs.')
    flags.DEFINE_float('seconds', 20, 'Longest time of one input.', lower_bound=0.1)
    flags.DEFINE_float('gigabytes', 2, 'Largest memory of a process.', lower_bound=0.1)
    flags.DEFINE_string('output', 'runs/fuzz_requests', 'Folder for inputs that failed.')
    flags.DEFINE_string('worker', '', 'For its own use: the process that loads files of this kind.')
    app.run(main)
