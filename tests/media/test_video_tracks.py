"""What a video file holds beside its pictures, and unusual colors: preserved, or named in a note."""

import re
import struct

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from gaze_tf.media import xmp
from gaze_tf.media.video_files import open_video, write_video
from tests.videos import copied, ffmpeg, frames_of, make, sound_of, times_of, words

METADATA = """;FFMETADATA1
title=A talk
creation_time=2024-05-06T07:08:09.000000Z
[CHAPTER]
TIMEBASE=1/1000
START=0
END=200
title=One
[CHAPTER]
TIMEBASE=1/1000
START=200
END=480
title=Two
"""


def boxed(content, path, box):
    """The bytes of an .mp4 with a new box (name, bytes) at the end of the box at `path`.

    No box after it may hold positions in the file.
    """
    content, start, heads = bytearray(content), 0, []
    for name in path:
        while content[start + 4 : start + 8] != name:
            start += int.from_bytes(content[start : start + 4], 'big')
        heads.append(start)
        end = start + int.from_bytes(content[start : start + 4], 'big')
        start += 8 + {b'stsd': 8, b'avc1': 78}.get(name, 0)
    name, inside = box
    for head in heads:
        content[head : head + 4] = (int.from_bytes(content[head : head + 4], 'big') + 8 + len(inside)).to_bytes(
            4, 'big'
        )
    content[end:end] = struct.pack('>I', 8 + len(inside)) + name + inside
    return bytes(content)


def unknown_sound(path):
    """Makes a .mov with a sound track of AAC and one with a codec unknown to ffmpeg, as recent phones do."""
    two = make(
        path.with_name('two.mov'),
        '-map',
        '0',
        '-map',
        '1',
        '-map',
        '1',
        '-metadata:s:a:1',
        'language=fra',
        '-c:a',
        'aac',
    )
    content = two.read_bytes()
    second = content.rindex(b'trak')
    path.write_bytes(content[:second] + content[second:].replace(b'mp4a', b'apac').replace(b'esds', b'what'))
    return path


@pytest.mark.parametrize('suffix, kept', [('mp4', 1), ('mkv', 1), ('mov', 2)])
def test_a_sound_track_that_cannot_be_copied(tmp_path, suffix, kept):
    source = unknown_sound(tmp_path / 'source.mov')
    _, _, notes = copied(source, tmp_path / f'copy.{suffix}')
    found = words(tmp_path / f'copy.{suffix}')
    assert len(re.findall('Stream .*Audio:', found)) == kept and 'Audio: aac' in found
    assert notes == [] if kept == 2 else len(notes) == 1 and 'Sound track 2 (apac, fra) is left out' in notes[0]
    assert ffmpeg('-v', 'error', '-i', source, '-map', '0:a:0', '-c', 'copy', '-f', 'md5', '-') == ffmpeg(
        '-v', 'error', '-i', tmp_path / f'copy.{suffix}', '-map', '0:a:0', '-c', 'copy', '-f', 'md5', '-'
    )


@pytest.mark.parametrize('codec', ['pcm_s16le', 'pcm_f32le'])
def test_pcm_becomes_aac_in_mp4_alone(tmp_path, codec):
    source = make(tmp_path / 'source.mkv', '-c:a', codec)
    _, _, notes = copied(source, tmp_path / 'copy.mp4')
    assert 'Audio: aac' in words(tmp_path / 'copy.mp4') and 'Audio: pcm' not in words(tmp_path / 'copy.mp4')
    assert notes == [f'Sound track 1 ({codec}) is stored as AAC.']
    for suffix in ('mov', 'mkv'):
        assert copied(source, tmp_path / f'copy.{suffix}')[2] == []
        assert sound_of(tmp_path / f'copy.{suffix}') == sound_of(source)


def test_each_sound_track_is_kept_as_well_as_it_can_be(tmp_path):
    source = make(
        tmp_path / 'source.mkv',
        '-map',
        '0',
        *['-map', '1'] * 3,
        '-c:a:0',
        'wmav2',
        '-c:a:1',
        'aac',
        '-c:a:2',
        'pcm_s24le',
    )
    _, _, notes = copied(source, tmp_path / 'copy.mp4')
    assert words(tmp_path / 'copy.mp4').count('Audio: aac') == 3
    assert [note[:13] for note in notes] == ['Sound track 1', 'Sound track 3']


