"""Preserves what a video file holds beside its pictures if the written format can hold it; notes tell what is lost."""

import collections
import os
from collections.abc import Sequence

from gaze_tf.media import ffmpeg
from gaze_tf.media.video_probe import Probed, Track, probe

_NAMES = {'Audio': 'sound track', 'Subtitle': 'subtitle track'}
_AAC = 'aac', '-b', '192k'
# some damaged tracks keep ffmpeg busy forever
_TRIAL_S = 15
_SPOKEN = {'aac': 'AAC', 'mov_text': 'plain text', 'srt': 'plain text'}


def kept(path: os.PathLike | str, suffix: str, trial: Sequence[str]) -> tuple[list[str], list[str]]:
    """Finds out what else of a video file can be written beside new pictures.

    Args:
      path: of the file, which will be input 1 of ffmpeg; the pictures will be track 0 of the output.
      suffix: of the output.
      trial: arguments for an output of the same format, which is written to find out what it can hold.

    Returns:
      (arguments of ffmpeg that write sound, subtitles, chapters, dates and other metadata; sentences for the user on
      what is not preserved).
    """
    probed, count = probe(path), 0
    arguments: list[str] = []
    notes: list[str] = []
    numbers: collections.Counter[str] = collections.Counter()
    for track in probed.tracks:
        if track.kind not in _NAMES:
            continue
        numbers[track.kind] += 1
        for codec, *options in _codecs(track, suffix):
            # a trial is the surest way to find out what a format can hold and what ffmpeg can decode
            if not ffmpeg.run(
                [*ffmpeg.source(path), '-map', f'0:{track.number}', '-c', codec, *options, '-t', '1', *trial], _TRIAL_S
            ).returncode:
                count += 1
                arguments += ['-map', f'1:{track.number}', f'-c:{count}', codec]
                arguments += [f'{options[0]}:{count}', options[1]] if options else []
                break
        else:
            codec = ''
        if codec != 'copy':
            what = ', '.join(filter(None, [track.codec, track.language]))
            end = f'stored as {_SPOKEN[codec]}' if codec else f'left out: ffmpeg cannot write it to {suffix}'
            notes.append(f'{_NAMES[track.kind].capitalize()} {numbers[track.kind]} ({what}) is {end}.')
    if probed.captions:
        notes.append('Closed captions inside its pictures are left out.')
    others = _others(probed)
    if others:
        notes.append(f'Left out of its file: {", ".join(others)}.')
    # statements of a container about itself are no metadata of the video
    arguments += [
        '-map_metadata',
        '1',
        '-map_chapters',
        '1',
        *(word for key in ('major_brand', 'minor_version', 'compatible_brands') for word in ('-metadata', f'{key}=')),
    ]
    if suffix != '.mkv':
        # ffmpeg writes the names that phones use only with this flag; players look for the usual ones
        arguments += ['-movflags', '+faststart+use_metadata_tags' if probed.own_keys else '+faststart']
    return arguments, notes


def _codecs(track: Track, suffix: str) -> list[tuple[str, ...]]:
    """Returns [(codec to write, its options…)], the best first."""
    if track.kind == 'Subtitle':
        return [('copy',), ('srt' if suffix == '.mkv' else 'mov_text',)]
    # browsers and most players do not play PCM in .mp4
    if suffix == '.mp4' and track.codec.startswith('pcm_'):
        return [_AAC, ('copy',)]
    return [('copy',), _AAC]


def _others(probed: Probed) -> list[str]:
    """Returns descriptions of what is never preserved, like 'data (mebx)' or 'attachment (ttf)'."""
    first = next(track for track in probed.tracks if track.kind == 'Video' and not track.is_cover)
    # these tracks hold the titles of chapters in .mp4 and .mov
    titles = ('text', 'bin_data') if probed.chapters else ()
    found = []
    for track in probed.tracks:
        if track.kind not in _NAMES and track != first and track.codec not in titles:
            name = 'another picture track' if track.kind == 'Video' else track.kind.lower()
            name = 'cover picture' if track.is_cover else name
            found.append(f'{name} ({track.codec})' if track.codec != 'unknown' else name)
    return found
