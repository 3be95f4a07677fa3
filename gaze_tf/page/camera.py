"""The tab for the browser's camera, corrected live."""

import collections
import time
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.live import Corrector, warm_up
from gaze_tf.page.sessions import Sessions

# the rate by which frames are numbered; those that do not come count as dropped
_FPS = 30
# seconds over which the rate on the screen is measured, and between two frames that the browser sends
_RATE_S, _EVERY_S = 2.0, 0.05
_SIZE = 640, 480
_START = 'Click the camera, allow the browser to use it, and click Record. Nothing is stored.'
_LANE: dict[str, Any] = {'concurrency_limit': 1, 'concurrency_id': 'camera', 'api_visibility': 'private'}


def make_tab(editor: GazeEditor, sessions: Sessions) -> None:
    """Draws the tab."""
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
    status = gr.Markdown(_START, elem_id='camera-status')

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
        self.size = size
        warm_up(editor, (size[0], size[1]), _FPS)
        self._corrector = Corrector(editor, (size[0], size[1]), _FPS)
        self._number, self._begun = -1, time.monotonic()
        self._recent: collections.deque[tuple[float, float]] = collections.deque()

    def correct(self, frame: np.ndarray) -> tuple[np.ndarray, str]:
        """(the corrected frame; frames per second and latency, in words) of a frame uint8 [H, W, 3]."""
        came = time.monotonic()
        self._number = max(int((came - self._begun) * _FPS), self._number + 1)
        tracked, after = self._corrector.correct(frame, self._number)
        now = time.monotonic()
        self._recent.append((now, now - came))
        while now - self._recent[0][0] > _RATE_S:
            self._recent.popleft()
        latency = np.median([latency for _, latency in self._recent])
        text = f'**{len(self._recent) / _RATE_S:.0f} frames/s**, {1000 * latency:.0f} ms each'
        reason = next((each.reason for each in tracked if each.chosen and each.reason), '')
        reason = reason or ('' if tracked else 'no face was found')
        return after, text + (f'. Left alone now: {reason}.' if reason else '.')
