"""How many requests are computed at the same time."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import grpc

from gaze_tf.server.errors import RequestError

PATIENCE = 30  # seconds that a request waits for its turn


class Turns:
    """One turn for each processor core, so that memory does not grow with the number of clients."""

    def __init__(self):
        self._free = threading.BoundedSemaphore(os.cpu_count() or 1)

    @contextlib.contextmanager
    def turn(self, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Waits for a turn, which lasts as long as the block.

        Raises RequestError after PATIENCE seconds, or if `is_wanted` says that the client has left.
        """
        if not self._free.acquire(timeout=PATIENCE):
            raise RequestError(grpc.StatusCode.UNAVAILABLE, f'The server was busy for {PATIENCE} seconds.')
        try:
            if not is_wanted():
                raise RequestError(grpc.StatusCode.CANCELLED, 'The client has left.')
            yield
        finally:
            self._free.release()
