"""A tiny data set and a tiny trained run, made once by the real commands."""

import fcntl
import importlib.util
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# XLA's optimisations of machine code take most of the time that compiling takes, and change no result
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true')

import pytest

from gaze_tf.cli.main import main  # before TensorFlow, as gaze_tf says how that is to start

# isort: split
import numpy as np
import tensorflow as tf
from PIL import Image

from gaze_tf.export import export
from tests import tiny

TRAIN = {
    'steps': 6,
    'batch_size': 2,
    'lr_d': 1e-3,
    'lr_g': 1e-3,
    'decay_start': 2,
    'decay_every': 1,
    'lam_p': 0,
    'save_every': 2,
    'keep': 2,
    'log_every': 2,
    'image_every': 3,
    'xla': 'off',
}
# what the paper does not have: palettes, twins, averages of all that learns, altered faces
EXTENDED = {'palette': 2, 'lam_twin': 3, 'tune_content': True, 'ema': 0.5, 'aug_noise': 1}
PRETRAIN = {'steps': 4, 'batch_size': 2, 'save_every': 2, 'keep': 2, 'log_every': 2, 'image_every': 2, 'xla': 'off'}


# Long files first: one worker begins with the guard, the other with the next one, and none is left with a long file.
FIRST = (
    'test_guard.py',
    'test_distribution.py',
    'test_survival.py',
    'test_options.py',
    'test_parity.py',
    'test_training.py',
)
# Fixtures that train. A test that uses one, or trains by itself, has the mark `trains`.
TRAINED = {'train_command', 'pretrain_command', 'pam_dir', 'gan_dir', 'extended_dir', 'trained'}
# SavedModels that stay loaded
KEPT = 4


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
    for item in items:
        if TRAINED.intersection(item.fixturenames):
            item.add_marker('trains')


def why_no_face_models(version, find_spec):
    """Why tests that find faces with the models inside mediapipe are skipped under a version of Python.

    Only where no release with models can be installed; elsewhere it is '', so that those tests fail without them.
    """
    if version < (3, 13) or (find_spec('mediapipe') and find_spec('mediapipe.python')):
        return ''
    return 'mediapipe comes without models that find faces, as its releases for Python 3.13 do'


@pytest.fixture(scope='session')
def face_models():
    """What tests use that find faces with the models inside mediapipe."""
    if reason := why_no_face_models(sys.version_info, importlib.util.find_spec):
        pytest.skip(reason)


@pytest.fixture
def eagerly():
    """`tiny.eagerly` for a whole test."""
    with tiny.eagerly():
        yield


@pytest.fixture(scope='session', autouse=True)
def load_once():
    """A SavedModel that is loaded again, with none of its files changed, is not read and optimized again."""
    load, kept = tf.saved_model.load, {}

    def load_once(path, *args, **kwargs):
        if args or kwargs:
            return load(path, *args, **kwargs)
        # not by its path: an export is loaded once to be checked, and then renamed
        files = sorted((file.relative_to(path), file.stat()) for file in pathlib.Path(path).rglob('*'))
        state = tuple((file, stat.st_ino, stat.st_size, stat.st_mtime_ns) for file, stat in files)
        if state not in kept:
            kept[state] = load(path)
            for oldest in list(kept)[:-KEPT]:
                del kept[oldest]
        return kept[state]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, 'load', load_once)
        yield


