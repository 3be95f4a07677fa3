"""Sources of live frames (cameras, video files in real time) and outputs (windows, virtual cameras, recordings).

A source has `size` (width, height), `fps` and `frames(stop)`, which yields (number, uint8 [H, W, 3]) as frames come,
until the Event `stop` is set; frame `number` is due after number / fps seconds. An output has `show(frame, number,
text)`, which returns the key that was pressed, or '', and `note`, a sentence for the user. The functions here are
context managers that yield one.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from gaze_tf.errors import GazeError, first_line
from gaze_tf.media.video_files import VideoReader, VideoWriter, open_video, write_video

# frames per second of cameras that do not tell theirs
_FPS = 30
_WINDOW = 'gaze-tf live'
QUIT = 'q'


Frames = Iterator[tuple[int, np.ndarray]]
Size = tuple[int, int]


class _Camera:
    def __init__(self, capture: Any, index: int, size: Size, fps: Fraction | int) -> None:
        self._capture, self._index, self.size, self.fps = capture, index, size, fps

    def frames(self, stop: threading.Event) -> Frames:
        start, number = time.monotonic(), -1
        while not stop.is_set():
            there, frame = self._capture.read()
            if not there:
                raise GazeError(f'`camera={self._index}` gives no more pictures: is it still plugged in?')
            # in the dark, cameras are slower than they say
            number = max(number + 1, round((time.monotonic() - start) * self.fps))
            yield number, np.ascontiguousarray(frame[..., ::-1])


@contextlib.contextmanager
def open_camera(index: int) -> Iterator[_Camera]:
    """Opens the camera with a number, as OpenCV counts them. Raises GazeError."""
    cv2 = _opencv(f'`camera={index}`')
    # otherwise OpenCV prints its own messages beside the one below; version 5 has moved the function
    (cv2.setLogLevel if hasattr(cv2, 'setLogLevel') else cv2.utils.logging.setLogLevel)(0)
    capture = cv2.VideoCapture(index)
    try:
        there, frame = capture.read() if capture.isOpened() else (False, None)
        if not there or frame is None:
            raise GazeError(f'`camera={index}`: {_no_camera(index)}')
        fps = capture.get(cv2.CAP_PROP_FPS)
        rate = Fraction(fps).limit_denominator(1001) if 1 <= fps <= 1000 else _FPS
        yield _Camera(capture, index, frame.shape[1::-1], rate)
    finally:
        capture.release()


def _no_camera(index: int) -> str:
    if sys.platform == 'linux' and not os.path.exists(f'/dev/video{index}'):
        return f'there is no camera /dev/video{index}: choose another one, or play a video file instead.'
    return (
        'it gives no pictures: there is no such camera, another program uses it, or you lack the permission (on Linux: '
        'the group video).'
    )


class _Played:
    def __init__(self, video: VideoReader) -> None:
        self._video, self.size, self.fps = video, video.info.size, video.info.fps

    def frames(self, stop: threading.Event) -> Frames:
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
def play(path: pathlib.Path | str) -> Iterator[_Played]:
    """Opens a video file whose frames come when they are due. Raises GazeError."""
    with open_video(path) as video:
        yield _Played(video)


class _Window:
    note = 'Keys in the window: space switches the correction off and on, q or Esc quits.'

    def __init__(self, cv2: Any) -> None:
        self._cv2 = cv2

    def show(self, frame: np.ndarray, number: int, text: str) -> str:
        cv2, picture = self._cv2, np.ascontiguousarray(frame[..., ::-1])
        scale = max(picture.shape[0] / 720, 0.5)
        for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(
                picture,
                text,
                (10, round(30 * scale)),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.7 * scale,
                color,
                max(round(thickness * scale), 1),
                cv2.LINE_AA,
            )
        cv2.imshow(_WINDOW, picture)
        key = cv2.waitKey(1)
        closed = cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1
        return QUIT if closed or key == 27 else '' if key < 0 else chr(key & 255)


@contextlib.contextmanager
def open_window(size: Size, fps: Fraction | int) -> Iterator[_Window]:
    """Opens a window on the screen. Raises GazeError if that is impossible."""
    cv2 = _opencv('A window')
    check_display()
    cv2.namedWindow(_WINDOW, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    try:
        yield _Window(cv2)
    finally:
        cv2.destroyAllWindows()


def check_display() -> None:
    """Raises GazeError if no window can be shown."""
    linux = sys.platform == 'linux'
    reason = (
        '' if not linux or os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY') else 'there is no display'
    )
    if not reason:
        # without a display OpenCV raises no exception but ends the process, so another one tries it
        tried = subprocess.run(
            [sys.executable, '-c', 'import cv2; cv2.namedWindow("w")'], capture_output=True, check=False
        )
        reason = 'OpenCV can open none on this display' if tried.returncode else ''
    if reason:
        raise GazeError(f'No window can be shown: {reason}. A virtual camera or a recording works without one.')


class _VirtualCamera:
    def __init__(self, camera: Any) -> None:
        self._camera = camera
        self.note = f'Other programs can use the pictures as the camera {camera.device}; Ctrl-C quits.'

    def show(self, frame: np.ndarray, number: int, text: str) -> str:
        self._camera.send(np.ascontiguousarray(frame))
        return ''


@contextlib.contextmanager
def open_virtual_camera(size: Size, fps: Fraction | int) -> Iterator[_VirtualCamera]:
    """Opens the first virtual camera of the system. Raises GazeError."""
    try:
        import pyvirtualcam
    except ImportError as error:
        raise GazeError("A virtual camera needs pyvirtualcam: pip install 'gaze_tf[live]'.") from error
    try:
        camera = pyvirtualcam.Camera(*size, fps=float(fps))
    except (RuntimeError, ValueError) as error:
        reason = first_line(error).partition('. ')[0].rstrip('.')
        raise GazeError(
            f'No virtual camera can be opened ({reason}); on Linux `sudo modprobe v4l2loopback` makes one, on Windows '
            'and macOS OBS has one.'
        ) from error
    with camera:
        yield _VirtualCamera(camera)


class _Recording:
    def __init__(self, out: VideoWriter, path: pathlib.Path | str) -> None:
        self._out, self.note = out, f'Recording to {path}, without sound; Ctrl-C quits.'
        self._last: tuple[int, np.ndarray | None] = -1, None

    def show(self, frame: np.ndarray, number: int, text: str) -> str:
        last, before = self._last
        # the previous frame takes the place of dropped ones
        for _ in range(last + 1, number):
            self._out.write(frame if before is None else before)
        self._out.write(frame)
        self._last = number, frame
        return ''


@contextlib.contextmanager
def open_recording(path: pathlib.Path | str, size: Size, fps: Fraction | int) -> Iterator[_Recording]:
    """Opens a new video file with the rate of the source, which appears whole at the end. Raises GazeError."""
    with write_video(path, size, fps) as out:
        yield _Recording(out, path)


def _opencv(what: str) -> Any:
    try:
        import cv2

        return cv2
    except ImportError as error:
        raise GazeError(f"{what} needs OpenCV ({first_line(error)}): pip install 'gaze_tf[faces]'.") from error
