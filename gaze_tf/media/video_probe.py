"""What is known of a video before it is read, and why one is refused. ffmpeg tells of it in words."""

import functools
import pathlib
import re
from fractions import Fraction
from typing import NamedTuple

from gaze_tf.errors import GazeError
from gaze_tf.media import ffmpeg, video_times

# longest side that is written as H.264, in pixels
_MOST_SIDE = 16_384
# Of pixels times frames per second, 8K at 60 or 4K at 240: frames wait in memory for those that follow.
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
# what ffmpeg makes RGB of; it takes all else for BT.601
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
    """What is known of a video before it is read.

    size: (width, height) of its upright frames, in square pixels; fps: frames per second, exactly;
    frames: how many about, None if unknown; has_audio: whether there is sound beside it;
    note: what reading changes of it, for the user, '' if nothing.
    """

    size: tuple
    fps: Fraction
    frames: int | None
    has_audio: bool
    note: str = ''


class Track(NamedTuple):
    """Of a file, from 0: its number, kind ('Video', 'Audio', 'Subtitle', 'Data', 'Attachment'), codec, language ('' if
    unknown), whether it is a picture that belongs to the file as a whole."""

    number: int
    kind: str
    codec: str
    language: str
    is_cover: bool


class Probed(NamedTuple):
    """What reading and writing need. start: seconds of the file at which the first frame is shown; filters: of ffmpeg, that
    make upright frames of one size; times: video_times.Times; tracks: all; chapters, captions (in the pictures), own_keys
    (metadata in names of Apple's or Android's): whether the file has them."""

    info: Info
    start: float
    filters: tuple
    times: video_times.Times
    tracks: tuple
    chapters: bool
    captions: bool
    own_keys: bool


