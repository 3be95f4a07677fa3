"""Video files as streams of upright RGB frames, through the ffmpeg that imageio-ffmpeg carries."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile
from fractions import Fraction
from typing import NamedTuple, Optional

import numpy as np

from gaze_tf.editing import marks
from gaze_tf.errors import GazeError

SUFFIXES = '.mp4', '.mov', '.mkv'

# What ffmpeg may take a file for. Left out: text, which it draws letter by letter; playlists, which open other files.
_FORMATS = ('3gp,3g2,asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,ogg,'
            'rm,webm,yuv4mpegpipe')
# so that colours survive within a grey level or two
_SCALE = 'bicubic+accurate_rnd+full_chroma_int+full_chroma_inp'
# a statically linked ffmpeg dies of the machine's own character tables when it meets names in .ts files
_ENVIRONMENT = {**os.environ, 'GCONV_PATH': os.devnull}
_HDR = {'arib-std-b67', 'smpte2084'}
_TONE_MAP = ('zscale=t=linear:npl=203', 'format=gbrpf32le', 'zscale=p=bt709', 'tonemap=mobius:desat=0',
             'zscale=t=bt709:m=bt709:r=tv', 'format=yuv444p')


class Info(NamedTuple):
    """What is known of a video before it is read.

    size: (width, height) of its upright frames, in square pixels; fps: frames per second, exactly;
    frames: how many about, None if unknown; has_audio: whether there is sound beside it;
    note: what reading changes of it, for the user, '' if nothing.
    """
    size: tuple
    fps: Fraction
    frames: Optional[int]
    has_audio: bool
    note: str = ''


class _Stream(NamedTuple):
    """What only this module needs: start (seconds after that of the file), filters that make frames of it."""
    info: Info
    start: float
    filters: tuple


class VideoReader:
    """Iterating gives the frames, uint8 [H, W, 3], one at a time, from the first one each time.

    A damaged video ends early where ffmpeg can read no more of it; what is broken before is patched as players do.
    After the last frame `problem` says so in a sentence for the user, '' if all went well.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)
        stream = _probe(self._path)
        self.info, self._filters, self.problem = stream.info, stream.filters, ''
        self._frames = None

    def __iter__(self):
        self.close()
        self.problem = ''
        self._frames = self._read()
        return self._frames

    def close(self):
        """Stops reading."""
        if self._frames is not None:
            self._frames.close()

    def _read(self):
        width, height = self.info.size
        command = [ffmpeg(), '-nostdin', '-loglevel', 'error', *_input(self._path), '-map', '0:V:0', '-vf',
                   ','.join(self._filters), '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1']
        count = 0
        with _running(command, stdout=subprocess.PIPE) as (process, said):
            while True:
                frame = np.empty((height, width, 3), np.uint8)
                if process.stdout.readinto(memoryview(frame).cast('B')) < frame.nbytes:
                    break
                count += 1
                yield frame
            failed = process.wait() != 0
            reason = said()
        if not count:
            raise GazeError(f'--input: no frame of {self._path} can be read ({reason}).')
        if failed or reason:
            self.problem = f'ffmpeg found errors in {self._path} ({reason}): {count} frames could be read.'


@contextlib.contextmanager
def open_video(path):
    """A VideoReader; raises GazeError if there is no file, or no video in it, or ffmpeg is not installed."""
    reader = VideoReader(path)
    try:
        yield reader
    finally:
        reader.close()


