"""What is told of an edited video: a CSV with a row for each frame and face, and a summary."""

import collections
import contextlib
import csv
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TextIO

import numpy as np

from gaze_tf.editing.eye_contact import AT_CAMERA
from gaze_tf.editing.jitter import JitterMeter
from gaze_tf.editing.tracking import Tracked
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.inference import faces as faces_lib
from gaze_tf.media.video_files import VideoReader

# tracks that a summary names
_NAMED = 10
COLUMNS = (
    'frame',
    'seconds',
    'track',
    'left_x',
    'left_y',
    'right_x',
    'right_y',
    'yaw',
    'pitch',
    'roll',
    'left_openness',
    'right_openness',
    'iris_along',
    'iris_up',
    'gaze_aside',
    'strength',
    'reason',
)


class Summary(NamedTuple):
    """What was done to a video.

    frames: their number. repainted: those in which eyes were repainted.
    found_jitter, used_jitter: how much eyes tremble, in pixels, as found and as used (see `jitter.jitter`); None
      without three frames of a face.
    notes: sentences for the user on what else changed in the video.
    problem: what was wrong with it, in a sentence, or ''.
    chosen: [(chosen track, the second in which it was first seen)].
    done: what was done in those frames.
    at_camera: how often a face was left alone because its eyes look at the camera.
    """

    frames: int
    repainted: int
    found_jitter: float | None
    used_jitter: float | None
    notes: tuple
    problem: str
    chosen: list
    done: str = 'eyes repainted'
    at_camera: int = 0

    def __str__(self) -> str:
        line = f'{self.frames} frames, {self.done} in {self.repainted}'
        if self.at_camera:
            line += f', left alone in {self.at_camera} as they look at the camera (`always` repaints them)'
        if self.found_jitter is not None:
            line += f'; eye positions jitter by {self.found_jitter:.2f} pixels as found, {self.used_jitter:.2f} as used'
        if self.chosen:
            line += '; chosen: track ' + ', '.join(
                f'{track} (from second {start:.1f} on)' for track, start in self.chosen[:_NAMED]
            )
            line += f' and {len(self.chosen) - _NAMED} more' if len(self.chosen) > _NAMED else ''
        return '\n'.join([line, *self.notes])


class Tally:
    """Records what happens to a video, frame by frame, in rows of its report and in counts.

    number: frames so far. edited: those in which a face has a strength. at_camera: see Summary.
    """

    def __init__(self, video: VideoReader, write_row: Callable[[Sequence[Any]], Any]):
        self._video, self._write_row = video, write_row
        self._jitter, self._others = JitterMeter(), False
        self._chosen: dict[int, float] = {}
        self._reasons: collections.Counter[str] = collections.Counter()
        self.number = self.edited = self.at_camera = 0

    def add(self, tracked: Sequence[Tracked]) -> None:
        """Takes the list of Tracked of the next frame."""
        seconds = self._video.seconds(self.number)
        for each in tracked:
            self._write_row([self.number, f'{seconds:.3f}', *_measured(each), f'{each.strength:.3f}', each.reason])
        self._others = self._others or not all(each.chosen for each in tracked)
        tracked = [each for each in tracked if each.chosen]
        self._jitter.add({each.track: np.array([each.found_eyes, each.face.eyes]) for each in tracked})
        for each in tracked:
            self._chosen.setdefault(each.track, seconds)
        self._reasons.update(each.reason for each in tracked if each.reason)
        self.at_camera = self._reasons[AT_CAMERA]
        self.edited += any(each.strength for each in tracked)
        self.number += 1

    def why_none(self) -> str:
        """Why no face was edited, in a few words."""
        if self._reasons:
            return self._reasons.most_common(1)[0][0]
        return faces_lib.NOT_CHOSEN if self._others else 'none was found'

    def summary(self, notes: Sequence[str]) -> Summary:
        """The Summary, with these sentences ('' is skipped) and those from reading, which also go into the report."""
        notes = tuple(filter(None, [self._video.info.note, *self._video.notes, *notes]))
        for sentence in [*notes, *filter(None, [self._video.problem])]:
            self._write_row([''] * (len(COLUMNS) - 1) + [sentence])
        found, used = self._jitter.result() or (None, None)
        problem, chosen = self._video.problem, list(self._chosen.items())
        return Summary(self.number, self.edited, found, used, notes, problem, chosen, at_camera=self.at_camera)


def _measured(each):
    """The columns of a Tracked from `track` to `gaze_aside`; '' for what its detector does not measure."""
    face = each.face
    # irises are not smoothed, so the eyes must not be either
    as_found = face._replace(eyes=each.found_eyes)
    shares = [*(face.openness or (None, None)), *(faces_lib.iris_offset(as_found) or (None, None))]
    values = [(value, 2) for value in (*face.eyes, face.yaw, face.pitch, face.roll)] + [(value, 3) for value in shares]
    return [
        each.track,
        *(
            '' if value is None else f'{value:.{digits}f}'
            for value, digits in [*values, (faces_lib.gaze_aside(as_found), 1)]
        ),
    ]


@contextlib.contextmanager
def open_report(path: pathlib.Path | str | TextIO | None) -> Iterator[Callable[[Sequence[Any]], Any]]:
    """Yields a function that writes a row of the report: an open file, or one that appears whole or not at all."""
    if path is None:
        yield lambda row: None
        return
    if hasattr(path, 'write'):
        rows = csv.writer(path, lineterminator='\n')
        rows.writerow(COLUMNS)
        yield rows.writerow
        return
    path = pathlib.Path(path)

    def write_row(row):
        with _report_errors(path):
            rows.writerow(row)

    with contextlib.ExitStack() as stack:
        with _report_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = csv.writer(stack.enter_context(new_file(path, newline='', encoding='utf-8')))
        write_row(COLUMNS)
        yield write_row
        with _report_errors(path):
            stack.close()


@contextlib.contextmanager
def _report_errors(path):
    try:
        yield
    except OSError as error:
        raise GazeError(f'`report={path}` cannot be written ({error.strerror or error}).') from error
