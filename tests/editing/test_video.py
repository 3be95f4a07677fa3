"""`gaze-tf correct` on videos, and `gaze-tf animate` to a video."""

import csv
import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.editing import editor as editor_lib
from gaze_tf.editing import source_files, tracking, video
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.jitter import jitter
from gaze_tf.editing.options import VideoOptions
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face
from gaze_tf.media.video_files import open_video, write_video
from tests import tiny

WIDTH, HEIGHT, FPS = 160, 120, Fraction(24000, 1001)
SCENE = tiny.smooth_image(np.random.default_rng(8), WIDTH)[:HEIGHT]


def frame(x, seen=True, turned=False):
    """A frame with a face at x: a white square above it, which `detector` reads, grey if the head is turned."""
    pixels = SCENE // 2
    if seen:
        pixels[:8, x : x + 8] = 160 if turned else 250
    return pixels


def detector(rgb):
    """Finds the face by its mark, with the noise of detectors."""
    bright = np.nonzero(rgb[2:6].mean(axis=(0, 2)) > 150)[0]
    if not len(bright):
        return []
    rng = np.random.default_rng(int(rgb.sum(dtype=np.int64) % 10**6))
    x, y = bright.mean() + 0.5 + rng.normal(0, 0.3), 60 + rng.normal(0, 0.3)
    turned = rgb[2:6, int(x) - 1 : int(x) + 1].mean() < 200
    return [Face((x, y, x + 30, y), eye_width=16.0, openness=(0.3, 0.3), yaw=70.0 if turned else 0.0, roll=0.0)]


def make(path, frames, audio=False):
    with write_video(path, (WIDTH, HEIGHT), FPS) as out:
        for pixels in frames:
            out.write(pixels)
    if audio:
        silent = path.with_name('silent.mp4')
        path.replace(silent)
        ffmpeg('-i', silent, '-f', 'lavfi', '-i', 'sine=frequency=440:duration=1', '-c:v', 'copy', '-c:a', 'aac', path)
    return path


def ffmpeg(*arguments):
    return subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def frames_of(path):
    with open_video(path) as reader:
        return reader.info, [pixels.astype(int) for pixels in reader]


@pytest.fixture(autouse=True)
def without_a_model(monkeypatch):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: tiny.Painter())
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)


def run(tmp_path, **changes):
    options = {
        'model': 'model',
        'input': tmp_path / 'in.mp4',
        'output': tmp_path / 'out.mp4',
        'blend': 'hard',
        'report': tmp_path / 'report.csv',
        **changes,
    }
    assert main(['correct', *tiny.arguments(**options)]) == 0
    with open(tmp_path / 'report.csv', newline='') as file:
        return list(csv.DictReader(file))


def painted(pixels, x):
    """Whether the left eye of a face at x is the stub's grey 150."""
    return bool(abs(pixels[58:63, x : x + 5] - 150).mean() < 12)


def test_a_video_comes_back_with_its_sound_rate_and_length(tmp_path, capsys):
    make(tmp_path / 'in.mp4', [frame(40 + k) for k in range(24)], audio=True)
    rows = run(tmp_path)
    assert '24 frames, eyes repainted in 24; eye positions jitter by' in capsys.readouterr().out
    info, frames = frames_of(tmp_path / 'out.mp4')
    assert info.size == (WIDTH, HEIGHT) and info.fps == FPS and info.has_audio and len(frames) == 24
    sound = [
        ffmpeg('-i', tmp_path / f'{name}.mp4', '-map', '0:a', '-c', 'copy', '-f', 'md5', '-') for name in ('in', 'out')
    ]
    assert sound[0] == sound[1]
    _, before = frames_of(tmp_path / 'in.mp4')
    for k, pixels in enumerate(frames):
        assert painted(pixels, 40 + k + 4)
        # but for the boxes of the eyes, what encoding twice leaves
        outside = np.abs(pixels - before[k])
        outside[48:72, 30:120] = 0
        assert outside.mean() < 1.5
    assert [int(row['frame']) for row in rows] == list(range(24))
    assert {row['strength'] for row in rows} == {'1.000'} and {row['track'] for row in rows} == {'0'}
    assert rows[12]['seconds'] == '0.500' or float(rows[12]['seconds']) == pytest.approx(12 / 23.976, abs=1e-3)
    assert not list(tmp_path.glob('.*'))


