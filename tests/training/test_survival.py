"""Runs that are killed, broken checkpoints, full disks, and data or options that changed since a run began."""

import contextlib
import dataclasses
import json
import multiprocessing
import random
import resource
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.data import records
from gaze_tf.errors import GazeError
from gaze_tf.export.export import load_model
from gaze_tf.files import new_folder
from gaze_tf.training import checkpoints, run_folder
from gaze_tf.training.job import TrainingJob
from tests import tiny
from tests.training.test_training import assert_same_weights, failure, steps_in

# its children start with TensorFlow imported, in a tenth of a second instead of five
APART = multiprocessing.get_context('forkserver')
APART.set_forkserver_preload(['gaze_tf.training.gan_step', 'gaze_tf.training.pam_step', 'gaze_tf.training.trainer'])


def snapshot(folder):
    """{name: (content, time of the last change)} of every file."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob('*')
        if path.is_file()
    }


def in_child(*commands, deterministic=False):
    # what is compared takes fewer steps than an optimization of their graph
    tf.config.run_functions_eagerly(deterministic)
    for command in commands:
        assert main(command) == 0
    assert is_op_determinism_enabled() == deterministic


def start(*commands, **options):
    """Commands in a process of their own."""
    process = APART.Process(target=in_child, args=commands, kwargs=options)
    process.start()
    return process


def newest(folder):
    return max(steps_in(folder), default=0)


def wait_for_a_saving(folder, alive, rng):
    """Returns while a checkpoint is being written, at a stage of it that is drawn at random."""
    part = rng.choice(['.saving', '.saving/*_temp/*', '.saving/step-*.index', '.gaze_tf-*.part'])
    goal, limit = newest(folder) + rng.choice([0, 1, 2]), time.monotonic() + 120
    while alive() and time.monotonic() < limit:
        step = newest(folder)
        # a folder may vanish while it is searched, and some stages are too short to be seen each time
        with contextlib.suppress(FileNotFoundError):
            if step > goal + 3 or step >= goal and any(folder.glob(part)):
                break
    time.sleep(rng.choice([0, rng.uniform(0, 0.003)]))


def test_a_run_that_is_killed_again_and_again(pretrain_command, tmp_path):
    changes = {'steps': 40, 'log_every': 7, 'image_every': 1000}
    folder, rng = tmp_path / 'run', random.Random(1)
    command = pretrain_command(folder, save_every=1, **changes)
    for _ in range(4):
        before = newest(folder)
        child = start(command)
        wait_for_a_saving(folder, child.is_alive, rng)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL and newest(folder) >= before
    assert 0 < newest(folder) < 40
    assert main(command) == 0
    assert main(pretrain_command(tmp_path / 'uninterrupted', save_every=40, **changes)) == 0
    assert_same_weights(folder, tmp_path / 'uninterrupted')
    assert {path.name for path in folder.iterdir()} == {
        'checkpoint',
        'config.json',
        'records.json',
        'tensorboard',
        *(f'step-{step}.{end}' for step in (39, 40) for end in ('index', 'data-00000-of-00001')),
    }


def small(folder, keep=3):
    """A Manager of one variable, which equals the step."""
    step = tf.Variable(0, dtype=tf.int64)
    return step, checkpoints.manager(folder, step, tf.train.Checkpoint(values=tf.Variable(tf.range(1000))), keep)


@pytest.fixture
def saved(tmp_path):
    """A folder with steps 1, 2 and 3."""
    step, manager = small(tmp_path / 'run')
    for number in (1, 2, 3):
        step.assign(number)
        manager.save(number)
    return tmp_path / 'run'


def move(folder, to, *names):
    for name in names:
        (folder / name).rename(folder / to / name)


INDEX, DATA = 'step-3.index', 'step-3.data-00000-of-00001'
# what a kill leaves, stage by stage of a saving: (change to a folder with steps 1, 2 and 3, step to resume from)
CUT = {
    'begun': (lambda folder: move(folder, '.saving/step-3_temp', INDEX, DATA), 2),
    'written': (lambda folder: move(folder, '.saving', INDEX, DATA), 2),
    'moved in part': (lambda folder: move(folder, '.saving', INDEX), 2),
    'moved': (lambda folder: None, 3),
    'old one removed in part': (lambda folder: (folder / 'step-1.data-00000-of-00001').unlink(), 3),
    'list not written': (lambda folder: (folder / 'checkpoint').unlink(), 3),
}


@pytest.mark.parametrize('stage', CUT)
def test_a_saving_that_was_cut_short(saved, caplog, stage):
    cut, expected = CUT[stage]
    (saved / '.saving/step-3_temp').mkdir(parents=True)
    cut(saved)
    assert checkpoints.latest(saved) == str(saved / f'step-{expected}')
    step, manager = small(saved)
    assert manager.restore() == manager.latest_checkpoint == str(saved / f'step-{expected}') and step == expected
    assert tf.train.latest_checkpoint(str(saved)) == manager.latest_checkpoint
    # nothing is wrong with it that a user should hear of
    assert caplog.messages == [] and not (saved / '.saving').exists()
    manager.save(4)
    assert {path.name for path in saved.iterdir()} == {
        'checkpoint',
        *(f'step-{number}.{end}' for number in {4, expected, expected - 1} for end in ('index', 'data-00000-of-00001')),
    }
    assert tf.train.latest_checkpoint(str(saved)) == str(saved / 'step-4')


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


DAMAGE = {
    'missing': lambda path: path.unlink(),
    'empty': lambda path: path.write_bytes(b''),
    'cut off': lambda path: path.write_bytes(path.read_bytes()[:-1]),
    'changed': flip,
    'zeros': lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('name', [INDEX, DATA])
def test_a_broken_checkpoint_is_set_aside(saved, caplog, name, damage):
    present = {path.name for path in (saved / INDEX, saved / DATA)}
    DAMAGE[damage](saved / name)
    present -= {name} if damage == 'missing' else set()
    kept = {name: (saved / name).read_bytes() for name in present}
    before = snapshot(saved)
    assert checkpoints.latest(saved) == str(saved / 'step-2')
    (line,) = caplog.messages
    assert str(saved / name) in line and str(saved / 'step-2') in line and snapshot(saved) == before
    assert ('is missing' if damage == 'missing' else 'is broken (') in line

    caplog.clear()
    step, manager = small(saved)
    assert manager.restore() == str(saved / 'step-2') and step == 2
    (line,) = caplog.messages
    assert str(saved / name) in line and f'going on from {saved / "step-2"}' in line
    assert {path.name: path.read_bytes() for path in saved.glob('*.broken')} == {
        f'{name}.broken': content for name, content in kept.items()
    }
    assert tf.train.latest_checkpoint(str(saved)) == str(saved / 'step-2')
    # from now on it is as if it had never been
    caplog.clear()
    assert small(saved)[1].restore() == str(saved / 'step-2') and caplog.messages == []


def test_no_checkpoint_that_can_be_read(saved):
    flip(saved / 'step-1.index')
    flip(saved / 'step-2.data-00000-of-00001')
    (saved / DATA).unlink()
    before = snapshot(saved)
    for call in (small(saved)[1].restore, lambda: checkpoints.latest(saved)):
        with pytest.raises(GazeError) as error:
            call()
        for name in ('step-1.index', 'step-2.data-00000-of-00001', DATA):
            assert str(saved / name) in str(error.value)
    assert snapshot(saved) == before


@pytest.mark.parametrize('content', [None, b'', b'\xff\x00nonsense', b'model_checkpoint_path: "step-9"\n'])
def test_the_list_of_checkpoints_does_not_matter(saved, content):
    (saved / 'checkpoint').unlink()
    if content is not None:
        (saved / 'checkpoint').write_bytes(content)
    step, manager = small(saved, keep=2)
    assert manager.restore() == checkpoints.latest(saved) == str(saved / 'step-3') and step == 3
    assert tf.train.latest_checkpoint(str(saved)) == str(saved / 'step-3')
    manager.save(4)
    assert steps_in(saved) == [3, 4] and tf.train.latest_checkpoint(str(saved)) == str(saved / 'step-4')


def test_another_model_is_not_broken(saved):
    before = snapshot(saved)
    for stage in (tf.train.Checkpoint(values=tf.Variable(tf.range(9))), tf.train.Checkpoint(other=tf.Variable(1))):
        with pytest.raises(GazeError, match='step-3 cannot be restored'):
            checkpoints.manager(saved, tf.Variable(0, dtype=tf.int64), stage, 3).restore()
    assert snapshot(saved) == before


def test_a_run_that_falls_back_equals_an_uninterrupted_one(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    data = folder / 'step-4.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:100])
    (folder / 'checkpoint').write_bytes(b'')
    assert main(pretrain_command(folder)) == 0
    out, err = capsys.readouterr()
    assert f'{data} is broken' in err and f'Resuming from {folder / "step-2"}' in out
    assert steps_in(folder) == [2, 4] and (folder / f'{data.name}.broken').stat().st_size == 100
    assert_same_weights(folder, pam_dir)


def test_a_run_whose_checkpoints_are_all_broken_is_refused(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    for path in folder.glob('step-*.index'):
        flip(path)
    before = snapshot(folder)
    message = failure(capsys, pretrain_command(folder, steps=8, lr_r=1e-3))
    assert all(str(folder / f'step-{step}.index') in message for step in (2, 4)) and '--output_dir' in message
    assert snapshot(folder) == before


def test_a_run_of_another_model_is_left_as_it_was(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    # its checkpoints alone tell that it is another one
    (folder / 'config.json').unlink()
    before = snapshot(folder)
    assert 'cannot be restored' in failure(capsys, pretrain_command(folder, steps=8, code_size=5))
    assert snapshot(folder) == before


def test_export_uses_the_newest_good_checkpoint(gan_dir, tmp_path, caplog):
    folder = shutil.copytree(gan_dir, tmp_path / 'run')
    flip(folder / 'step-6.data-00000-of-00001')
    before = snapshot(folder)
    weights = [variable.numpy() for variable in load_model(folder).g_x.variables]
    assert f'using {folder / "step-4"}' in caplog.text and snapshot(folder) == before
    for name in ('index', 'data-00000-of-00001'):
        (folder / f'step-6.{name}').unlink()
    for found, expected in zip(weights, load_model(folder).g_x.variables):
        np.testing.assert_array_equal(found, expected)


@pytest.fixture
def file_limit():
    """size → no file of this process may grow beyond so many bytes, until the test ends."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def failure_of(command, capsys):
    """`failure`, whatever TensorFlow says besides."""
    message = failure(capsys, command)
    assert message.startswith('gaze-tf ') and 'Errno' not in message and '{{' not in message
    return message


