"""Many photos in one run: they are read and written in the background while the network works, and reported singly."""

import collections
import concurrent.futures
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from gaze_tf.editing.editor import BATCH, Edited, GazeEditor, Work
from gaze_tf.editing.face_reports import FaceReport, report_faces
from gaze_tf.editing.options import CorrectOptions
from gaze_tf.editing.source_files import Source
from gaze_tf.errors import GazeError, first_line
from gaze_tf.files import reason, write_text
from gaze_tf.inference.faces import gaze_aside, iris_offset
from gaze_tf.media.photo import Photo

REPORT = 'report.json'
# photos that are read ahead, and pixels that may wait before the network gets a batch that is not full
_AHEAD = 3
_PIXELS = 24e6
# seconds between two saves of the report, with which a run that was killed can continue
_SAVE_EVERY = 10


# edits Sources: yields each with its result, or with the exception why there is none
Edit = Callable[[Sequence[Source]], Iterable[tuple[Source, Edited | Exception]]]


def face_row(report: FaceReport) -> dict[str, Any]:
    """A FaceReport for JSON, with what its Face tells of the gaze: `faces.iris_offset` and `faces.gaze_aside`
    (degrees)."""
    face = report.face
    row = {
        'index': report.index,
        'done': report.done,
        **face._asdict(),
        'iris_offset': iris_offset(face),
        'gaze_aside': gaze_aside(face),
    }
    if report.reason:
        row['reason'] = report.reason
    else:
        row.update(sharpness=report.sharpness, strength=report.strength)
    return {name: _rounded(value) for name, value in row.items() if value is not None}


def correct(
    editor: GazeEditor,
    sources: Sequence[Source],
    folder: pathlib.Path | str,
    settings: dict[str, Any],
    options: CorrectOptions = CorrectOptions(),
    redo: bool = False,
) -> list[dict[str, Any]]:
    """Corrects the photos of Sources with a GazeEditor; for the other arguments and the result see `save_all`."""
    return save_all(lambda todo: _edit(editor, todo, options), sources, folder, settings, redo, options.mark)


def save_all(
    edit: Edit,
    sources: Sequence[Source],
    folder: pathlib.Path | str,
    settings: dict[str, Any],
    redo: bool = False,
    mark: bool = False,
) -> list[dict[str, Any]]:
    """Saves edited photos and writes a report beside them.

    A photo that cannot be read or written is reported and left out. A photo in which there is nothing to do is copied.
    Photos that the report of an earlier run with the same settings lists as done are skipped. Its rows on other photos
    are kept.

    Args:
      edit: edits photos; see `Edit`.
      sources: the photos.
      folder: where the report (report.json) goes.
      settings: what the results depend on, for JSON.
      redo: whether to edit again photos that are already done.
      mark: see `Photo.save`.

    Returns:
      A row for each source: a dict with 'file', 'output', 'status' ('corrected', 'unchanged' and its 'reason', 'failed'
      and its 'error'), 'faces', and 'earlier' if an earlier run did it.

    Raises:
      GazeError: the report cannot be written.
    """
    report = _Report(pathlib.Path(folder), settings, sources, redo)
    # a folder that cannot be written must show before the work, not after it
    report.save()
    todo = [source for source in sources if str(source.path) not in report.rows]
    written: collections.deque = collections.deque()
    with (
        concurrent.futures.ThreadPoolExecutor(1) as writer,
        tqdm(total=len(sources), initial=len(sources) - len(todo), unit=' photos', dynamic_ncols=True) as bar,
    ):
        try:
            for source, edited in edit(todo):
                if isinstance(edited, Exception):
                    report.add(source, status='failed', error=_describe_failure(source, edited))
                    bar.update()
                    continue
                assert source.output is not None
                written.append((source, edited, writer.submit(edited.save, source.output, mark)))
                # photos that wait to be written are held in memory
                while len(written) > BATCH:
                    _finish(written.popleft(), report, bar)
            while written:
                _finish(written.popleft(), report, bar)
        finally:
            # after an interruption, what is being written is finished
            for entry in written:
                if not entry[-1].cancel():
                    _finish(entry, report, bar)
            report.save()
    return [report.rows[str(source.path)] for source in sources]


def measure(editor: GazeEditor, sources: Sequence[Source], faces: str = 'largest') -> list[dict[str, Any]]:
    """What `correct` would do to the photos of Sources. Nothing is edited, so the editor needs no network.

    Returns:
      A row for each source: a dict with 'file', 'status' ('measured', or 'failed' and its 'error'), 'faces', none of
      which is done, and 'notes' if there are any.
    """
    rows: list[dict[str, Any]] = []
    with concurrent.futures.ThreadPoolExecutor(2) as readers:
        for source, future in tqdm(_read(readers, sources), total=len(sources), unit=' photos', dynamic_ncols=True):
            try:
                photo = future.result()
                reports = measure_faces(editor, photo.rgb, source.eyes, faces)
            except Exception as error:  # whatever breaks in one photo, the others are measured
                rows.append({'file': str(source.path), 'status': 'failed', 'error': _describe_failure(source, error)})
                continue
            notes = {'notes': photo.notes} if photo.notes else {}
            rows.append(
                {
                    'file': str(source.path),
                    'status': 'measured',
                    **notes,
                    'faces': [face_row(report) for report in reports],
                }
            )
    return rows


