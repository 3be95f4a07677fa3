"""The model that comes with gaze_tf: its files, and every way to use it."""

import dataclasses
import json
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.config import load as load_config
from gaze_tf.data.records import file_sha256
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.errors import GazeError
from gaze_tf.evaluation.report import provenance
from gaze_tf.export.examples import ALPHAS, examples
from gaze_tf.inference.network import Network
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.pretrained import weights
from gaze_tf.training import checkpoints
from tests import photos, tiny
from tests.paths import ROOT
from tests.shipped import shipped_once  # noqa: F401
from tools import pack_pretrained

FOLDER = ROOT / 'gaze_tf' / 'pretrained'
FILES = 'people.npz', 'people.json', 'MODEL_CARD.md'
PORTRAIT_EYES = 128, 100.5, 172, 103  # by hand: tests/data/README.md


@pytest.fixture(scope='module')
def network(shipped_once):  # noqa: F811
    return Network()


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """The folder of version 1."""
    folder = tmp_path_factory.mktemp('pretrained') / 'saved_model'
    assert main(['export', '--pretrained', f'--output_dir={folder}']) == 0
    return folder / '1'


def made(seed=1, **changes):
    """A tiny GazeModel with weights of its own."""
    model = GazeModel(dataclasses.replace(tiny.MODEL, **changes), native_crops=False, discriminators=False)
    tiny.randomize([variable for each in model.serving_networks.values() for variable in each.variables], seed)
    return model


@pytest.fixture(scope='module')
def model():
    """A model; tests put back what they change."""
    return made()


