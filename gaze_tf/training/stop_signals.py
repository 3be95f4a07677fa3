"""SIGINT and SIGTERM in training: noted, so that a step can end and be saved, and obeyed where nothing notes them."""

import os
import select
import signal
import sys
import threading
import time

# seconds after which a process that has not noted a signal is ended, and how many times its longest call so far are added
_GRACE, _CALLS = 30, 3


class StopSignals:
    """A context in which the first SIGINT or SIGTERM only sets `number`; a second one acts at once.

    Python notes a signal when TensorFlow returns to it. Where that does not return, because it waits for another worker, say,
    the process is ended by a thread, as SIGKILL would end it: checkpoints survive that.
    """

    def __init__(self):
        self.number = None
        self._longest, self._since = 0.0, time.monotonic()

    def __enter__(self):
        self._handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # C code writes the number of every signal there, whatever Python does
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        return self

    def __exit__(self, *_):
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def back(self):
        """To be called whenever a call of TensorFlow has returned: how long they take is allowed to the next one."""
        now = time.monotonic()
        self._longest, self._since = max(self._longest, now - self._since), now

    def _note(self, number, frame):
        self.number = number
        signal.signal(number, signal.SIG_DFL)

    def _watch(self, reader):
        number = os.read(reader, 1)
        # other signals, such as that of a child's end, are nobody's here
        while number and number[0] not in self._handlers:
            number = os.read(reader, 1)
        if number:
            # until a second one comes, or the end of the context
            select.select([reader], [], [], _GRACE + _CALLS * self._longest)
            if self.number is None:
                print(
                    f'gaze-tf: signal {number[0]} was not noted, as TensorFlow does not return; the process is ended.',
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(128 + number[0])
        os.close(reader)