@pytest.fixture(scope='session', autouse=True)
def unsynced():
    """Files need not reach the disk, as no test cuts the power: with checkpoints of 100 MB that takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, 'fsync', lambda file: None)
        yield


@pytest.fixture(scope='session')
def made_once(tmp_path_factory, request):
    """name, make → a folder that make(folder) has filled, in whichever of pytest-xdist's workers came first."""
    parallel = hasattr(request.config, 'workerinput')
    root = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.mktemp('runs')

    def folder_of(name, make):
        folder, done = root / name, root / f'{name}.done'
        with open(root / f'{name}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope='session')
def faces_dir(tmp_path_factory):
    """A raw folder of 8 + 7 faces."""
    return tiny.write_faces(tmp_path_factory.mktemp('faces'), {'1': 8, '0': 7})


@pytest.fixture(scope='session')
def records_dir(made_once, faces_dir):
    """It, prepared: 6 + 5 faces to train on, 2 + 2 to test."""

    def prepare(folder):
        options = tiny.arguments(data_dir=faces_dir, output_dir=folder, img_size=tiny.SIZE, test_x=2, test_y=2)
        assert main(['prepare', *options]) == 0

    return made_once('records', prepare)


@pytest.fixture(scope='session')
def pretrain_command(records_dir):
    """output_dir and changes to flags → the command line of a pretraining run of 4 steps."""
    return lambda output_dir, **changes: [
        'pretrain',
        *tiny.model_arguments(
            tiny.ENCODER, **{'data_dir': records_dir, 'output_dir': output_dir, **PRETRAIN, **changes}
        ),
    ]


@pytest.fixture(scope='session')
def pam_dir(made_once, pretrain_command):
    """A finished pretraining run."""

    def pretrain(folder):
        assert main(pretrain_command(folder)) == 0

    return made_once('pam', pretrain)


@pytest.fixture(scope='session')
def train_command(records_dir, pam_dir):
    """output_dir and changes to flags → the command line of a training run of 6 steps."""
    return lambda output_dir, **changes: [
        'train',
        *tiny.model_arguments(
            tiny.MODEL,
            **{'data_dir': records_dir, 'output_dir': output_dir, 'pam_checkpoint': pam_dir, **TRAIN, **changes},
        ),
    ]


@pytest.fixture(scope='session')
def gan_dir(made_once, train_command):
    """A finished training run, not compiled."""

    def train(folder):
        with tiny.eagerly():
            assert main(train_command(folder)) == 0

    return made_once('gan', train)


@pytest.fixture(scope='session')
def twin_records(made_once, tmp_path_factory):
    """Records of 6 and 5 faces, of which 2 and 2 to test; the twin of each Y is its negative."""

    def prepare(folder):
        raw = tiny.write_faces(tmp_path_factory.mktemp('twins') / 'faces', {'1': 6, '0': 5})
        (raw / 'twins').mkdir()
        for path in (raw / '0').iterdir():
            Image.fromarray(255 - np.array(Image.open(path))).save(raw / 'twins' / path.name, quality=95)
        options = tiny.arguments(data_dir=raw, output_dir=folder, img_size=tiny.SIZE, test_x=2, test_y=2)
        assert main(['prepare', '--twins', *options]) == 0

    return made_once('twin_records', prepare)


@pytest.fixture(scope='session')
def extended_command(train_command, twin_records):
    """`train_command` with EXTENDED."""
    return lambda output_dir, **changes: train_command(
        output_dir, **{'data_dir': twin_records, **EXTENDED, 'keep': 9, **changes}
    )


@pytest.fixture(scope='session')
def extended_dir(made_once, extended_command):
    """A run of 4 steps, resumed after 2, with all of them kept."""

    def train(folder):
        with tiny.eagerly():
            for steps in (2, 4):
                command = extended_command(folder, steps=steps, save_every=1, log_every=1, image_every=2)
                assert main(command) == 0

    return made_once('extended', train)


@pytest.fixture(scope='session')
def extended_model(made_once, extended_dir):
    """It, exported without the signatures that take files; a folder with version 1."""

    def write(folder):
        with tiny.bare_exports('correct', 'animate', 'encode', 'paint'):
            assert export.export(extended_dir, folder).averaged

    return made_once('extended_model', write)


@pytest.fixture(scope='session')
def model_dir(made_once, gan_dir):
    """It, exported: a folder with version 1."""

    def export(folder):
        assert main(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=folder)]) == 0

    return made_once('saved_model', export)


@pytest.fixture(scope='session')
def saved_model(model_dir):
    """That version."""
    return model_dir / '1'


@pytest.fixture(scope='session')
def rendered_dir(made_once):
    """A rendered raw folder of 8 + 11 faces with truth.csv and twins, of which 4 + 8 are rendered for testing."""
    from tests import rendered  # it starts TensorFlow

    return made_once('rendered', rendered.render)
