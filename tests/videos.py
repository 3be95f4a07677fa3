"""Makes small videos with the ffmpeg that the project uses, and reads what is in them."""

import re
import subprocess
from fractions import Fraction

import imageio_ffmpeg

from gaze_tf.media.video_files import open_video, write_video

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
H264 = '-c:v', 'libx264', '-pix_fmt', 'yuv420p'


def ffmpeg(*arguments):
    """Runs ffmpeg; returns (its messages, its output)."""
    result = subprocess.run([FFMPEG, '-y', '-hide_banner', *map(str, arguments)], capture_output=True, check=True)
    return result.stderr.decode(), result.stdout.decode()


def make(path, *options, rate='25', count=12, size='64x48', codecs=H264, sound=True):
    """Makes a video of a moving test picture, with a tone of the same length; returns its path."""
    seconds = float(count / Fraction(rate))
    tone = ['-f', 'lavfi', '-i', 'sine'] if sound else []
    ffmpeg(
        '-f',
        'lavfi',
        '-i',
        f'testsrc=size={size}:rate={rate}',
        *tone,
        '-frames:v',
        count,
        '-t',
        seconds,
        *codecs,
        *options,
        path,
    )
    return path


def copy(source, target):
    """Reads a video and writes it with its sound; returns (frames, Info)."""
    frames, info, notes = copied(source, target)
    return frames, info


def copied(source, target):
    """Reads a video and writes it with all else in its file; returns (frames, Info, notes of reading and writing)."""
    with open_video(source) as video:
        with write_video(target, video.info.size, video.info.fps, audio_from=source) as output:
            frames = list(video)
            for frame in frames:
                output.write(frame)
        assert not video.problem
    return frames, video.info, [*filter(None, [video.info.note]), *video.notes, *output.notes]


def frames_of(path):
    with open_video(path) as video:
        return list(video)


def words(path):
    """Returns what ffmpeg says about the contents of a file."""
    return ffmpeg('-i', path, '-map', '0:v', '-c', 'copy', '-f', 'null', '-')[0].partition('\nStream mapping')[0]


def sound_of(path):
    """Returns a checksum of the packets of the sound."""
    return ffmpeg('-v', 'error', '-i', path, '-map', '0:a', '-c', 'copy', '-f', 'md5', '-')[1]


def times_of(path, track='0:v'):
    """Returns the times in seconds at which the packets of a track are shown, in order."""
    _, packets = ffmpeg('-copyts', '-i', path, '-map', track, '-c', 'copy', '-f', 'framecrc', '-')
    base = Fraction(re.search(r'#tb 0: (\S+)', packets)[1])
    return sorted(int(time) * base for time in re.findall(r'^0, *-?\d+, *(-?\d+)', packets, re.M))
