"""Live editing: the newest frame of a camera is repainted and shown at once; frames that come meanwhile are dropped."""

import array
import collections
import contextlib
import signal
import threading
import time
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.options import LiveOptions
from gaze_tf.editing.strength import share_of
from gaze_tf.editing.tracking import Tracked, Tracker
from gaze_tf.editing.video import repaint, track
from gaze_tf.errors import GazeError
from gaze_tf.inference import faces as faces_lib
from gaze_tf.media.live_devices import QUIT

# seconds between two checks whether to stop, while no frame comes
_LOOK_S = 0.1
# seconds over which the frame rate on the screen is measured
_RATE_S = 1.0
_FULL = np.ones(2)
_BAR = '{n_fmt} frames, {elapsed}{postfix}'


class Summary(NamedTuple):
    """What was shown.

    shown: frames. repainted: those in which eyes were repainted. dropped: frames that came and were not shown.
    seconds: from the first frame to the last.
    latencies: median and 95th percentile of the seconds from when a frame came to when it was shown; None without
    frames.
    reason: why most of the other frames were left alone, or ''. problem: why no more frames came, or ''.
    """

    shown: int
    repainted: int
    dropped: int
    seconds: float
    latencies: tuple | None
    reason: str
    problem: str

    def __str__(self):
        line = f'{self.shown} frames shown in {self.seconds:.1f} s'
        if self.latencies:
            median, most = self.latencies
            line += (
                f' ({max(self.shown - 1, 0) / max(self.seconds, 1e-6):.1f} a second), {self.dropped} dropped; latency '
                f'{1000 * median:.0f} ms (median), {1000 * most:.0f} ms (95th percentile); eyes repainted in '
                f'{self.repainted}'
            )
        return line + (f', in others mostly not, as {self.reason}' if self.reason else '')


def run(editor: GazeEditor, source: Any, output: Any, options: LiveOptions = LiveOptions()) -> Summary:
    """Repaints frames from a source to an output until the source ends, q is pressed, or SIGINT or SIGTERM comes.

    Args:
      editor: the editor.
      source, output: see `live_devices`.
      options: see LiveOptions; of `smoothing` only the half before a frame counts.

    Returns:
      Summary.

    Raises:
      GazeError: no frame came, or none could be shown.
    """
    warm_up(editor, source.size, source.fps, options)
    corrector = Corrector(editor, source.size, source.fps, options)
    counts, correcting = Counts(), True
    with _noted_signals() as noted, _Newest(source) as newest, tqdm(bar_format=_BAR) as bar:
        for arrival in newest.frames(noted):
            tracked, after = corrector.correct(arrival.frame, arrival.number)
            text = f'{counts.now()}{"" if correcting else " (not corrected)"}'
            key = output.show(after if correcting else arrival.frame, arrival.number, text)
            counts.add(arrival.came, tracked)
            bar.set_postfix_str(text, refresh=False)
            bar.update()
            correcting ^= key == ' '
            if key == QUIT:
                break
    if newest.problem and not counts.shown:
        raise newest.problem
    return counts.summary(newest)


class Corrector:
    """Repaints the frames of one camera, one by one, without looking ahead.

    Args:
      editor: the editor.
      size: (width, height) of the frames.
      fps: the rate by which frames are numbered.
      options: see LiveOptions; of `smoothing` only the half before a frame counts.
    """

    def __init__(
        self, editor: GazeEditor, size: tuple[int, int], fps: float, options: LiveOptions = LiveOptions()
    ) -> None:
        self._editor, self._options, self._find = editor, options, editor.finder(fps)
        self._tracker = Tracker(
            fps,
            options.smoothing,
            options.fade,
            lambda face: faces_lib.why_not(face, editor.limits, size),
            True,
            options.faces,
            lambda face: share_of(face, editor.limits),
            options.look_away,
            causal=True,
        )
        self._last: int | None = None
        self._chunk: list[tuple] = []
        self._tracked = track(editor, self._chunks(), self._tracker, _FULL)

    def correct(self, frame: np.ndarray, number: int) -> tuple[list[Tracked], np.ndarray]:
        """(the Tracked of each face, the frame with repainted eyes) of a frame, uint8 [H, W, 3].

        number: of the frame in its source, greater than that of the frame before; those left out were dropped.
        """
        self._tracker.skip(0 if self._last is None else number - self._last - 1)
        self._last = number
        self._chunk = [(frame, self._find(frame))]
        ((_, tracked, after),) = repaint(self._editor, next(self._tracked), _FULL, self._options, number)
        return tracked, after

    def _chunks(self):
        while True:
            yield self._chunk


