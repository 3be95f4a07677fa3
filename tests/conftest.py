"""A tiny data set and a tiny trained run, made once by the real commands."""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# XLA's optimisations of machine code take most of the time that compiling takes, and change no result
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true')

import pytest

from gaze_tf.cli.main import main   # before TensorFlow, as gaze_tf says how that is to start
import tiny

TRAIN = {'steps': 6, 'batch_size': 2, 'lr_d': 1e-3, 'lr_g': 1e-3, 'decay_start': 2, 'decay_every': 1,
         'lam_p': 0, 'save_every': 2, 'keep': 2, 'log_every': 2, 'image_every': 3, 'xla': 'off'}
PRETRAIN = {'steps': 4, 'batch_size': 2, 'save_every': 2, 'keep': 2, 'log_every': 2, 'image_every': 2,
            'xla': 'off'}


@pytest.fixture(scope='session')
def faces_dir(tmp_path_factory):
    """A raw folder of 8 + 7 faces."""
    return tiny.write_faces(tmp_path_factory.mktemp('faces'), {'1': 8, '0': 7})


@pytest.fixture(scope='session')
def records_dir(tmp_path_factory, faces_dir):
    """It, prepared: 6 + 5 faces to train on, 2 + 2 to test."""
    folder = tmp_path_factory.mktemp('records')
    options = tiny.arguments(data_dir=faces_dir, output_dir=folder, img_size=tiny.SIZE, test_x=2, test_y=2)
    assert main(['prepare', *options]) == 0
    return folder


@pytest.fixture(scope='session')
def pretrain_command(records_dir):
    """output_dir and changes to flags → the command line of a pretraining run of 4 steps."""
    return lambda output_dir, **changes: [
        'pretrain', *tiny.model_arguments(tiny.ENCODER, **{'data_dir': records_dir, 'output_dir': output_dir,
                                                           **PRETRAIN, **changes})]


@pytest.fixture(scope='session')
def pam_dir(tmp_path_factory, pretrain_command):
    """A finished pretraining run."""
    folder = tmp_path_factory.mktemp('runs') / 'pam'
    assert main(pretrain_command(folder)) == 0
    return folder


@pytest.fixture(scope='session')
def train_command(records_dir, pam_dir):
    """output_dir and changes to flags → the command line of a training run of 6 steps."""
    return lambda output_dir, **changes: [
        'train', *tiny.model_arguments(tiny.MODEL, **{'data_dir': records_dir, 'output_dir': output_dir,
                                                      'pam_checkpoint': pam_dir, **TRAIN, **changes})]


@pytest.fixture(scope='session')
def gan_dir(tmp_path_factory, train_command):
    """A finished training run."""
    folder = tmp_path_factory.mktemp('runs') / 'gan'
    assert main(train_command(folder)) == 0
    return folder


@pytest.fixture(scope='session')
def model_dir(tmp_path_factory, gan_dir):
    """It, exported: a folder with version 1."""
    folder = tmp_path_factory.mktemp('runs') / 'saved_model'
    assert main(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=folder)]) == 0
    return folder


@pytest.fixture(scope='session')
def saved_model(model_dir):
    """That version."""
    return model_dir / '1'
