"""Small files of every kind that gaze_tf loads, changed at random, and a process that loads them."""

import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

import gaze_tf  # noqa: F401 (before TensorFlow, as it sets how that starts)
from tools.fuzz.mutations import mutated, mutated_json
from tools.fuzz.watching import watched

SIZE = 32
EYES = [9.0, 12.0, 22.0, 12.0]


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

    def __init__(self, kind, source, limits):
        self._kind, self._source, self._limits, self._process = kind, source, limits, None
        self._folder = pathlib.Path(tempfile.mkdtemp())

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, '-m', __spec__.name, self._kind],
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
        return watched(self._process, self._ending, self._limits)

    def _ending(self):
        return self._process.stdout.readline().strip() or 'FAILED: the process died'

    def stop(self):
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder)


if __name__ == '__main__':
    work(sys.argv[1])
