"""Where live frames come from and go to: cameras and files in their time; windows, virtual cameras, recordings.

A source has `size` (width, height), `fps` and `frames(stop)`, which yields (number, uint8 [H, W, 3]) as frames come, until the
Event `stop` is set; frames of a `number` are due after number / fps seconds. An output has `show(frame, number, text)`, which
returns the key that was pressed, or '', and `note`, a sentence for the user. Both are contexts.
"""

import contextlib
import os
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np

from gaze_tf.errors import GazeError, first_line
from gaze_tf.media.video_files import open_video, write_video

# where a camera does not tell its own
_FPS = 30
_WINDOW = 'gaze-tf live'
QUIT = 'q'


class _Camera:
    def __init__(self, capture, index, size, fps):
        self._capture, self._index, self.size, self.fps = capture, index, size, fps

    def frames(self, stop):
        start, number = time.monotonic(), -1
        while not stop.is_set():
            there, frame = self._capture.read()
            if not there:
                raise GazeError(f'--camera={self._index} gives no more pictures: is it still plugged in?')
            # cameras are slower than they say where it is dark
            number = max(number + 1, round((time.monotonic() - start) * self.fps))
            yield number, np.ascontiguousarray(frame[..., ::-1])


@contextlib.contextmanager
def open_camera(index):
    """The camera of this number, as OpenCV counts them; raises GazeError."""
    cv2 = _opencv(f'--camera={index}')
    # else it says in its own words, and several times, what is said below
    cv2.setLogLevel(0)
    capture = cv2.VideoCapture(index)
    try:
        there, frame = capture.read() if capture.isOpened() else (False, None)
        if not there:
            raise GazeError(f'--camera={index}: {_no_camera(index)}')
        fps = capture.get(cv2.CAP_PROP_FPS)
        yield _Camera(
            capture, index, frame.shape[1::-1], Fraction(fps).limit_denominator(1001) if 1 <= fps <= 1000 else _FPS
        )
    finally:
        capture.release()


def _no_camera(index):
    if sys.platform == 'linux' and not os.path.exists(f'/dev/video{index}'):
        return f'there is no camera /dev/video{index}; --input=FILE plays a video instead.'
    return (
        'it gives no pictures: there is no such camera, another program has it, or you may not use it (on Linux: the '
        'group video).'
    )


class _Played:
    def __init__(self, video):
        self._video, self.size, self.fps = video, video.info.size, video.info.fps

    def frames(self, stop):
        start = None
        for count, frame in enumerate(self._video):
            now, seconds = time.monotonic(), self._video.seconds(count)
            start = now if start is None else start
            if stop.wait(max(start + seconds - now, 0)):
                return
            yield round(seconds * self.fps), frame
        if self._video.problem:
            raise GazeError(self._video.problem)


@contextlib.contextmanager
def play(path):
    """A video file whose frames come when they are due; raises GazeError."""
    with open_video(path) as video:
        yield _Played(video)


class _Window:
    note = 'Keys in the window: space switches the correction off and on, q or Esc ends.'

    def __init__(self, cv2):
        self._cv2 = cv2

    def show(self, frame, number, text):
        cv2, picture = self._cv2, np.ascontiguousarray(frame[..., ::-1])
        scale = max(picture.shape[0] / 720, 0.5)
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(
                picture,
                text,
                (10, round(30 * scale)),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.7 * scale,
                colour,
                max(round(thickness * scale), 1),
                cv2.LINE_AA,
            )
        cv2.imshow(_WINDOW, picture)
        key = cv2.waitKey(1)
        closed = cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1
        return QUIT if closed or key == 27 else '' if key < 0 else chr(key & 255)


@contextlib.contextmanager
def open_window(size, fps):
    """A window on the screen; raises GazeError without one."""
    cv2 = _opencv('A window')
    check_display()
    cv2.namedWindow(_WINDOW, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    try:
        yield _Window(cv2)
    finally:
        cv2.destroyAllWindows()


def check_display():
    """Raises GazeError where no window can be shown."""
    linux = sys.platform == 'linux'
    reason = (
        '' if not linux or os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY') else 'there is no display'
    )
    if not reason:
        # where it finds no display, OpenCV does not raise an exception but ends the process
        tried = subprocess.run(
            [sys.executable, '-c', 'import cv2; cv2.namedWindow("w")'], capture_output=True, check=False
        )
        reason = 'OpenCV can open none on this display' if tried.returncode else ''
    if reason:
        raise GazeError(f'No window can be shown: {reason}; --virtual_camera or --output=FILE do without.')


class _VirtualCamera:
    def __init__(self, camera):
        self._camera, self.note = camera, f'Other programs see the pictures as the camera {camera.device}; Ctrl-C ends.'

    def show(self, frame, number, text):
        self._camera.send(np.ascontiguousarray(frame))
        return ''


@contextlib.contextmanager
def open_virtual_camera(size, fps):
    """The first virtual camera of the system; raises GazeError."""
    try:
        import pyvirtualcam
    except ImportError as error:
        raise GazeError("--virtual_camera needs pyvirtualcam: pip install 'gaze_tf[live]'.") from error
    try:
        camera = pyvirtualcam.Camera(*size, fps=float(fps))
    except (RuntimeError, ValueError) as error:
        reason = first_line(error).partition('. ')[0].rstrip('.')
        raise GazeError(
            f'--virtual_camera: none can be opened ({reason}); on Linux `sudo modprobe '
            'v4l2loopback` makes one, on Windows and macOS OBS has one.'
        ) from error
    with camera:
        yield _VirtualCamera(camera)


class _Recording:
    def __init__(self, out, path):
        self._out, self._last, self.note = out, (-1, None), f'Recording to {path}, without sound; Ctrl-C ends.'

    def show(self, frame, number, text):
        last, before = self._last
        # where frames were dropped the one before stays as long
        for _ in range(last + 1, number):
            self._out.write(frame if before is None else before)
        self._out.write(frame)
        self._last = number, frame
        return ''


@contextlib.contextmanager
def open_recording(path, size, fps):
    """A video file at the source's rate, whole at the end; raises GazeError."""
    with write_video(path, size, fps) as out:
        yield _Recording(out, path)


def _opencv(what):
    try:
        import cv2

        return cv2
    except ImportError as error:
        raise GazeError(f"{what} needs OpenCV ({first_line(error)}): pip install 'gaze_tf[faces]'.") from error
