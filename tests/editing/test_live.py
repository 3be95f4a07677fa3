"""`gaze-tf live`, with files for cameras and recordings for screens: no camera, window or virtual camera is here."""

import os
import re
import signal
import sys
import time
import types

import cv2
import numpy as np
import pytest

from gaze_tf.cli.main import main
from gaze_tf.editing import editor as editor_lib
from gaze_tf.evaluation.metrics import iris_offset
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from gaze_tf.media import live_devices
from gaze_tf.media.video_files import open_video, write_video
from gaze_tf.turning.turn import turn_photo
from tests import photos, tiny

SIZE, FPS, COUNT = (160, 120), 20, 30
SCENE = tiny.smooth_image(np.random.default_rng(8), SIZE[0])[: SIZE[1]] // 2
EYES = 64.0, 60.0, 94.0, 60.0


def numbered(number):
    """A frame that tells its number."""
    frame = SCENE.copy()
    frame[100:, 120:] = 40 + 6 * number
    return frame


def number_of(frame):
    return round((frame[104:116, 124:156].mean() - 40) / 6)


def painted(frame):
    """Whether the left eye is the Painter's grey 150."""
    return bool(abs(frame[58:63, 62:67].astype(int) - 150).mean() < 12)


def detector(rgb):
    return [Face(EYES, eye_width=16.0, openness=(0.3, 0.3), yaw=0.0, roll=0.0)]


class SlowPainter(tiny.Painter):
    def animate(self, images, eyes, alphas):
        time.sleep(0.2)
        return super().animate(images, eyes, alphas)


@pytest.fixture
def without_models(monkeypatch):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: tiny.Painter())
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)


@pytest.fixture
def clip(tmp_path):
    with write_video(tmp_path / 'in.mp4', SIZE, FPS) as out:
        for number in range(COUNT):
            out.write(numbered(number))
    return tmp_path / 'in.mp4'


def run(**options):
    return main(['live', *tiny.arguments(**{'blend': 'hard', 'fade': 0, **options})])


def frames_of(path):
    with open_video(path) as reader:
        return reader.info, list(reader)


def summary_of(text):
    """(shown, dropped, median and 95th percentile of latency in ms, repainted)."""
    found = re.search(
        r'(\d+) frames shown in [\d.]+ s \([\d.]+ a second\), (\d+) dropped; latency (\d+) ms \(median\), '
        r'(\d+) ms \(95th percentile\); eyes repainted in (\d+)',
        text,
    )
    return [int(value) for value in found.groups()]


def test_a_file_is_played_and_recorded_in_its_time(clip, tmp_path, capsys, without_models):
    assert run(input=clip, output=tmp_path / 'out.mp4') == 0
    shown, dropped, _, _, repainted = summary_of(capsys.readouterr().out)
    assert shown + dropped == COUNT and repainted == shown
    info, frames = frames_of(tmp_path / 'out.mp4')
    assert info.size == SIZE and info.fps == FPS and len(frames) == COUNT
    numbers = [number_of(frame) for frame in frames]
    # each where it belongs, or, where the machine did not keep up, one before it
    assert numbers == sorted(numbers) and len(set(numbers)) == shown and numbers[-1] == COUNT - 1
    assert all(number <= place for place, number in enumerate(numbers) if place >= numbers[0])
    assert all(painted(frame) for frame in frames) and not painted(numbered(0))


def test_frames_are_dropped_rather_than_queued(clip, tmp_path, capsys, monkeypatch, without_models):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: SlowPainter())
    assert run(input=clip, output=tmp_path / 'out.mp4') == 0
    shown, dropped, median, most, _ = summary_of(capsys.readouterr().out)
    # 1.5 seconds of frames, of which each takes 0.2; all of them would take 6, and the last wait for more than 4
    assert shown + dropped == COUNT and 2 <= shown <= 9 and 200 <= median <= most < 2000
    numbers = [number_of(frame) for frame in frames_of(tmp_path / 'out.mp4')[1]]
    assert numbers == sorted(numbers) and len(set(numbers)) == shown and numbers[-1] == COUNT - 1