class VideoWriter:
    """What write_video gives."""

    def __init__(self, path, size, process, said):
        self._path, self._process, self._said = path, process, said
        self._shape = size[1], size[0], 3
        self._count = 0

    def write(self, frame):
        """Appends a frame, uint8 [H, W, 3]; raises GazeError if it cannot be stored."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f'{frame.dtype} {frame.shape} where uint8 {self._shape} goes')
        try:
            self._process.stdin.write(memoryview(np.ascontiguousarray(frame)).cast('B'))
        except BrokenPipeError as error:
            raise self._failure() from error
        self._count += 1

    def _finish(self):
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if self._process.wait() or not self._count:
            raise self._failure()

    def _failure(self):
        self._process.wait()
        return GazeError(f'--output: {self._path} cannot be written ({self._said() or "no frames"}).')


@contextlib.contextmanager
def write_video(path, size, fps, audio_from=None, mark=False):
    """A context whose `write` takes the frames of an H.264 video in their order; the file is there at its end.

    path: ends in one of SUFFIXES; size: (width, height); fps: a Fraction or whole number; audio_from: a video whose
    sound is copied, bit by bit where the file's format can hold it (else as AAC), in time with its frames; mark: whether
    XMP is to say that a trained model made parts of it (.mkv has no place for it).
    The file appears whole, or not at all if the block or ffmpeg fails; raises GazeError.
    Frames of odd width or height are stored with full colour resolution, which some players cannot show.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise GazeError(f'--output={path} must end in {" or ".join(SUFFIXES)}.')
    temporary = path.with_name(f'.{path.name}.part')
    try:
        with _disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        command = _write_command(path, temporary, size, Fraction(fps), audio_from, mark)
        with _running(command, stdin=subprocess.PIPE) as (process, said):
            writer = VideoWriter(path, size, process, said)
            yield writer
            writer._finish()
        with _disk_errors(path):
            if mark and path.suffix.lower() == '.mp4':
                marks.mark_mp4(temporary)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _write_command(path, temporary, size, fps, audio_from, mark):
    width, height = size
    target = ['-f', {'.mp4': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}[path.suffix.lower()], '-y', f'file:{temporary}']
    start, sound_file, sound = 0, [], []
    if audio_from is not None:
        stream = _probe(audio_from)
        start = stream.start
        if stream.info.has_audio:
            # the surest way to learn what a format can hold
            copied = _call([*_input(audio_from), '-map', '0:a', '-c', 'copy', '-t', '1', *target]).returncode == 0
            codec = ['copy'] if copied else ['aac', '-b:a', '192k']
            sound_file, sound = _input(audio_from), ['-map', '1:a', '-c:a', *codec]
    # players that look at no tags take small videos for BT.601, large ones for BT.709
    matrix = 'bt709' if _is_hd(size) else 'smpte170m'
    chroma = 'yuv444p' if width % 2 or height % 2 else 'yuv420p'
    # -vsync 0: no frame is repeated where the sound begins first
    video = ['-map', '0:v', '-vsync', '0', '-vf', f'scale=out_color_matrix={matrix}:out_range=tv:flags={_SCALE}',
             '-pix_fmt', chroma, '-colorspace', matrix, '-color_primaries', 'bt709', '-color_trc', 'bt709',
             '-color_range', 'tv', '-c:v', 'libx264', '-crf', '17', '-preset', 'fast']
    if path.suffix.lower() != '.mkv':
        video += ['-movflags', '+faststart']
    if mark and path.suffix.lower() == '.mov':
        video += ['-metadata', f'xmp={marks.packet().decode()}']
    inputs = ['-itsoffset', f'{start:.6f}', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-video_size', f'{width}x{height}',
              '-framerate', str(fps), '-i', 'pipe:0']
    return [ffmpeg(), '-loglevel', 'error', *inputs, *sound_file, *video, *sound, *target]


