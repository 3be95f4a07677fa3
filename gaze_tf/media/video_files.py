"""Video files as streams of upright RGB frames, through the ffmpeg that imageio-ffmpeg carries."""

import collections
import contextlib
import math
import os
import pathlib
import re
import subprocess
from fractions import Fraction

import numpy as np

from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media import ffmpeg, marks, video_tracks
from gaze_tf.media.video_probe import is_hd, probe

SUFFIXES = '.mp4', '.mov', '.mkv'


class VideoReader:
    """Iterating gives the frames, uint8 [H, W, 3], one at a time, from the first one each time.

    A damaged video ends early where ffmpeg can read no more of it; what is broken before is patched as players do.
    After the last frame `problem` says so in a sentence for the user, '' if all went well, and so where there are far
    fewer frames than the video's length promises; `notes` has sentences on what reading changed.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)
        self._probed = probe(self._path)
        self.info, self.problem, self.notes = self._probed.info, '', []
        self._frames, self._reason = None, ''

    def __iter__(self):
        self.close()
        self.problem, self.notes = '', []
        self._frames = self._read()
        return self._frames

    def close(self):
        """Stops reading."""
        if self._frames is not None:
            self._frames.close()

    def seconds(self, number):
        """When a frame, counted from 0, is shown, in seconds after the first: gaps in the video's times are one frame each."""
        return float(
            (number + sum(gap.frames for gap in self._probed.times.gaps if gap.number <= number)) / self.info.fps
        )

    def _read(self):
        times, first, held, count = self._probed.times, None, None, 0
        gaps = collections.deque(times.gaps)
        # twice as many frames as there are packets is what only broken times ask for
        skipped, most = 0, math.inf if times.frames is None else 2 * times.frames + 100
        for seconds, frame in self._decoded():
            first = seconds if first is None else first
            while gaps and gaps[0].middle <= seconds:
                skipped += gaps.popleft().frames
            # the last that comes by the middle of a frame's time, until the next
            while count < min(math.floor((seconds - first) * times.fps + Fraction(1, 2)) - skipped, most):
                yield held
                count += 1
            held = frame
        if held is None:
            raise GazeError(f'--input: no frame of {self._path} can be read ({self._reason}).')
        yield held
        count += 1
        if self._reason:
            self.problem = f'ffmpeg found errors in {self._path} ({self._reason}): {count} frames could be read.'
        elif count < 0.9 * (times.promised or 0) - 2:
            self.problem = f'{self._path} ends early: {count} frames could be read of about {times.promised}.'

    def _decoded(self):
        """Yields (seconds of the file, a Fraction; frame) as they are decoded."""
        width, height = self.info.size
        with _pipe() as (told, end):
            # Times do not go through the filters, which ffmpeg makes anew where pictures change: they come beside the frames,
            # first, and written at once.
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
                    frame = np.empty((height, width, 3), np.uint8)
                    if process.stdout.readinto(memoryview(frame).cast('B')) < frame.nbytes:
                        break
                    yield int(line.split(b',')[2]) * base, frame
                failed = process.wait() != 0
                self._reason, changes = _heard(said())
                if failed and not self._reason:
                    self._reason = 'it ended without a word'
        if changes:
            self.notes = [
                f'Its pictures change, for the first time to {changes[0]}: all are given the first size, '
                f'{width}x{height}.'
            ]


@contextlib.contextmanager
def _pipe():
    """Both ends of a pipe, for reading and for writing."""
    read, write = os.pipe()
    with open(read, 'rb') as told, open(write, 'wb') as end:
        yield told, end


def _heard(lines):
    """(the last error of a decoder, the changes of pictures that it noticed)."""
    reason, changes = '', []
    for line in lines:
        change = re.search(r'Reconfiguring filter graph because .*changed to (\w+)\(.*\), (\d+x\d+)', line)
        if change:
            changes.append(f'{change[2]} ({change[1]})')
        # the last of them only repeat that nothing went on
        elif re.search(
            r'\[(error|fatal|panic)\](?! (Nothing|Conversion|Task|Terminating|Could not open encoder))', line
        ):
            reason = ffmpeg.plain(line)
    return reason, changes


@contextlib.contextmanager
def open_video(path):
    """A VideoReader; raises GazeError if there is no file, or no video in it, or ffmpeg is not installed."""
    reader = VideoReader(path)
    try:
        yield reader
    finally:
        reader.close()


class VideoWriter:
    """What write_video gives. notes: sentences on what of `audio_from` is not kept as it was."""

    def __init__(self, path, size, process, said, notes):
        self._path, self._process, self._said, self.notes = path, process, said, notes
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
        reason = ffmpeg.plain(([''] + list(self._said()))[-1])
        return GazeError(f'--output: {self._path} cannot be written ({reason or "no frames"}).')


