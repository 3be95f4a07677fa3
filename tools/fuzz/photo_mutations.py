"""Small good photos of every format, and ways to damage them, for tools.fuzz.photos."""

import functools
import io
import pathlib
import re
import zlib

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from gaze_tf.media import jpeg_parts

PORTRAIT = pathlib.Path(__file__).resolve().parents[2] / 'tests/data/portrait.png'
SIZE = 60, 44
# values that sizes, counts and types rarely have
ODD = (0, 1, 2, 3, 7, 8, 11, 12, 16, 127, 128, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF)


def exif(orientation=6):
    tags = Image.Exif()
    tags.update(
        {270: 'A face', 271: 'Maker', 274: orientation, 282: 240.0, 283: 240.0, 296: 2, 306: '2024:05:06 07:08:09'}
    )
    tags[0x8769] = {0x9003: '2024:05:06 07:08:09', 0x829A: 0.01, 0x927C: b'notes of the maker', 0xA005: {1: 'R98'}}
    tags[0x8825] = {1: 'N', 2: (52.0, 31.0, 12.0)}
    return tags.tobytes()


@functools.lru_cache(1)
def seeds():
    """Returns {name: the bytes of a good photo}; the name begins with its format."""
    with Image.open(PORTRAIT) as image:
        rgb = image.convert('RGB').resize(SIZE)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Title', 'A face')
    texts.add_text('Comment', 'A face ' * 50, zip=True)
    texts.add_itxt('XML:com.adobe.xmp', xmp.decode())
    about = {'exif': exif(), 'icc_profile': profile, 'dpi': (240, 240)}
    gray_16 = Image.fromarray(np.asarray(rgb.convert('L')).astype(np.uint16) * 257)
    tags = {269: 'scan.tif', 270: 'A face', 305: 'Scanner', 315: 'Somebody', 700: xmp, 33723: b'\x1c\2\0\0\2\0\4'}
    found = {}

    def add(name, image, kind, **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        found[f'{kind} {name}'] = file.getvalue()

    add('baseline', rgb, 'JPEG', quality=85, xmp=xmp, comment='A face', **about)
    add('plain', rgb, 'JPEG', quality=70, subsampling=2)
    add('progressive', rgb, 'JPEG', quality=90, progressive=True, subsampling=0, **about)
    add('restarts', rgb, 'JPEG', quality=80, restart_marker_blocks=3, exif=exif(3))
    add('inks', rgb.convert('CMYK'), 'JPEG', quality=80, **about)
    add('gray', rgb.convert('L'), 'JPEG', quality=80)
    add('color', rgb, 'PNG', pnginfo=texts, **about)
    add('transparent', rgb.convert('RGBA'), 'PNG', exif=exif(8))
    add('palette', rgb.quantize(32), 'PNG', transparency=bytes(range(0, 256, 8)), pnginfo=texts)
    add('key', rgb.convert('L'), 'PNG', transparency=40)
    add('bilevel', rgb.convert('1'), 'PNG')
    add('deep', gray_16, 'PNG', exif=exif())
    add('raw', rgb, 'TIFF', tiffinfo=tags, **about)
    add('big', rgb, 'TIFF', big_tiff=True, tiffinfo=tags)
    add('lzw', rgb, 'TIFF', compression='tiff_lzw', tiffinfo={**tags, 317: 2}, **about)
    add('deflate', rgb.convert('CMYK'), 'TIFF', compression='tiff_adobe_deflate', tiffinfo=tags)
    add('jpeg', rgb, 'TIFF', compression='jpeg', tiffinfo=tags)
    add('palette', rgb.quantize(32), 'TIFF', compression='packbits', tiffinfo=tags)
    add('fax', rgb.convert('1'), 'TIFF', compression='group4', tiffinfo=tags)
    add('deep', gray_16, 'TIFF', compression='tiff_deflate', tiffinfo=tags)
    add('lossy', rgb, 'WEBP', quality=80, xmp=xmp, **about)
    add('lossless', rgb.convert('RGBA'), 'WEBP', lossless=True, exif=exif(3))
    add('color', rgb, 'BMP', dpi=(96, 96))
    add('palette', rgb.quantize(200), 'BMP')
    add('still', rgb.quantize(64), 'GIF', comment='A face')
    return found


# --- mutations: (rng, bytes) → bytes ------------------------------------------------------------------------


def flipped(rng, data):
    """Changes a few bytes, in the header or anywhere."""
    data = bytearray(data)
    for at in rng.integers(0, rng.choice([64, 1024, len(data)]), rng.integers(1, 9)):
        data[at % len(data)] = rng.choice(ODD) & 255 if rng.random() < 0.5 else rng.integers(256)
    return bytes(data)


def cut(rng, data):
    """Cuts off the end, sometimes only a few bytes of it."""
    return data[: -int(rng.integers(1, 12))] if rng.random() < 0.4 else data[: int(rng.integers(len(data)))]


def extended(rng, data):
    """Appends something after the end."""
    return data + (
        rng.bytes(int(rng.integers(1, 200))) if rng.random() < 0.6 else data[-int(rng.integers(1, len(data))) :]
    )


def moved(rng, data):
    """Removes, moves or duplicates a piece."""
    start, end, to = sorted(rng.integers(len(data), size=2)) + [int(rng.integers(len(data)))]
    end = min(end, start + int(rng.choice([1, 2, 8, 100, len(data)])))
    rest = data[:start] + data[end:] if rng.random() < 0.7 else data
    return rest[:to] + data[start:end] * int(rng.integers(0, 3)) + rest[to:]


def numbers(rng, data):
    """Replaces a number of 2 or 4 bytes by an odd one."""
    data, size = bytearray(data), int(rng.choice([2, 4]))
    at = int(rng.integers(min(len(data) - size, rng.choice([200, 2000, 10**9]))))
    value = int(rng.choice(ODD)) if rng.random() < 0.7 else int(rng.integers(1 << 32)) >> int(rng.integers(32))
    data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, str(rng.choice(['big', 'little'])))
    return bytes(data)