def _probe(path):
    """The _Stream of a file: its first frame is decoded, and ffmpeg tells of it in words."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise GazeError(f'--input: there is no file {path}.')
    if not path.stat().st_size:
        raise GazeError(f'--input: {path} is empty.')
    words = _call([*_input(path), '-map', '0:V:0', '-frames:v', '1', '-vf', 'showinfo', '-f', 'null', '-']).stderr
    if 'matches no streams' in words:
        raise GazeError(f'--input: there are no moving pictures in {path}.')
    # showinfo sees the frame upright
    frame = re.search(r'pts_time:(\S+).* sar:(\d+)/(\d+) s:(\d+)x(\d+)', words)
    if not frame:
        raise GazeError(f'--input: {path} is no video that ffmpeg can read, or it is damaged or cut off.')
    start = float(frame[1]) if frame[1] != 'NOPTS' else 0.
    across, down, width, height = map(int, frame.groups()[1:])
    size = width, height
    if across and down and across != down:
        size = 2 * max(round(width * across / down / 2), 1), height
    fps, note = _rate(path, words)
    matrix, transfer = (re.search(rf'{name}:(\S+)', words)[1] for name in ('color_space', 'color_trc'))
    # as players do; ffmpeg would take all for BT.601
    guess = [f'in_color_matrix={"bt709" if _is_hd(size) else "smpte170m"}'] if matrix == 'unknown' else []
    # from 0 on, so that no frame is repeated where the sound begins first
    filters = ['setpts=PTS-STARTPTS', f'fps={fps}']
    if transfer in _HDR:
        filters += _TONE_MAP
        note = ' '.join([note, 'Its high dynamic range is mapped to the ordinary one.']).strip()
    filters += [':'.join([f'scale={size[0]}:{size[1]}', *guess, f'flags={_SCALE}'])]
    duration = re.search(r'Duration: (\d+):(\d+):([\d.]+)', words)
    seconds = duration and int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
    frames = round(seconds * fps) if seconds else None
    has_audio = re.search(r'Stream #0:.*: Audio:', words) is not None
    return _Stream(Info(size, fps, frames, has_audio, note), start, tuple(filters))


def _rate(path, words):
    """(frames per second, note): the nominal rate where frames come near it, else their mean."""
    nominal = re.search(r'frame_rate: (\d+)/(\d+)', words)
    nominal = Fraction(int(nominal[1]), int(nominal[2]) or 1)
    mean = re.search(r'Video:.* ([\d.]+) fps,', words)
    if mean and nominal:
        mean = Fraction(mean[1])
        if abs(nominal / mean - 1) < Fraction(1, 200):
            return nominal, ''
        fps = nominal if abs(nominal / mean - 1) < Fraction(1, 10) else mean
    else:
        # recorded by a browser, say: nothing tells but the frames
        words = _call([*_input(path), '-map', '0:V:0', '-c', 'copy', '-f', 'null', '-']).stderr
        count = int(re.findall(r'frame= *(\d+)', words)[-1])
        hours, minutes, seconds = map(float, re.findall(r'time=(\d+):(\d+):([\d.]+)', words)[-1])
        fps = Fraction(max(round(count / max(hours * 3600 + minutes * 60 + seconds, 1e-3)), 1))
    return fps, f'Its frames come at varying times: they are read evenly, at {float(fps):g} per second.'


def _is_hd(size):
    return size[0] >= 1280 or size[1] > 576


def _input(path):
    # 'file:', so that no name is taken for an option or an address
    return ['-format_whitelist', _FORMATS, '-i', f'file:{path}']


def _call(arguments):
    return subprocess.run([ffmpeg(), '-hide_banner', '-nostdin', *arguments], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=_ENVIRONMENT, encoding='utf-8', errors='replace')


@contextlib.contextmanager
def _running(command, **pipes):
    """(process, what it has said so far: its last line); the process is killed if it outlives the block."""
    with tempfile.TemporaryFile() as log:
        def said():
            log.seek(0)
            return _last_line(log.read().decode('utf-8', 'replace'))

        pipes = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, **pipes}
        with subprocess.Popen(command, stderr=log, env=_ENVIRONMENT, **pipes) as process:
            try:
                yield process, said
            finally:
                process.kill()
                # what its pipe still holds cannot be written any more
                with contextlib.suppress(BrokenPipeError):
                    if process.stdin:
                        process.stdin.close()


def _last_line(words):
    lines = words.strip().splitlines() or ['']
    return re.sub(r'\[[^]]* @ 0x\w+\] ', '', lines[-1]).strip()


@contextlib.contextmanager
def _disk_errors(path):
    try:
        yield
    except OSError as error:
        raise GazeError(f'--output: {path} cannot be written ({error.strerror or error}).') from error


def ffmpeg():
    """Path of the program; raises GazeError if it is not installed."""
    try:
        import imageio_ffmpeg
        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise GazeError("Videos need ffmpeg: pip install 'gaze_tf[video]'.") from error
