"""Versions of a model: how they are numbered, checked, warmed up and described."""

import collections
import json
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.errors import GazeError
from gaze_tf.export import examples, export, model_card, self_check, signatures, warmup
from gaze_tf.files import new_folder
from gaze_tf.inference.network import Network
from gaze_tf.training import checkpoints
from tests import served, tiny
from tests.paths import DATA, ROOT

PORTRAIT = DATA / 'astronaut_128.png'


@pytest.fixture(scope='module')
def model(gan_dir):
    """The model of the checkpoint; tests put back what they change."""
    return export.load_model(gan_dir)


@pytest.fixture(scope='module')
def loaded(saved_model):
    return tf.saved_model.load(str(saved_model))


def put_version(directory, name):
    """A folder that looks like a version; its file."""
    path = directory / name / 'saved_model.pb'
    path.parent.mkdir(parents=True)
    path.write_bytes(name.encode())
    return path


def test_the_next_version_appears_when_it_is_whole(gan_dir, saved_model, tmp_path, capsys, monkeypatch):
    """Without tensorflow-serving-api, too."""
    monkeypatch.setitem(sys.modules, 'tensorflow_serving', None)
    others = [put_version(tmp_path, name) for name in ('2', '9')]
    (tmp_path / '.3.left').mkdir()  # by an export that was killed
    seen = []

    def check(loaded, *_):
        assert 'correct' in loaded.signatures
        seen.extend(path.name for path in tmp_path.iterdir() if not path.name.startswith('.'))

    monkeypatch.setattr(export, 'check', check)
    # a smaller version: `saved_model` has all signatures, and was checked
    monkeypatch.setattr(export, 'serving_module', lambda model: served.module_of(model, 'correct'))
    monkeypatch.setattr(export, 'signatures_of', lambda module: {'correct': module.correct})
    assert main(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=tmp_path)]) == 0
    assert sorted(seen) == ['2', '9']
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.3.left', '10', '2', '9']
    assert [path.read_bytes() for path in others] == [b'2', b'9']
    out = capsys.readouterr().out
    assert f'version 10: {tmp_path}/10\n' in out and 'gaze_tf[serving]' in out
    assert {path.name for path in saved_model.iterdir()} - {path.name for path in (tmp_path / '10').iterdir()} == {
        'assets.extra'
    }
    # a server runs as somebody else
    assert (tmp_path / '10').stat().st_mode & 0o777 == (tmp_path / '2').stat().st_mode & 0o777


@pytest.mark.parametrize('content', ['saved_model.pb', 'notes.txt', '1', '007/saved_model.pb', 'v1/saved_model.pb'])
def test_a_folder_with_something_else_is_left_alone(gan_dir, tmp_path, capsys, content):
    path = tmp_path / 'model' / content
    path.parent.mkdir(parents=True)
    path.write_text('precious')
    put_version(tmp_path / 'model', '3')
    before = sorted(tmp_path.rglob('*'))
    assert main(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=tmp_path / 'model')]) == 1
    error = capsys.readouterr().err
    assert '--output_dir' in error and content.split('/')[0] in error and error.count('\n') == 1
    assert sorted(tmp_path.rglob('*')) == before and path.read_text() == 'precious'


def test_a_file_is_no_folder_of_versions(gan_dir, tmp_path, capsys):
    (tmp_path / 'model').write_text('precious')
    assert main(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=tmp_path / 'model')]) == 1
    assert f'--output_dir={tmp_path}/model cannot be used: Not a directory' in capsys.readouterr().err
    assert (tmp_path / 'model').read_text() == 'precious'


def test_two_exports_that_take_the_same_number(tmp_path):
    with pytest.raises(GazeError, match='2: another program has made this meanwhile'):
        with new_folder(tmp_path / '2') as slow:
            with new_folder(tmp_path / '2') as fast:
                (fast / 'saved_model.pb').write_text('fast')
            (slow / 'saved_model.pb').write_text('slow')
    assert (tmp_path / '2/saved_model.pb').read_text() == 'fast'
    assert [path.name for path in tmp_path.iterdir()] == ['2']