@pytest.fixture(scope='module')
def packed_once(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp('packed') / 'packed'
    weights.pack(model, folder)
    return folder


@pytest.fixture
def packed(packed_once, tmp_path):
    """A folder with the files of a tiny model."""
    return shutil.copytree(packed_once, tmp_path / 'packed')


def assert_rounded(after, before):
    """Large kernels are multiples of 1/127 of the largest weight of an index of their last axis, others are float16."""
    if before.size < 2**15:
        np.testing.assert_array_equal(after, before.astype(np.float16))
    else:
        step = np.abs(before).max(axis=tuple(range(before.ndim - 1))) / 127
        assert np.all(np.abs(after - before) <= 0.5 * step + 1e-3 * np.abs(before) + 1e-7)
        assert np.abs(after - before).max() > 0


@pytest.mark.parametrize('palette', [0, 2])
def test_packed_weights_are_the_models_rounded(model, tmp_path, palette):
    model = made(palette=palette) if palette else model
    size = weights.pack(model, tmp_path)
    assert size == (tmp_path / 'people.npz').stat().st_size
    loaded = weights.load_model(tmp_path)
    assert loaded.config == model.config and set(loaded.serving_networks) == set(model.serving_networks)
    for name, own in model.serving_networks.items():
        for before, after in zip(own.variables, loaded.serving_networks[name].variables):
            assert after.dtype == tf.float32
            assert_rounded(after.numpy(), before.numpy())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['people.json', 'people.npz']


def test_the_same_weights_give_the_same_files(packed, tmp_path):
    """Although Keras gives the layers of the second model other names."""
    weights.pack(weights.load_model(packed), tmp_path)
    for name in ('people.npz', 'people.json'):
        assert (tmp_path / name).read_bytes() == (packed / name).read_bytes()


def test_names_stay_what_they_are(model, packed):
    """Files of earlier versions have these."""
    with np.load(packed / 'people.npz') as arrays:
        found = {name: arrays[name].shape for name in arrays.files}
    # ngf and nef 2, doubled by each layer; boxes of 13 x 9 are crops of 8
    expected = {
        'content_encoder/00/kernel': (7, 7, 3, 2),
        'content_encoder/04/bias': (4,),
        'angle_encoder/00/kernel': (7, 7, 6, 2),
        'g_x/encoder/00/kernel': (7, 7, 6, 2),
        'g_x/encoder/01/gamma': (2,),
        'g_y/decoder/00/kernel': (256 + 2 + 8, 16384),
    }
    assert {name: found[name] for name in expected} == expected
    variables = [name for name in found if not name.endswith('.scale')]
    assert len(variables) == len([variable for each in model.serving_networks.values() for variable in each.variables])
    assert found['g_y/decoder/00/kernel.scale'] == (16384,) and 'g_x/encoder/00/kernel.scale' not in found


@pytest.mark.parametrize(
    'value, limit, message',
    [
        (1e5, 25, 'g_x/encoder/00/kernel holds values that are not finite'),
        (np.nan, 25, 'g_x/encoder/00/kernel holds values that are not finite'),
        (1, 0.1, 'may carry 0.1 MB at most'),
    ],
)
def test_what_may_not_be_packed(model, tmp_path, monkeypatch, value, limit, message):
    kernel = model.g_x.encoder.variables[0]
    before = kernel.numpy()
    kernel.assign(np.full(kernel.shape, value))
    monkeypatch.setattr(weights, 'MAX_MB', limit)
    try:
        with pytest.raises(GazeError, match=message):
            weights.pack(model, tmp_path / 'packed')
    finally:
        kernel.assign(before)
    assert not (tmp_path / 'packed').exists()


def spoil(folder, how):
    """Damages the files of a model."""
    path = folder / 'people.npz'
    content = path.read_bytes()
    if how == 'missing':
        path.unlink()
    elif how == 'cut':
        path.write_bytes(content[: len(content) // 2])
    elif how == 'a bit':
        at = content.index(b'g_y/decoder/00/kernel') + 5000
        path.write_bytes(content[:at] + bytes([content[at] ^ 8]) + content[at + 1 :])
    elif how in ('empty', 'text'):
        path.write_bytes({'empty': b'', 'text': b'version https://git-lfs.github.com/spec/v1\n'}[how])
    elif how == 'no configuration':
        (folder / 'people.json').unlink()
    elif how == 'other sizes':
        config = json.loads((folder / 'people.json').read_text())
        config['model']['code_size'] = 6
        (folder / 'people.json').write_text(json.dumps(config))
    elif how == 'other layers':
        config = json.loads((folder / 'people.json').read_text())
        config['model']['palette'] = 2
        (folder / 'people.json').write_text(json.dumps(config))


@pytest.mark.parametrize(
    'how, message',
    [
        ('missing', 'people.npz is missing'),
        ('cut', 'people.npz is damaged'),
        ('a bit', 'people.npz is damaged'),
        ('empty', 'people.npz is damaged'),
        ('text', 'people.npz is damaged'),
        ('no configuration', 'people.json is missing or damaged'),
        ('other sizes', r'another model than people.json \(first difference: \S+/(kernel|bias)\)'),
        ('other layers', r'another model than people.json \(first difference: palette_encoder/00/bias\)'),
    ],
)
def test_files_that_cannot_be_used(packed, how, message):
    spoil(packed, how)
    with pytest.raises(
        GazeError, match=f'^The model that comes with gaze_tf cannot be loaded: .*{message}. Install'
    ) as error:
        weights.load_model(packed)
    assert '\n' not in str(error.value)


def test_the_tool_packs_a_checkpoint(gan_dir, tmp_path, monkeypatch, capsys):
    values = types.SimpleNamespace(checkpoint=str(gan_dir), output=f'{tmp_path}/packed')
    monkeypatch.setattr(pack_pretrained, 'flags', types.SimpleNamespace(FLAGS=values))
    pack_pretrained.main(['pack_pretrained'])
    assert capsys.readouterr().out.startswith(f'{tmp_path}/packed/people.npz: ')
    own = GazeModel(load_config(gan_dir / 'config.json')['model'], discriminators=False)
    checkpoints.restore_serving(checkpoints.latest(gan_dir), own)
    found = weights.load_model(tmp_path / 'packed')
    for before, after in zip(own.g_y.variables, found.g_y.variables):
        assert_rounded(after.numpy(), before.numpy())


def test_the_tool_refuses_what_is_no_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'tools.pack_pretrained', f'--checkpoint={tmp_path}', f'--output={tmp_path}/none'],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={'PYTHONPATH': str(ROOT), 'PATH': ''},
    )
    assert done.returncode == 1 and 'There is no checkpoint' in done.stderr and 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_package_carries_it(tmp_path):
    assert sum((FOLDER / name).stat().st_size for name in FILES) < 25e6
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build_py', f'--build-lib={tmp_path}'],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in FILES:
        assert (tmp_path / 'gaze_tf' / 'pretrained' / name).read_bytes() == (FOLDER / name).read_bytes()


def test_it_corrects_a_portrait(network):
    with Image.open(photos.PORTRAIT) as image:
        before = np.array(image.convert('RGB'))
    edited = GazeEditor(network).correct(photos.PORTRAIT, eyes=PORTRAIT_EYES)
    assert edited.image.shape == before.shape and edited.image.dtype == np.uint8 and edited.faces[0].done
    changed = (edited.image != before).any(-1)
    y, x = np.mgrid[: before.shape[0], : before.shape[1]] + 0.5
    for eye_x, eye_y in np.reshape(PORTRAIT_EYES, (2, 2)):
        around = np.maximum(abs(x - eye_x), abs(y - eye_y))
        assert changed[around < 4].mean() > 0.5
        changed &= around > 22  # half of the way from eye to eye
    assert not changed.any()


def test_it_is_what_is_taken_without_a_path(network, tmp_path):
    expected = GazeEditor(network).correct(photos.PORTRAIT, eyes=PORTRAIT_EYES).image
    np.testing.assert_array_equal(GazeEditor.load().correct(photos.PORTRAIT, eyes=PORTRAIT_EYES).image, expected)
    eyes = f'--eyes={",".join(map(str, PORTRAIT_EYES))}'
    assert main(['correct', f'--input={photos.PORTRAIT}', f'--output={tmp_path}/corrected.png', eyes]) == 0
    with Image.open(tmp_path / 'corrected.png') as image:
        np.testing.assert_array_equal(np.array(image.convert('RGB')), expected)
    assert main(['animate', f'--input={photos.PORTRAIT}', f'--output={tmp_path}/animated.gif', eyes, '--frames=3']) == 0
    with Image.open(tmp_path / 'animated.gif') as image:
        assert image.size == (300, 300) and image.n_frames > 2


@pytest.mark.parametrize('command', ['correct', 'animate', 'evaluate'])
def test_the_help_names_it(capsys, command):
    assert main([command, '--help']) == 0
    shown = ' '.join(capsys.readouterr().out.partition('--model: ')[2].partition('\n  -')[0].split())
    assert 'comes with gaze_tf' in shown


@pytest.mark.slow
def test_an_exported_version_computes_the_same(network, exported):
    other = Network(exported)
    assert other.config == network.config and other.img_size == network.img_size
    face = examples(network.config, 2)['correct']
    np.testing.assert_array_equal(network.correct(**face), other.correct(**face))
    np.testing.assert_array_equal(network.animate(**face, alphas=ALPHAS), other.animate(**face, alphas=ALPHAS))
    ours, theirs = network.encode(**face), other.encode(**face)
    assert set(ours) == set(theirs) == {'content', 'palette', 'angle'}
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    codes = network.paint_codes(**face)
    np.testing.assert_array_equal(network.paint(**face, codes=codes[::-1]), other.paint(**face, codes=codes[::-1]))
    np.testing.assert_array_equal(network.boxes(face['eyes'][0]), other.boxes(face['eyes'][0]))
    assert network.correct(**face).shape == face['images'].shape and np.any(network.correct(**face) != face['images'])


@pytest.mark.slow
def test_an_exported_version_is_whole(exported):
    assert (exported / 'assets.extra' / 'tf_serving_warmup_requests').is_file()
    card = (exported / 'MODEL_CARD.md').read_text(encoding='utf-8')
    assert card.startswith((FOLDER / 'MODEL_CARD.md').read_text(encoding='utf-8'))
    for fact in (
        'Version 1, written by `gaze-tf export --pretrained`',
        'compute in float32',
        '| `image_bytes` string [B] |',
        f'TensorFlow {tf.__version__}',
        '* `eyes`: left_x',
    ):
        assert fact in card, fact


@pytest.mark.slow
def test_lite_takes_it(network, tmp_path, monkeypatch):
    # test_lite.py is about both files
    monkeypatch.setattr('gaze_tf.export.lite.FILES', {'gaze_float16.tflite': tf.float16})
    assert main(['lite', '--pretrained', f'--output_dir={tmp_path}/lite']) == 0
    face = examples(network.config, 1)['correct']
    expected = network.correct(**face).astype(int)
    interpreter = tf.lite.Interpreter(str(tmp_path / 'lite' / 'gaze_float16.tflite'))
    found = interpreter.get_signature_runner('correct')(**face)['images']
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize('command', ['export', 'lite'])
def test_one_model_or_the_other(tmp_path, capsys, command):
    output = f'--output_dir={tmp_path}/out'
    assert main([command, '--pretrained', '--checkpoint=runs/gaze', output]) == 1
    assert 'give one of the two' in capsys.readouterr().err
    assert main([command, output]) == 1
    error = capsys.readouterr().err
    assert '--checkpoint is needed, or --pretrained' in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_a_report_tells_which_model_it_was(network):
    files = provenance.model_files(network.path)
    assert files == {name: file_sha256(FOLDER / name) for name in ('people.npz', 'people.json')}
    parameters = sum(
        variable.shape.num_elements()
        for each in weights.load_model().serving_networks.values()
        for variable in each.variables
    )
    size = sum((FOLDER / name).stat().st_size for name in files)
    assert provenance.model_size(network.path) == {'bytes': size, 'parameters': parameters}


def test_a_run_over_a_folder_goes_on_with_the_same_model(tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    shutil.copy(photos.PORTRAIT, tmp_path / 'in' / 'one.png')
    command = ['correct', f'--input={tmp_path}/in', f'--output={tmp_path}/out']
    assert main(command) == 0
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert report['photos'][0]['status'] == 'corrected'
    assert report['settings']['model'] == f'people.npz of gaze_tf, sha256 {file_sha256(FOLDER / "people.npz")}'
    assert main(command) == 0
    assert '1 of them by an earlier run' in capsys.readouterr().out
