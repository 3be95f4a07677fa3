"""Many photos in one run: read and written in the background while the network works, and reported one by one."""

import collections
import concurrent.futures
import json
import pathlib
import time

from tqdm import tqdm

from gaze_tf.editing.editor import BATCH, chosen_faces
from gaze_tf.errors import GazeError
from gaze_tf.files import reason, write_text
from gaze_tf.inference.faces import gaze_aside, iris_offset
from gaze_tf.media.photo import Photo

REPORT = 'report.json'
# photos that are read ahead, and pixels that are held before the network is given what there is
_AHEAD = 3
_PIXELS = 24e6
# seconds between two writings of the report, from which a run that was killed goes on
_SAVE_EVERY = 10


def face_row(report):
    """A FaceReport for JSON, with what its Face tells of the gaze: `faces.iris_offset` and, in degrees, `faces.gaze_aside`."""
    face = report.face
    row = {
        'index': report.index,
        'done': report.done,
        **face._asdict(),
        'iris_offset': iris_offset(face),
        'gaze_aside': gaze_aside(face),
    }
    row.update(
        {'reason': report.reason} if report.reason else {'sharpness': report.sharpness, 'strength': report.strength}
    )
    return {name: _rounded(value) for name, value in row.items() if value is not None}


def correct(editor, sources, folder, settings, faces='largest', alpha=1.0, blend='feather', redo=False, mark=False):
    """Corrects the photos of Sources by a GazeEditor; for faces, alpha and blend see `GazeEditor.correct`, for the rest
    `save_all`."""
    return save_all(lambda todo: _edited(editor, todo, faces, alpha, blend), sources, folder, settings, redo, mark)


def save_all(edit, sources, folder, settings, redo=False, mark=False):
    """Saves edited photos and writes a report beside them.

    A photo that cannot be read or written is reported and left out. One in which nothing is to be done is copied.
    What the report of an earlier run with the same settings says is done, is not done again. Its rows on other photos stay.

    Args:
      edit: list of Sources → yields (Source, its Edited, or the exception why there is none) for each.
      sources: list of source_files.Source.
      folder: where the report (report.json) goes.
      settings: what the results depend on, for JSON.
      redo: whether to do again what is done.
      mark: see `Photo.save`.

    Returns:
      list of rows: dicts with 'file', 'output', 'status' ('corrected', 'unchanged' and its 'reason', 'failed' and its
      'error'), 'faces', and for what an earlier run did, 'earlier'.

    Raises:
      GazeError: the report cannot be written.
    """
    report = _Report(pathlib.Path(folder), settings, sources, redo)
    # a folder that cannot be written is to be known before the work, not after it
    report.save()
    todo = [source for source in sources if str(source.path) not in report.rows]
    written = collections.deque()
    with (
        concurrent.futures.ThreadPoolExecutor(1) as writer,
        tqdm(total=len(sources), initial=len(sources) - len(todo), unit=' photos', dynamic_ncols=True) as bar,
    ):
        try:
            for source, edited in edit(todo):
                if isinstance(edited, Exception):
                    report.add(source, status='failed', error=_of_the_file(source, edited))
                    bar.update()
                    continue
                written.append((source, edited, writer.submit(edited.save, source.output, mark)))
                # whatever waits to be written is held in memory
                while len(written) > BATCH:
                    _finish(written.popleft(), report, bar)
            while written:
                _finish(written.popleft(), report, bar)
        finally:
            # interrupted: what is being written is done, too
            for entry in written:
                if not entry[-1].cancel():
                    _finish(entry, report, bar)
            report.save()
    return [report.rows[str(source.path)] for source in sources]


