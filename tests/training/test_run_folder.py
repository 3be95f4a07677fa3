"""A run whose folder is removed or used twice, and one whose data was exchanged or lost."""

import os
import shutil

import pytest
import tensorflow as tf

from gaze_tf.files import alone_in
from gaze_tf.training.pam_step import PamStep
from tests import tiny
from tests.training.test_survival import snapshot
from tests.training.test_training import failure, patch_step


@pytest.mark.parametrize('remake', [False, True])
def test_a_folder_that_is_removed_in_training(pretrain_command, tmp_path, monkeypatch, capsys, remake):
    folder = tmp_path / 'run'

    def remove(terms):
        shutil.rmtree(folder)
        if remake:
            folder.mkdir()
        return terms

    patch_step(monkeypatch, PamStep, 3, remove)
    message = failure(capsys, pretrain_command(folder, log_every=100, image_every=100))
    assert f'Training stopped at step 4: its folder {folder} was removed' in message
    assert not folder.exists() or not list(folder.glob('step-*'))


def test_two_runs_in_one_folder(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    before = snapshot(folder)
    with alone_in(folder):
        message = failure(capsys, pretrain_command(folder, steps=8))
    assert f'{folder}: in use by another run (process {os.getpid()} on ' in message
    assert snapshot(folder) == before


def test_two_preparations_of_one_folder(records_dir, faces_dir, capsys):
    options = tiny.arguments(data_dir=faces_dir, output_dir=records_dir, img_size=tiny.SIZE, test_x=2, test_y=2)
    before = snapshot(records_dir)
    with alone_in(records_dir):
        assert 'in use by another run' in failure(capsys, ['prepare', *options])
    assert snapshot(records_dir) == before


def test_a_shard_that_is_exchanged(pretrain_command, pam_dir, records_dir, tmp_path, capsys):
    folder, data = shutil.copytree(pam_dir, tmp_path / 'run'), shutil.copytree(records_dir, tmp_path / 'data')
    (path,) = data.glob('x-train-*')
    first, *rest = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (*rest, first):
            writer.write(record)
    for output in (folder, tmp_path / 'new'):
        message = failure(capsys, pretrain_command(output, data_dir=data, steps=8))
        assert f'{path} is not the file that was written' in message and '`gaze-tf prepare` again' in message
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('steps_per_call', [1, 2])
def test_nothing_is_left_of_a_domain(pretrain_command, records_dir, tmp_path, capsys, steps_per_call):
    data = shutil.copytree(records_dir, tmp_path / 'data')
    (path,) = data.glob('y-train-*')
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    options = {'data_dir': data, 'skip_corrupt': True, 'steps_per_call': steps_per_call}
    message = failure(capsys, pretrain_command(tmp_path / 'run', **options))
    assert 'Nothing is left of a domain with --skip_corrupt' in message and f'{path}: record 1 of 5' in message
