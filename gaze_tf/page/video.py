"""The tab for videos: some frames first, then all of them, with the time left."""

import threading
import time
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from gaze_tf.editing import video
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.options import VideoOptions
from gaze_tf.editing.source_files import Source
from gaze_tf.media.video_files import read_frame
from gaze_tf.media.video_probe import probe
from gaze_tf.page import words
from gaze_tf.page.controls import make_mark
from gaze_tf.page.photo import LANE
from gaze_tf.page.picker import eyes_of, part
from gaze_tf.page.sessions import Session, Sessions

# of a video, as it takes about twice its length on 2 cores, and nobody else's can be done meanwhile
MAX_SECONDS = 600
# frames of the preview, and the size of each in pixels
_FRAMES, _SIZE = 4, (480, 300)
# seconds between two looks at the progress
_LOOK_S = 0.3
_FACES = [('The largest face', 'largest'), ('Everybody', 'all')]
_LANE: dict[str, Any] = {'concurrency_limit': 1, 'concurrency_id': 'video', 'api_visibility': 'private'}


class _Stopped(Exception):
    """The user wants no more of it."""


def make_tab(quick: GazeEditor, editor: GazeEditor, sessions: Sessions) -> None:
    """Draws the tab. quick: the editor for the preview, which need not wait for videos."""
    with gr.Row(elem_classes='work'):
        with gr.Column():
            drop = gr.File(
                label='Drop a video here, or click',
                file_types=['video'],
                height=130,
                elem_id='video-drop',
                elem_classes='drop',
            )
            about = gr.Markdown(f'Up to {MAX_SECONDS // 60} minutes.', elem_id='video-about')
        with gr.Column():
            with gr.Row():
                try_it = gr.Button('Preview some frames', interactive=False, elem_id='video-preview')
                start = gr.Button('Correct the video', variant='primary', interactive=False, elem_id='video-start')
                stop = gr.Button('Cancel', variant='stop', visible=False, elem_id='video-stop')
            status = gr.HTML(elem_id='video-status')
            preview = gr.Image(
                label='Before and after',
                visible=False,
                interactive=False,
                buttons=['fullscreen'],
                elem_id='video-frames',
            )
            result = gr.Video(label='Corrected', visible=False, elem_id='video-result')
            file = gr.DownloadButton('Download', visible=False, elem_id='video-file')
        with gr.Column():
            faces = gr.Radio(_FACES, value='largest', label='Whose eyes')
            strength = gr.Slider(0, 100, 100, step=1, label='Strength', info='0: as in the video. 100: at the camera.')
            always = gr.Checkbox(
                False,
                label='Also repaint eyes that already look at the camera',
                info='Otherwise they are left as they are.',
            )
            mark = make_mark()
    settings, answers = [faces, strength, always, mark], _Answers(quick, editor, sessions)

    taken = drop.upload(
        answers.take, drop, [drop, about, try_it, start, status, preview, result, file], show_progress_on=about, **LANE
    )
    taken.failure(lambda: None, None, drop, queue=False)
    try_it.click(answers.show_some, settings, preview, **LANE)
    outputs = [status, start, stop, result, file]
    begun = start.click(answers.correct, settings, outputs, show_progress_on=status, show_progress='minimal', **_LANE)
    begun.failure(lambda: '', None, status, queue=False)
    # only now would Gradio heed another click
    begun.then(lambda: (gr.update(interactive=True), gr.update(visible=False)), None, [start, stop], queue=False)
    stop.click(answers.cancel, queue=False)


