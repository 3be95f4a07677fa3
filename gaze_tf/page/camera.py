"""The tab for the browser's camera, corrected live."""

import time
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from gaze_tf.editing import live
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.page.sessions import Sessions

# the rate by which frames are numbered; those that do not come count as dropped
_FPS = 30
# seconds between two frames that the browser sends, and the size that it is asked for
_EVERY_S, _SIZE = 0.05, (640, 480)
_START = 'Click the camera, allow the browser to use it, and click Record. Nothing is stored.'
_LANE: dict[str, Any] = {'concurrency_limit': 1, 'concurrency_id': 'camera', 'api_visibility': 'private'}


def make_tab(editor: GazeEditor, sessions: Sessions) -> None:
    """Draws the tab."""
    status = gr.Markdown(_START, elem_id='camera-status')
    with gr.Row():
        camera = gr.Image(
            label='Your camera',
            sources='webcam',
            streaming=True,
            height=400,
            webcam_options=gr.WebcamOptions(
                constraints={'video': {'width': {'ideal': _SIZE[0]}, 'height': {'ideal': _SIZE[1]}}}
            ),
            elem_id='camera-in',
        )
        result = gr.Image(label='Corrected', interactive=False, height=400, buttons=[], elem_id='camera-out')

    def correct(request: gr.Request, frame):
        session = sessions.of(request)
        if frame is None:
            return gr.skip(), gr.skip()
        if session.camera is None or session.camera.size != frame.shape[1::-1]:
            session.camera = Camera(editor, frame.shape[1::-1])
        after, text = session.camera.correct(frame)
        return session.show('camera', Image.fromarray(after)), text

    camera.stream(
        correct, camera, [result, status], stream_every=_EVERY_S, time_limit=None, show_progress='hidden', **_LANE
    )


class Camera:
    """The camera of a tab. size: (width, height) of its frames."""

    def __init__(self, editor: GazeEditor, size: tuple[int, ...]) -> None:
        self.size = size[0], size[1]
        live.warm_up(editor, self.size, _FPS)
        self._corrector, self._counts = live.Corrector(editor, self.size, _FPS), live.Counts()
        self._number, self._begun = -1, time.monotonic()

    def correct(self, frame: np.ndarray) -> tuple[np.ndarray, str]:
        """(the corrected frame; frames per second and latency, in words) of a frame uint8 [H, W, 3]."""
        came = time.monotonic()
        self._number = max(int((came - self._begun) * _FPS), self._number + 1)
        tracked, after = self._corrector.correct(frame, self._number)
        self._counts.add(came, tracked)
        reason = live.left_alone(tracked)
        return after, f'**{self._counts.now()}**' + (f'. Left alone now: {reason}.' if reason else '')