def measure(editor, sources, faces='largest'):
    """What `correct` would do to the photos of Sources, without doing it: the editor may have no network.

    Returns:
      list of rows: dicts with 'file', 'status' ('measured', or 'failed' and its 'error'), 'faces', of which none is done, and
      'notes', if there are any.
    """
    rows = []
    with concurrent.futures.ThreadPoolExecutor(2) as readers:
        for source, future in tqdm(_read(readers, sources), total=len(sources), unit=' photos', dynamic_ncols=True):
            try:
                photo = future.result()
                reports = measured(editor, photo.rgb, source.eyes, faces)
            except Exception as error:  # whatever one photo does to a decoder or detector, the others are measured
                rows.append({'file': str(source.path), 'status': 'failed', 'error': _of_the_file(source, error)})
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


def measured(editor, rgb, eyes=None, faces='largest'):
    """The FaceReport of each face of a photo uint8 [H, W, 3] to which nothing was done yet. For the rest see
    `GazeEditor.correct`."""
    return [report._replace(done=False) for report in chosen_faces(rgb, editor.find, editor.limits, eyes, faces)]


def _edited(editor, sources, faces, alpha, blend):
    """What `save_all` takes, by a GazeEditor: the faces of several photos in one batch."""
    with concurrent.futures.ThreadPoolExecutor(2) as readers:
        group = []
        for source, future in _read(readers, sources):
            try:
                work = editor.prepare(future.result(), source.eyes, faces)
            except Exception as error:  # whatever one photo does to a decoder or detector, the others are done
                yield source, error
                continue
            group.append((source, work))
            if (
                sum(len(work.cuts) for _, work in group) >= BATCH
                or len(group) >= 2 * BATCH
                or sum(work.rgb.size for _, work in group) >= 3 * _PIXELS
            ):
                yield from _painted(editor, group, alpha, blend)
                group = []
        yield from _painted(editor, group, alpha, blend)


def _painted(editor, group, alpha, blend):
    """Yields (source, its Edited, or the exception why there is none) of a group of (source, Work)."""
    try:
        edited = editor.paint([work for _, work in group], alpha, blend)
    except GazeError:  # of what was asked for, not of a photo
        raise
    except Exception as error:
        if len(group) == 1:
            yield group[0][0], error
            return
        # which photo it was shows when they are alone
        for each in group:
            yield from _painted(editor, [each], alpha, blend)
    else:
        yield from zip([source for source, _ in group], edited)


def _read(readers, sources):
    """Yields (source, future of its Photo) in order, a few of them read ahead."""
    waiting = collections.deque()
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
        report.add(source, status='failed', error=_of_the_file(source, error))
    else:
        report.add(source, **_row(edited))
    bar.update()


class _Report:
    """The rows of a run by photo, and their file, where those of runs over other photos stay.

    A row belongs to its result's name, which is one of the folder's. It names the settings it was made with where they
    are not the report's, which are those of the run that wrote last.
    """

    def __init__(self, folder, settings, sources, redo):
        self._path, self._settings, self.rows = folder / REPORT, settings, {}
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
        """{name of the result: row} of the file, as it is now; what is no report counts as none."""
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
        """Writes the report; raises GazeError."""
        # read anew: runs over other photos may be writing into the same folder
        rows = [row for name, row in self._read().items() if name not in self._names]
        rows += [{name: value for name, value in row.items() if name != 'earlier'} for row in self.rows.values()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps({'settings': self._settings, 'photos': rows}, indent=1) + '\n')
        except OSError as error:
            raise GazeError(f'The report {self._path} cannot be written: {reason(error)}.') from error
        self._saved = time.monotonic()


def _newer(source):
    """Whether the result is there and not older than its photo."""
    try:
        return source.output.stat().st_mtime >= source.path.stat().st_mtime
    except OSError:
        return False


def _of_the_file(source, error):
    """What is wrong with one of many files, which no flag names."""
    if isinstance(error, GazeError):
        return str(error).removeprefix('--input: ').removeprefix('--output: ')
    why = (str(error).splitlines() or [''])[0]
    return f'{source.path} could not be edited ({type(error).__name__}{": " if why else ""}{why}).'


def _rounded(value):
    if isinstance(value, float):
        return round(value, 3)
    return [_rounded(each) for each in value] if isinstance(value, tuple) else value