class _Answers:
    """What happens on a click."""

    def __init__(self, quick: GazeEditor, editor: GazeEditor, sessions: Sessions) -> None:
        self._quick, self._editor, self._sessions = quick, editor, sessions

    def take(self, request: gr.Request, path):
        """Makes an uploaded video that of the tab."""
        session = self._sessions.of(request)
        taken = session.take('video', path)
        with words.told(taken.name):
            info = probe(taken).info
        seconds = _seconds(info)
        if seconds > MAX_SECONDS:
            raise words.error(
                f'The video lasts {words.clock(seconds)}, and at most {words.clock(MAX_SECONDS)} is done '
                'here: cut it, or use the command gaze-tf correct.'
            )
        session.video = taken
        text = f'**{taken.name}**, {words.clock(seconds)}, {info.size[0]} x {info.size[1]} pixels. {info.note}'
        ready = gr.update(interactive=True)
        hidden = gr.update(visible=False)
        return None, text, ready, ready, '', hidden, hidden, hidden

    def show_some(self, request: gr.Request, faces, strength, always, mark):
        """Shows some frames before and after."""
        session = self._sessions.of(request)
        path = _path(session)
        with words.told(path.name):
            info = probe(path).info
            numbers = [int((info.frames or 1) * (k + 0.5) / _FRAMES) for k in range(_FRAMES)]
            frames = [read_frame(path, max(number - 0.5, 0) / float(info.fps)) for number in numbers]
            pairs = [_pair(self._quick, frame, faces, strength) for frame in frames]
        sheet = Image.fromarray(np.concatenate(pairs, axis=1))
        return gr.update(value=session.show('frames', sheet), visible=True)

    def correct(self, request: gr.Request, faces, strength, always, mark):
        """Corrects the video, and tells how far it is."""
        session = self._sessions.of(request)
        path = _path(session)
        options = VideoOptions(faces=faces, alpha=(strength / 100,), always=always, mark=mark)
        output = session.new_path('corrected', f'{path.stem}_corrected.mp4')
        work = _Work(self._editor, session, Source(path, None, output), options)
        hidden = gr.update(visible=False)
        yield work.status(), gr.update(interactive=False), gr.update(visible=True), hidden, hidden
        while not work.ended(_LOOK_S):
            yield work.status(), *[gr.skip()] * 4
        with words.told(path.name):
            text = work.result()
        done = output.exists()
        # two, as Gradio changes what it gets
        shown, saved = (gr.update(value=str(output) if done else None, visible=done) for _ in range(2))
        yield text, gr.skip(), gr.skip(), shown, saved

    def cancel(self, request: gr.Request):
        """Ends that."""
        self._sessions.of(request).stop.set()


class _Work:
    """A video that is being corrected, in a thread of its own."""

    def __init__(self, editor: GazeEditor, session: Session, source: Source, options: VideoOptions) -> None:
        self._session, self._source = session, source
        self._frames, self._begun, self._done = probe(source.path).info.frames, time.monotonic(), 0
        self._wrong: Exception | None = None
        self._text = ''
        session.stop.clear()
        self._thread = threading.Thread(target=self._run, args=[editor, options], daemon=True)
        self._thread.start()

    def _run(self, editor, options):
        try:
            summary = video.correct(editor, self._source, options=options, watch=self._watch)
            self._text = words.describe_video(summary)
        except Exception as wrong:  # the other thread raises it
            self._wrong = wrong

    def _watch(self, done):
        self._done = done
        if self._session.stop.is_set():
            raise _Stopped

    def ended(self, seconds: float) -> bool:
        """Waits up to that long; whether the work has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def status(self) -> str:
        """HTML that shows the progress."""
        if not self._frames or not self._done:
            return f'<progress></progress> {self._done or "Looking for faces"} …'
        share = min(self._done / self._frames, 1)
        left = (time.monotonic() - self._begun) * (1 / share - 1)
        return f'<progress value="{share:.3f}"></progress> {share:.0%}, {words.remaining(left)}'

    def result(self) -> str:
        """What was done, in words. Raises what the work raised."""
        if isinstance(self._wrong, _Stopped):
            return 'Canceled; nothing was kept.'
        if self._wrong:
            raise self._wrong
        return self._text


def _pair(editor, frame, faces, strength):
    """A frame before and after correction, one above the other: the eyes, or all of it if no face is changed."""
    work = editor.prepare(frame, faces=faces)
    after = editor.paint([work], strength / 100)[0].image
    box = eyes_of(work, work.cuts) if work.cuts else None
    return np.concatenate([ImageOps.pad(part(rgb, box), _SIZE) for rgb in (frame, after)])


def _path(session):
    if session.video is None:
        raise words.error('Choose a video first.')
    return session.video


def _seconds(info):
    """The length of a video; 0 if it is unknown."""
    return float((info.frames or 0) / info.fps)
