"""What is in a video's file beside its pictures: kept where the written format can hold it, else named in a note."""

import collections

from gaze_tf.media import ffmpeg
from gaze_tf.media.video_probe import probe

_NAMES = {'Audio': 'sound track', 'Subtitle': 'subtitle track'}
_AAC = 'aac', '-b', '192k'
# some damaged tracks keep ffmpeg busy for ever
_TRIAL_S = 15
_SPOKEN = {'aac': 'AAC', 'mov_text': 'plain text', 'srt': 'plain text'}


def kept(path, suffix, trial):
    """(arguments of ffmpeg, notes): the arguments write sound, subtitles, chapters, dates and other metadata of the file
    `path`, which is input 1, behind pictures that are track 0 of the output; the notes are sentences for the user.

    suffix: of the output. trial: arguments that name an output of its format, which is written to learn what that holds.
    """
    probed = probe(path)
    arguments, notes, count = [], [], 0
    numbers = collections.Counter()
    for track in probed.tracks:
        if track.kind not in _NAMES:
            continue
        numbers[track.kind] += 1
        codecs = _codecs(track, suffix)
        for codec, *options in codecs:
            # the surest way to learn what a format can hold and what ffmpeg can decode
            if not ffmpeg.call(
                [*ffmpeg.source(path), '-map', f'0:{track.number}', '-c', codec, *options, '-t', '1', *trial], _TRIAL_S
            ).returncode:
                count += 1
                arguments += ['-map', f'1:{track.number}', f'-c:{count}', codec]
                arguments += [f'{options[0]}:{count}', options[1]] if options else []
                break
        else:
            codec = None
        if codec != 'copy':
            what = ', '.join(filter(None, [track.codec, track.language]))
            end = f'stored as {_SPOKEN[codec]}' if codec else f'left out: ffmpeg cannot write it to {suffix}'
            notes.append(f'{_NAMES[track.kind].capitalize()} {numbers[track.kind]} ({what}) is {end}.')
    if probed.captions:
        notes.append('Closed captions inside its pictures are left out.')
    others = _others(probed)
    if others:
        notes.append(f'Left out of its file: {", ".join(others)}.')
    # what a container says of itself is no metadata of the video
    arguments += [
        '-map_metadata',
        '1',
        '-map_chapters',
        '1',
        *(word for key in ('major_brand', 'minor_version', 'compatible_brands') for word in ('-metadata', f'{key}=')),
    ]
    if suffix != '.mkv':
        # the names that phones use are written nowhere else; other players look for the usual ones
        arguments += ['-movflags', '+faststart+use_metadata_tags' if probed.own_keys else '+faststart']
    return arguments, notes


def _codecs(track, suffix):
    """[(codec to write, its options…)], the best first."""
    if track.kind == 'Subtitle':
        return [('copy',), ('srt' if suffix == '.mkv' else 'mov_text',)]
    # which .mp4 can hold, but browsers and most players do not play
    if suffix == '.mp4' and track.codec.startswith('pcm_'):
        return [_AAC, ('copy',)]
    return [('copy',), _AAC]


def _others(probed):
    """What is never kept, in words: 'data (mebx)', 'attachment (ttf)'."""
    first = next(track for track in probed.tracks if track.kind == 'Video' and not track.is_cover)
    # the titles of chapters in .mp4 and .mov
    titles = ('text', 'bin_data') if probed.chapters else ()
    found = []
    for track in probed.tracks:
        if track.kind not in _NAMES and track != first and track.codec not in titles:
            name = 'another picture track' if track.kind == 'Video' else track.kind.lower()
            name = 'cover picture' if track.is_cover else name
            found.append(f'{name} ({track.codec})' if track.codec != 'unknown' else name)
    return found