@pytest.mark.usefixtures('face_models')
@pytest.mark.slow
def test_eyes_are_corrected(tmp_path):
    looking = MediapipeDetector(0.06)
    turned = turn_photo(photos.PORTRAIT, 20, 0, looking).image
    with write_video(tmp_path / 'in.mp4', turned.shape[1::-1], 5) as out:
        for _ in range(8):
            out.write(turned)
    assert main(['live', *tiny.arguments(input=tmp_path / 'in.mp4', output=tmp_path / 'out.mp4')]) == 0
    before, after = (iris_offset.offset(looking, frames_of(tmp_path / name)[1][-1]) for name in ('in.mp4', 'out.mp4'))
    assert before[0] > 0.05 and abs(after[0]) < 0.03


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_whole_file(clip, tmp_path, capsys, monkeypatch, without_models, number):
    calls = []

    def interrupting(rgb):
        calls.append(rgb)
        if len(calls) == 5:
            os.kill(os.getpid(), number)
        return detector(rgb)

    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: interrupting)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert run(input=clip, output=tmp_path / 'out.mp4') == 0
    # the first call has warmed up
    assert summary_of(capsys.readouterr().out)[0] == 4
    assert len({number_of(frame) for frame in frames_of(tmp_path / 'out.mp4')[1]}) == 4
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_window(clip, monkeypatch, capsys, without_models):
    shown, keys = [], iter([-1, -1, ord(' '), -1, ord('q')])
    monkeypatch.setattr(live_devices, 'check_display', lambda: None)
    for name, fake in (
        ('namedWindow', lambda *_: None),
        ('imshow', lambda name, picture: shown.append(picture)),
        ('waitKey', lambda _: next(keys)),
        ('getWindowProperty', lambda *_: 1.0),
        ('destroyAllWindows', lambda: None),
    ):
        monkeypatch.setattr(cv2, name, fake)
    assert run(input=clip) == 0
    assert [painted(picture) for picture in shown] == [True] * 3 + [False] * 2
    # blue first, as OpenCV has it, with figures on top
    assert np.abs(shown[4][40:80].astype(int) - SCENE[40:80, :, ::-1]).mean() < 3
    assert np.abs(shown[4][:20].astype(int) - SCENE[:20, :, ::-1]).mean() > 3
    assert 'space switches the correction' in capsys.readouterr().err


def test_a_window_that_is_closed(clip, monkeypatch, capsys, without_models):
    monkeypatch.setattr(live_devices, 'check_display', lambda: None)
    for name, value in (
        ('namedWindow', None),
        ('imshow', None),
        ('waitKey', -1),
        ('getWindowProperty', 0.0),
        ('destroyAllWindows', None),
    ):
        monkeypatch.setattr(cv2, name, lambda *_, value=value: value)
    assert run(input=clip) == 0 and '1 frames shown' in capsys.readouterr().out


class VirtualCamera:
    device, sent, settings = '/dev/video7', [], None

    def __init__(self, width, height, fps):
        VirtualCamera.settings = width, height, fps

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, frame):
        self.sent.append(frame)


def test_a_virtual_camera(clip, monkeypatch, capsys, without_models):
    monkeypatch.setitem(sys.modules, 'pyvirtualcam', types.SimpleNamespace(Camera=VirtualCamera))
    assert run(input=clip, virtual_camera=True) == 0
    out, err = capsys.readouterr()
    assert VirtualCamera.settings == (*SIZE, FPS) and len(VirtualCamera.sent) == summary_of(out)[0]
    assert painted(VirtualCamera.sent[-1]) and number_of(VirtualCamera.sent[-1]) == COUNT - 1
    assert 'as the camera /dev/video7' in err


class Capture:
    """A camera that is unplugged after some pictures."""

    def __init__(self, index):
        self.left = 12

    def isOpened(self):
        return True

    def get(self, _):
        return 0.0  # many do not know

    def read(self):
        time.sleep(0.03)
        self.left -= 1
        return (True, numbered(11 - self.left)[..., ::-1]) if self.left >= 0 else (False, None)

    def release(self):
        self.left = 0


