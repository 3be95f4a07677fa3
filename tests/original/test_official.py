"""Checkpoints of the original: what is read from them, what becomes of it, and what is wrong with them."""

import dataclasses
import functools
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf import config
from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.cli.main import main
from gaze_tf.errors import GazeError
from gaze_tf.export import export
from gaze_tf.models.encoders import content_encoder
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.original import configs, convert, names
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import tiny

# each import builds a model
pytestmark = pytest.mark.slow
BOX = {'crop_w': tiny.MODEL.crop_w, 'crop_h': tiny.MODEL.crop_h}
SLOTS = {'beta1_power': (), 'beta2_power_1': (), 'global_step': (), 'vgg_16/conv1/conv1_1/weights': (3, 3, 3, 64)}


def values_of(variables, seed=3):
    """Values in the original's layout for {the original's name: our variable}, {name: array}."""
    rng, values = np.random.default_rng(seed), {}
    for name, variable in variables.items():
        shape = tuple(variable.shape)
        if name.endswith('/sn_u'):
            scope = name[: -len('sn_u')]
            kernel = values.get(f'{scope}w', values.get(f'{scope}Matrix'))
            shape = (kernel.shape[-1], kernel.size // kernel.shape[-1])
        values[name] = rng.normal(0, 0.3, shape).astype(np.float32)
    return values


def write(folder, values, name='model_000007.ckpt', state=True):
    """Writes a checkpoint as TensorFlow 1 does; returns its prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(folder / name),
        tensor_names=list(values),
        shape_and_slices=[''] * len(values),
        tensors=list(values.values()),
    )
    if state:
        # an absolute path of another machine, as in a folder that was moved
        (folder / 'checkpoint').write_text(f'model_checkpoint_path: "/home/somebody/log/{name}"\n')
    return folder / name


def with_slots(values):
    """The values and what the original's optimizers and counters add to them."""
    return {
        **values,
        **{name: np.ones(shape, np.float32) for name, shape in SLOTS.items()},
        **{
            f'{name}/{slot}': np.ones_like(value)
            for name, value in values.items()
            if '/sn_u' not in name
            for slot in ('Adam', 'Adam_1')
        },
    }


@pytest.fixture(scope='module')
def of_model():
    """Values of every network of the tiny model, by the original's names."""
    scopes = names.model_variables(any_model())
    assert set(scopes) == {'Gr', 'encode', 'Gx', 'Gy', 'Dx', 'Dy'}
    return {name: value for i, scope in enumerate(scopes.values()) for name, value in values_of(scope, i).items()}


@pytest.fixture(scope='module')
def of_pam():
    """Values of E_c and PAM's decoder."""
    return values_of(names.pam_variables(PamStep(tiny.ENCODER, config.PamConfig()).autoencoder))


def only(values, *scopes):
    return {name: value for name, value in values.items() if name.split('/')[0] in scopes}


def import_official(capsys, **options):
    status = main(['import-official', *tiny.arguments(**options)])
    return status, *capsys.readouterr()


@pytest.fixture(scope='module')
def imported_dir(of_model, tmp_path_factory):
    """A whole model, with slots, imported; the folder."""
    folder = tmp_path_factory.mktemp('official')
    write(folder / 'log', with_slots(of_model))
    command = ['import-official', *tiny.arguments(checkpoint=folder / 'log', output_dir=folder / 'out', **BOX)]
    # the SavedModel is compared below
    with tiny.bare_exports('correct'):
        assert main(command) == 0
    return folder / 'out'


@functools.cache
def any_step():
    """A step whose model is filled with values and never trained."""
    return GanStep(tiny.MODEL, config.GanConfig(lam_p=0))


def any_model():
    return any_step().model


@pytest.fixture(autouse=True)
def built_once(monkeypatch):
    """Imports fill `any_model`, as building networks takes longest; that of `imported_dir` builds its own."""
    monkeypatch.setattr(
        convert, 'GanStep', lambda model, gan: any_step() if model == tiny.MODEL else GanStep(model, gan)
    )


def corrected(values, images, eyes):
    """What a model with these values makes of faces."""
    model = any_model()
    for scope in names.model_variables(model).values():
        for name, variable in scope.items():
            if not name.endswith('/sn_u'):
                variable.assign(values[name])
    return model.correct(model.look(images, eyes)).image


def corrects_as(folder, values):
    """Whether the checkpoint in a folder corrects faces as a model with these values does."""
    images, eyes = tiny.batch(5)[:2]
    model = export.load_model(folder)
    return np.allclose(model.correct(model.look(images, eyes)).image, corrected(values, images, eyes), atol=1e-5)


def test_a_whole_model_is_imported(imported_dir, of_model):
    assert config.load(imported_dir / 'gaze/config.json') == {'model': tiny.MODEL}
    assert config.load(imported_dir / 'pam/config.json') == {'encoder': tiny.ENCODER}
    assert config.load(imported_dir / 'saved_model/1/config.json') == {'model': tiny.MODEL}
    assert sorted(path.name for path in imported_dir.iterdir()) == ['gaze', 'pam', 'saved_model', 'variables.txt']
    assert list(imported_dir.parent.glob('.*')) == []

    assert corrects_as(imported_dir / 'gaze', of_model)

    images, eyes = tiny.batch(5)[:2]
    pixels = tf.cast(tf.round((images + 1) * 127.5), tf.uint8)
    expected = corrected(of_model, tf.cast(pixels, tf.float32) / 127.5 - 1, eyes)
    correct = tf.saved_model.load(str(imported_dir / 'saved_model/1')).signatures['correct']
    found = correct(images=pixels, eyes=eyes)['images'].numpy().astype(float)
    assert np.abs(found - (expected.numpy() + 1) * 127.5).max() < 0.51


def test_every_variable_is_accounted_for(imported_dir, of_model):
    first, *lines = (imported_dir / 'variables.txt').read_text().splitlines()
    assert first.endswith('model_000007.ckpt')
    fates = dict(line.strip().split(': ', 1) for line in lines)
    assert set(fates) == set(with_slots(of_model))
    assert {name for name, fate in fates.items() if fate == 'used'} == set(of_model)
    assert fates['Gx/conv/w/Adam_1'] == fates['beta2_power_1'] == "state of the original's optimizer"
    assert 'vgg_weights' in fates['vgg_16/conv1/conv1_1/weights'] and 'step' in fates['global_step']


def test_training_can_go_on_from_it(imported_dir):
    # nothing missing and nothing left over, as `gaze-tf train` demands of what it resumes
    step = any_step()
    manager = checkpoints.manager(imported_dir / 'gaze', tf.Variable(1, dtype=tf.int64), step.checkpoint, keep=1)
    checkpoints.restore_all(manager.checkpoint, manager.latest_checkpoint)
    assert manager.latest_checkpoint.endswith('step-0') and int(step.optimizers['g_y'].iterations) == 0


@pytest.mark.parametrize(
    'changes',
    [
        {'use_sp': False, 'n_layers_d': 3, 'ndf': 5},
        {'img_size': 48, 'crop_px': 24, 'n_layers_r': 2, 'ngf': 3, 'code_size': 6, 'n_layers_e': 2, 'nef': 3},
    ],
)
def test_the_configuration_follows_from_shapes(tmp_path, changes):
    expected = dataclasses.replace(tiny.MODEL, **changes)
    variables = {
        name: variable
        for scope in names.model_variables(GazeModel(expected)).values()
        for name, variable in scope.items()
    }
    checkpoint = CheckpointReader(write(tmp_path, values_of(variables)))
    encoder = configs.encoder_config(checkpoint, configs.image_size(checkpoint), **BOX)
    assert configs.model_config(checkpoint, encoder) == expected


def test_the_vector_of_spectral_normalisation_is_the_best_of_the_original_s(of_model):
    variables = names.model_variables(any_model())['Dx']
    kernel = of_model['Dx/fc1/Matrix']
    best = np.linalg.svd(kernel)[0][:, 0]
    vectors = np.random.default_rng(0).normal(size=kernel.T.shape).astype(np.float32)
    vectors[17] = -3 * best
    values = {**of_model, 'Dx/fc1/sn_u': vectors}

    class Checkpoint:
        prefix, shapes = 'memory', values

        def value(self, name, shape):
            assert values[name].shape == tuple(shape)
            return values[name]

    convert.restore(Checkpoint(), variables)
    np.testing.assert_allclose(variables['Dx/fc1/sn_u'], -best, atol=1e-5)


@pytest.mark.parametrize('given', ['folder', 'prefix', 'index', 'data'])
def test_an_encoder_alone(of_pam, tmp_path, capsys, given):
    encoder = list(names.encoder_variables(content_encoder(tiny.ENCODER)))
    prefix = write(tmp_path / 'log', {name: of_pam[name] for name in encoder}, state=False)
    path = {
        'folder': prefix.parent,
        'prefix': prefix,
        'index': f'{prefix}.index',
        'data': f'{prefix}.data-00000-of-00001',
    }[given]
    status, out, _ = import_official(capsys, checkpoint=path, output_dir=tmp_path / 'out', img_size=tiny.SIZE, **BOX)
    assert status == 0 and f'{len(encoder)} used' in out and 'assumed' not in out
    assert config.load(tmp_path / 'out/pam/config.json') == {'encoder': tiny.ENCODER}
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['pam', 'variables.txt']


def test_an_encoder_with_its_decoder(of_pam, pretrain_command, tmp_path, capsys):
    write(tmp_path / 'log', with_slots(of_pam))
    status, out, _ = import_official(
        capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', img_size=tiny.SIZE, **BOX
    )
    assert status == 0 and f'{len(of_pam)} used' in out
    # complete: pretraining goes on from it
    assert main(pretrain_command(tmp_path / 'out/pam', steps=1)) == 0
    assert 'Resuming from' in capsys.readouterr().out


def test_a_model_whose_encoder_is_in_pam_s_checkpoint(of_model, of_pam, tmp_path, capsys, monkeypatch):
    # the SavedModel is another test's, and takes seconds
    monkeypatch.setattr(export, 'export', lambda checkpoint_dir, output_dir: None)
    write(tmp_path / 'log', only(of_model, 'encode', 'Gx', 'Gy', 'Dx', 'Dy'))
    write(tmp_path / 'pam', of_pam)
    options = {'checkpoint': tmp_path / 'log', 'output_dir': tmp_path / 'out', **BOX}
    status, _, error = import_official(capsys, **options)
    assert status == 1 and 'no content encoder' in error and '--pam' in error and not (tmp_path / 'out').exists()
    assert import_official(capsys, pam=tmp_path / 'pam', **options)[0] == 0
    assert corrects_as(tmp_path / 'out/gaze', {**of_model, **of_pam})

    # the two sources in each other's place
    options = {**options, 'checkpoint': tmp_path / 'pam', 'pam': tmp_path / 'log', 'output_dir': tmp_path / 'other'}
    status, _, error = import_official(capsys, **options)
    assert status == 1 and '--checkpoint' in error and '--pam goes with a whole model' in error


def test_of_pam_s_checkpoint_only_the_encoder_is_used(of_model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, 'export', lambda checkpoint_dir, output_dir: None)
    other = {name: value if name.startswith('Gr/') else value + 1 for name, value in of_model.items()}
    write(tmp_path / 'log', of_model)
    write(tmp_path / 'pam', other)
    assert (
        import_official(capsys, checkpoint=tmp_path / 'log', pam=tmp_path / 'pam', output_dir=tmp_path / 'out', **BOX)[
            0
        ]
        == 0
    )
    assert corrects_as(tmp_path / 'out/gaze', of_model)
    _, *log = (tmp_path / 'out/variables.txt').read_text().split(str(tmp_path / 'log'))[-1].splitlines()
    log, pam = log[: len(of_model)], log[len(of_model) + 1 :]
    assert '  Gx/conv/w: used' in log and '  Gr/conv/w: the same in --pam, used there' in log
    assert '  Gr/conv/w: used' in pam and '  Gx/conv/w: of --pam only the content encoder is used' in pam


def test_a_model_that_was_trained_with_another_encoder(of_model, of_pam, tmp_path, capsys):
    write(tmp_path / 'log', of_model)
    write(tmp_path / 'pam', of_pam)
    status, _, error = import_official(
        capsys, checkpoint=tmp_path / 'log', pam=tmp_path / 'pam', output_dir=tmp_path / 'out', **BOX
    )
    assert status == 1 and 'another Gr/' in error and 'leave out --pam' in error
    assert not (tmp_path / 'out').exists()


def test_a_model_without_discriminators_still_corrects(of_model, train_command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, 'export', lambda checkpoint_dir, output_dir: None)
    write(tmp_path / 'log', only(of_model, 'Gr', 'encode', 'Gx', 'Gy'))
    status, out, _ = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', **BOX)
    assert status == 0 and 'no discriminators' in out
    assert corrects_as(tmp_path / 'out/gaze', of_model)
    # ... but says that it cannot be trained on; what its discriminators were is unknown, and the paper's is assumed
    paper = {name: getattr(config.ModelConfig(), name) for name in ('ndf', 'n_layers_d')}
    assert main(train_command(tmp_path / 'out/gaze', pam_checkpoint=tmp_path / 'out/pam', **paper)) == 1
    assert 'does not hold the same networks' in capsys.readouterr().err
    assert not (tmp_path / 'out/gaze/tensorboard').exists()


@pytest.mark.parametrize('given', [{}, {'crop_w': 13}, {'crop_h': 9}])
def test_the_box_size_must_be_given(tmp_path, capsys, given):
    status, _, error = import_official(capsys, checkpoint=tmp_path, output_dir=tmp_path / 'out', **given)
    assert status == 1 and '--crop_w' in error and '--crop_h' in error
    assert '--crop_w=50 --crop_h=30' in error and '--crop_w=60 --crop_h=40' in error


def without(name):
    return lambda values: {key: value for key, value in values.items() if key != name}


def changed(name, change):
    return lambda values: {**values, name: change(values[name])}


@pytest.mark.parametrize(
    'change, message',
    [
        (without('Gx/deconv1/biases'), 'Gx/deconv1/biases'),
        (without('encode/e_ful1/Matrix'), 'encode/e_ful1/Matrix'),
        (without('Dx/fc1/sn_u'), 'Dx/fc1/sn_u'),
        (without('Gr/FC1/Matrix'), 'Gr/FC1/Matrix'),
        (lambda values: only(values, 'Gr', 'Gx', 'Dx', 'Dy'), 'encode/e_c1/w'),
        (lambda values: only(values, 'Gr', 'Gx', 'Gy', 'encode', 'Dx'), 'Dy/d2/d0/w'),
        (changed('Gy/IN0/scale', lambda value: value[:-1]), 'Gy/IN0/scale'),
        (changed('Gx/FC1/Matrix', lambda value: value[:-1]), 'Gx/FC1/Matrix'),
        (changed('Gr/conv/w', lambda value: value[0, 0, 0]), 'Gr/conv/w'),
        (changed('Gy/conv/w', lambda value: value * np.nan), 'Gy/conv/w'),
        (lambda values: {**values, 'Gx/attention/w': values['Gx/conv/w']}, 'Gx/attention/w'),
        (without('Gx/conv1/w'), 'Gx/conv1/w'),
        (changed('Gx/conv1/w', lambda value: value[..., :0]), 'Gx/conv1/w'),
        (lambda values: {'dense/kernel': np.ones([2, 2], np.float32)}, "none of the original's networks"),
    ],
)
def test_what_is_no_model_of_the_original(of_model, tmp_path, capsys, change, message):
    write(tmp_path / 'log', change(of_model))
    status, _, error = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', **BOX)
    assert status == 1 and message in error and 'model_000007.ckpt' in error
    assert [path.name for path in tmp_path.iterdir()] == ['log']
    assert len(error.strip().splitlines()) == 1


def test_nothing_is_left_of_a_nested_folder(of_model, tmp_path, capsys):
    write(tmp_path / 'log', without('Gx/conv1/w')(of_model))
    status, _, _ = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'a/b/out', **BOX)
    assert status == 1 and [path.name for path in tmp_path.iterdir()] == ['log']


