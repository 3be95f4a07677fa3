"""Finds out about a video before it is read, and refuses those that cannot be read. ffmpeg tells it in its messages."""

import functools
import os
import pathlib
import re
from fractions import Fraction
from typing import NamedTuple

from gaze_tf.errors import GazeError
from gaze_tf.media import ffmpeg, video_times

# the longest side that H.264 is written with, in pixels
_MOST_SIDE = 16_384
# The most pixels per second (8K at 60 or 4K at 240 frames per second), as frames wait in memory for the next one.
_MOST_A_SECOND = 2_500_000_000
_HDR = {'arib-std-b67', 'smpte2084'}
_WIDE = {'bt2020', 'smpte431', 'smpte432'}
_TONE_MAP = [
    'zscale=t=linear:npl=203',
    'format=gbrpf32le',
    'zscale=p=bt709',
    'tonemap=mobius:desat=0',
    'zscale=t=bt709:m=bt709:r=tv',
    'format=yuv444p',
]
_ORDINARY = ['zscale=p=bt709:m=gbr:r=pc', 'format=gbrp']
# color matrices that ffmpeg converts to RGB; it treats all others as BT.601
_MATRICES = {'unknown', 'gbr', 'bt709', 'fcc', 'bt470bg', 'smpte170m', 'smpte240m', 'bt2020nc'}
_TRANSFERS = {
    'unknown',
    'bt709',
    'bt470m',
    'bt470bg',
    'gamma22',
    'gamma28',
    'smpte170m',
    'smpte240m',
    'iec61966-2-4',
    'bt1361e',
    'iec61966-2-1',
    'bt2020-10',
    'bt2020-12',
    *_HDR,
}
_ALPHA = 'yuva|gbrap|rgba|bgra|argb|abgr|ya8|ya16|ayuv|vuya'


class Info(NamedTuple):
    """What is known about a video before it is read.

    Attributes:
      size: (width, height) of its upright frames, in square pixels.
      fps: frames per second, exactly.
      frames: about how many frames it has; None if unknown.
      has_audio: whether it has sound.
      note: sentences for the user on what reading changes, or ''.
    """

    size: tuple[int, int]
    fps: Fraction
    frames: int | None
    has_audio: bool
    note: str = ''


class Track(NamedTuple):
    """A track of a file.

    Attributes:
      number: counted from 0.
      kind: 'Video', 'Audio', 'Subtitle', 'Data' or 'Attachment'.
      codec: its name in ffmpeg, or 'unknown'.
      language: its code, '' if unknown.
      is_cover: whether it is a cover picture of the file.
    """

    number: int
    kind: str
    codec: str
    language: str
    is_cover: bool


class Probed(NamedTuple):
    """What reading and writing need to know about a file.

    Attributes:
      info: what users may want to know.
      start: the time in the file, in seconds, at which the first frame is shown.
      filters: filters of ffmpeg that make upright frames of one size.
      times: when frames are shown.
      tracks: all tracks of the file.
      chapters: whether it has chapters.
      captions: whether there are closed captions inside its pictures.
      own_keys: whether it has metadata with names of Apple or Android.
    """

    info: Info
    start: float
    filters: tuple[str, ...]
    times: video_times.Times
    tracks: tuple[Track, ...]
    chapters: bool
    captions: bool
    own_keys: bool


