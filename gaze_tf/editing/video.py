"""Videos: the eyes of every frame repainted, steadily. Frames stream through; only a look-ahead of them is held."""
import collections
import concurrent.futures
import contextlib
import csv
import itertools
import pathlib
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from gaze_tf.editing import blend as blend_lib, faces as faces_lib
from gaze_tf.editing.contact import AT_CAMERA, RATE, gaze_moved
from gaze_tf.editing.editor import alphas_of_eyes
from gaze_tf.editing.numbering import GAP_S, look_of
from gaze_tf.editing.strength import seen, share_of
from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.editing.video_files import open_video, write_video
from gaze_tf.errors import GazeError
from gaze_tf.folders import new_file

# frames whose faces go through the network together
_CHUNK = 8
# bytes of frames that may wait for those after them, and of a chunk
_WAITING, _CHUNK_BYTES = 1_200_000_000, 200_000_000
# side of the smallest faces looked for, as a share of the longer side
SMALLEST = 0.06
# tracks that a summary names
_NAMED = 10
COLUMNS = ('frame', 'seconds', 'track', 'left_x', 'left_y', 'right_x', 'right_y', 'strength', 'reason')


class Summary(NamedTuple):
    """What was done to a video: its frames, those in which eyes were repainted, how much eyes tremble as they were found
    and as they were used (pixels, see `stability.jitter`; None without three frames of a face); notes: sentences for the
    user on what is not as it was, but for the eyes; problem: what was wrong with it, in a sentence, or ''; chosen:
    [(track that was chosen, the second in which it was first seen)]; at_camera: times that a face was left alone as its eyes
    look at the camera.
    """
    frames: int
    repainted: int
    found_jitter: float
    used_jitter: float
    notes: tuple
    problem: str
    chosen: list
    at_camera: int = 0

    def __str__(self):
        line = f'{self.frames} frames, eyes repainted in {self.repainted}'
        if self.at_camera:
            line += f', left alone in {self.at_camera} as they look at the camera (--always: are repainted)'
        if self.found_jitter is not None:
            line += (f'; eye positions jitter by {self.found_jitter:.2f} pixels as found, {self.used_jitter:.2f} as used')
        if self.chosen:
            line += '; chosen: track ' + ', '.join(f'{track} (from second {start:.1f} on)'
                                                   for track, start in self.chosen[:_NAMED])
            line += f' and {len(self.chosen) - _NAMED} more' if len(self.chosen) > _NAMED else ''
        return '\n'.join([line, *self.notes])


def correct(editor, source, report=None, faces='largest', alpha=1., blend='feather', smoothing=1.2, fade=0.25, cuts=True,
            mark=False, look_away=False, always=False):
    """Corrects a video, with its sound.

    Args:
      editor: GazeEditor.
      source: inputs.Source; its eyes, if any, are those of every frame.
      report: path of a CSV with a row for each frame and face (COLUMNS), then one for each sentence on the video as a
        whole, of which only `reason` is filled; or None.
      faces: the tracks that are edited in each shot: 'largest', 'all', or numbers by size, see `choice.Choice`.
      alpha, blend: as of `GazeEditor.correct`.
      smoothing, fade: seconds, see `tracking.Tracker`; cuts: whether to look for them.
      mark: see `video_files.write_video`.
      look_away: whether faces do so now and then, see `strength.glancing`.
      always: whether eyes are repainted also where they look at the camera for a while, see `contact.Contact`.

    Returns:
      Summary.

    Raises:
      GazeError: the video cannot be read or written; a file that was there stays.
    """
    alphas = alphas_of_eyes(alpha)
    with open_video(source.path) as video, _rows(report) as write_row, \
            concurrent.futures.ThreadPoolExecutor(1) as worker:
        size, fps = video.info.size, video.info.fps
        given = source.eyes and faces_lib.eyes_given(source.eyes, size)
        smoothing, fade, note = _within_memory(size, fps, smoothing, fade)
        tracker = Tracker(fps, smoothing, fade, lambda face: faces_lib.why_not(face, editor.limits, size), cuts,
                          'all' if given else faces, lambda face: share_of(face, editor.limits),
                          look_away)
        jitters, chosen, others = _Jitters(), {}, False
        reasons, repainted, number = collections.Counter(), 0, 0
        with write_video(source.output, size, fps, audio_from=source.path, mark=mark) as out, \
                tqdm(total=video.info.frames, unit=' frames', dynamic_ncols=True) as bar:
            for complete in _tracked(editor, _found(editor, video, worker, given), tracker, alphas,
                                     None if always else max(round(fps / RATE), 1)):
                for frame, tracked, after in _repainted(editor, complete, alphas, blend, number):
                    out.write(after)
                    for each in tracked:
                        write_row([number, f'{video.seconds(number):.3f}', each.track,
                                   *(f'{value:.2f}' for value in each.face.eyes), f'{each.strength:.3f}', each.reason])
                    others = others or not all(each.chosen for each in tracked)
                    tracked = [each for each in tracked if each.chosen]
                    jitters.add(tracked)
                    for each in tracked:
                        chosen.setdefault(each.track, video.seconds(number))
                    reasons.update(each.reason for each in tracked if each.reason)
                    repainted += any(each.strength for each in tracked)
                    number += 1
                    bar.update()
            if not repainted and not reasons[AT_CAMERA]:
                why = max(reasons, key=reasons.get) if reasons else faces_lib.NOT_CHOSEN if others else 'none was found'
                raise GazeError(f'In none of the {number} frames of {source.path} could a face be edited ({why}); nothing was '
                                'written.')
            notes = tuple(filter(None, [video.info.note, *video.notes, *out.notes, note]))
            for sentence in [*notes, *filter(None, [video.problem])]:
                write_row([''] * (len(COLUMNS) - 1) + [sentence])
    return Summary(number, repainted, *jitters.of_all(), notes, video.problem, list(chosen.items()), reasons[AT_CAMERA])