def test_the_newest_version_is_taken(saved_model, loaded, tmp_path):
    put_version(tmp_path, '9').with_name('config.json').write_text('{}')
    shutil.copytree(saved_model, tmp_path / '10')
    (tmp_path / '11').mkdir()
    face = examples.examples(tiny.MODEL, 1)['correct']
    expected = loaded.signatures['correct'](**{key: tf.constant(value) for key, value in face.items()})['images']
    np.testing.assert_array_equal(Network(tmp_path).correct(**face), expected)
    with pytest.raises(GazeError, match=f'There is no SavedModel in {tmp_path / "11"}'):
        Network(tmp_path / '11')


def test_examples_are_the_portrait_and_its_mirror_image():
    assert examples.FACE.read_bytes() == PORTRAIT.read_bytes()
    found = examples.examples(tiny.MODEL, 3)
    encoded, face = found['correct_encoded'], found['correct']
    photos = [tf.io.decode_image(file).numpy().astype(int) for file in encoded['image']]
    portrait = np.asarray(Image.open(PORTRAIT)).astype(int)
    assert np.abs(photos[0] - portrait).mean() < 4  # a JPEG, with colors at half the resolution
    np.testing.assert_array_equal(photos[1], portrait[:, ::-1])
    # tests/data/README.md has the eyes
    np.testing.assert_array_equal(encoded['eyes'], [[39, 44, 89, 47], [39, 47, 89, 44], [39, 44, 89, 47]])
    np.testing.assert_array_equal(face['eyes'], encoded['eyes'] / 4)
    np.testing.assert_array_equal(face['images'][1], face['images'][0][:, ::-1])
    assert np.abs(face['images'][0] - portrait.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))).mean() < 5


@pytest.mark.parametrize(
    'network, noticed',
    [
        ('g_x', "'serving_default'"),
        ('g_y', "'animate'"),
        ('content_encoder', "'"),
        ('angle_encoder', "'animate'|'encode'"),
    ],
)
def test_another_weight_is_noticed(model, loaded, network, noticed):
    functions = signatures.signatures_of(signatures.serving_module(model))
    variable = max(getattr(model, network).trainable_variables, key=lambda variable: variable.shape.num_elements())
    before = variable.numpy()
    try:
        tiny.randomize([variable], seed=1, scale=0.1)
        with pytest.raises(GazeError, match=f'no version was left behind: .* of .*({noticed}).* differs by up to'):
            self_check.check(loaded, model, functions)
        variable.assign(np.full_like(before, np.nan))
        with pytest.raises(GazeError, match='not finite'):
            self_check.check_finite(model)
    finally:
        variable.assign(before)


def test_a_missing_signature_is_noticed(model, loaded):
    functions = signatures.signatures_of(signatures.serving_module(model))
    with pytest.raises(GazeError, match='it has the signatures .*correct'):
        self_check.check(loaded, model, {**functions, 'another': None})


def test_nothing_is_left_of_a_version_that_is_refused(model, tmp_path, capsys):
    variable = model.g_y.trainable_variables[0]
    before = variable.numpy()
    variable.assign(before * np.inf)
    networks = checkpoints.serving_networks(model)
    (tmp_path / 'run').mkdir()
    checkpoints.write_first(tmp_path / 'run', tf.train.Checkpoint(model=networks), model=model.config)
    variable.assign(before)
    put_version(tmp_path / 'model', '1')
    assert main(['export', *tiny.arguments(checkpoint=tmp_path / 'run', output_dir=tmp_path / 'model')]) == 1
    error = capsys.readouterr().err
    assert 'animated eyes are not finite' in error and error.count('\n') == 1
    assert [path.name for path in (tmp_path / 'model').iterdir()] == ['1']


