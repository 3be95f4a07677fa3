"""Finds out when the pictures of a video are shown: its frame rate, gaps, and how many frames it should have."""

import os
import re
import subprocess
from array import array
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from gaze_tf.errors import GazeError
from gaze_tf.media import ffmpeg

# frames per second: of a video without a rate, and the most that can be read
_USUAL, _MOST = Fraction(25), 1000
# a gap is longer than this many seconds, and than this many times the usual time between pictures
_GAP_S, _GAP_TIMES = 10, 10
# as many as fit into one argument of ffmpeg
_MOST_GAPS = 2000
_NO_TIME = -(2**63)


class Gap(NamedTuple):
    """A time without pictures, in which no frames are counted.

    Attributes:
      middle: the time in the middle of it, in seconds of the file.
      number: number of the first frame after it.
      frames: how many frames are not counted.
    """

    middle: float
    number: int
    frames: int


class Times(NamedTuple):
    """When the pictures of a video are shown.

    Attributes:
      fps: frames per second, exactly.
      gaps: times without pictures, in their order.
      frames: about how many frames the file has; None if unknown.
      promised: how many it would have if it were as long as it says; None if unknown.
      note: sentences for the user, or ''.
    """

    fps: Fraction
    gaps: tuple[Gap, ...]
    frames: int | None
    promised: int | None
    note: str


def read_times(path: os.PathLike | str, words: str, start: float) -> Times:
    """Reads the times of all packets of a video. Raises GazeError if they cannot be followed.

    Args:
      path: of the file.
      words: messages of ffmpeg about the file and, from its filter showinfo, about the first frame.
      start: the time at which the first frame is shown, in seconds of the file.
    """
    ticks, base, end = _packets(path, start)
    steps = np.diff(ticks)
    # the lower median, as two packets may be the fields of one picture
    usual = np.partition(steps, (len(steps) - 1) // 2)[(len(steps) - 1) // 2] if len(steps) else 0
    before = np.flatnonzero((steps * float(base) > _GAP_S) & (steps > _GAP_TIMES * usual))
    if len(before) > _MOST_GAPS:
        raise GazeError(
            f'it has {len(before)} gaps of more than {_GAP_S} seconds without pictures, and at most {_MOST_GAPS} can '
            'be followed: convert it to even times first.',
            path,
        )
    lengths = [int(steps[k]) * base for k in before]
    seconds = int(steps.sum()) * base - sum(lengths)
    fps, even = _rate(words, len(steps) - len(before), seconds, base)
    if fps > _MOST:
        raise GazeError(
            f'{float(fps):g} pictures per second are more than {_MOST}: its times are broken, or it must be slowed '
            'down first.',
            path,
        )
    gaps: list[Gap] = []
    gone = 0
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
    told = _length(words)
    # frames are missing at the end if the file promises more than its packets, of sound too, last
    if told and told > end * Fraction(11, 10) + Fraction(1, 5):
        promised = max(round((told - Fraction(start)) * fps) - gone, frames or 0)
    notes = [] if even else [f'Its frame rate varies: frames are read evenly, at {float(fps):g} per second.']
    if gaps:
        k = before[0]
        notes.append(
            f'{len(gaps)} times it has no pictures for more than {_GAP_S} seconds (first from '
            f'{float(int(ticks[k]) * base):.1f} s to {float(int(ticks[k + 1]) * base):.1f} s): the picture before is '
            'kept there as one long frame.'
        )
    return Times(fps, tuple(gaps), frames, promised, ' '.join(notes))


def _rate(words: str, count: int | Fraction, seconds: Fraction, base: Fraction) -> tuple[Fraction, bool]:
    """Returns (frames per second, whether frames come evenly): the nominal rate if frames come near it, else the mean.

    Args:
      words: messages of ffmpeg.
      count: number of steps from picture to picture.
      seconds: how long these steps last together.
      base: seconds of a tick.
    """
    found = re.search(r'frame_rate: (\d+)/(\d+)', words)
    nominal = Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else Fraction(0)
    if not count or not seconds:
        return nominal if 0 < nominal <= _MOST else _USUAL, True
    mean = count / seconds
    found = re.search(r'Video:.* ([\d.]+)(k?) fps,', words)
    said = Fraction(found[1]) * (1000 if found[2] else 1) if found else Fraction(0)
    # in interlaced videos each field of a picture may be a packet
    if said and abs(mean / said - 2) < Fraction(1, 10):
        mean, count = said, Fraction(count, 2)
    if nominal and abs(nominal * seconds - count) <= max(Fraction(1, 2), Fraction(count, 200)) + nominal * base:
        return nominal, True
    if nominal and abs(nominal / mean - 1) < Fraction(1, 10):
        return nominal, False
    # exact enough, and in numbers that ffmpeg accepts
    return (Fraction(round(mean * 100), 100) if mean >= 1 else Fraction(100, round(100 / mean))), False


def _packets(path: os.PathLike | str, start: float) -> tuple[np.ndarray, Fraction, Fraction]:
    """Reads the times of all packets of a file without decoding it.

    Returns:
      (the ticks at which pictures are shown, int64 [N], in order and from the first frame on; seconds of a tick; the
      time in seconds at which the last packet of any track ends).
    """
    shown_at = array('q')
    base: dict[int, Fraction] = {}
    ends: dict[int, int] = {}
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
                name, value = line[4:].split(b':')
                base[int(name)] = Fraction(value.decode().strip())
            elif not line.startswith(b'#'):
                track, decoded, shown, lasts = map(int, line.split(b',', 4)[:4])
                shown = decoded if shown == _NO_TIME else shown
                # leaves out packets without a time, or with one that is too large to calculate with
                if abs(shown) < 2**61:
                    ends[track] = max(ends.get(track, 0), shown + lasts)
                    if not track:
                        shown_at.append(shown)
    base.setdefault(0, Fraction(1, 1000))
    end = max((value * base[track] for track, value in ends.items()), default=Fraction(0))
    ticks = np.unique(np.array(shown_at, np.int64))
    # earlier pictures are only decoded because later ones refer to them
    return ticks[ticks >= np.floor(start / float(base[0]))], base[0], end


def _length(words: str) -> Fraction | None:
    """Returns how long a file says it lasts, in seconds; None if it does not say it."""
    length = re.search(r'^ +Duration: (\d+):(\d+):([\d.]+)', words, re.M)
    # transport streams do not say it, and ffmpeg guesses
    if not length or re.search(r'^Input #0, mpeg', words, re.M):
        return None
    return int(length[1]) * 3600 + int(length[2]) * 60 + Fraction(length[3])
