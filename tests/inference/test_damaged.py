"""Files of a model that are cut short, edited by hand or hostile: one sentence names the file; and what errors say."""

import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.checkpoint_index import UNREADABLE, open_checkpoint
from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.errors import GazeError, first_line
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference import network as network_lib
from gaze_tf.inference.network import Network
from gaze_tf.training import checkpoints
from tests import tiny

DATA = 'variables/variables.data-00000-of-00001'


@pytest.fixture
def version(saved_model, tmp_path):
    return shutil.copytree(saved_model, tmp_path / '1')


def edited(**changes):
    """A change to config.json."""
    return lambda text: json.dumps({'model': {**json.loads(text)['model'], **changes}})


@pytest.mark.parametrize(
    'name, change',
    [
        ('saved_model.pb', lambda content: content[: len(content) // 2]),
        ('saved_model.pb', lambda content: b''),
        ('variables/variables.index', lambda content: content[:-9]),
        (DATA, lambda content: content[:-9]),
        (DATA, lambda content: b''),
        ('config.json', lambda content: b'[' * 100_000),
        ('config.json', lambda content: b'{"model": ' * 5_000),
        ('config.json', lambda content: b'{"model": null}'),
        ('config.json', lambda content: b'{}'),
        ('config.json', lambda content: b'\xff'),
        ('config.json', lambda content: b'{"model": {"img_size": %s}}' % (b'9' * 5000)),
        ('config.json', lambda content: edited(img_size=64)(content).encode()),
        ('config.json', lambda content: edited(**{'\x1b[31m': 1})(content).encode()),
    ],
)
def test_a_saved_model_that_is_damaged(version, name, change):
    path = version / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(GazeError) as caught:
        Network(version)
    text = str(caught.value)
    assert name in text and text.isprintable() and 'choose another version or export it again' in text


def test_what_somebody_raises_without_a_word(tmp_path, version, monkeypatch):
    assert first_line(ValueError()) == 'ValueError' and first_line(ValueError('\n a\nb')) == 'a'

    def silent(*_):
        raise ValueError

    (tmp_path / 'x.index').touch()
    monkeypatch.setattr('gaze_tf.checkpoint_reader.open_checkpoint', silent)
    with pytest.raises(GazeError, match='ValueError'):
        CheckpointReader(tmp_path / 'x')
    monkeypatch.setattr(tf.saved_model, 'load', silent)
    with pytest.raises(GazeError, match='cannot be used .ValueError'):
        Network(version)


def test_a_message_does_nothing_to_a_terminal():
    assert str(GazeError('no \x1b[31m\u202e\udcff\nfile')) == 'no \\x1b[31m\\u202e\\udcff\nfile'


def test_a_configuration_that_is_nested_deeply(tmp_path):
    (tmp_path / 'config.json').write_text('[' * 100_000)
    with pytest.raises(GazeError, match='config.json is not a configuration'):
        config.load(tmp_path / 'config.json')


def test_more_faces_and_frames_than_a_model_takes_at_once(saved_model, monkeypatch):
    rng = np.random.default_rng(1)
    images, eyes = rng.integers(0, 256, (70, tiny.SIZE, tiny.SIZE, 3), np.uint8), tiny.eyes_of(rng, 70)
    alphas = np.linspace(0, 1, 40)
    found = Network(saved_model)
    corrected, codes = found.correct(images, eyes), found.encode(images, eyes)
    frames = found.animate(images[:2], eyes[:2], alphas)
    assert (
        corrected.shape == images.shape and frames.shape == (2, 40, *images.shape[1:]) and len(codes['content']) == 70
    )
    monkeypatch.setattr(network_lib, '_ROWS', 7)
    monkeypatch.setattr(network_lib, '_ALPHAS', 3)
    assert tiny.same_pixels(found.correct(images, eyes), corrected)
    assert tiny.same_pixels(found.animate(images[:2], eyes[:2], alphas), frames)
    np.testing.assert_allclose(found.encode(images, eyes)['content'], codes['content'], atol=1e-5)


@pytest.mark.parametrize(
    'why, remedy',
    [
        ('libGL.so.1: cannot open shared object file: No such file or directory', 'apt-get install libgl1 '),
        ('libGLESv2.so.2: cannot open shared object file: No such file or directory', 'apt-get install libgles2 '),
        ('libgthread-2.0.so.0: cannot open shared object file', 'apt-get install libglib2.0-0 '),
        ('libnew.so.1: cannot open shared object file', 'package of your system with libnew'),
        ("No module named 'mediapipe'", "pip install 'gaze_tf[faces]'"),
    ],
)
def test_mediapipe_that_cannot_be_imported(monkeypatch, why, remedy):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.startswith('mediapipe'):
                raise ImportError(why)

    monkeypatch.setattr(sys, 'meta_path', [Finder, *sys.meta_path])
    for name in [name for name in list(sys.modules) if name.startswith('mediapipe')]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(GazeError) as caught:
        mediapipe_detector.MediapipeDetector()
    assert why in str(caught.value) and remedy in str(caught.value) and '`eyes`' in str(caught.value)


def checksum(content):
    """The masked CRC-32C of a table's block."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, 'little')


@pytest.mark.parametrize(
    'old, new',
    [
        (b'\x12\x04\x12\x02\x08\x03', b'\x12\x04\x12\x02\x08\x83'),  # a number that does not end
        (b'\x08\x01\x12\x04', b'\x08\x50\x12\x04'),
    ],
)  # a type that is not known
def test_an_index_that_would_end_tensorflow(tmp_path, old, new):
    prefix = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0, 3.0])).write(str(tmp_path / 'step-1'))
    assert open_checkpoint(prefix).get_variable_to_shape_map()['v/.ATTRIBUTES/VARIABLE_VALUE'] == [3]
    path = tmp_path / 'step-1.index'
    content = path.read_bytes()
    # the block of the entries is the first, and its checksum follows it and the byte of its compression
    end = content.index(checksum(content[: content.index(b'\0\0\0\0\1\0\0\0') + 9]))
    block = content[:end].replace(old, new)
    assert block != content[:end]
    path.write_bytes(block + checksum(block) + content[end + 4 :])
    with pytest.raises(ValueError, match='an entry cannot be read|unknown type'):
        open_checkpoint(prefix)
    with pytest.raises(GazeError, match='step-1.index is broken'):
        checkpoints.latest(tmp_path)


def test_an_index_that_is_cut_short(tmp_path):
    prefix = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0, 3.0])).write(str(tmp_path / 'step-1'))
    path = tmp_path / 'step-1.index'
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(UNREADABLE):
            open_checkpoint(prefix)