def probe(path):
    """The Probed of a file; raises GazeError if there is none, or no video in it that can be read."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise GazeError(f'--input: there is no file {path}.')
    state = path.stat()
    if not state.st_size:
        raise GazeError(f'--input: {path} is empty.')
    return _probe(path, state.st_mtime_ns, state.st_size)


# who writes asks again for the file that is being read
@functools.lru_cache(maxsize=2)
def _probe(path, *_):
    words = ffmpeg.call(
        [*ffmpeg.source(path), '-map', '0:V:0', '-frames:v', '1', '-vf', 'showinfo', '-f', 'null', '-']
    ).stderr
    # showinfo sees the frame upright
    frame = re.search(r'pts_time:(\S+).* fmt:(\S+).* sar:(\d+)/(\d+) s:(\d+)x(\d+)', words)
    if not frame:
        raise GazeError(f'--input: {_why_not(path, words)}')
    start = float(frame[1]) if frame[1] != 'NOPTS' else 0.0
    across, down, width, height = map(int, frame.groups()[2:])
    size = width, height
    if across and down and across != down:
        size = 2 * max(round(width * across / down / 2), 1), height
    head = words.partition('\nStream mapping:')[0]
    tracks = _tracks(head)
    colours = {
        name: re.search(rf'{name}:(\S+)', words[frame.end() :])[1]
        for name in ('color_space', 'color_trc', 'color_primaries')
    }
    _refuse_colours(path, head, colours)
    _refuse_size(path, size)
    times = video_times.times(path, words, start)
    _refuse_size(path, size, times.fps)
    own_filters, notes = _colour_filters(size, *colours.values())
    if re.match(_ALPHA, frame[2]) or re.search(r'^ +alpha_mode +: 1$', head, re.M | re.I):
        notes.append('Its transparency is left out: the colours below it are seen.')
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


def _tracks(head):
    lines = re.findall(r'^ +Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: (\w+): (.*)', head, re.M)
    found = []
    for number, language, kind, words in lines:
        codec = re.match(r'none(?: \((\w+))?', words)
        codec = codec[1] or 'unknown' if codec else re.match(r'\w+', words)[0]
        found.append(Track(int(number), kind, codec, language.replace('und', ''), '(attached pic)' in words))
    return tuple(sorted(set(found)))


def _why_not(path, words):
    if 'matches no streams' in words:
        return f'there are no moving pictures in {path}.'
    # in words that decode nothing, as pictures that are too large are none to ffmpeg
    sizes = re.findall(r'Video:.* (\d+)x(\d+)', ffmpeg.call(['-skip_frame', 'all', *ffmpeg.named(path)]).stderr)
    for width, height in sizes:
        if int(width) * int(height) > ffmpeg.MAX_PIXELS:
            return _too_large(path, (width, height))
    return f'{path} is no video that ffmpeg can read, or it is damaged or cut off.'


def _refuse_size(path, size, fps=0):
    if size[0] * size[1] > ffmpeg.MAX_PIXELS or max(size) > _MOST_SIDE:
        raise GazeError(f'--input: {_too_large(path, size)}')
    if size[0] * size[1] * fps > _MOST_A_SECOND:
        raise GazeError(
            f'--input: {path} has {size[0]}x{size[1]} pixels {float(fps):g} times per second, more than '
            f'{_MOST_A_SECOND // 10**6} million pixels per second: make it smaller or slower.'
        )


def _too_large(path, size):
    return (
        f'{path} has {size[0]}x{size[1]} pixels, more than {ffmpeg.MAX_PIXELS // 10**6} million or {_MOST_SIDE} to a '
        'side: make it smaller.'
    )


def _refuse_colours(path, head, colours):
    vision = re.search(
        r'^ +DOVI configuration record:.* profile: (\d+),.*bl flag: (\d).*compatibility id: (\d+)', head, re.M
    )
    if vision and '0' in (vision[2], vision[3]):
        raise GazeError(
            f'--input: {path} is Dolby Vision of profile {vision[1]}, whose pictures have no base layer in '
            'ordinary colours: export it as ordinary (SDR) or HDR10 video first.'
        )
    for name, known in (('color_space', _MATRICES), ('color_trc', _TRANSFERS)):
        if colours[name] not in known:
            raise GazeError(
                f'--input: {path} has colours stored as {colours[name]}, which cannot be read rightly: convert '
                'it to BT.709 first.'
            )


def _colour_filters(size, matrix, transfer, primaries):
    """(filters that make upright frames of one size and of ordinary colours, notes)."""
    notes = []
    # as players do; ffmpeg would take all for BT.601
    usual = 'bt709' if is_hd(size) else 'smpte170m'
    filters, guess = [], []
    if transfer in _HDR:
        filters = _known(colorspace=(matrix, 'bt2020nc'), color_primaries=(primaries, 'bt2020')) + _TONE_MAP
        notes.append('Its high dynamic range is mapped to the ordinary one.')
    elif primaries in _WIDE:
        filters = _known(colorspace=(matrix, usual), color_trc=(transfer, 'bt709')) + _ORDINARY
        notes.append('Its wide range of colours is mapped to the ordinary one.')
    elif matrix == 'unknown':
        guess = [f'in_color_matrix={usual}']
    width, height = size
    # Pictures may change size part-way: those of another shape get bars. Near the first one's, rounding may not make any.
    near = f'lt(abs(dar*{height}/{width}-1),0.02)'
    fit = (
        f"w='if({near},{width},min({width},2*round({height}*dar/2)))'",
        f"h='if({near},{height},min({height},2*round({width}/dar/2)))'",
    )
    # by way of planes of the same numbers, which ffmpeg computes twice as fast
    return (
        *filters,
        ':'.join([f'scale={fit[0]}', fit[1], *guess, f'flags={ffmpeg.SCALE}']),
        'format=gbrp',
        'format=rgb24',
        f'pad={width}:{height}:(ow-iw)/2:(oh-ih)/2',
        'setsar=1',
    ), notes


def _known(**colours):
    """A list of the filter that sets what is unknown, of {parameter: (what it is, what it is then)}, or of none."""
    unknown = [f'{name}={usual}' for name, (found, usual) in colours.items() if found == 'unknown']
    return ['setparams=' + ':'.join(unknown)] if unknown else []


def is_hd(size):
    """Whether players take a video of this size (width, height), without tags, for BT.709 rather than BT.601."""
    return size[0] >= 1280 or size[1] > 576
