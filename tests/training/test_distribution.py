"""Several devices, several workers and several steps per call: they compute what one device does step by step."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.cli.main import main
from gaze_tf.data import pipeline
from gaze_tf.training import distribution, trainer
from tests import tiny

# every step is kept, to compare what the later ones change
PRETRAIN = {'batch_size': 4, 'steps': 6, 'save_every': 1, 'keep': 9, 'log_every': 3, 'image_every': 3}
# with all that replicas draw or keep: points of gradient penalties, averages
TRAIN = {**PRETRAIN, 'steps': 3, 'loss_type': 'wgan', 'ema': 0.75}
RATE = 1e-3

# what `python -c` runs: devices, then a command (its graph is not optimized, which takes longer than its steps)
MIRRORED = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True})
from gaze_tf.cli.main import main
sys.exit(main([*sys.argv[1:], '--strategy=mirrored']))
"""


def values_at(folder, step):
    """All that a checkpoint holds, by name, but for its bookkeeping."""
    reader = tf.train.load_checkpoint(str(folder / f'step-{step}'))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name not in ('_CHECKPOINTABLE_OBJECT_GRAPH', 'save_counter/.ATTRIBUTES/VARIABLE_VALUE')
    }


def assert_same(folder, other, step):
    """Whether both hold the same at a step, bit by bit."""
    found, expected = values_at(folder, step), values_at(other, step)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def assert_same_training(folder, other, first, last):
    """Whether both changed alike from step `first` to `last`. (A bias before an instance normalisation has no
    gradient but rounding, which Adam magnifies: biases need only have moved as little as they may.)"""
    start, expected, found = values_at(other, first), values_at(other, last), values_at(folder, last)
    assert set(found) == set(expected)
    for name, value in expected.items():
        moved, missed = np.linalg.norm(value - start[name]), np.linalg.norm(found[name] - value)
        rounding = RATE * (last - first) * np.sqrt(value.size) if '/bias/' in name else 0
        assert missed <= 1e-2 * moved + rounding + 1e-6, f'{name}: {missed} of {moved}'


@pytest.fixture(scope='module')
def pretrained(pretrain_command, tmp_path_factory):
    """PAM's folder after six steps of four faces on one device."""
    folder = tmp_path_factory.mktemp('one') / 'pam'
    assert main(pretrain_command(folder, **PRETRAIN)) == 0
    return folder