def test_a_camera_that_is_unplugged(tmp_path, monkeypatch, capsys, without_models):
    monkeypatch.setattr(cv2, 'VideoCapture', Capture)
    assert run(camera=3, output=tmp_path / 'out.mp4') == 1
    out, err = capsys.readouterr()
    shown, dropped, *_ = summary_of(out)
    # the first picture told the size
    assert shown + dropped == 11 and err.endswith('--camera=3 gives no more pictures: is it still plugged in?\n')
    info, frames = frames_of(tmp_path / 'out.mp4')
    assert info.fps == 30 and number_of(frames[-1]) == 11 and painted(frames[-1])


def test_no_face(clip, tmp_path, monkeypatch, capsys, without_models):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: lambda rgb: [])
    assert run(input=clip, output=tmp_path / 'out.mp4') == 0
    assert 'eyes repainted in 0, in others mostly not, as no face was found' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, message',
    [
        ({}, '--camera=0 or --input=FILE'),
        ({'camera': 0, 'input': 'in.mp4'}, 'give one of the two'),
        ({'input': 'in.mp4', 'virtual_camera': True, 'output': 'out.mp4'}, '--virtual_camera and --output'),
        ({'input': 'none.mp4', 'output': 'out.mp4'}, 'none.mp4: there is no such file'),
        ({'input': 'photo.png', 'output': 'out.mp4'}, 'no video that ffmpeg can read'),
        ({'input': 'in.mp4', 'output': 'in.mp4'}, 'is the input itself'),
        ({'input': 'in.mp4', 'output': 'out.gif'}, 'must end in .mp4'),
        ({'input': 'in.mp4', 'output': 'out.mp4', 'faces': 'mine'}, '--faces=mine'),
        ({'input': 'in.mp4'}, 'No window can be shown: there is no display'),
        ({'input': 'in.mp4', 'virtual_camera': True}, "pip install 'gaze_tf[live]'"),
        ({'camera': 98, 'output': 'out.mp4'}, 'there is no camera /dev/video98'),
    ],
)
def test_what_cannot_be_shown(clip, tmp_path, capsys, monkeypatch, without_models, options, message):
    monkeypatch.chdir(tmp_path)
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, 'pyvirtualcam', None)
    (tmp_path / 'photo.png').write_text('nothing')
    assert run(**options) == 1
    error = capsys.readouterr().err
    assert error.startswith('gaze-tf live: ') and message in error and error.count('\n') == 1
    assert sorted(os.listdir(tmp_path)) == ['in.mp4', 'photo.png']


def test_a_display_that_is_not_there(clip, monkeypatch, capfd, without_models):
    # OpenCV ends its process there
    monkeypatch.setenv('DISPLAY', ':99')
    assert run(input=clip) == 1
    error = capfd.readouterr().err
    assert 'OpenCV can open none on this display' in error and error.count('\n') == 1


def test_no_virtual_camera_and_a_camera_in_use(clip, monkeypatch, capsys, without_models):
    def none(*_, **__):
        raise RuntimeError("'v4l2loopback' backend: No v4l2 loopback device found.\nAnd more.")

    monkeypatch.setitem(sys.modules, 'pyvirtualcam', types.SimpleNamespace(Camera=none))
    assert run(input=clip, virtual_camera=True) == 1
    error = capsys.readouterr().err
    assert 'No v4l2 loopback device found); on Linux `sudo modprobe' in error and error.count('\n') == 1
    monkeypatch.setattr(
        cv2, 'VideoCapture', lambda index: types.SimpleNamespace(isOpened=lambda: False, release=lambda: None)
    )
    monkeypatch.setattr(os.path, 'exists', lambda path: True)
    assert run(camera=0, virtual_camera=True) == 1
    error = capsys.readouterr().err
    assert '--camera=0: it gives no pictures' in error and error.count('\n') == 1
