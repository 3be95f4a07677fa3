"""Runs the ffmpeg program that comes with imageio-ffmpeg, and reads its messages."""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gaze_tf.errors import GazeError

# Formats in which ffmpeg may open a file. Not among them: text, which it draws, and playlists, which open other files.
_FORMATS = (
    '3gp,3g2,asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,ogg,'
    'rm,webm,yuv4mpegpipe'
)
# these settings preserve colors to within one or two gray levels
SCALE = 'bicubic+accurate_rnd+full_chroma_int+full_chroma_inp'
# most pixels of a picture: enough for all variants of 8K
MAX_PIXELS = 36_000_000
# a statically linked ffmpeg crashes on names in .ts files if it loads the character tables of the system
_ENVIRONMENT = {**os.environ, 'GCONV_PATH': os.devnull}


def find_ffmpeg() -> str:
    """Returns the path of the program. Raises GazeError if it is not installed."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise GazeError("Videos need ffmpeg: pip install 'gaze_tf[video]'.") from error


def source(path: os.PathLike | str) -> list[str]:
    """Returns the arguments that make a file an input; pictures of more than MAX_PIXELS are not decoded."""
    return ['-max_pixels', str(MAX_PIXELS), *named(path)]


def named(path: os.PathLike | str) -> list[str]:
    """Returns the same arguments as `source`, but for pictures of any size."""
    # without 'file:' a name could be taken for an option or an address
    return ['-format_whitelist', _FORMATS, '-i', f'file:{path}']


def run(arguments: Iterable[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """Runs ffmpeg to its end; its messages are in `stderr` of the result.

    A process that takes more than `seconds` is killed, with a return code that is not 0.
    """
    command = [find_ffmpeg(), '-hide_banner', '-nostdin', *arguments]
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
def running(arguments: Iterable[str], **pipes: Any) -> Iterator[tuple[Any, Callable[[], Iterator[str]]]]:
    """Starts ffmpeg and yields (its Popen, a function that returns the lines of its messages so far).

    `pipes` are arguments of Popen. The process is killed if it is still running at the end of the block.
    """
    with tempfile.TemporaryFile() as log:

        def said() -> Iterator[str]:
            log.seek(0)
            return (line.decode('utf-8', 'replace').strip() for line in log)

        # in its own session, so that Ctrl-C does not reach it
        pipes = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, **pipes}
        with subprocess.Popen(
            [find_ffmpeg(), '-hide_banner', '-nostats', *arguments],
            stderr=log,
            env=_ENVIRONMENT,
            start_new_session=True,
            **pipes,
        ) as process:
            try:
                yield process, said
            finally:
                process.kill()
                # the rest of the data cannot be written to the pipe of a dead process
                with contextlib.suppress(BrokenPipeError):
                    if process.stdin:
                        process.stdin.close()


def plain(line: str) -> str:
    """Removes the level, and the names and addresses of ffmpeg's parts, from one of its messages."""
    return re.sub(r'\[(?:[^]]* @ 0x\w+|\w+)\] ', '', line).strip()