def test_one_person_is_chosen_and_named(tmp_path, monkeypatch, capsys):
    def two(rgb):
        """The one at the mark, and another beside, who is found larger in every second frame."""
        (marked,) = detector(rgb)
        one, other = (
            found._replace(box=(0.0, 0.0, side, side))
            for found, side in (
                (marked, 70.0),
                (marked._replace(eyes=(110.0, 100.0, 140.0, 100.0)), 60.0 + 20 * (round(marked.eyes[0]) // 2 % 2)),
            )
        )
        return sorted([one, other], key=lambda found: -found.box[2])

    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: two)
    make(tmp_path / 'in.mp4', [frame(20 + 2 * k) for k in range(24)])
    rows = run(tmp_path)
    chosen = {row['track'] for row in rows if row['strength'] != '0.000'}
    assert len(rows) == 48 and len(chosen) == 1
    assert {row['reason'] for row in rows if row['track'] not in chosen} == {'it was not chosen'}
    assert f'chosen: track {chosen.pop()} (from second 0.0 on)' in capsys.readouterr().out
    assert len({row['track'] for row in run(tmp_path, faces='all') if row['strength'] == '1.000'}) == 2
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model='model', input=tmp_path / 'in.mp4', output=tmp_path / 'out.mp4', faces=2, overwrite=True
                ),
            ]
        )
        == 1
    )
    assert 'it was not chosen' in capsys.readouterr().err


def test_positions_are_steadier_than_found_and_do_not_lag(tmp_path):
    make(tmp_path / 'in.mp4', [frame(40 + 2 * k) for k in range(30)])
    found = np.array([detector(pixels.astype(np.uint8))[0].eyes[:2] for pixels in frames_of(tmp_path / 'in.mp4')[1]])
    rows = run(tmp_path)
    used = np.array([[float(row['left_x']), float(row['left_y'])] for row in rows])
    assert jitter(used) < 0.6 * jitter(found)
    # the mark's middle is 4 pixels from its left side
    assert abs((used[:, 0] - (44 + 2 * np.arange(30))).mean()) < 0.2
    raw = run(tmp_path, smoothing=0)
    np.testing.assert_allclose([float(row['left_x']) for row in raw], found[:, 0], atol=0.01)


def test_a_turned_head_fades_out_and_in(tmp_path):
    frames = [frame(60, turned=20 <= k < 32) for k in range(50)]
    make(tmp_path / 'in.mp4', frames)
    rows = run(tmp_path)
    strengths = np.array([float(row['strength']) for row in rows])
    assert (strengths[:10] == 1).all() and (strengths[20:32] == 0).all() and (strengths[42:] == 1).all()
    assert 0 < strengths[17] < 1 and np.abs(np.diff(strengths)).max() < 0.5
    assert 'turned by 70 degrees' in rows[25]['reason'] and rows[5]['reason'] == ''
    after = frames_of(tmp_path / 'out.mp4')[1]
    assert painted(after[5], 64) and not painted(after[25], 64) and painted(after[45], 64)
    hard = run(tmp_path, fade=0)
    assert {row['strength'] for row in hard} == {'0.000', '1.000'}


def test_looking_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, 'glancing', lambda track, seconds: 0.363 if seconds > 0.5 else 1.0)
    make(tmp_path / 'in.mp4', [frame(60)] * 20)
    found = [[float(row['strength']) for row in run(tmp_path, look_away=away)] for away in (False, True)]
    assert set(found[0]) == {1} and found[1][0] == 1 and found[1][-1] == pytest.approx(0.3, abs=1e-3)


def test_eyes_that_look_at_the_camera(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tiny.Painter, 'correct', lambda self, images, eyes: images)
    make(tmp_path / 'in.mp4', [frame(60)] * 20)
    rows = run(tmp_path)
    assert {(row['strength'], row['reason']) for row in rows} == {('0.000', 'its eyes look at the camera')}
    assert '20 frames, eyes repainted in 0, left alone in 20 as they look at the camera' in capsys.readouterr().out
    assert len(frames_of(tmp_path / 'out.mp4')[1]) == 20
    assert {row['strength'] for row in run(tmp_path, always=True)} == {'1.000'}