def segments(rng, data):
    """JPEG: gives a segment an odd length, moves or duplicates it, or puts something between two."""
    source = io.BytesIO(data)
    pieces = [jpeg_parts.build_segment(*pair) for pair in jpeg_parts.read_segments(source)]
    rest, at = data[source.tell() :], int(rng.integers(len(pieces)))
    how = rng.integers(5)
    if how == 0:
        piece = bytearray(pieces[at])
        piece[2:4] = int(rng.choice(ODD)).to_bytes(2, 'big')
        pieces[at] = bytes(piece)
    elif how == 1:
        between = [
            b'\xff\0',
            b'\xff\xd3',
            b'\xff\xff\xff',
            b'\0\0',
            b'\xff\xe5\0\0',
            b'\xff\xe5\0\1',
            b'junk',
            b'\xff\1',
        ]
        pieces.insert(at, between[rng.integers(len(between))])
    elif how == 2:
        pieces.insert(int(rng.integers(len(pieces) + 1)), pieces[at])
    elif how == 3:
        pieces.insert(int(rng.integers(len(pieces))), pieces.pop(at))
    else:  # between scans, or in one
        scan = rest.find(b'\xff\xda', int(rng.integers(len(rest))))
        scan = scan if scan > 0 else int(rng.integers(len(rest)))
        rest = rest[:scan] + pieces[at] + rest[scan:]
    return b'\xff\xd8' + b''.join(pieces) + rest


def chunks(rng, data):
    """PNG: changes the content of a chunk, with the right checksum, or moves, removes or duplicates it."""
    pieces, at = [], 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], 'big')
        pieces.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    one = int(rng.integers(len(pieces)))
    name, content = pieces[one]
    how = rng.integers(5)
    if how <= 1 and content:
        pieces[one] = name, [flipped, cut, extended][rng.integers(3)](rng, content)
    elif how == 2:
        pieces.insert(int(rng.integers(len(pieces))), pieces.pop(one))
    elif how == 3:
        pieces.insert(int(rng.integers(len(pieces))), pieces[one])
    else:
        del pieces[one]
    return data[:8] + b''.join(
        len(content).to_bytes(4, 'big') + name + content + zlib.crc32(name + content).to_bytes(4, 'big')
        for name, content in pieces
    )


def tags(rng, data):
    """TIFF, and EXIF in any format: changes the number, type, count or value of a tag."""
    start = data.find(b'Exif\0\0') + 6 if data.find(b'Exif\0\0') >= 0 else 0
    starts = [match.start() for match in re.finditer(rb'II\*\0|MM\0\*|II\+\0', data[start : start + 4000])]
    if not starts:
        return flipped(rng, data)
    base, data = start + starts[0], bytearray(data)
    order = 'little' if data[base : base + 2] == b'II' else 'big'
    big = data[base + 2] == 43 or data[base + 3] == 43
    word, entry = (8, 20) if big else (4, 12)
    at = base + int.from_bytes(data[base + word : base + 2 * word], order)
    count = int.from_bytes(data[at : at + (8 if big else 2)], order)
    at += 8 if big else 2
    for _ in range(int(rng.integers(1, 3))):
        one = at + entry * int(rng.integers(max(count, 1)))
        where, size = [(0, 2), (2, 2), (2, 2), (4, word), (4 + word, word)][rng.integers(5)]
        value = int(rng.integers(1, 19)) if where == 2 else int(rng.choice(ODD))
        if where == 0 and rng.random() < 0.7:
            value = int(
                rng.choice([255, 258, 259, 266, 269, 273, 277, 278, 317, 320, 330, 338, 700, 33723, 34665, 34853])
            )
        data[one + where : one + where + size] = value.to_bytes(size, order)
    return bytes(data)


GENERAL = flipped, cut, extended, moved, numbers
OF_FORMAT = {'JPEG': (segments, segments, tags), 'PNG': (chunks, chunks), 'TIFF': (tags, tags, tags), 'WEBP': (tags,)}


def mutated(seed, number):
    """Returns (name of the good photo, names of the mutations, bytes) of an input."""
    rng = np.random.default_rng([seed, number])
    name = sorted(seeds())[number % len(seeds())]
    data, done = seeds()[name], []
    choice = GENERAL + 2 * OF_FORMAT.get(name.split()[0], ())
    for _ in range(1 if rng.random() < 0.7 else 2):
        how = choice[rng.integers(len(choice))]
        try:
            data, done = how(rng, data), done + [how.__name__]
        except (ValueError, IndexError):  # too little is left for this mutation
            pass
    return name, '+'.join(done), data