@pytest.fixture(name='talk')
def fixture_talk(tmp_path):
    """A .mov with subtitles, chapters and dates."""
    (tmp_path / 'text.srt').write_text('1\n00:00:00,100 --> 00:00:00,300\nHello\n')
    (tmp_path / 'metadata.txt').write_text(METADATA)
    plain = make(tmp_path / 'plain.mov')
    ffmpeg(
        '-i',
        plain,
        '-i',
        tmp_path / 'text.srt',
        '-i',
        tmp_path / 'metadata.txt',
        '-map',
        '0',
        '-map',
        '1',
        '-map_metadata',
        '2',
        '-c',
        'copy',
        '-c:s',
        'mov_text',
        '-metadata:s:s:0',
        'language=fra',
        tmp_path / 'talk.mov',
    )
    return tmp_path / 'talk.mov'


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv'])
def test_subtitles_chapters_and_dates_stay(tmp_path, talk, suffix):
    _, _, notes = copied(talk, tmp_path / f'copy.{suffix}')
    found = words(tmp_path / f'copy.{suffix}')
    assert 'A talk' in found and '2024-05-06T07:08:09' in found.partition('Duration')[0]
    assert 'Chapter #0:1: start 0.2' in found and 'Two' in found and 'fra' in found
    assert 'Hello' in ffmpeg('-v', 'error', '-i', tmp_path / f'copy.{suffix}', '-f', 'srt', '-')[1]
    # .mkv begins with the sound, which is a little before the picture
    pictures, subtitles = (times_of(tmp_path / f'copy.{suffix}', track) for track in ('0:v', '0:s'))
    assert 0.1 in [pytest.approx(float(time - pictures[0]), abs=0.0015) for time in subtitles]
    assert notes == ([] if suffix != 'mkv' else ['Subtitle track 1 (mov_text, fra) is stored as plain text.'])


def test_dates_in_the_words_of_phones_stay(tmp_path):
    key = 'com.apple.quicktime.creationdate'
    source = make(
        tmp_path / 'source.mov', '-movflags', 'use_metadata_tags', '-metadata', f'{key}=2024-05-06T09:08:09+0200'
    )
    copied(source, tmp_path / 'copy.mp4')
    assert f'{key}: 2024-05-06T09:08:09+0200' in words(tmp_path / 'copy.mp4')
    # with the mark beside them
    with write_video(tmp_path / 'marked.mov', (64, 48), 25, audio_from=source, mark=True) as output:
        output.write(np.zeros((48, 64, 3), np.uint8))
    data = (tmp_path / 'marked.mov').read_bytes()
    assert f'{key}: 2024-05-06T09:08:09+0200' in words(tmp_path / 'marked.mov') and data.count(xmp.MARK.encode()) == 1
    assert data.partition(b'<?xpacket')[0].endswith(bytes.fromhex('be7acfcb97a942e89c71999491e3afac'))


def test_what_cannot_be_kept_is_named(tmp_path):
    plain = make(tmp_path / 'plain.mkv', sound=False)
    ffmpeg('-f', 'lavfi', '-i', 'color=size=64x48', '-frames:v', '1', tmp_path / 'cover.png')
    (tmp_path / 'font.ttf').write_bytes(b'no font')
    ffmpeg(
        '-i',
        plain,
        '-i',
        plain,
        '-map',
        '0',
        '-map',
        '1',
        '-c',
        'copy',
        '-attach',
        tmp_path / 'font.ttf',
        '-metadata:s:t:0',
        'mimetype=application/x-truetype-font',
        '-attach',
        tmp_path / 'cover.png',
        '-metadata:s:t:1',
        'mimetype=image/png',
        tmp_path / 'a.mkv',
    )
    _, _, notes = copied(tmp_path / 'a.mkv', tmp_path / 'b.mp4')
    assert notes == ['Left out of its file: another picture track (h264), attachment (ttf), cover picture (png).']


def test_subtitles_that_are_pictures(tmp_path):
    (tmp_path / 'text.srt').write_text('1\n00:00:00,100 --> 00:00:00,300\nHello\n')
    # as what no .mp4 can hold nor ffmpeg turn into text: a track of that codec, without contents
    source = make(tmp_path / 'plain.mkv', sound=False)
    ffmpeg(
        '-i',
        source,
        '-i',
        tmp_path / 'text.srt',
        '-map',
        '0',
        '-map',
        '1',
        '-c:v',
        'copy',
        '-c:s',
        'srt',
        tmp_path / 'a.mkv',
    )
    content = (tmp_path / 'a.mkv').read_bytes()
    (tmp_path / 'a.mkv').write_bytes(content.replace(b'S_TEXT/UTF8', b'S_HDMV/PGS\0'))
    assert 'hdmv_pgs_subtitle' in words(tmp_path / 'a.mkv')
    _, _, notes = copied(tmp_path / 'a.mkv', tmp_path / 'b.mp4')
    assert notes == ['Subtitle track 1 (hdmv_pgs_subtitle) is left out: ffmpeg cannot write it to .mp4.']
    assert copied(tmp_path / 'a.mkv', tmp_path / 'b.mkv')[2] == []