@contextlib.contextmanager
def started(*processes):
    """Kills what is left of them at the end."""
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def python(code, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, *code, *arguments],
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def free_ports(count):
    """Ports that nothing listens at, all different."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def tf_config(index, ports):
    return json.dumps(
        {'cluster': {'worker': [f'127.0.0.1:{port}' for port in ports]}, 'task': {'type': 'worker', 'index': index}}
    )


def workers(*commands):
    """A process for each command, all of one cluster."""
    ports = free_ports(len(commands))
    return [
        python(
            ['-m', 'gaze_tf.cli.main'],
            *command,
            '--strategy=multi_worker',
            '--startup_timeout=60',
            TF_CONFIG=tf_config(index, ports),
        )
        for index, command in enumerate(commands)
    ]


def test_two_devices_are_one(train_command, tmp_path):
    # and several steps per call of the compiled function are, too; pretraining is what two workers share below
    in_one_call = train_command(tmp_path / 'gaze', **{**TRAIN, 'save_every': 3}, steps_per_call=3)
    with started(python(['-c', MIRRORED], *in_one_call)) as (process,):
        with tiny.eagerly():
            assert main(train_command(tmp_path / 'one', **TRAIN)) == 0
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert_same_training(tmp_path / 'gaze', tmp_path / 'one', 1, 3)


def wait_for(found, process):
    """Waits until a file is there or the process has ended."""
    limit = time.monotonic() + 100
    while not found() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)


def test_two_workers_are_one_stop_together_and_go_on(pretrain_command, pretrained, tmp_path):
    shared = tmp_path / 'pam'
    endless = pretrain_command(shared, **{**PRETRAIN, 'steps': 10**6, 'keep': 10**6})
    with started(*workers(endless, endless)) as processes:
        wait_for((shared / 'step-3.index').exists, processes[0])
        # one of them, not the chief
        processes[1].send_signal(signal.SIGTERM)
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 128 + signal.SIGTERM, errors
    assert_same_training(shared, pretrained, 1, 3)
    assert (shared / 'config.json').is_file() and len(list((shared / 'tensorboard').iterdir())) == 1

    last = max(int(path.stem.split('-')[1]) for path in shared.glob('step-*.index'))
    with started(*workers(endless, endless)) as (chief, other):
        wait_for((shared / f'step-{last + 1}.index').exists, other)
        chief.kill()
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 1 and 'Another worker was lost' in errors and 'Traceback' not in errors, errors
        assert f'Resuming from {shared / f"step-{last}"}' in chief.communicate()[0]


def test_workers_at_different_steps_are_refused(pretrain_command, tmp_path, monkeypatch, capsys):
    # as two workers tell each other whose folders are not the same one
    monkeypatch.setattr(distribution.Workers, 'gather', lambda self, number: [3, number])
    assert main(pretrain_command(tmp_path / 'run')) == 1
    assert 'different steps (3, 0)' in capsys.readouterr().err and not (tmp_path / 'run').exists()


def test_a_worker_that_never_comes(pretrain_command, tmp_path):
    ports = free_ports(2)
    command = [*pretrain_command(tmp_path / 'run', **PRETRAIN), '--strategy=multi_worker', '--startup_timeout=1']
    with started(python(['-m', 'gaze_tf.cli.main'], *command, TF_CONFIG=tf_config(1, ports))) as (process,):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1, errors
    assert f'no answer from worker 0 at 127.0.0.1:{ports[0]}.' in errors and 'Traceback' not in errors
    assert not (tmp_path / 'run').exists()


WORKER = ', "task": {"type": "worker", "index": 0}}'


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'is not set'),
        ('{', 'is not JSON'),
        ('[]', 'no "cluster"'),
        ('{}', 'no "cluster"'),
        ('{"cluster": {"ps": ["a:1"]}' + WORKER, 'no "cluster"'),
        ('{"cluster": {"worker": "a:1"}' + WORKER, 'list of addresses for "worker"'),
        ('{"cluster": {"chief": ["a:1", "b:1"]}' + WORKER, 'one for a chief'),
        ('{"cluster": {"worker": ["a"]}' + WORKER, "'a', which is not host:port"),
        ('{"cluster": {"worker": ["a:70000"]}' + WORKER, 'not host:port'),
        ('{"cluster": {"worker": ["a:1", "a:1"]}' + WORKER, 'an address twice'),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', 'the "task" None'),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', 'none of its cluster (worker 0)'),
    ],
)
def test_a_bad_cluster_is_explained(text, message, pretrain_command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('TF_CONFIG', text)
    assert main([*pretrain_command(tmp_path / 'run'), '--strategy=multi_worker']) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert 'TF_CONFIG' in error and message in error and not (tmp_path / 'run').exists()


def test_a_cluster():
    text = '{"cluster": {"worker": ["a:2", "b:2"], "chief": ["c:2"]}, "task": {"type": "worker", "index": 1}}'
    cluster = distribution.read_cluster(text)
    assert list(cluster.addresses.items()) == [('chief 0', 'c:2'), ('worker 0', 'a:2'), ('worker 1', 'b:2')]
    assert cluster.own == 'worker 1'


@pytest.mark.parametrize(
    'flags, message',
    [
        ({'batch_size': 4}, '--batch_size=4 must be a multiple of 3'),
        ({'batch_size': 3, 'xla': 'on'}, '--xla=on cannot be used with 3 devices'),
    ],
)
def test_what_several_devices_cannot_do(pretrain_command, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.setattr(distribution, 'create', lambda run: types.SimpleNamespace(num_replicas_in_sync=3))
    assert main(pretrain_command(tmp_path / 'run', **flags)) == 1
    assert message in capsys.readouterr().err and not (tmp_path / 'run').exists()


def test_xla_is_off_on_several_devices(monkeypatch):
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: ['a GPU', 'another'])
    assert trainer.use_xla('auto') and not trainer.use_xla('auto', replicas=2)


# --- the data of several replicas ----------------------------------------------------------------------


@pytest.mark.parametrize(
    'ranges', [[range(0, 3)], [range(0, 1), range(1, 2), range(2, 3)], [range(0, 2), range(2, 4), range(4, 6)]]
)
def test_parts_of_batches_are_the_batches(records_dir, ranges):
    parts = ranges[-1].stop
    whole = pipeline.train_stream(records_dir, 'x', 32, 6, seed=3, start_step=5).take(4)
    streams = [
        pipeline.train_stream(records_dir, 'x', 32, 6, 3, start_step=5, parts=parts, own=own).take(4 * len(own))
        for own in ranges
    ]
    # by worker, step and replica → by step, worker and replica
    pieces = [np.array([batch.image for batch in stream]) for stream in streams]
    pieces = np.concatenate([piece.reshape(4, -1, 32, 32, 3) for piece in pieces], axis=1)
    eyes = np.concatenate([np.array([batch.eyes for batch in stream]).reshape(4, -1, 4) for stream in streams], axis=1)
    mirrored = np.concatenate(
        [np.array([batch.mirrored for batch in stream]).reshape(4, -1) for stream in streams], axis=1
    )
    for step, batch in enumerate(whole):
        np.testing.assert_array_equal(mirrored[step], [batch.mirrored.numpy()] * parts)
        np.testing.assert_array_equal(pieces[step], batch.image)
        np.testing.assert_array_equal(eyes[step], batch.eyes)


# --- several steps per call ----------------------------------------------------------------------------


def test_several_steps_per_call(pretrain_command, pretrained, tmp_path):
    # after two steps alone a call of one up to the next multiple, then a whole call
    folder = shutil.copytree(pretrained, tmp_path / 'run', ignore=shutil.ignore_patterns('step-[3-6]*'))
    assert main(pretrain_command(folder, **{**PRETRAIN, 'save_every': 3}, steps_per_call=3)) == 0
    assert [path.name for path in sorted(folder.glob('step-*.index'))] == [
        f'step-{step}.index' for step in (1, 2, 3, 6)
    ]
    assert_same(folder, pretrained, 6)


@pytest.mark.parametrize('name', ['steps', 'save_every', 'log_every', 'image_every'])
def test_cadences_are_multiples_of_a_call(pretrain_command, tmp_path, capsys, name):
    options = {'steps': 4, 'save_every': 4, 'log_every': 4, 'image_every': 4, name: 6}
    assert main(pretrain_command(tmp_path / 'run', **options, steps_per_call=4)) == 1
    assert f'--{name}=6 must be a multiple of --steps_per_call=4' in capsys.readouterr().err


def test_a_bad_term_within_a_call_is_named(pretrain_command, tmp_path, capsys):
    command = pretrain_command(
        tmp_path,
        **{**PRETRAIN, 'steps': 8, 'save_every': 4, 'log_every': 4, 'image_every': 4},
        steps_per_call=4,
        lr_r=1e30,
    )
    assert main(command) == 1
    assert 'at step 2' in capsys.readouterr().err
