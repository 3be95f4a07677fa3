"""Calls of the ffmpeg that imageio-ffmpeg carries, and what it says of a file in words."""

import contextlib
import os
import re
import subprocess
import tempfile

from gaze_tf.errors import GazeError

# What ffmpeg may take a file for. Left out: text, which it draws letter by letter; playlists, which open other files.
_FORMATS = (
    '3gp,3g2,asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,ogg,'
    'rm,webm,yuv4mpegpipe'
)
# so that colours survive within a grey level or two
SCALE = 'bicubic+accurate_rnd+full_chroma_int+full_chroma_inp'
# of a picture: 8K, in all its variants, and no more
MAX_PIXELS = 36_000_000
# a statically linked ffmpeg dies of the machine's own character tables when it meets names in .ts files
_ENVIRONMENT = {**os.environ, 'GCONV_PATH': os.devnull}


def ffmpeg():
    """Path of the program; raises GazeError if it is not installed."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise GazeError("Videos need ffmpeg: pip install 'gaze_tf[video]'.") from error


def source(path):
    """The arguments that name a user's file as an input; larger pictures are not decoded."""
    return ['-max_pixels', str(MAX_PIXELS), *named(path)]


def named(path):
    """As `source`, but for pictures of any size."""
    # 'file:', so that no name is taken for an option or an address
    return ['-format_whitelist', _FORMATS, '-i', f'file:{path}']


def call(arguments, seconds=None):
    """Runs ffmpeg to its end: a CompletedProcess, whose stderr has what it said; one that takes longer is killed and fails."""
    command = [ffmpeg(), '-hide_banner', '-nostdin', *arguments]
    try:
        return subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            encoding='utf-8',
            errors='replace',
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, '', '')


@contextlib.contextmanager
def running(arguments, **pipes):
    """(process, a function for the lines that it has said so far); the process is killed if it outlives the block."""
    with tempfile.TemporaryFile() as log:

        def said():
            log.seek(0)
            return (line.decode('utf-8', 'replace').strip() for line in log)

        # in a session of its own, so that Ctrl-C is only ours to obey
        pipes = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, **pipes}
        with subprocess.Popen(
            [ffmpeg(), '-hide_banner', '-nostats', *arguments],
            stderr=log,
            env=_ENVIRONMENT,
            start_new_session=True,
            **pipes,
        ) as process:
            try:
                yield process, said
            finally:
                process.kill()
                # what its pipe still holds cannot be written any more
                with contextlib.suppress(BrokenPipeError):
                    if process.stdin:
                        process.stdin.close()


def plain(line):
    """A line of ffmpeg's without the names and addresses of its parts, and without its level."""
    return re.sub(r'\[(?:[^]]* @ 0x\w+|\w+)\] ', '', line).strip()