def measure_faces(
    editor: GazeEditor, rgb: np.ndarray, eyes: Sequence[float] | None = None, faces: str = 'largest'
) -> list[FaceReport]:
    """The FaceReport of each face in a photo uint8 [H, W, 3], as not done yet; see `GazeEditor.correct`."""
    return [report._replace(done=False) for report in report_faces(rgb, editor.find, editor.limits, eyes, faces)]


def _edit(
    editor: GazeEditor, sources: Sequence[Source], options: CorrectOptions
) -> Iterator[tuple[Source, Edited | Exception]]:
    """An `Edit` with a GazeEditor: the faces of several photos share a batch."""
    with concurrent.futures.ThreadPoolExecutor(2) as readers:
        group: list[tuple[Source, Work]] = []
        for source, future in _read(readers, sources):
            try:
                work = editor.prepare(future.result(), source.eyes, options.faces)
            except Exception as error:  # whatever breaks in one photo, the others are edited
                yield source, error
                continue
            group.append((source, work))
            if (
                sum(len(work.cuts) for _, work in group) >= BATCH
                or len(group) >= 2 * BATCH
                or sum(work.rgb.size for _, work in group) >= 3 * _PIXELS
            ):
                yield from _paint(editor, group, options)
                group = []
        yield from _paint(editor, group, options)


def _paint(
    editor: GazeEditor, group: list[tuple[Source, Work]], options: CorrectOptions
) -> Iterator[tuple[Source, Edited | Exception]]:
    try:
        edited = editor.paint([work for _, work in group], options.alpha, options.blend, options)
    except GazeError:  # about the options, not about a photo
        raise
    except Exception as error:
        if len(group) == 1:
            yield group[0][0], error
            return
        # one by one, to see which photo it was
        for each in group:
            yield from _paint(editor, [each], options)
    else:
        yield from zip([source for source, _ in group], edited)


def _read(
    readers: concurrent.futures.Executor, sources: Iterable[Source]
) -> Iterator[tuple[Source, concurrent.futures.Future[Photo]]]:
    """Yields (source, future of its Photo) in order, with a few read ahead."""
    waiting: collections.deque = collections.deque()
    for source in sources:
        waiting.append((source, readers.submit(Photo.open, source.path)))
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _row(edited):
    if any(face.done for face in edited.faces):
        row = {'status': 'corrected'}
    else:
        row = {'status': 'unchanged', 'reason': '; '.join(face.reason for face in edited.faces) or 'no face was found'}
    notes = {'notes': edited.photo.notes} if edited.photo.notes else {}
    return {**row, **notes, 'faces': [face_row(face) for face in edited.faces]}


def _finish(entry, report, bar):
    source, edited, future = entry
    try:
        future.result()
    except Exception as error:
        report.add(source, status='failed', error=_describe_failure(source, error))
    else:
        report.add(source, **_row(edited))
    bar.update()


class _Report:
    """The rows of a run by photo, and their file, which also keeps the rows of runs over other photos.

    A row belongs to the name of its result, which is unique in the folder. If it was made with other settings than
    those of the report, which are of the run that wrote last, it names them.
    """

    def __init__(self, folder, settings, sources, redo):
        self._path, self.rows = folder / REPORT, {}
        # as the file gives them back
        self._settings = json.loads(json.dumps(settings))
        self._names = {source.output.name for source in sources}
        self._saved = time.monotonic()
        rows = {} if redo else self._read()
        for source in sources:
            row = rows.get(source.output.name)
            if (
                row
                and row['status'] != 'failed'
                and (row['file'], row['output']) == (str(source.path), str(source.output))
                and 'settings' not in row
                and _newer(source)
            ):
                self.rows[str(source.path)] = {**row, 'earlier': True}

    def _read(self):
        """{name of the result: row} of the file as it is now; empty if it is no report."""
        try:
            report = json.loads(self._path.read_text(encoding='utf-8'))
            rows = {}
            for row in report['photos']:
                settings = row.pop('settings', report['settings'])
                rows[pathlib.Path(row['output']).name] = {
                    **row,
                    **({'settings': settings} if settings != self._settings else {}),
                    'file': str(row['file']),
                    'status': str(row['status']),
                }
            return rows
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def add(self, source, **values):
        self.rows[str(source.path)] = {'file': str(source.path), 'output': str(source.output), **values}
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def save(self):
        """Writes the report. Raises GazeError."""
        # read again: runs over other photos may be writing into the same folder
        rows = [row for name, row in self._read().items() if name not in self._names]
        rows += [{name: value for name, value in row.items() if name != 'earlier'} for row in self.rows.values()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps({'settings': self._settings, 'photos': rows}, indent=1) + '\n')
        except OSError as error:
            raise GazeError(f'The report {self._path} cannot be written: {reason(error)}.') from error
        self._saved = time.monotonic()


def _newer(source):
    """Whether the result exists and is not older than its photo."""
    try:
        return source.output.stat().st_mtime >= source.path.stat().st_mtime
    except OSError:
        return False


def _describe_failure(source: Source, error: Exception) -> str:
    if isinstance(error, GazeError):
        return str(error)
    kind, why = type(error).__name__, first_line(error)
    return f'{source.path} could not be edited ({kind if why == kind else f"{kind}: {why}"}).'


def _rounded(value):
    if isinstance(value, float):
        return round(value, 3)
    return [_rounded(each) for each in value] if isinstance(value, tuple) else value
