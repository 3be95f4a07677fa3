"""Reads and writes video files as streams of upright RGB frames, with the ffmpeg that comes with imageio-ffmpeg."""

import collections
import contextlib
import math
import os
import pathlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media import ai_mark, ffmpeg, video_tracks
from gaze_tf.media.video_probe import is_hd, probe

SUFFIXES = '.mp4', '.mov', '.mkv'
# At half the work of 'veryfast', files are 15 % larger at the same PSNR; without the parameters twice as large.
_X264 = '-c:v libx264 -crf 15 -preset superfast -x264-params mbtree=1:rc-lookahead=10:b-adapt=0'.split()


class VideoReader:
    """A video file. Each iteration yields all its frames, uint8 [H, W, 3], from the first one.

    A damaged video ends where ffmpeg can read no more of it; damage before that is patched, as players do it.

    Attributes:
      info: video_probe.Info.
      problem: a sentence for the user, after the last frame, if the video is damaged or has far fewer frames than its
        length promises; else ''.
      notes: list of sentences on what reading changed.
    """

    def __init__(self, path: pathlib.Path | str) -> None:
        self._path = pathlib.Path(path)
        self._probed = probe(self._path)
        self.info, self.problem = self._probed.info, ''
        self.notes: list[str] = []
        self._frames: Any = None
        self._reason = ''

    def __iter__(self) -> Iterator[np.ndarray]:
        self.close()
        self.problem, self.notes = '', []
        self._frames = self._read()
        return self._frames

    def close(self) -> None:
        """Stops reading."""
        if self._frames is not None:
            self._frames.close()

    def seconds(self, number: int) -> float:
        """Returns when frame `number`, counted from 0, is shown: seconds after the first one, with the video's gaps."""
        return float(
            (number + sum(gap.frames for gap in self._probed.times.gaps if gap.number <= number)) / self.info.fps
        )

    def _read(self) -> Iterator[np.ndarray]:
        held: Any
        times, first, held, count = self._probed.times, None, None, 0
        gaps = collections.deque(times.gaps)
        # only broken times ask for more than twice as many frames as there are packets
        skipped, most = 0, math.inf if times.frames is None else 2 * times.frames + 100
        for seconds, frame in self._decoded():
            first = seconds if first is None else first
            while gaps and gaps[0].middle <= seconds:
                skipped += gaps.popleft().frames
            # each frame is the last picture that comes before the middle of the frame's time
            while count < min(math.floor((seconds - first) * times.fps + Fraction(1, 2)) - skipped, most):
                yield held
                count += 1
            held = frame
        if held is None:
            raise GazeError(f'no frame of this video can be read ({self._reason}).', self._path)
        yield held
        count += 1
        if self._reason:
            self.problem = f'ffmpeg found errors in {self._path} ({self._reason}): {count} frames could be read.'
        elif count < 0.9 * (times.promised or 0) - 2:
            self.problem = f'{self._path} ends early: {count} frames could be read of about {times.promised}.'

    def _decoded(self) -> Iterator[tuple[Fraction, np.ndarray]]:
        """Yields (time in seconds of the file, frame) as pictures are decoded."""
        width, height = self.info.size
        with _pipe() as (told, end):
            # ffmpeg rebuilds the filters where pictures change, so that times do not go through them. They come on
            # another pipe, before each frame and without a delay.
            command = [
                '-loglevel',
                'level+info',
                '-nostdin',
                *ffmpeg.source(self._path),
                '-map',
                '0:V:0',
                '-vf',
                ','.join(self._probed.filters),
                '-vsync',
                '0',
                '-enc_time_base',
                '-1',
                '-pix_fmt',
                'rgb24',
                '-c:v',
                'rawvideo',
                '-f',
                'tee',
                f'[f=framecrc:flush_packets=1]pipe:{end.fileno()}|[f=rawvideo]pipe:1',
            ]
            with ffmpeg.running(command, stdout=subprocess.PIPE, pass_fds=[end.fileno()]) as (process, said):
                end.close()
                for line in told:
                    if line.startswith(b'#tb 0:'):
                        base = Fraction(line[6:].decode().strip())
                    if line.startswith(b'#'):
                        continue
                    frame: Any = np.empty((height, width, 3), np.uint8)
                    if process.stdout.readinto(memoryview(frame).cast('B')) < frame.nbytes:
                        break
                    yield int(line.split(b',')[2]) * base, frame
                failed = process.wait() != 0
                self._reason, changes = _heard(said())
                if failed and not self._reason:
                    self._reason = 'ffmpeg ended without a message'
        if changes:
            self.notes = [
                f'Its pictures change size or format, first to {changes[0]}: all frames have the first size, '
                f'{width}x{height}.'
            ]