@pytest.mark.parametrize(
    'name, codecs',
    [
        ('a.mov', ['-c:v', 'prores_ks', '-profile:v', '4444', '-pix_fmt', 'yuva444p10le']),
        ('a.mov', ['-c:v', 'qtrle', '-pix_fmt', 'argb']),
        ('a.mkv', ['-c:v', 'ffv1', '-pix_fmt', 'gbrap']),
        ('a.webm', ['-c:v', 'libvpx-vp9', '-pix_fmt', 'yuva420p']),
    ],
)
def test_lost_transparency_is_noted(tmp_path, name, codecs):
    _, _, notes = copied(make(tmp_path / name, count=2, codecs=codecs, sound=False), tmp_path / 'b.mp4')
    assert len(notes) == 1 and 'transparency' in notes[0]


@pytest.mark.parametrize('profile, compatibility, refused', [(5, 0, True), (8, 1, False), (8, 4, False)])
def test_dolby_vision_without_a_base_layer_is_refused(tmp_path, profile, compatibility, refused):
    record = struct.pack('>BBHB', 1, 0, profile << 9 | 6 << 3 | 0b101, compatibility << 4) + bytes(19)
    video = make(tmp_path / 'a.mp4', count=2, sound=False)
    video.write_bytes(
        boxed(video.read_bytes(), [b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stsd', b'avc1'], (b'dvcC', record))
    )
    assert f'profile: {profile}' in words(video)
    if refused:
        with pytest.raises(GazeError, match='a.mp4: this is Dolby Vision of profile 5'):
            open_video(video).__enter__()
    else:
        assert len(frames_of(video)) == 2


@pytest.mark.parametrize(
    'options',
    [
        ['-colorspace', 'ycgco'],
        ['-colorspace', 'bt2020c'],
        ['-colorspace', 'ictcp'],
        ['-color_trc', 'linear'],
        ['-color_trc', 'log100'],
        ['-color_trc', 'smpte428'],
    ],
)
def test_colors_that_cannot_be_read_are_refused(tmp_path, options):
    video = make(tmp_path / 'a.mp4', *options, count=2, sound=False, codecs=['-c:v', 'libx264', '-pix_fmt', 'yuv444p'])
    with pytest.raises(GazeError, match=f'a.mp4: its colors are stored as {options[1]}'):
        open_video(video).__enter__()


def tagged(path, converted, told):
    """Makes a video of a test picture that zscale converts to other colors, which the file names or not."""
    make(
        path,
        '-vf',
        f'scale=out_color_matrix=bt709,format=yuv444p,zscale=tin=bt709:min=bt709:pin=bt709:npl=203:{converted},'
        f'format=yuv444p10le,setparams={told}',
        size='320x240',
        count=2,
        codecs=['-c:v', 'libx264', '-qp', '4'],
        sound=False,
    )
    return path


@pytest.mark.parametrize(
    'converted, told, note',
    [
        ('p=smpte432:t=bt709:m=bt709', 'color_primaries=smpte432:color_trc=bt709:colorspace=bt709', 'wide'),
        ('p=smpte432:t=bt709:m=smpte170m', 'color_primaries=smpte432:color_trc=unknown:colorspace=unknown', 'wide'),
        ('p=bt2020:t=2020_10:m=bt2020nc', 'color_primaries=bt2020:color_trc=bt2020-10:colorspace=bt2020nc', 'wide'),
        (
            'p=bt2020:t=smpte2084:m=bt2020nc',
            'color_primaries=unknown:color_trc=smpte2084:colorspace=unknown',
            'dynamic range',
        ),
    ],
)
def test_wide_colors_become_ordinary(tmp_path, converted, told, note):
    with open_video(tagged(tmp_path / 'a.mp4', converted, told)) as video:
        assert note in video.info.note
        frame = next(iter(video)).astype(int)
    # the test picture's bars: black, cyan, blue, yellow
    assert frame[30, 20].max() < 10
    for x, color in ((60, (0, 1, 1)), (140, (0, 0, 1)), (180, (1, 1, 0))):
        bright = np.array(color, bool)
        assert frame[120, x][bright].min() > 190 and frame[120, x][~bright].max() < 40


def test_sound_stays_in_time_after_what_is_left_out(tmp_path):
    source = unknown_sound(tmp_path / 'source.mov')
    copied(source, tmp_path / 'copy.mp4')
    assert float(times_of(tmp_path / 'copy.mp4', '0:a')[-1] - times_of(source, '0:a:0')[-1]) == pytest.approx(
        0, abs=0.001
    )