def test_warm_up_requests(saved_model, loaded):
    """Each gives what faces one by one give, and there is one for each signature and size."""
    from tensorflow_serving.apis import prediction_log_pb2

    alone = [examples.examples(tiny.MODEL, 2), examples.examples(tiny.MODEL, 2)]
    alone = [
        {name: {key: value[index : index + 1] for key, value in inputs.items()} for name, inputs in found.items()}
        for index, found in enumerate(alone)
    ]
    expected = {
        name: [function(**{key: tf.constant(value) for key, value in found[name].items()}) for found in alone]
        for name, function in loaded.signatures.items()
    }
    records = list(
        tf.data.TFRecordDataset(str(saved_model / 'assets.extra/tf_serving_warmup_requests')).as_numpy_iterator()
    )
    count = collections.Counter()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(proto)) for key, proto in request.inputs.items()}
        (batch,) = {len(value) for value in inputs.values()}
        count[name, batch] += 1
        for key, values in loaded.signatures[name](**inputs).items():
            single = np.concatenate([expected[name][index % 2][key] for index in range(batch)])
            if values.dtype == tf.string:
                values, single = (
                    np.stack([tf.io.decode_png(file) for file in files]) for files in (values.numpy(), single)
                )
            assert np.shape(values) == single.shape
            np.testing.assert_allclose(np.asarray(values, float), single, atol=1 if single.dtype == np.uint8 else 1e-4)
    assert count == {(name, batch): 1 for name in loaded.signatures for batch in (1, 2, 4, 8)}
    assert len(records) <= 1000 and request.model_spec.name


def test_the_server_is_warmed_up_for_the_batches_that_it_makes():
    config = (ROOT / 'serving' / 'batching.config').read_text()
    assert [int(size) for size in re.findall(r'^allowed_batch_sizes: (\d+)$', config, re.MULTILINE)] == list(
        warmup.BATCH_SIZES
    )


def test_the_model_card_tells_the_facts(saved_model, records_dir, loaded):
    text = (saved_model / 'MODEL_CARD.md').read_text()
    for fact in (
        '32 x 32 pixels',
        'boxes of 13 x 9',
        '6 steps of `gaze-tf train` with',
        '\nlr_d=0.001\n',
        '\ncode_size=4\n',
        'not averaged',
        '6 faces of X train',
        '2 faces of Y test',
        f'TensorFlow {tf.__version__}',
        'compute in float32',
        '| 6 |',
        json.loads((records_dir / 'manifest.json').read_text())['fingerprint'],
        'Version 1.',
        '`frames` uint8 [B, K, 32, 32, 3] |',
        '| `angle` float32 [B, 2], `content` float32 [B, 8] |',
    ):
        assert fact in text, fact
    assert set(re.findall(r'^\| (\w+) \| `', text, re.MULTILINE)) == set(loaded.signatures)
    assert text.count('**to fill in**') >= 4 and str(records_dir.parent.parent) not in text and '{' not in text


@pytest.fixture
def card(saved_model, loaded, model, tmp_path):
    """Path of a run → the text of its card."""

    def write(run):
        model_card.write(tmp_path, 1, checkpoints.latest(run), model, loaded.signatures, 'float32')
        return (tmp_path / 'MODEL_CARD.md').read_text()

    shutil.copytree(saved_model / 'variables', tmp_path / 'variables')
    return write


def test_the_same_run_elsewhere_has_the_same_card(saved_model, gan_dir, card, tmp_path):
    run = shutil.copytree(gan_dir, tmp_path / 'run')
    logs = sorted((run / 'tensorboard').iterdir())
    logs[-1].write_bytes(logs[-1].read_bytes() + b'half a record')  # as a run that was killed leaves it
    assert card(run) == (saved_model / 'MODEL_CARD.md').read_text()


def test_what_is_not_known_is_not_told(gan_dir, model, card, tmp_path):
    run = tmp_path / 'imported'
    run.mkdir()
    checkpoints.write_first(run, tf.train.Checkpoint(model=checkpoints.serving_networks(model)), model=model.config)
    text = card(run)
    assert 'Not known: the weights come from another program' in text and 'Data: not known' in text
    assert 'Not measured' in text and 'batch_size' not in text
    (run / 'records.json').write_text('{"img_size": 32')
    assert card(run) == text