def read_frame(path: pathlib.Path | str, seconds: float) -> np.ndarray:
    """Returns the first frame, uint8 [H, W, 3], that is shown `seconds` after the start or later, without reading
    those before. Raises GazeError."""
    path, probed = pathlib.Path(path), probe(path)
    width, height = probed.info.size
    seek = ['-ss', f'{seconds:.3f}', *ffmpeg.source(path), '-map', '0:V:0', '-vf', ','.join(probed.filters)]
    command = [
        '-loglevel',
        'error',
        '-nostdin',
        *seek,
        '-frames:v',
        '1',
        '-pix_fmt',
        'rgb24',
        '-f',
        'rawvideo',
        'pipe:1',
    ]
    frame: Any = np.empty((height, width, 3), np.uint8)
    with ffmpeg.running(command, stdout=subprocess.PIPE) as (process, _):
        if process.stdout.readinto(memoryview(frame).cast('B')) < frame.nbytes:
            raise GazeError(f'has no frame at second {seconds:.1f}.', path)
    return frame


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[Any, Any]]:
    """Yields the two ends of a pipe as files, for reading and for writing."""
    read, write = os.pipe()
    with open(read, 'rb') as told, open(write, 'wb') as end:
        yield told, end


def _heard(lines: Iterable[str]) -> tuple[str, list[str]]:
    """Returns (the last error of a decoder, changes of size and format) from messages of ffmpeg."""
    reason, changes = '', []
    for line in lines:
        change = re.search(r'Reconfiguring filter graph because .*changed to (\w+)\(.*\), (\d+x\d+)', line)
        if change:
            changes.append(f'{change[2]} ({change[1]})')
        # the final messages only repeat that nothing more can be done
        elif re.search(
            r'\[(error|fatal|panic)\](?! (Nothing|Conversion|Task|Terminating|Could not open encoder))', line
        ):
            reason = ffmpeg.plain(line)
    return reason, changes


@contextlib.contextmanager
def open_video(path: pathlib.Path | str) -> Iterator[VideoReader]:
    """Opens a video. Raises GazeError if there is no file, or no video in it, or ffmpeg is not installed."""
    reader = VideoReader(path)
    try:
        yield reader
    finally:
        reader.close()


class VideoWriter:
    """A video that is being written; `write_video` yields it.

    notes: list of sentences on what of `audio_from` is not preserved.
    """

    def __init__(self, path: pathlib.Path, size: tuple[int, int], process: Any, said: Any, notes: list[str]) -> None:
        self._path, self._process, self._said, self.notes = path, process, said, notes
        self._shape = size[1], size[0], 3
        self._count = 0

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, uint8 [H, W, 3]. Raises GazeError if it cannot be written."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f'uint8 {self._shape} expected, {frame.dtype} {frame.shape} given.')
        try:
            pixels: Any = np.ascontiguousarray(frame)
            self._process.stdin.write(memoryview(pixels).cast('B'))
        except BrokenPipeError as error:
            raise self._failure() from error
        self._count += 1

    def _finish(self) -> None:
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if self._process.wait() or not self._count:
            raise self._failure()

    def _failure(self) -> GazeError:
        self._process.wait()
        reason = ffmpeg.plain(([''] + list(self._said()))[-1])
        return GazeError(f'cannot be written ({reason or "no frames"}).', self._path)