def probe(path: os.PathLike | str) -> Probed:
    """Probes a video file. Raises GazeError if it does not exist, or holds no video that can be read."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise GazeError('there is no such file.', path)
    state = path.stat()
    if not state.st_size:
        raise GazeError('the file is empty (0 bytes): copy it again from its source.', path)
    return _probe(path, state.st_mtime_ns, state.st_size)


# cached because the writer of a video probes again the file that is being read
@functools.lru_cache(maxsize=2)
def _probe(path: pathlib.Path, *_: int) -> Probed:
    words = ffmpeg.run(
        [*ffmpeg.source(path), '-map', '0:V:0', '-frames:v', '1', '-vf', 'showinfo', '-f', 'null', '-']
    ).stderr
    # showinfo describes the upright frame
    frame = re.search(r'pts_time:(\S+).* fmt:(\S+).* sar:(\d+)/(\d+) s:(\d+)x(\d+)', words)
    if not frame:
        raise GazeError(_why_not(path, words), path)
    start = float(frame[1]) if frame[1] != 'NOPTS' else 0.0
    across, down, width, height = map(int, frame.groups()[2:])
    size = width, height
    if across and down and across != down:
        size = 2 * max(round(width * across / down / 2), 1), height
    head = words.partition('\nStream mapping:')[0]
    tracks = _tracks(head)
    colors = {
        name: found[1]
        for name in ('color_space', 'color_trc', 'color_primaries')
        if (found := re.search(rf'{name}:(\S+)', words[frame.end() :]))
    }
    _refuse_colors(path, head, colors)
    _refuse_size(path, size)
    times = video_times.read_times(path, words, start)
    _refuse_size(path, size, times.fps)
    own_filters, notes = _color_filters(size, *colors.values())
    if re.match(_ALPHA, frame[2]) or re.search(r'^ +alpha_mode +: 1$', head, re.M | re.I):
        notes.append('Its transparency is left out: the colors below it become visible.')
    info = Info(
        size,
        times.fps,
        times.promised,
        any(track.kind == 'Audio' for track in tracks),
        ' '.join(filter(None, [times.note, *notes])),
    )
    return Probed(
        info,
        start,
        own_filters,
        times,
        tracks,
        chapters=re.search(r'^ +Chapters:', head, re.M) is not None,
        captions='Closed Captions' in head,
        own_keys=re.search(r'^ +com\.(apple|android)\.', head, re.M) is not None,
    )


def _tracks(head: str) -> tuple[Track, ...]:
    lines = re.findall(r'^ +Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: (\w+): (.*)', head, re.M)
    found = []
    for number, language, kind, words in lines:
        unknown, known = re.match(r'none(?: \((\w+))?', words), re.match(r'\w+', words)
        codec = unknown[1] or 'unknown' if unknown else known[0] if known else 'unknown'
        found.append(Track(int(number), kind, codec, language.replace('und', ''), '(attached pic)' in words))
    return tuple(sorted(set(found)))


def _why_not(path: pathlib.Path, words: str) -> str:
    if 'matches no streams' in words:
        return 'there are no moving pictures in this file.'
    # without decoding, as ffmpeg ignores pictures that are too large
    sizes = re.findall(r'Video:.* (\d+)x(\d+)', ffmpeg.run(['-skip_frame', 'all', *ffmpeg.named(path)]).stderr)
    for width, height in sizes:
        if int(width) * int(height) > ffmpeg.MAX_PIXELS:
            return _too_large((width, height))
    return 'this is no video that ffmpeg can read, or it is damaged or cut off.'


def _refuse_size(path: pathlib.Path, size: tuple[int, int], fps: Fraction | int = 0) -> None:
    if size[0] * size[1] > ffmpeg.MAX_PIXELS or max(size) > _MOST_SIDE:
        raise GazeError(_too_large(size), path)
    if size[0] * size[1] * fps > _MOST_A_SECOND:
        raise GazeError(
            f'{size[0]}x{size[1]} pixels {float(fps):g} times per second are more than {_MOST_A_SECOND // 10**6} '
            'million pixels per second: make it smaller or slower.',
            path,
        )


def _too_large(size: tuple[int | str, int | str]) -> str:
    return (
        f'{size[0]}x{size[1]} pixels are more than {ffmpeg.MAX_PIXELS // 10**6} million, or more than {_MOST_SIDE} '
        'on a side: make it smaller.'
    )


def _refuse_colors(path: pathlib.Path, head: str, colors: dict[str, str]) -> None:
    vision = re.search(
        r'^ +DOVI configuration record:.* profile: (\d+),.*bl flag: (\d).*compatibility id: (\d+)', head, re.M
    )
    if vision and '0' in (vision[2], vision[3]):
        raise GazeError(
            f'this is Dolby Vision of profile {vision[1]}, whose pictures have no base layer in ordinary colors: '
            'export it as an ordinary (SDR) or HDR10 video first.',
            path,
        )
    for name, known in (('color_space', _MATRICES), ('color_trc', _TRANSFERS)):
        if colors[name] not in known:
            raise GazeError(
                f'its colors are stored as {colors[name]}, which cannot be read correctly: convert it to BT.709 first.',
                path,
            )


def _color_filters(
    size: tuple[int, int], matrix: str, transfer: str, primaries: str
) -> tuple[tuple[str, ...], list[str]]:
    """Returns (filters that make upright frames of one size in ordinary colors, notes)."""
    notes = []
    # what players assume; ffmpeg would take all videos for BT.601
    usual = 'bt709' if is_hd(size) else 'smpte170m'
    filters: list[str] = []
    guess: list[str] = []
    if transfer in _HDR:
        filters = _known(colorspace=(matrix, 'bt2020nc'), color_primaries=(primaries, 'bt2020')) + _TONE_MAP
        notes.append('Its high dynamic range is mapped to the ordinary range.')
    elif primaries in _WIDE:
        filters = _known(colorspace=(matrix, usual), color_trc=(transfer, 'bt709')) + _ORDINARY
        notes.append('Its wide range of colors is mapped to the ordinary range.')
    elif matrix == 'unknown':
        guess = [f'in_color_matrix={usual}']
    width, height = size
    # Pictures may change size part-way: those of another shape get bars, but not where only rounding makes a
    # difference.
    near = f'lt(abs(dar*{height}/{width}-1),0.02)'
    fit = (
        f"w='if({near},{width},min({width},2*round({height}*dar/2)))'",
        f"h='if({near},{height},min({height},2*round({width}/dar/2)))'",
    )
    # via planes with the same values, which ffmpeg computes twice as fast
    return (
        *filters,
        ':'.join([f'scale={fit[0]}', fit[1], *guess, f'flags={ffmpeg.SCALE}']),
        'format=gbrp',
        'format=rgb24',
        f'pad={width}:{height}:(ow-iw)/2:(oh-ih)/2',
        'setsar=1',
    ), notes


def _known(**colors: tuple[str, str]) -> list[str]:
    """Returns the filter, in a list, that sets unknown parameters; none if all are known.

    colors: {parameter: (its value or 'unknown', the value to use if it is unknown)}.
    """
    unknown = [f'{name}={usual}' for name, (found, usual) in colors.items() if found == 'unknown']
    return ['setparams=' + ':'.join(unknown)] if unknown else []


def is_hd(size: tuple[int, int]) -> bool:
    """Whether players take a video of this size (width, height) without color tags for BT.709 instead of BT.601."""
    return size[0] >= 1280 or size[1] > 576
