"""Processes that must not take too long, nor too much memory."""

import pathlib
import re
import threading
import time
from typing import NamedTuple


class Limits(NamedTuple):
    """What one input may take: seconds, and gigabytes of the process's memory."""

    seconds: float
    gigabytes: float


def watched(process, ask, limits):
    """What `ask` returns, or how the process went beyond its Limits, after which it is killed."""
    end, found = time.monotonic() + limits.seconds, []
    asking = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    asking.start()
    wrong = ''
    while not wrong and asking.is_alive():
        asking.join(0.05)
        if time.monotonic() > end:
            wrong = 'FAILED: too slow'
        try:
            memory = int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{process.pid}/status').read_text())[1])
        except (OSError, TypeError):
            continue
        if memory > limits.gigabytes * 2**20:
            wrong = 'FAILED: too much memory'
    if wrong:
        process.kill()
    asking.join(5)
    return wrong or (found[0] if found else 'FAILED: no answer')
