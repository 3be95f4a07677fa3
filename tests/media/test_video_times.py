"""Videos with changing pictures or odd times, and too large ones: all frames are read, or a sentence says why not."""

import pathlib
from fractions import Fraction

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.media import ffmpeg as calls
from gaze_tf.media.video_files import open_video
from tests.videos import H264, copied, ffmpeg, frames_of, make, times_of, words


def joined(path, *parts):
    path.write_bytes(b''.join(pathlib.Path(part).read_bytes() for part in parts))
    return path


def counted(path, *options, count=12, **changes):
    """Makes a video whose frame k has the gray level 16 + 8 k."""
    ffmpeg(
        '-f',
        'lavfi',
        '-i',
        "color=black:size=64x48:rate=25,geq=lum='16+8*N':cb=128:cr=128",
        '-frames:v',
        count,
        *H264,
        '-qp',
        '0',
        *options,
        path,
    )
    return path


def numbers(frames):
    """Returns the k of each frame of a video of `counted`."""
    return [round((frame.mean() * 219 / 255) / 8) for frame in frames]


def test_pictures_that_change_size_all_come_at_the_first_size(tmp_path):
    parts = [
        make(tmp_path / f'{size}.ts', size=size, count=30, rate='30', sound=False)
        for size in ('128x96', '64x48', '128x72')
    ]
    source = joined(tmp_path / 'source.ts', *parts)
    frames, info, notes = copied(source, tmp_path / 'copy.mp4')
    assert len(frames) == 90 and info.size == (128, 96) and {frame.shape for frame in frames} == {(96, 128, 3)}
    assert len(notes) == 1 and '64x48' in notes[0] and 'first size, 128x96' in notes[0]
    assert len(frames_of(tmp_path / 'copy.mp4')) == 90
    # the same picture, less fine
    alone = frames_of(parts[1])[10].repeat(2, 0).repeat(2, 1)
    assert abs(frames[40].astype(int) - alone).mean() < 15
    # of another shape: between bars, not stretched
    assert frames[70][:11].max() < 3 and frames[70][-11:].max() < 3 and frames[70][20:30].max() > 200
    assert abs(frames[70][12:84].astype(int) - frames_of(parts[2])[10]).mean() < 5


def test_pictures_that_change_pixel_format_keep_their_times(tmp_path):
    parts = [counted(tmp_path / f'{name}.ts', '-pix_fmt', name) for name in ('yuv420p', 'yuv444p')]
    frames, _, notes = copied(joined(tmp_path / 'source.ts', *parts), tmp_path / 'copy.mp4')
    assert numbers(frames) == [*range(12), *range(12)] and 'yuv444p' in notes[0]


def test_a_picture_that_stays_the_same_needs_no_note(tmp_path):
    part = counted(tmp_path / 'part.ts')
    frames, _, notes = copied(joined(tmp_path / 'source.ts', part, part), tmp_path / 'copy.mp4')
    assert numbers(frames) == [*range(12), *range(12)] and not notes