def test_a_checkpoint_that_cannot_be_written(pretrain_command, pam_dir, tmp_path, file_limit, capsys):
    folder, unlimited = tmp_path / 'run', resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    assert main(pretrain_command(folder, steps=2)) == 0
    before = snapshot(folder)
    command = pretrain_command(folder, save_every=1, log_every=100, image_every=100)
    size = (folder / 'step-2.data-00000-of-00001').stat().st_size
    file_limit(size - 1)
    message = failure_of(command, capsys)
    file_limit(unlimited)
    assert f'{folder / "step-3"} (' in message and 'File too large' in message and 'free space' in message
    assert f'The last good checkpoint is {folder / "step-2"}' in message
    after = snapshot(folder)
    names = {name for name in before if 'step-2' in name or name == 'checkpoint'}
    assert len(names) == 3 and all(after[name] == before[name] for name in names)
    assert {name for name in after if not name.startswith('tensorboard')} == {
        name for name in before if not name.startswith('tensorboard')
    }
    assert main(pretrain_command(folder)) == 0
    assert_same_weights(folder, pam_dir)


def test_a_configuration_that_cannot_be_written(pretrain_command, pam_dir, tmp_path, file_limit, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    before = snapshot(folder)
    file_limit(100)
    message = failure_of(pretrain_command(folder, steps=8, lr_r=1e-3), capsys)
    assert 'config.json' in message and str(folder / 'step-4') in message and snapshot(folder) == before
    message = failure_of(pretrain_command(tmp_path / 'new'), capsys)
    assert 'config.json' in message and 'No checkpoint had been saved yet' in message


def test_events_that_cannot_be_written(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    shutil.rmtree(folder / 'tensorboard')
    (folder / 'tensorboard').write_text('not a folder')
    message = failure_of(pretrain_command(folder, steps=8), capsys)
    assert f'{folder / "tensorboard"} (' in message and str(folder / 'step-4') in message


def test_a_saved_model_that_cannot_be_written(gan_dir, tmp_path, file_limit, capsys):
    file_limit(1000)
    message = failure_of(['export', *tiny.arguments(checkpoint=gan_dir, output_dir=tmp_path / 'a/model')], capsys)
    assert f'{tmp_path / "a/model/1"}: cannot be written (File too large)' in message
    assert not list(tmp_path.iterdir())


def test_an_import_that_cannot_be_written(tmp_path, file_limit):
    with pytest.raises(GazeError, match=rf'{tmp_path / "a/import"}: cannot be written \(File too large\)'):
        with new_folder(tmp_path / 'a/import') as folder:
            file_limit(100)
            checkpoints.write_first(folder / 'pam', tf.train.Checkpoint(values=tf.Variable(tf.range(1000))))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def other_records(tmp_path_factory):
    """As records_dir, but with one face more of X, and one less of Y held out."""
    raw = tiny.write_faces(tmp_path_factory.mktemp('faces'), {'1': 9, '0': 7})
    folder = tmp_path_factory.mktemp('records')
    options = tiny.arguments(data_dir=raw, output_dir=folder, img_size=tiny.SIZE, test_x=2, test_y=1)
    assert main(['prepare', *options]) == 0
    return folder


def test_other_data_is_refused(pretrain_command, train_command, pam_dir, gan_dir, other_records, capsys):
    for folder, command in ((pam_dir, pretrain_command), (gan_dir, train_command)):
        before = snapshot(folder)
        message = failure(capsys, command(folder, steps=8, data_dir=other_records))
        assert 'X train had 6 images and now has 7' in message and 'Y test had 2 images and now has 1' in message
        assert 'X test' not in message and 'Restore the data' in message and snapshot(folder) == before


def test_the_same_data_elsewhere_is_the_same(pretrain_command, records_dir, tmp_path, capsys):
    folder, moved = tmp_path / 'run', shutil.copytree(records_dir, tmp_path / 'moved')
    assert main(pretrain_command(folder, steps=2)) == 0
    (folder / 'records.json').unlink()  # a run of an earlier version
    assert main(pretrain_command(folder, data_dir=moved)) == 0
    out = capsys.readouterr().out
    assert 'Resuming from' in out and 'changed options' not in out and (folder / 'records.json').is_file()


def job_in(folder):
    """A pretraining job in a folder."""
    run = config.RunConfig(output_dir=str(folder))
    return TrainingJob(tiny.ENCODER, config.PamConfig(), config.DataConfig(), config.AugmentConfig(), run)


def test_what_differs_between_data(records_dir, saved):
    manifest = records.load_manifest(records_dir)
    job = job_in(saved)
    run_folder.write(job, manifest, {})
    (saved / 'config.json').unlink()
    run_folder.check(job, manifest)
    first, *rest = manifest.shards
    for changes, message in (
        ({'img_size': 64}, 'images were 32 pixels wide and are now 64'),
        ({'shards': (dataclasses.replace(first, sha256='0'), *rest)}, f'{first.file} had other contents'),
        ({'shards': tuple(rest)}, 'X train had 6 images and now has 0'),
        ({'shards': (*rest, first)}, 'divided into other files'),
    ):
        with pytest.raises(GazeError, match=message):
            run_folder.check(job, dataclasses.replace(manifest, **changes))
    # nothing has been learnt from it yet
    for path in saved.glob('step-*'):
        path.unlink()
    run_folder.check(job, dataclasses.replace(manifest, img_size=64))


def test_a_description_of_the_data_that_cannot_be_read(records_dir, saved):
    (saved / 'records.json').write_text(json.dumps({'img_size': 32}))
    with pytest.raises(GazeError, match='records.json cannot be read'):
        run_folder.check(job_in(saved), records.load_manifest(records_dir))


def test_changed_options_are_named(pretrain_command, pam_dir, tmp_path, capsys):
    folder = shutil.copytree(pam_dir, tmp_path / 'run')
    changes = {'steps': 5, 'lr_r': 0.001, 'seed': 3, 'batch_size': 3}
    assert main(pretrain_command(folder, **changes, keep=9, save_every=1, log_every=1)) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if 'changed options' in line)
    named = line.partition(': ')[2].rstrip('.').split(', ')
    assert sorted(named) == ['--batch_size 2 -> 3', '--lr_r 0.0005 -> 0.001', '--seed 0 -> 3']
    assert main(pretrain_command(folder, **{**changes, 'steps': 6})) == 0
    assert 'changed options' not in capsys.readouterr().out


@pytest.mark.trains
def test_deterministic_runs_are_the_same(pretrain_command, train_command, tmp_path):
    folders = [[tmp_path / f'{name}{number}' for number in (1, 2)] for name in ('pretrain', 'train')]
    commands = [
        make(folder, steps=2, deterministic=True)
        for make, pair in zip((pretrain_command, train_command), folders)
        for folder in pair
    ]
    child = start(*commands, deterministic=True)
    child.join()
    assert child.exitcode == 0
    for pair in folders:
        assert_same_weights(*pair)


def test_deterministic_runs_on_gpus_need_xla(pretrain_command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind=None: ['GPU'])
    message = failure(capsys, pretrain_command(tmp_path / 'run', deterministic=True))
    assert '--deterministic on a GPU needs XLA' in message and not is_op_determinism_enabled()
