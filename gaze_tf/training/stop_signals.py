"""SIGINT and SIGTERM in training: the step ends and is saved; where nothing notices them, the process is ended."""

import logging
import os
import select
import signal
import threading
import time
from types import FrameType

# a process that has not noticed a signal is ended after _GRACE seconds plus _CALLS times its longest call so far
_GRACE, _CALLS = 30, 3

_LOG = logging.getLogger(__name__)


class StopSignals:
    """A context in which the first SIGINT or SIGTERM only sets `number`; a second one acts at once.

    Python notices a signal when TensorFlow returns to it. Where TensorFlow does not return, for example because it
    waits for another worker, a thread ends the process as SIGKILL would: checkpoints survive that.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._longest, self._since = 0.0, time.monotonic()

    def __enter__(self) -> 'StopSignals':
        self._handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # C code writes the number of every signal there, whatever Python does
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def back(self) -> None:
        """Must be called when a call of TensorFlow has returned: the longest decides how long to wait for the next."""
        now = time.monotonic()
        self._longest, self._since = max(self._longest, now - self._since), now

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)

    def _watch(self, reader: int) -> None:
        number = os.read(reader, 1)
        # other signals, such as that a child process ended, do not matter here
        while number and number[0] not in self._handlers:
            number = os.read(reader, 1)
        if number:
            # until a second one comes, or the end of the context
            select.select([reader], [], [], _GRACE + _CALLS * self._longest)
            if self.number is None:
                _LOG.warning('TensorFlow does not return after signal %d: the process is ended.', number[0])
                os._exit(128 + number[0])
        os.close(reader)
