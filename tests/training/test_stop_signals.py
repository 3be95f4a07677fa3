"""Signals in training: noted by Python, or obeyed without it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gaze_tf.training.stop_signals import StopSignals

# a call of C that never returns and that no signal interrupts, as TensorFlow's reading of a stream without records was
STUCK = """
import ctypes, sys
from gaze_tf.training import stop_signals
stop_signals._GRACE = float(sys.argv[1])
mutex, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
with stop_signals.StopSignals():
    c.pthread_mutex_lock(mutex)
    print('stuck', flush=True)
    c.pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('grace, signals', [(0.1, 1), (600, 2)])
def test_a_process_that_is_stuck_ends(number, grace, signals):
    with subprocess.Popen(
        [sys.executable, '-c', STUCK, str(grace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            process.stdout.readline()
            for _ in range(signals):
                time.sleep(0.2)
                process.send_signal(number)
            assert process.wait(timeout=60) == 128 + number
            assert f'does not return after signal {int(number)}' in process.stderr.read()
        finally:
            process.kill()


def test_a_signal_is_noted_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with StopSignals() as signals:
        assert signals.number is None
        os.kill(os.getpid(), signal.SIGTERM)
        signals.back()
        assert signals.number == signal.SIGTERM
        # the second one acts at once
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
