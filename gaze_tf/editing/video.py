"""Videos: the eyes of every frame are repainted, smoothly. Frames stream through; only those looked ahead are held."""

import concurrent.futures
import contextlib
import itertools
import pathlib
from collections.abc import Callable
from typing import TextIO

import numpy as np
from tqdm import tqdm

from gaze_tf.compositing import blend as blend_lib
from gaze_tf.editing.editor import GazeEditor, alphas_of_eyes
from gaze_tf.editing.eye_contact import gaze_moved
from gaze_tf.editing.gaze_target import directions
from gaze_tf.editing.options import VideoOptions
from gaze_tf.editing.source_files import Source
from gaze_tf.editing.strength import seen, share_of
from gaze_tf.editing.track_matching import GAP_S, look_of
from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.editing.video_report import Summary, Tally, open_report
from gaze_tf.errors import GazeError
from gaze_tf.inference import faces as faces_lib
from gaze_tf.media.video_files import open_video, write_video

# frames whose faces share a batch of the network
_CHUNK = 8
# bytes of frames that may wait for later ones, and of a chunk
_WAITING, _CHUNK_BYTES = 1_200_000_000, 200_000_000
# side of the smallest faces to detect, as a share of the longer side of a frame
SMALLEST = 0.06


def correct(
    editor: GazeEditor,
    source: Source,
    report: pathlib.Path | str | TextIO | None = None,
    options: VideoOptions = VideoOptions(),
    watch: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Corrects a video, with its sound.

    Args:
      editor: the editor.
      source: the video; its eyes, if any, are those of every frame.
      report: path of a CSV, or an open text file, or None. It gets a row for each frame and face (COLUMNS), then one
        for each sentence on the video as a whole, in which only `reason` is filled.
      options: see VideoOptions.
      watch: called with the number of frames done, after each; an exception that it raises ends the work, and nothing
        is written.

    Returns:
      Summary.

    Raises:
      GazeError: the video cannot be read or written; a file that was there stays.
    """
    assert source.output is not None
    alphas = alphas_of_eyes(options.alpha)
    # eyes at the camera are only left alone if that is where they are to look
    always = options.always or bool(options.look or options.target)
    with open_video(source.path) as video, open_report(report) as write_row:
        size, fps = video.info.size, video.info.fps
        given = source.eyes and faces_lib.eyes_given(source.eyes, size)
        tracker, note = _tracker(editor, video.info, given, options)
        tally = Tally(video, write_row)
        with (
            write_video(source.output, size, fps, audio_from=source.path, mark=options.mark) as out,
            tqdm(total=video.info.frames, unit=' frames', dynamic_ncols=True) as bar,
        ):
            # frames are read, looked through, painted and written at the same time
            painted = _ahead(
                _painted(
                    editor,
                    track(editor, _ahead(_found(editor, video, given)), tracker, alphas, always),
                    alphas,
                    options,
                )
            )
            with contextlib.closing(painted):
                for _, tracked, after in itertools.chain.from_iterable(painted):
                    out.write(after)
                    tally.add(tracked)
                    bar.update()
                    watch(tally.number)
            if not tally.edited and not tally.at_camera:
                raise GazeError(
                    f'In none of the {tally.number} frames of {source.path} could a face be edited '
                    f'({tally.why_none()}); nothing was written.'
                )
            return tally.summary([*out.notes, note])


def measure(
    editor: GazeEditor,
    source: Source,
    report: pathlib.Path | str | TextIO | None = None,
    options: VideoOptions = VideoOptions(),
) -> Summary:
    """What `correct` would do to a video; the arguments are the same. Nothing is edited: the editor needs no
    network."""
    with open_video(source.path) as video, open_report(report) as write_row:
        given = source.eyes and faces_lib.eyes_given(source.eyes, video.info.size)
        tracker, note = _tracker(editor, video.info, given, options)
        tally = Tally(video, write_row)
        with tqdm(total=video.info.frames, unit=' frames', dynamic_ncols=True) as bar:
            with contextlib.closing(_ahead(_found(editor, video, given))) as chunks:
                for rgb, found in itertools.chain.from_iterable(chunks):
                    for _, tracked in tracker.push(rgb, [Found(face, None, look_of(rgb, face)) for face in found]):
                        tally.add(tracked)
                    bar.update()
            for _, tracked in tracker.finish():
                tally.add(tracked)
        none = '' if tally.edited else f'In none of its frames could a face be edited ({tally.why_none()}).'
        return tally.summary([note, none])._replace(done='eyes to be repainted')


def _tracker(editor, info, given, options):
    """(the Tracker of a video with this Info, a sentence for the user or '')."""
    smoothing, fade, note = _within_memory(info.size, info.fps, options.smoothing, options.fade)
    return Tracker(
        info.fps,
        smoothing,
        fade,
        lambda face: faces_lib.why_not(face, editor.limits, info.size),
        options.cuts,
        'all' if given else options.faces,
        lambda face: share_of(face, editor.limits),
        options.look_away,
    ), note


def _within_memory(size, fps, smoothing, fade):
    """(smoothing, fade, note): both reduced as far as needed for the waiting frames to fit into memory."""
    most = max(_WAITING / float(3 * size[0] * size[1] * fps) - GAP_S, 0)
    if max(smoothing / 2, fade) <= most:
        return smoothing, fade, ''
    return (
        min(smoothing, 2 * most),
        min(fade, most),
        (
            f'As its frames are large or many, positions are smoothed over {min(smoothing, 2 * most):.2g} seconds '
            f'and changes fade in {min(fade, most):.2g}.'
        ),
    )


def _read(video):
    """Yields lists of frames that share a batch of the network."""
    frames = iter(video)
    width, height = video.info.size
    count = max(min(_CHUNK_BYTES // (3 * width * height), _CHUNK), 1)
    while chunk := list(itertools.islice(frames, count)):
        yield chunk


def _found(editor, video, given):
    """Yields chunks of (frame, its Faces)."""
    find = None if given else editor.finder(video.info.fps)
    for chunk in _ahead(_read(video)):
        yield [(frame, [given] if given else find(frame)) for frame in chunk]


def _ahead(items):
    """Yields the items of a generator, while a thread computes the next one."""
    # the thread ends first, as a running generator cannot be closed
    with contextlib.closing(items), concurrent.futures.ThreadPoolExecutor(1) as worker:
        future = worker.submit(next, items, None)
        while (item := future.result()) is not None:
            future = worker.submit(next, items, None)
            yield item


def track(editor, chunks, tracker, alphas, always=True):
    """Turns chunks of (frame, its Faces) into chunks of (frame, [Tracked]), `tracker.delay` frames later.

    always: see VideoOptions; without it the Tracker must look ahead, so that eyes are painted before they look away.
    """
    most, number = 1, 0
    for chunk in chunks:
        most = max(most, len(chunk))
        looked = iter(
            _looked(
                editor,
                chunk,
                [
                    (k % tracker.code_every == 0 and (alphas == 1).all(), not always and k % tracker.moved_every == 0)
                    for k in range(number, number + len(chunk))
                ],
            )
        )
        yield [
            done
            for rgb, faces in chunk
            for done in tracker.push(rgb, [Found(face, look=look_of(rgb, face), **next(looked)) for face in faces])
        ]
        number += len(chunk)
    rest = tracker.finish()
    while rest:
        yield rest[:most]
        del rest[:most]


def _looked(editor, chunk, wanted):
    """What the network measures of each face in a chunk, as far as it is wanted: {'code', 'moved'}, see Found.

    wanted: for each frame, whether codes are wanted, and how far painting moves the gaze.
    """
    faces = [(rgb, face, *which) for (rgb, faces), which in zip(chunk, wanted) for face in faces]
    some = [n for n, (_, _, *which) in enumerate(faces) if any(which)]
    told = [{} for _ in faces]
    if some:
        frames, cuts = editor.cut_out(*zip(*(faces[n][:2] for n in some)))
        eyes = np.stack([frame.eyes for frame in frames])
        codes = editor.network.paint_codes(cuts, eyes)
        for n, code in zip(some, codes):
            told[n]['code'] = code if faces[n][2] else None
        moving = [k for k, n in enumerate(some) if faces[n][3]]
        if moving:
            painted = editor.network.paint(cuts[moving], eyes[moving], [codes[k] for k in moving])
            for k, after in zip(moving, painted):
                told[some[k]]['moved'] = gaze_moved(cuts[k], after, eyes[k], editor.network.boxes(eyes[k]))
    return told


def _painted(editor, chunks, alphas, options):
    """Yields `repaint` of each chunk."""
    first = 0
    for chunk in chunks:
        yield repaint(editor, chunk, alphas, options, first)
        first += len(chunk)


def repaint(editor, chunk, alphas, options, number):
    """(frame, [Tracked], frame with repainted eyes) for each frame of a chunk. number: that of its first frame."""
    work = [(k, each) for k, (_, tracked) in enumerate(chunk) for each in tracked if each.strength > 0 and alphas.any()]
    results = [rgb for rgb, _ in chunk]
    if work:
        numbers, faces = zip(*work)
        frames, cuts = editor.cut_out([results[k] for k in numbers], [each.face for each in faces])
        moved = np.array([each.strength for each in faces])[:, None] * alphas
        eyes = np.stack([frame.eyes for frame in frames])
        wanted = directions(options, frames, [results[k].shape[1::-1] for k in numbers])
        painted = editor.repainted(cuts, eyes, moved, [each.code for each in faces], wanted)
        strengths = np.array([seen(each.strength) for each in faces])[:, None] * (alphas != 0)
        for some in _at_once(numbers, eyes):
            after = blend_lib.put_back_all(
                [results[numbers[n]] for n in some],
                [frames[n] for n in some],
                cuts[some],
                painted[some],
                editor.network.boxes(eyes[some[0]]),
                options.blend,
                strengths[some],
                seed=number + numbers[some[0]],
            )
            for n, result in zip(some, after):
                results[numbers[n]] = result
    return [(rgb, tracked, after) for (rgb, tracked), after in zip(chunk, results)]


def _at_once(numbers, eyes):
    """Groups faces that can be put back in one go: one face per frame, all with their eyes at the same place.

    numbers: the number of each face's frame; eyes: [B, 4] in the model's frame. Returns lists of positions in both.
    """
    groups = {}
    for n, (number, own) in enumerate(zip(numbers, eyes)):
        groups.setdefault((numbers[:n].count(number), *own), []).append(n)
    return list(groups.values())