@pytest.mark.parametrize('suffix', ['flv', 'mkv', 'mp4'])
def test_far_fewer_frames_than_the_length_promises(tmp_path, suffix):
    whole = make(
        tmp_path / f'whole.{suffix}', '-g', '10', *(['-movflags', 'faststart'] if suffix == 'mp4' else []), count=100
    )
    with open_video(whole) as video:
        assert len(list(video)) == pytest.approx(100, abs=1) and not video.problem
    content = whole.read_bytes()
    (tmp_path / f'cut.{suffix}').write_bytes(content[: len(content) // 2])
    with open_video(tmp_path / f'cut.{suffix}') as video:
        count = len(list(video))
        assert 10 < count < 90 and f'{count} frames' in video.problem


def test_sound_that_is_longer_than_the_picture_promises_no_frames(tmp_path):
    short = make(tmp_path / 'short.mp4', count=12, sound=False)
    ffmpeg('-i', short, '-f', 'lavfi', '-i', 'sine=duration=4', '-c:v', 'copy', tmp_path / 'a.mp4')
    with open_video(tmp_path / 'a.mp4') as video:
        assert len(list(video)) == 12 and not video.problem


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv'])
def test_a_gap_stays_one_long_frame(tmp_path, suffix):
    # as of a slide that nobody touches: 12 frames, then nothing for an hour; or in the midst of sound
    source = counted(tmp_path / 'source.mkv', '-vf', 'setpts=PTS+3600/TB*gte(N\\,8)', '-vsync', '0', count=12)
    frames, info, notes = copied(source, tmp_path / f'copy.{suffix}')
    assert info.fps == 25 and numbers(frames) == [*range(12)]
    assert len(notes) == 1 and 'one long frame' in notes[0] and '3600' in notes[0]
    times = times_of(tmp_path / f'copy.{suffix}')
    steps = [float(after - before) for before, after in zip(times, times[1:])]
    assert steps == pytest.approx([0.04] * 7 + [3600.04] + [0.04] * 3, abs=0.002)
    again = frames_of(tmp_path / f'copy.{suffix}')
    assert len(again) == 12
    with open_video(source) as video:
        assert [video.seconds(k) for k in (0, 7, 8, 11)] == pytest.approx([0, 0.28, 3600.32, 3600.44])


def test_a_gap_leaves_sound_in_time(tmp_path):
    make(tmp_path / 'source.mp4', '-vf', "select='not(between(n,50,399))'", '-vsync', '0', count=500)
    frames, _, _ = copied(tmp_path / 'source.mp4', tmp_path / 'copy.mp4')
    assert len(frames) == 150
    times, sound = times_of(tmp_path / 'copy.mp4'), times_of(tmp_path / 'copy.mp4', '0:a')
    assert float(times[50] - times[49]) == pytest.approx(351 / 25, abs=0.002)
    assert float(sound[-1]) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize('rate', ['1000', '1/20', '1/3600', '240', '120000/1001'])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_fast_and_slow_videos(tmp_path, rate, suffix):
    frames, info, notes = copied(make(tmp_path / 'a.mkv', rate=rate, count=7, sound=False), tmp_path / f'b.{suffix}')
    # .mkv tells rates in nanoseconds
    assert float(info.fps) == pytest.approx(float(Fraction(rate)), rel=1e-6) and len(frames) == 7 and not notes
    assert len(frames_of(tmp_path / f'b.{suffix}')) == 7


def test_faster_than_can_be(tmp_path):
    video = make(tmp_path / 'a.mp4', rate='48000', sound=False)
    with pytest.raises(GazeError, match='a.mp4: 48000 pictures per second'):
        open_video(video).__enter__()


def test_a_rate_that_the_file_tells_wrongly(tmp_path):
    """The default duration in .mkv, from which ffmpeg takes the rate, is 1 ms; pictures come every 40 ms."""
    content = bytearray(make(tmp_path / 'a.mkv', sound=False).read_bytes())
    at = content.index(b'\x23\xe3\x83')  # DefaultDuration, then its size and nanoseconds
    assert int.from_bytes(content[at + 4 : at + 8], 'big') == 40_000_000
    content[at + 4 : at + 8] = (1_000_000).to_bytes(4, 'big')
    (tmp_path / 'a.mkv').write_bytes(content)
    assert '1k fps' in words(tmp_path / 'a.mkv')
    with open_video(tmp_path / 'a.mkv') as video:
        assert float(video.info.fps) == pytest.approx(25, rel=0.01) and len(list(video)) == 12


def test_one_frame(tmp_path):
    assert len(frames_of(make(tmp_path / 'a.mp4', count=1, sound=False))) == 1


def test_too_many_pixels_are_not_decoded(tmp_path, monkeypatch):
    ffmpeg('-f', 'lavfi', '-i', 'color=size=9000x6000:rate=1', '-frames:v', '1', '-c:v', 'mjpeg', tmp_path / 'a.mov')
    with pytest.raises(GazeError, match='a.mov: 9000x6000 pixels are more than 36 million'):
        open_video(tmp_path / 'a.mov').__enter__()
    # nor where they come later
    monkeypatch.setattr(calls, 'MAX_PIXELS', 10_000)
    parts = [make(tmp_path / f'{size}.ts', size=size, sound=False) for size in ('64x48', '320x240')]
    with open_video(joined(tmp_path / 'a.ts', *parts)) as video:
        assert len(list(video)) < 24 and video.problem


def test_too_wide(tmp_path):
    with pytest.raises(GazeError, match='a.mp4: 25600x48 pixels are more than'):
        open_video(make(tmp_path / 'a.mp4', '-vf', 'setsar=100', size='256x48', sound=False)).__enter__()


def test_too_many_pixels_a_second(tmp_path):
    video = make(tmp_path / 'a.mkv', '-preset', 'ultrafast', rate='1000', size='2560x1440', count=2, sound=False)
    with pytest.raises(GazeError, match='a.mkv: 2560x1440 pixels 1000 times per second'):
        open_video(video).__enter__()


def test_uneven_times_show_each_frame_when_it_was(tmp_path):
    """Frames 0 to 4 at 25 per second, then every other one: they are read at the mean rate, each until the next."""
    source = counted(tmp_path / 'a.mp4', '-vf', "select='lt(n,6)+not(mod(n,2))'", '-vsync', 'vfr', count=12)
    with open_video(source) as video:
        found = numbers(video)
        at = np.arange(len(found)) / float(video.info.fps)
    # a frame of the first six is to be seen for one twenty-fifth of a second, the later ones for two
    for time, number in zip(at, found):
        begin, end = number / 25, (number + (1 if number < 5 else 2)) / 25
        near = 0.5 / float(video.info.fps) + 1e-6
        assert begin - near <= time <= end + near, (time, number)
    assert found == sorted(found) and found[0] == 0 and found[-1] == 16