def test_the_image_size_of_a_whole_model_is_known(of_model, tmp_path, capsys):
    write(tmp_path / 'log', of_model)
    status, _, error = import_official(
        capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', img_size=64, **BOX
    )
    assert status == 1 and '--img_size=64' in error and '32' in error


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    'damage, named',
    [
        (lambda prefix: cut(pathlib.Path(f'{prefix}.index')), 'model_000007.ckpt'),
        (lambda prefix: cut(pathlib.Path(f'{prefix}.data-00000-of-00001')), 'model_000007.ckpt'),
        (lambda prefix: pathlib.Path(f'{prefix}.index').write_text('text'), 'model_000007.ckpt'),
        (lambda prefix: pathlib.Path(f'{prefix}.index').write_bytes(b''), 'model_000007.ckpt'),
        (lambda prefix: pathlib.Path(f'{prefix}.data-00000-of-00001').unlink(), 'model_000007.ckpt'),
        (lambda prefix: pathlib.Path(f'{prefix}.index').unlink(), 'There is no checkpoint in'),
        (lambda prefix: shutil.rmtree(prefix.parent), 'There is no checkpoint'),
    ],
)
def test_a_damaged_checkpoint(of_model, tmp_path, capsys, damage, named):
    damage(write(tmp_path / 'log', of_model))
    status, _, error = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', **BOX)
    assert status == 1 and named in error and not (tmp_path / 'out').exists()
    assert len(error.strip().splitlines()) == 1