@pytest.mark.parametrize(
    'pixels, message', [(frame(0, seen=False), 'none was found'), (frame(60, turned=True), 'turned by 70 degrees')]
)
def test_a_video_in_which_nothing_is_to_be_done(tmp_path, capsys, pixels, message):
    make(tmp_path / 'in.mp4', [pixels] * 12)
    options = tiny.arguments(
        model='model', input=tmp_path / 'in.mp4', output=tmp_path / 'out.mp4', report=tmp_path / 'report.csv'
    )
    assert main(['correct', *options]) == 1
    error = capsys.readouterr().err
    assert 'In none of the 12 frames' in error and message in error
    assert [path.name for path in tmp_path.iterdir()] == ['in.mp4']


def test_a_video_that_is_cut_off(tmp_path, capsys):
    make(tmp_path / 'whole.mkv', [frame(60 + k % 9) for k in range(60)])
    data = (tmp_path / 'whole.mkv').read_bytes()
    (tmp_path / 'in.mkv').write_bytes(data[: len(data) * 3 // 4])
    assert (
        main(['correct', *tiny.arguments(model='model', input=tmp_path / 'in.mkv', output=tmp_path / 'out.mp4')]) == 1
    )
    count = len(frames_of(tmp_path / 'out.mp4')[1])
    assert 0 < count < 60 and f'{count} frames could be read' in capsys.readouterr().err


def test_what_is_not_as_it_was_is_said_and_reported(tmp_path, capsys):
    # pictures that stop for a minute, with sound that .mp4 holds but few players play
    make(tmp_path / 'plain.mp4', [frame(60)] * 24)
    ffmpeg(
        '-i',
        tmp_path / 'plain.mp4',
        '-f',
        'lavfi',
        '-i',
        'sine=duration=1',
        '-vf',
        'setpts=PTS+60/TB*gte(N\\,12)',
        '-vsync',
        '0',
        '-c:v',
        'libx264',
        '-c:a',
        'pcm_s16le',
        tmp_path / 'in.mkv',
    )
    rows = run(tmp_path, input=tmp_path / 'in.mkv')
    said = capsys.readouterr().out.splitlines()
    assert 'one long frame' in said[1] and said[2] == 'Sound track 1 (pcm_s16le) is stored as AAC.'
    assert [row['reason'] for row in rows if not row['frame']] == said[1:]
    assert len(rows) == 24 + 2
    assert [float(row['seconds']) for row in rows[11:13]] == pytest.approx([11 / 24, 60 + 12 / 24], abs=0.02)
    assert len(frames_of(tmp_path / 'out.mp4')[1]) == 24


def test_large_frames_are_smoothed_over_less_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(video, '_WAITING', 10 * 3 * WIDTH * HEIGHT)
    make(tmp_path / 'in.mp4', [frame(60)] * 30)
    push, most = video.Tracker.push, [0]

    def counted(self, pixels, found):
        done = push(self, pixels, found)
        most[0] = max(most[0], len(self._moments) - self._next)
        return done

    monkeypatch.setattr(video.Tracker, 'push', counted)
    run(tmp_path)
    assert most[0] <= 10 and 'positions are smoothed over 0.53 seconds' in capsys.readouterr().out


def test_eyes_given_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', None)
    make(tmp_path / 'in.mp4', [frame(60)] * 10)
    rows = run(tmp_path, eyes='64,60,94,60')
    assert {row['left_x'] for row in rows} == {'64.00'} and painted(frames_of(tmp_path / 'out.mp4')[1][3], 64)


def test_codes_are_averaged_over_time(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        tiny.Painter,
        'paint_codes',
        lambda self, images, eyes: np.random.default_rng(len(given)).normal(size=(len(images), 2)).astype(np.float32),
    )
    monkeypatch.setattr(
        tiny.Painter, 'paint', lambda self, images, eyes, codes: given.extend(codes) or self.correct(images, eyes)
    )
    make(tmp_path / 'in.mp4', [frame(60)] * 24)
    run(tmp_path, always=True)
    assert len(given) == 24 and np.std(given[8:16]) < 0.6
    given.clear()
    run(tmp_path, alpha=0.5, always=True)
    assert not given


def test_memory_does_not_grow_with_the_video(tmp_path, monkeypatch):
    waiting, most = [0], [0]
    push = video.Tracker.push

    def counted(self, pixels, found):
        done = push(self, pixels, found)
        waiting[0] += 1 - len(done)
        most[0] = max(most[0], waiting[0])
        return done

    monkeypatch.setattr(video.Tracker, 'push', counted)
    make(tmp_path / 'in.mp4', [frame(60)] * 90)
    run(tmp_path)
    assert 5 < most[0] < 20


@pytest.mark.parametrize(
    'make_input, output, message',
    [
        (lambda path: path.write_text('hello'), 'out.mp4', 'no video that ffmpeg can read'),
        (lambda path: path.write_bytes(b''), 'out.mp4', 'in.mp4: the file is empty'),
        (lambda path: None, 'out.mp4', 'There is no'),
        (lambda path: make(path, [frame(60)] * 3), 'out.gif', 'must end in .mp4 or .mov or .mkv'),
        (lambda path: make(path, [frame(60)] * 3), 'in.mp4', 'is the input itself'),
    ],
)
def test_bad_videos(tmp_path, capsys, make_input, output, message):
    make_input(tmp_path / 'in.mp4')
    there = sorted(path.name for path in tmp_path.iterdir())
    options = tiny.arguments(
        model='model', input=tmp_path / 'in.mp4', output=tmp_path / output, report=tmp_path / 'report.csv'
    )
    assert main(['correct', *options]) == 1
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == there


def test_a_video_may_replace_itself_when_told(tmp_path):
    make(tmp_path / 'in.mp4', [frame(60)] * 10, audio=True)
    run(tmp_path, output=tmp_path / 'in.mp4', overwrite=True)
    info, frames = frames_of(tmp_path / 'in.mp4')
    assert info.has_audio and len(frames) == 10 and painted(frames[5], 64)


def test_work_that_is_watched_can_be_ended(tmp_path):
    path, output = make(tmp_path / 'a.mp4', [frame(60)] * 30), tmp_path / 'b.mp4'
    editor, seen = GazeEditor(tiny.Painter(), detector=detector), []

    def watch(done):
        seen.append(done)
        if done == 10:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        video.correct(editor, source_files.Source(path, None, output), watch=watch)
    assert seen == [*range(1, 11)] and [*tmp_path.iterdir()] == [path]


def test_the_summary_counts_the_trembling_of_all_tracks(tmp_path):
    make(tmp_path / 'in.mp4', [frame(60)] * 30)
    with open_video(tmp_path / 'in.mp4') as reader:
        found = np.array([detector(pixels)[0].eyes for pixels in reader])
    source = source_files.Source(tmp_path / 'in.mp4', None, tmp_path / 'out.mp4')
    summary = video.correct(GazeEditor(tiny.Painter(), detector=detector), source, options=VideoOptions(smoothing=0))
    expected = jitter(found)
    assert summary.found_jitter == pytest.approx(expected, rel=1e-6) == summary.used_jitter


def test_animate_to_a_video(tmp_path):
    Image.fromarray(frame(60)).save(tmp_path / 'photo.png')
    options = tiny.arguments(
        model='model',
        input=tmp_path / 'photo.png',
        output=tmp_path / 'out.mp4',
        blend='hard',
        frames=4,
        fps=25,
        easing='linear',
    )
    assert main(['animate', *options]) == 0
    info, frames = frames_of(tmp_path / 'out.mp4')
    assert info.fps == 25 and len(frames) == 6
    np.testing.assert_allclose([pixels[58:63, 62:67].mean() for pixels in frames], [50, 83, 117, 150, 117, 83], atol=8)


@pytest.mark.parametrize(
    'output, frames, message',
    [
        ('out.gif', 6000, 'out.gif: this GIF would have 11998 frames of 200x150 pixels'),
        ('out.mp4', 9000, '1 faces of 64x64 pixels in 9000 frames are more than'),
        ('out.mp4', 20_000, '--frames must be at most 10000, not 20000'),
    ],
)
def test_animations_of_too_many_pixels(tmp_path, capsys, monkeypatch, output, frames, message):
    monkeypatch.setattr(editor_lib, 'MAX_PIXELS', 30_000_000)
    Image.fromarray(np.zeros((150, 200, 3), np.uint8)).save(tmp_path / 'photo.png')
    options = tiny.arguments(
        model='model', input=tmp_path / 'photo.png', output=tmp_path / output, frames=frames, eyes='64,60,94,60'
    )
    assert main(['animate', *options]) != 0
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['photo.png']


def test_an_animation_in_which_nothing_changes(tmp_path):
    Image.fromarray(np.zeros((150, 200, 3), np.uint8)).save(tmp_path / 'photo.png')
    options = tiny.arguments(
        model='model', input=tmp_path / 'photo.png', output=tmp_path / 'out.mp4', frames=40, eyes='64,60,94,60'
    )
    assert main(['animate', *options]) == 0
    assert len(frames_of(tmp_path / 'out.mp4')[1]) == 78