def warm_up(editor: GazeEditor, size: tuple[int, int], fps: float, options: LiveOptions = LiveOptions()) -> None:
    """Computes once everything that a frame of this (width, height) needs, as the first time takes seconds."""
    width, height = size
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    side = min(width, height) / 2
    corner = (width - side) / 2, (height - side) / 2
    eyes = tuple(corner[axis] + share * side for axis, share in ((0, 0.3), (1, 0.4), (0, 0.7), (1, 0.4)))
    face = faces_lib.Face(eyes, roll=0.0, box=(*corner, *(low + side for low in corner)))
    editor.find(frame)
    if hasattr(editor.detector, 'mark'):
        editor.detector.mark(frame, face)
    # correcting in full, and in part
    for alphas in (_FULL, _FULL / 2):
        for complete in track(editor, [[(frame, [face])]], Tracker(fps, fade_s=0, causal=True), alphas):
            repaint(editor, complete, alphas, options, 0)


class _Arrival(NamedTuple):
    """A frame, its number in its source, and when it came (time.monotonic)."""

    frame: np.ndarray
    number: int
    came: float


class _Newest:
    """A context in which a thread reads a source and keeps only the newest frame.

    dropped: frames that were not taken. problem: the exception that ended it, or None.
    """

    def __init__(self, source):
        self._source, self._changed, self._stop = source, threading.Condition(), threading.Event()
        self._newest, self._ended, self.dropped, self.problem = None, False, 0, None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def frames(self, ended):
        """Yields _Arrivals as they come, until the source ends or `ended` is true."""
        while not ended:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._ended, _LOOK_S)
                arrival, self._newest = self._newest, None
                if arrival is None and self._ended:
                    break
            if arrival is not None:
                yield arrival
        if self.problem and not isinstance(self.problem, GazeError):
            raise self.problem

    def _read(self):
        try:
            for number, frame in self._source.frames(self._stop):
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = _Arrival(frame, number, time.monotonic())
                    self._changed.notify()
        except Exception as error:  # the other thread raises it
            self.problem = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()


def left_alone(tracked: list[Tracked]) -> str:
    """Why no face of a frame was repainted, in a few words; '' if one was."""
    if any(each.strength for each in tracked):
        return ''
    chosen = [each.reason for each in tracked if each.chosen]
    return chosen[0] if chosen else faces_lib.NOT_CHOSEN if tracked else 'no face was found'


class Counts:
    """Counts what a Summary tells, and the rate and latency of the last second."""

    def __init__(self):
        self.shown = self.repainted = 0
        # 8 bytes for each: days of them fit into memory
        self._latencies, self._first, self._last = array.array('d'), None, None
        self._recent, self._reasons = collections.deque(), collections.Counter()

    def add(self, came: float, tracked: list[Tracked]) -> None:
        """Counts a frame that came then (time.monotonic) and was shown just now, with its list of Tracked."""
        now = time.monotonic()
        self._first, self._last = now if self._first is None else self._first, now
        self._latencies.append(now - came)
        self._recent.append((now, now - came))
        while now - self._recent[0][0] > _RATE_S:
            self._recent.popleft()
        self.repainted += any(each.strength for each in tracked)
        self.shown += 1
        reason = left_alone(tracked)
        # figures differ from frame to frame
        self._reasons[reason.partition(' by ')[0]] += bool(reason)

    def now(self) -> str:
        """The rate and latency of the last second, in words."""
        if not self._recent:
            return ''
        latency = np.median([latency for _, latency in self._recent])
        return f'{len(self._recent) / _RATE_S:.0f} frames/s, {1000 * latency:.0f} ms'

    def summary(self, newest):
        """The Summary, with what a _Newest knows."""
        latencies = tuple(np.percentile(self._latencies, [50, 95]).tolist()) if self.shown else None
        reason = max(self._reasons, key=self._reasons.get, default='')
        return Summary(
            self.shown,
            self.repainted,
            newest.dropped,
            (self._last or 0) - (self._first or 0),
            latencies,
            reason,
            str(newest.problem or ''),
        )


@contextlib.contextmanager
def _noted_signals():
    """A list of the SIGINTs and SIGTERMs that came. The first of each only ends the show; a second one acts as
    usual."""
    noted = []

    def note(number, _):
        noted.append(number)
        signal.signal(number, handlers[number])

    handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
