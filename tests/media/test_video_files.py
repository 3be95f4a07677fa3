"""Reading and writing videos, with files that ffmpeg makes."""

import os
import pathlib
import re
import resource
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.media import ai_mark, video_files, xmp
from gaze_tf.media.video_files import open_video, write_video
from tests.videos import H264, copy, ffmpeg, frames_of, make, sound_of


def starts(path):
    """Returns the seconds at which (picture, sound) begin, from the packets in the file."""
    _, packets = ffmpeg('-copyts', '-i', path, '-map', '0:v', '-map', '0:a', '-c', 'copy', '-f', 'framecrc', '-')
    return tuple(
        min(int(pts) for pts in re.findall(rf'^{k}, *-?\d+, *(-?\d+)', packets, re.M))
        * Fraction(re.search(rf'#tb {k}: (\S+)', packets)[1])
        for k in (0, 1)
    )


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv'])
def test_the_mark(tmp_path, suffix):
    for mark in False, True:
        path = tmp_path / f'a.{suffix}'
        with write_video(path, (64, 48), 25, mark=mark) as output:
            output.write(np.zeros((48, 64, 3), np.uint8))
        assert path.read_bytes().count(xmp.MARK.encode()) == (mark and suffix != 'mkv')
        assert len(frames_of(path)) == 1
    # where programs look for it: in a box of the file, or in the description of the film
    before = path.read_bytes().partition(b'<?xpacket')[0]
    assert suffix == 'mkv' or before.endswith(
        {'mp4': bytes.fromhex('be7acfcb97a942e89c71999491e3afac'), 'mov': b'XMP_'}[suffix]
    )
    assert ai_mark.list_unmarked([path]) == (
        [] if suffix != 'mkv' else ['Matroska has no place for the mark: 1 of 1 results without it (.mkv).']
    )


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv'])
@pytest.mark.parametrize('rate', ['24000/1001', '25'])
def test_rate_count_and_sound_are_kept(tmp_path, suffix, rate):
    source = make(tmp_path / f'source.{suffix}', rate=rate)
    frames, info = copy(source, tmp_path / f'copy.{suffix}')
    assert info == ((64, 48), Fraction(rate), 12, True, '') and type(info.fps) is Fraction
    assert len(frames) == 12 and all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for frame in frames)
    again = frames_of(tmp_path / f'copy.{suffix}')
    assert len(again) == 12
    # crf 15 of a picture full of fine colored lines
    assert np.mean([abs(a.astype(int) - b).mean() for a, b in zip(frames, again)]) < 7
    with open_video(tmp_path / f'copy.{suffix}') as video:
        assert video.info == info
    assert f'{float(Fraction(rate)):.4g} fps' in ffmpeg('-i', tmp_path / f'copy.{suffix}', '-f', 'null', '-')[0]
    assert sound_of(source) == sound_of(tmp_path / f'copy.{suffix}')
    assert sorted(path.name for path in tmp_path.iterdir()) == [f'copy.{suffix}', f'source.{suffix}']


@pytest.mark.parametrize('late', ['picture', 'sound'])
def test_sound_stays_in_time(tmp_path, late):
    both = make(tmp_path / 'both.mp4', count=25)
    maps = ['-map', '0:v', '-map', '1:a'] if late == 'sound' else ['-map', '1:v', '-map', '0:a']
    ffmpeg('-i', both, '-itsoffset', '0.4', '-i', both, *maps, '-c', 'copy', tmp_path / 'source.mp4')
    frames, _ = copy(tmp_path / 'source.mp4', tmp_path / 'copy.mp4')
    assert len(frames) == 25 and len(frames_of(tmp_path / 'copy.mp4')) == 25
    expected, found = starts(tmp_path / 'source.mp4'), starts(tmp_path / 'copy.mp4')
    difference = expected[1] - expected[0]
    # the sound begins with 1024 samples that are not heard
    assert float(difference) == pytest.approx((0.4 if late == 'sound' else -0.4) - 1024 / 44100, abs=0.001)
    assert float(found[1] - found[0]) == pytest.approx(float(difference), abs=0.001)
    assert sound_of(tmp_path / 'source.mp4') == sound_of(tmp_path / 'copy.mp4')


def test_sound_that_the_format_cannot_hold_becomes_aac(tmp_path):
    source = make(tmp_path / 'source.mkv', codecs=[*H264, '-c:a', 'wmav2'])
    copy(source, tmp_path / 'copy.mp4')
    assert 'Audio: aac' in ffmpeg('-i', tmp_path / 'copy.mp4', '-f', 'null', '-')[0]
    assert 'Audio: wmav2' in ffmpeg('-i', source, '-f', 'null', '-')[0]


def test_a_video_without_sound(tmp_path):
    _, info = copy(make(tmp_path / 'source.mp4', sound=False), tmp_path / 'copy.mp4')
    assert not info.has_audio and 'Audio' not in ffmpeg('-i', tmp_path / 'copy.mp4', '-f', 'null', '-')[0]


