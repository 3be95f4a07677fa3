"""When the pictures of a video are shown: its rate, its gaps, how many frames it should have."""

import re
import subprocess
from array import array
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from gaze_tf.errors import GazeError
from gaze_tf.media import ffmpeg

# Frames per second: of a picture without any, and the most that are read.
_USUAL, _MOST = Fraction(25), 1000
# A gap is longer than so many seconds, and than so many times the usual time from picture to picture.
_GAP_S, _GAP_TIMES = 10, 10
# as many as fit into an argument of ffmpeg
_MOST_GAPS = 2000
_NO_TIME = -(2**63)


class Gap(NamedTuple):
    """A time without pictures, which is left out when frames are counted.

    middle: seconds of the file in its midst; number: of the first frame after it; frames: how many are left out.
    """

    middle: float
    number: int
    frames: int


class Times(NamedTuple):
    """fps: frames per second, exactly; gaps: tuple of Gap; frames: how many the file has, about, None if unknown;
    promised: how many it would have if it were as long as it says; note: for the user, '' if there is nothing to say.
    """

    fps: Fraction
    gaps: tuple
    frames: int | None
    promised: int | None
    note: str


def times(path, words, start):
    """The Times of a video; raises GazeError.

    words: what ffmpeg says of it and, with showinfo, of its first frame; start: seconds of the file at which that is shown.
    """
    ticks, base, end = _packets(path, start)
    steps = np.diff(ticks)
    # packets of two fields that share a picture do not make its time longer
    usual = np.partition(steps, (len(steps) - 1) // 2)[(len(steps) - 1) // 2] if len(steps) else 0
    before = np.flatnonzero((steps * float(base) > _GAP_S) & (steps > _GAP_TIMES * usual))
    if len(before) > _MOST_GAPS:
        raise GazeError(
            f'--input: in {path} no picture comes for more than {_GAP_S} seconds {len(before)} times, more '
            f'than {_MOST_GAPS} can be followed: give it even times first.'
        )
    lengths = [int(steps[k]) * base for k in before]
    seconds = int(steps.sum()) * base - sum(lengths)
    fps, even = _rate(words, len(steps) - len(before), seconds, base)
    if fps > _MOST:
        raise GazeError(
            f'--input: {path} has {float(fps):g} pictures per second, more than the {_MOST} that can be: its '
            'times are broken, or it must be slowed down first.'
        )
    gaps, gone = [], 0
    for k, length in zip(before, lengths):
        gone += round(length * fps) - 1
        gaps.append(
            Gap(
                float((int(ticks[k]) + int(ticks[k + 1])) * base / 2),
                round(int(ticks[k + 1] - ticks[0]) * base * fps) - gone,
                round(length * fps) - 1,
            )
        )
    frames = round(int(ticks[-1] - ticks[0]) * base * fps) + 1 - gone if len(ticks) else None
    promised = frames
    length = _length(words)
    # what is missing at the end, if the sound is not what is longer
    if length and length > end * Fraction(11, 10) + Fraction(1, 5):
        promised = max(round((length - Fraction(start)) * fps) - gone, frames or 0)
    notes = [] if even else [f'Its frames come at varying times: they are read evenly, at {float(fps):g} per second.']
    if gaps:
        k = before[0]
        notes.append(
            f'For more than {_GAP_S} seconds no picture comes (the first time from second '
            f'{float(int(ticks[k]) * base):.1f} to {float(int(ticks[k + 1]) * base):.1f}, {len(gaps)} in all): the '
            'one before stays, as one long frame.'
        )
    return Times(fps, tuple(gaps), frames, promised, ' '.join(notes))


def _rate(words, count, seconds, base):
    """(frames per second, whether they come evenly): the nominal rate where frames come near it, else their mean.

    count: of the steps from picture to picture that take so many seconds together; base: seconds of a tick.
    """
    nominal = re.search(r'frame_rate: (\d+)/(\d+)', words)
    nominal = Fraction(int(nominal[1]), int(nominal[2])) if nominal and int(nominal[2]) else Fraction(0)
    if not count or not seconds:
        return nominal if 0 < nominal <= _MOST else _USUAL, True
    mean = count / seconds
    said = re.search(r'Video:.* ([\d.]+)(k?) fps,', words)
    said = Fraction(said[1]) * (1000 if said[2] else 1) if said else Fraction(0)
    # where each field of a picture is a packet
    if said and abs(mean / said - 2) < Fraction(1, 10):
        mean, count = said, count / 2
    if nominal and abs(nominal * seconds - count) <= max(Fraction(1, 2), Fraction(count, 200)) + nominal * base:
        return nominal, True
    if nominal and abs(nominal / mean - 1) < Fraction(1, 10):
        return nominal, False
    # as exact as anybody needs, and in numbers that ffmpeg takes
    return (Fraction(round(mean * 100), 100) if mean >= 1 else Fraction(100, round(100 / mean))), False


def _packets(path, start):
    """(ticks at which pictures are shown, int64, from the first frame on, in order; seconds of a tick; the second at which
    the last of any packets ends), from the packets of a file, without decoding it."""
    ticks, base, ends = array('q'), {}, {}
    arguments = [
        '-loglevel',
        'error',
        *ffmpeg.source(path),
        *'-map 0:V:0 -map 0:a? -map 0:s? -map 0:d?'.split(),
        '-c',
        'copy',
        '-f',
        'framecrc',
        'pipe:1',
    ]
    with ffmpeg.running(arguments, stdout=subprocess.PIPE) as (process, _):
        for line in process.stdout:
            if line.startswith(b'#tb '):
                track, value = line[4:].split(b':')
                base[int(track)] = Fraction(value.decode().strip())
            elif not line.startswith(b'#'):
                track, decoded, shown, lasts = map(int, line.split(b',', 4)[:4])
                shown = decoded if shown == _NO_TIME else shown
                # neither without a time nor with one beyond all that can be counted with
                if abs(shown) < 2**61:
                    ends[track] = max(ends.get(track, 0), shown + lasts)
                    if not track:
                        ticks.append(shown)
    base.setdefault(0, Fraction(1, 1000))
    end = max((value * base[track] for track, value in ends.items()), default=Fraction(0))
    ticks = np.unique(np.array(ticks, np.int64))
    # before lies what is decoded for the sake of what follows
    return ticks[ticks >= np.floor(start / float(base[0]))], base[0], end


def _length(words):
    """Seconds that a file says it lasts, or None."""
    length = re.search(r'^ +Duration: (\d+):(\d+):([\d.]+)', words, re.M)
    # of a transport stream, which says nothing, ffmpeg guesses it
    if not length or re.search(r'^Input #0, mpeg', words, re.M):
        return None
    return int(length[1]) * 3600 + int(length[2]) * 60 + Fraction(length[3])