def test_a_file_that_is_no_checkpoint(tmp_path, capsys):
    (tmp_path / 'model.ckpt').write_text('text')
    status, _, error = import_official(capsys, checkpoint=tmp_path / 'model.ckpt', output_dir=tmp_path / 'out', **BOX)
    assert status == 1 and 'model.ckpt is not a TensorFlow checkpoint' in error


def test_several_checkpoints_and_none_named(of_pam, tmp_path, capsys):
    for name in ('model_000001.ckpt', 'model_000002.ckpt'):
        write(tmp_path / 'log', of_pam, name, state=False)
    (tmp_path / 'log/checkpoint').write_bytes(bytes(range(128, 256)))
    status, _, error = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', **BOX)
    assert status == 1 and 'several' in error and 'model_000002.ckpt' in error


def test_a_folder_that_exists_is_not_overwritten(of_pam, tmp_path, capsys):
    write(tmp_path / 'log', of_pam)
    (tmp_path / 'out').mkdir()
    status, _, error = import_official(capsys, checkpoint=tmp_path / 'log', output_dir=tmp_path / 'out', **BOX)
    assert status == 1 and 'exists already' in error


def test_the_older_format(of_pam, tmp_path):
    # one file, as vgg_16.ckpt is published
    tf.raw_ops.Save(filename=str(tmp_path / 'model.ckpt'), tensor_names=list(of_pam), data=list(of_pam.values()))
    checkpoint = CheckpointReader(tmp_path / 'model.ckpt')
    assert configs.encoder_config(checkpoint, tiny.SIZE, **BOX) == tiny.ENCODER
    for name, value in of_pam.items():
        np.testing.assert_array_equal(checkpoint.value(name, value.shape), value)


def test_a_value_of_another_shape_is_refused(of_pam, tmp_path):
    checkpoint = CheckpointReader(write(tmp_path, of_pam))
    with pytest.raises(GazeError, match=r'has Gr/conv/w of shape \[7, 7, 3, 2\], where \[7, 7, 3, 9\]'):
        checkpoint.value('Gr/conv/w', (7, 7, 3, 9))