@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_rotated_videos_come_upright(tmp_path, degrees):
    plain = make(tmp_path / 'plain.mp4')
    ffmpeg('-display_rotation', degrees, '-i', plain, '-c', 'copy', tmp_path / 'source.mp4')
    frames, info = copy(tmp_path / 'source.mp4', tmp_path / 'copy.mp4')
    assert info.size == ((64, 48) if degrees == 180 else (48, 64))
    for frame, before in zip(frames, frames_of(plain)):
        # anticlockwise, both of them
        assert abs(frame.astype(int) - np.rot90(before, degrees // 90)).mean() < 1
    words, _ = ffmpeg('-i', tmp_path / 'copy.mp4', '-f', 'null', '-')
    assert f'{info.size[0]}x{info.size[1]}' in words and 'rotation' not in words


def patches(width, height):
    """Returns a picture of patches of 40 x 30 pixels in the strongest colors and in random ones."""
    colors = np.random.default_rng(0).integers(0, 256, (height // 30, width // 40, 3), np.uint8)
    colors[0, :5] = [0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]
    return np.repeat(np.repeat(colors, 30, 0), 40, 1)


@pytest.mark.parametrize('size, matrix', [((320, 240), 'smpte170m'), ((1280, 720), 'bt709')])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_colors_stay(tmp_path, size, matrix, suffix):
    picture = patches(*size)
    with write_video(tmp_path / f'a.{suffix}', size, 25) as output:
        for _ in range(3):
            output.write(picture)
    found = frames_of(tmp_path / f'a.{suffix}')[1].astype(int)
    middles = slice(15, None, 30), slice(20, None, 40)
    assert abs(found[middles] - picture[middles]).max() <= 3
    words, _ = ffmpeg('-i', tmp_path / f'a.{suffix}', '-vf', 'showinfo', '-f', 'null', '-')
    assert f'color_range:tv color_space:{matrix} color_primaries:bt709 color_trc:bt709' in words


@pytest.mark.parametrize('size, matrix', [((320, 240), 'smpte170m'), ((1280, 720), 'bt709')])
def test_colors_of_untagged_videos_are_read_as_players_do(tmp_path, size, matrix):
    picture = patches(*size)
    (tmp_path / 'raw').write_bytes(picture.tobytes())
    ffmpeg(
        '-f',
        'rawvideo',
        '-pix_fmt',
        'rgb24',
        '-s',
        f'{size[0]}x{size[1]}',
        '-i',
        tmp_path / 'raw',
        '-vf',
        f'scale=out_color_matrix={matrix}:flags=accurate_rnd,setparams=colorspace=unknown',
        *H264,
        '-crf',
        '10',
        tmp_path / 'a.mp4',
    )
    words, _ = ffmpeg('-i', tmp_path / 'a.mp4', '-vf', 'showinfo', '-f', 'null', '-')
    assert 'color_space:unknown' in words
    found, middles = frames_of(tmp_path / 'a.mp4')[0].astype(int), (slice(15, None, 30), slice(20, None, 40))
    assert abs(found[middles] - picture[middles]).max() <= 3


def test_odd_sizes_stay(tmp_path):
    frames, info = copy(
        make(tmp_path / 'source.mp4', size='65x47', codecs=['-c:v', 'libx264', '-pix_fmt', 'yuv444p']),
        tmp_path / 'copy.mp4',
    )
    assert info.size == (65, 47) and frames_of(tmp_path / 'copy.mp4')[0].shape == (47, 65, 3)


def test_pixels_become_square(tmp_path):
    video = make(tmp_path / 'a.mp4', '-vf', 'setsar=4/3', size='72x48')
    assert frames_of(video)[0].shape == (48, 96, 3)


def test_varying_rates_become_even(tmp_path):
    # a third of a second at 30 per second, then nearly one at 10
    make(
        tmp_path / 'a.mp4', '-vf', "select='lt(n,10)+not(mod(n,3))'", '-vsync', 'vfr', rate='30', count=40, sound=False
    )
    with open_video(tmp_path / 'a.mp4') as video:
        assert 'rate varies' in video.info.note and float(video.info.fps) == pytest.approx(16, abs=2)
        assert len(list(video)) / float(video.info.fps) == pytest.approx(4 / 3, abs=0.05)


def test_high_dynamic_range_becomes_ordinary(tmp_path):
    make(
        tmp_path / 'a.mp4',
        '-vf',
        'scale=out_color_matrix=bt709,format=yuv444p,zscale=tin=bt709:min=bt709:pin=bt709:'
        't=arib-std-b67:m=bt2020nc:p=bt2020:npl=203,format=yuv420p10le',
        '-color_trc',
        'arib-std-b67',
        '-colorspace',
        'bt2020nc',
        '-color_primaries',
        'bt2020',
        size='320x240',
        count=2,
        codecs=['-c:v', 'libx264'],
    )
    with open_video(tmp_path / 'a.mp4') as video:
        assert 'dynamic range' in video.info.note
        frame = next(iter(video)).astype(int)
    # the test picture's bars: black, cyan, blue
    assert frame[30, 20].max() < 10
    red, green, blue = frame[120, 60]
    assert red < 30 and min(green, blue) > 190
    red, green, blue = frame[120, 140]
    assert max(red, green) < 30 and blue > 190


def test_broadcast_streams_are_read(tmp_path):
    # names in them, which a statically linked ffmpeg may die of
    assert len(frames_of(make(tmp_path / 'a.ts', '-metadata', 'service_name=Überall'))) == 12


def test_reading_again_starts_again(tmp_path):
    with open_video(make(tmp_path / 'a.mp4')) as video:
        first = next(iter(video))
        np.testing.assert_array_equal(first, next(iter(video)))
        assert len(list(video)) == 12


def test_one_frame_is_read_without_those_before(tmp_path):
    video = make(tmp_path / 'a.mkv', '-metadata:s:v:0', 'rotate=90', count=60)
    frames = frames_of(video)
    for number in (0, 33, 59):
        np.testing.assert_array_equal(video_files.read_frame(video, max(number - 0.5, 0) / 25), frames[number])
    with pytest.raises(GazeError, match='has no frame at second 3.0'):
        video_files.read_frame(video, 3)


def of_bytes(content):
    return lambda path: path.write_bytes(content)


def cut_off(path):
    path.write_bytes(make(path.with_name('whole.mp4')).read_bytes()[:900])


def only_sound(path):
    ffmpeg('-f', 'lavfi', '-i', 'sine', '-t', '0.2', path)


@pytest.mark.parametrize(
    'name, spoil, message',
    [
        ('a.mp4', lambda path: None, 'no such file'),
        ('a.mp4', pathlib.Path.mkdir, 'no such file'),
        ('a.mp4', of_bytes(b''), 'empty'),
        ('a.mp4', of_bytes(b'hello\n' * 99), 'no video'),
        ('a.txt', of_bytes(b'hello\n' * 99), 'no video'),
        ('a.mp4', cut_off, 'cut off'),
        ('a.m4a', only_sound, 'no moving pictures'),
        ('a.png', lambda path: make(path, count=1, codecs=[], sound=False), 'no video'),
    ],
)
def test_what_is_no_video(tmp_path, name, spoil, message):
    spoil(tmp_path / name)
    with pytest.raises(GazeError, match=message) as error:
        with open_video(tmp_path / name):
            pass
    assert name in str(error.value) and '\n' not in str(error.value)


def test_a_damaged_video_is_read_as_far_as_it_goes(tmp_path):
    video = make(tmp_path / 'a.mp4', '-movflags', 'faststart', count=100, size='160x120', sound=False)
    content = video.read_bytes()
    (tmp_path / 'half.mp4').write_bytes(content[: len(content) // 2])
    with open_video(tmp_path / 'half.mp4') as video:
        assert video.info.frames == 100
        count = len(list(video))
        assert 10 < count < 90 and f'{count} frames' in video.problem and 'half.mp4' in video.problem


def test_a_result_is_whole_or_not_there(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'of an earlier run')
    with pytest.raises(ZeroDivisionError):
        with write_video(path, (64, 48), 25) as output:
            process = output._process
            while len(list(tmp_path.iterdir())) < 2:
                output.write(np.zeros((48, 64, 3), np.uint8))
            raise ZeroDivisionError
    assert process.poll() is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.mp4'] and path.read_bytes() == b'of an earlier run'


def test_a_full_disk(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(GazeError, match='a.mp4: cannot be written'):
            with write_video(tmp_path / 'a.mp4', (64, 48), 25) as output:
                for frame in noise:
                    output.write(frame)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('no folder')
    with pytest.raises(GazeError, match='cannot be written'):
        with write_video(tmp_path / 'file' / 'a.mp4', (64, 48), 25):
            pass


@pytest.mark.parametrize('name, message', [('a.avi', 'must end in'), ('a.mp4', 'no frames')])
def test_nothing_to_write(tmp_path, name, message):
    with pytest.raises(GazeError, match=message):
        with write_video(tmp_path / name, (64, 48), 25):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size(tmp_path):
    with pytest.raises(ValueError, match=re.escape('(48, 64, 3)')):
        with write_video(tmp_path / 'a.mp4', (64, 48), 25) as output:
            output.write(np.zeros((64, 48, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_is_named_where_it_is_missing(tmp_path, monkeypatch):
    video = make(tmp_path / 'a.mp4')
    monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
    with pytest.raises(GazeError, match=re.escape("install 'gaze_tf[video]'")):
        video_files.VideoReader(video)


def test_ffmpeg_is_imported_only_when_needed():
    code = 'import sys, gaze_tf.media.video_files; print("imageio_ffmpeg" in sys.modules, "tensorflow" in sys.modules)'
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, env=os.environ)
    assert result.stdout.split() == ['False', 'False']