@contextlib.contextmanager
def write_video(
    path: pathlib.Path | str,
    size: tuple[int, int],
    fps: Fraction | float,
    audio_from: pathlib.Path | str | None = None,
    mark: bool = False,
) -> Iterator[VideoWriter]:
    """Yields a VideoWriter for an H.264 video, which appears whole at the end of the block, or not at all.

    Frames of odd width or height are stored with full color resolution, which some players cannot show.

    Args:
      path: ends in one of SUFFIXES.
      size: (width, height) of the frames.
      fps: frames per second.
      audio_from: a video whose frames, read by a VideoReader, will be written. Its sound is copied in time with them:
        bit by bit if the format can hold it and players play it, else as AAC. Subtitles, chapters, dates and other
        metadata are copied too, and gaps between its frames are restored.
      mark: whether the XMP says that a model made parts of the video (.mkv has no place for it).

    Raises:
      GazeError: the file cannot be written, or `audio_from` cannot be read.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise GazeError(f'must end in {" or ".join(SUFFIXES)}.', path)
    with contextlib.ExitStack() as stack:
        with _disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(new_file(path)).name
        command, notes = _write_command(path, temporary, size, Fraction(fps), audio_from)
        # with the names that phones use, ffmpeg does not write the name under which programs look for XMP
        boxed = (
            path.suffix.lower() == '.mp4' or path.suffix.lower() == '.mov' and '+faststart+use_metadata_tags' in command
        )
        if mark and path.suffix.lower() == '.mov' and not boxed:
            command[-1:-1] = ['-metadata', f'xmp={ai_mark.build_packet().decode()}']
        with ffmpeg.running(command, stdin=subprocess.PIPE) as (process, said):
            writer = VideoWriter(path, size, process, said, notes)
            yield writer
            writer._finish()
        with _disk_errors(path):
            if mark and boxed:
                ai_mark.mark_mp4(temporary)
            stack.close()


def _write_command(
    path: pathlib.Path, temporary: str, size: tuple[int, int], fps: Fraction, audio_from: pathlib.Path | str | None
) -> tuple[list[str], list[str]]:
    """Returns (arguments of ffmpeg, notes)."""
    width, height = size
    target = ['-f', {'.mp4': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}[path.suffix.lower()], '-y', f'file:{temporary}']
    start, gaps = 0.0, ''
    others: list[str] = []
    beside: list[str] = []
    notes: list[str] = []
    if audio_from is not None:
        probed = probe(audio_from)
        start = probed.start
        gaps = ''.join(f'+{gap.frames}*gte(N\\,{gap.number})' for gap in probed.times.gaps)
        gaps = gaps and f'setpts=PTS{gaps},'
        others = ffmpeg.source(audio_from)
        beside, notes = video_tracks.kept(audio_from, path.suffix.lower(), target)
    elif path.suffix.lower() != '.mkv':
        beside = ['-movflags', '+faststart']
    # players that ignore tags take small videos for BT.601 and large ones for BT.709
    matrix = 'bt709' if is_hd(size) else 'smpte170m'
    chroma = 'yuv444p' if width % 2 or height % 2 else 'yuv420p'
    # -vsync 0: no frame is repeated if the sound begins first.
    # B-frames would need a start that is earlier by the longest frame, and .mp4 cannot store hours there.
    lasting = ['-bf', '0'] if gaps or fps < 1 else []
    if gaps:
        # setpts loses the duration of the last frame
        lasting += ['-bsf:v', f'setts=pts=PTS:dts=DTS:duration=1/({fps}*TB)']
    filters = f'{gaps}scale=out_color_matrix={matrix}:out_range=tv:flags={ffmpeg.SCALE}'
    colors = f'-colorspace {matrix} -color_primaries bt709 -color_trc bt709 -color_range tv'.split()
    video = ['-map', '0:v', '-vsync', '0', *lasting, '-vf', filters, '-pix_fmt', chroma, *colors, *_X264]
    raw = f'-f rawvideo -pix_fmt rgb24 -video_size {width}x{height} -framerate {fps} -i pipe:0'.split()
    inputs = ['-itsoffset', f'{start:.6f}', *raw]
    return ['-loglevel', 'error', *inputs, *others, *video, *beside, *target], notes


@contextlib.contextmanager
def _disk_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GazeError(f'cannot be written ({error.strerror or error}).', path) from error