@contextlib.contextmanager
def write_video(path, size, fps, audio_from=None, mark=False):
    """A context whose `write` takes the frames of an H.264 video in their order; the file is there at its end.

    path: ends in one of SUFFIXES; size: (width, height); fps: a Fraction or whole number; audio_from: a video whose frames
    come, read by a VideoReader: its sound is copied in time with them, bit by bit where the file's format can hold it and
    players play it (else as AAC), and so are subtitles, chapters, dates and other metadata; gaps between frames return.
    mark: whether XMP is to say that a trained model made parts of it (.mkv has no place for it).
    The file appears whole, or not at all if the block or ffmpeg fails; raises GazeError.
    Frames of odd width or height are stored with full colour resolution, which some players cannot show.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise GazeError(f'--output={path} must end in {" or ".join(SUFFIXES)}.')
    with contextlib.ExitStack() as stack:
        with _disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(new_file(path)).name
        command, notes = _write_command(path, temporary, size, Fraction(fps), audio_from)
        # beside the names that phones use, ffmpeg does not write the one that programs look for XMP under
        boxed = (
            path.suffix.lower() == '.mp4' or path.suffix.lower() == '.mov' and '+faststart+use_metadata_tags' in command
        )
        if mark and path.suffix.lower() == '.mov' and not boxed:
            command[-1:-1] = ['-metadata', f'xmp={marks.packet().decode()}']
        with ffmpeg.running(command, stdin=subprocess.PIPE) as (process, said):
            writer = VideoWriter(path, size, process, said, notes)
            yield writer
            writer._finish()
        with _disk_errors(path):
            if mark and boxed:
                marks.mark_mp4(temporary)
            stack.close()


def _write_command(path, temporary, size, fps, audio_from):
    """(arguments of ffmpeg, notes)."""
    width, height = size
    target = ['-f', {'.mp4': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}[path.suffix.lower()], '-y', f'file:{temporary}']
    start, gaps, others, beside, notes = 0.0, '', [], [], []
    if audio_from is not None:
        probed = probe(audio_from)
        start = probed.start
        gaps = ''.join(f'+{gap.frames}*gte(N\\,{gap.number})' for gap in probed.times.gaps)
        gaps = gaps and f'setpts=PTS{gaps},'
        others = ffmpeg.source(audio_from)
        beside, notes = video_tracks.kept(audio_from, path.suffix.lower(), target)
    elif path.suffix.lower() != '.mkv':
        beside = ['-movflags', '+faststart']
    # players that look at no tags take small videos for BT.601, large ones for BT.709
    matrix = 'bt709' if is_hd(size) else 'smpte170m'
    chroma = 'yuv444p' if width % 2 or height % 2 else 'yuv420p'
    # -vsync 0: no frame is repeated where the sound begins first
    # B-frames would ask for a start as early as the longest frames last, which .mp4 cannot tell of hours
    lasting = ['-bf', '0'] if gaps or fps < 1 else []
    if gaps:
        # setpts forgets how long the last frame lasts
        lasting += ['-bsf:v', f'setts=pts=PTS:dts=DTS:duration=1/({fps}*TB)']
    video = [
        '-map',
        '0:v',
        '-vsync',
        '0',
        *lasting,
        '-vf',
        f'{gaps}scale=out_color_matrix={matrix}:out_range=tv:flags={ffmpeg.SCALE}',
        '-pix_fmt',
        chroma,
        '-colorspace',
        matrix,
        '-color_primaries',
        'bt709',
        '-color_trc',
        'bt709',
        '-color_range',
        'tv',
        '-c:v',
        'libx264',
        '-crf',
        '15',
        '-preset',
        'superfast',
        # at half the work of 'veryfast', files are 15 % larger at the same PSNR; without these two twice as large
        '-x264-params',
        'mbtree=1:rc-lookahead=10:b-adapt=0',
    ]
    inputs = [
        '-itsoffset',
        f'{start:.6f}',
        '-f',
        'rawvideo',
        '-pix_fmt',
        'rgb24',
        '-video_size',
        f'{width}x{height}',
        '-framerate',
        str(fps),
        '-i',
        'pipe:0',
    ]
    return ['-loglevel', 'error', *inputs, *others, *video, *beside, *target], notes


@contextlib.contextmanager
def _disk_errors(path):
    try:
        yield
    except OSError as error:
        raise GazeError(f'--output: {path} cannot be written ({error.strerror or error}).') from error