def _within_memory(size, fps, smoothing, fade):
    """(smoothing, fade, note): so much of both that the frames that wait for them fit into memory."""
    most = max(_WAITING / float(3 * size[0] * size[1] * fps) - GAP_S, 0)
    if max(smoothing / 2, fade) <= most:
        return smoothing, fade, ''
    return min(smoothing, 2 * most), min(fade, most), (
        f'As its frames are large or many, positions are smoothed over {min(smoothing, 2 * most):.2g} seconds and changes '
        f'fade in {min(fade, most):.2g}.')


def _found(editor, video, worker, given):
    """Yields chunks of (frame, its Faces); a chunk is read and looked through while the network has the one before."""
    frames = iter(video)
    find = None if given else editor.finder(video.info.fps)
    width, height = video.info.size
    count = max(min(_CHUNK_BYTES // (3 * width * height), _CHUNK), 1)

    def look():
        return [(frame, [given] if given else find(frame)) for frame in itertools.islice(frames, count)]

    ahead = worker.submit(look)
    while True:
        chunk = ahead.result()
        if not chunk:
            return
        ahead = worker.submit(look)
        yield chunk


def _tracked(editor, chunks, tracker, alphas, every):
    """Yields chunks of (frame, [Tracked]), `tracker.delay` frames later; every: in one of so many frames it is measured
    how far eyes look past the camera, None: in none."""
    most, number = 1, 0
    for chunk in chunks:
        most = max(most, len(chunk))
        codes = itertools.repeat(None)
        if (alphas == 1).all():
            cut = [(editor.frame_of(face, rgb), rgb) for rgb, faces in chunk for face in faces]
            if cut:
                codes = iter(editor.network.paint_codes(np.stack([frame.cut(rgb).numpy() for frame, rgb in cut]),
                                                        np.stack([frame.eyes for frame, _ in cut])))
        moved = iter(_moved(editor, chunk, number, every))
        number += len(chunk)
        yield [done for rgb, faces in chunk for done in tracker.push(
            rgb, [Found(face, next(codes), look_of(rgb, face), next(moved)) for face in faces])]
    rest = tracker.finish()
    while rest:
        yield rest[:most]
        del rest[:most]


def _moved(editor, chunk, number, every):
    """`contact.gaze_moved` of each face in a chunk, or None; number: of its first frame; for every see `_tracked`."""
    looked = [[every is not None and k % every == 0] * len(faces) for k, (_, faces) in enumerate(chunk, number)]
    work = [(editor.frame_of(face, rgb), rgb) for (rgb, faces), look in zip(chunk, looked) if any(look) for face in faces]
    found = iter(())
    if work:
        cuts = np.stack([frame.cut(rgb).numpy() for frame, rgb in work])
        painted = editor.network.correct(cuts, np.stack([frame.eyes for frame, _ in work]))
        found = iter([gaze_moved(cut, after, frame.eyes, editor.network.boxes(frame.eyes))
                      for (frame, _), cut, after in zip(work, cuts, painted)])
    return [next(found) if look else None for looks in looked for look in looks]


def _repainted(editor, chunk, alphas, blend, number):
    """(frame, [Tracked], frame with repainted eyes) of a chunk; `number`: of its first frame."""
    work = [(k, each.strength, each.code, editor.frame_of(each.face, rgb))
            for k, (rgb, tracked) in enumerate(chunk) for each in tracked if each.strength > 0 and alphas.any()]
    results = [rgb for rgb, _ in chunk]
    if work:
        cuts = np.stack([frame.cut(chunk[k][0]).numpy() for k, _, _, frame in work])
        moved = np.array([strength for _, strength, _, _ in work])[:, None] * alphas
        painted = editor.repainted(cuts, np.stack([frame.eyes for *_, frame in work]), moved,
                                   [code for _, _, code, _ in work])
        for (k, strength, _, frame), cut, after in zip(work, cuts, painted):
            strengths = [seen(strength) * (value != 0) for value in alphas]
            results[k] = blend_lib.put_back(results[k], frame, cut, after, editor.network.boxes(frame.eyes), blend,
                                            strengths, seed=number + k)
    return [(rgb, tracked, after) for (rgb, tracked), after in zip(chunk, results)]


@contextlib.contextmanager
def _rows(path):
    """A function that writes a row of the report, which is there whole at the end, or not at all."""
    if path is None:
        yield lambda row: None
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
        raise GazeError(f'--report={path} cannot be written ({error.strerror or error}).') from error


class _Jitters:
    """`stability.jitter` of eyes as found and as used, over all tracks, without keeping positions."""

    def __init__(self):
        self._last, self._squares, self._count = {}, np.zeros(2), 0

    def add(self, tracked):
        """Takes the [Tracked] of the next frame."""
        self._last = {each.track: self._last.get(each.track, collections.deque(maxlen=3)) for each in tracked}
        for each in tracked:
            last = self._last[each.track]
            last.append(np.array([each.found_eyes, each.face.eyes]))
            if len(last) == 3:
                self._squares += np.mean((last[0] - 2 * last[1] + last[2]) ** 2, axis=1)
                self._count += 1

    def of_all(self):
        """(as found, as used) in pixels, or (None, None)."""
        if not self._count:
            return None, None
        return tuple(float(value) for value in np.sqrt(self._squares / self._count / 6))
