"""python -m tools.fuzz.photos --count=5000

Photos that nobody would write: small pictures of every format that is read, with mutated headers, tags, segments, lengths
and ends. Each is opened as `gaze-tf correct` opens it, changed, and saved in its own format and in another. What is
allowed: one sentence why not, or files that Pillow opens, right way up, PNG with every pixel as it should be. What is not:
any other exception, a death, more than 20 s or 2 GB, pixels that differ from reading to reading. Inputs follow from --seed
and their number. They run in processes of their own, which may die. Exit status 1 if anything was not allowed.
"""

import collections
import functools
import io
import json
import os
import pathlib
import queue
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import numpy as np
from absl import app, flags
from PIL import Image, ImageCms, PngImagePlugin

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
from gaze_tf.errors import GazeError
from gaze_tf.media import jpeg_parts
from gaze_tf.media.photo import SUFFIXES, Photo

PORTRAIT = pathlib.Path(__file__).resolve().parents[2] / 'tests/data/portrait.png'
SIZE = 60, 44
SECONDS, MEMORY = 20, 2 << 30
# of the clock, on which other processes may lie
LONGEST = 3 * SECONDS
OWN_SUFFIX = {'JPEG': '.jpg', 'PNG': '.png', 'TIFF': '.tif', 'WEBP': '.webp', 'BMP': '.bmp', 'GIF': '.png'}
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
    """{name: the bytes of a good photo}; the name begins with its format."""
    with Image.open(PORTRAIT) as image:
        rgb = image.convert('RGB').resize(SIZE)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Title', 'A face')
    texts.add_text('Comment', 'A face ' * 50, zip=True)
    texts.add_itxt('XML:com.adobe.xmp', xmp.decode())
    about = {'exif': exif(), 'icc_profile': profile, 'dpi': (240, 240)}
    grey_16 = Image.fromarray(np.asarray(rgb.convert('L')).astype(np.uint16) * 257)
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
    add('grey', rgb.convert('L'), 'JPEG', quality=80)
    add('colour', rgb, 'PNG', pnginfo=texts, **about)
    add('transparent', rgb.convert('RGBA'), 'PNG', exif=exif(8))
    add('palette', rgb.quantize(32), 'PNG', transparency=bytes(range(0, 256, 8)), pnginfo=texts)
    add('key', rgb.convert('L'), 'PNG', transparency=40)
    add('bilevel', rgb.convert('1'), 'PNG')
    add('deep', grey_16, 'PNG', exif=exif())
    add('raw', rgb, 'TIFF', tiffinfo=tags, **about)
    add('big', rgb, 'TIFF', big_tiff=True, tiffinfo=tags)
    add('lzw', rgb, 'TIFF', compression='tiff_lzw', tiffinfo={**tags, 317: 2}, **about)
    add('deflate', rgb.convert('CMYK'), 'TIFF', compression='tiff_adobe_deflate', tiffinfo=tags)
    add('jpeg', rgb, 'TIFF', compression='jpeg', tiffinfo=tags)
    add('palette', rgb.quantize(32), 'TIFF', compression='packbits', tiffinfo=tags)
    add('fax', rgb.convert('1'), 'TIFF', compression='group4', tiffinfo=tags)
    add('deep', grey_16, 'TIFF', compression='tiff_deflate', tiffinfo=tags)
    add('lossy', rgb, 'WEBP', quality=80, xmp=xmp, **about)
    add('lossless', rgb.convert('RGBA'), 'WEBP', lossless=True, exif=exif(3))
    add('colour', rgb, 'BMP', dpi=(96, 96))
    add('palette', rgb.quantize(200), 'BMP')
    add('still', rgb.quantize(64), 'GIF', comment='A face')
    return found


# --- mutations: (rng, bytes) → bytes ------------------------------------------------------------------------


def flipped(rng, data):
    """A few bytes, of the header or anywhere, become others."""
    data = bytearray(data)
    for at in rng.integers(0, rng.choice([64, 1024, len(data)]), rng.integers(1, 9)):
        data[at % len(data)] = rng.choice(ODD) & 255 if rng.random() < 0.5 else rng.integers(256)
    return bytes(data)


def cut(rng, data):
    """The end is missing, sometimes no more than a few bytes."""
    return data[: -int(rng.integers(1, 12))] if rng.random() < 0.4 else data[: int(rng.integers(len(data)))]


def extended(rng, data):
    """There is something behind the end."""
    return data + (
        rng.bytes(int(rng.integers(1, 200))) if rng.random() < 0.6 else data[-int(rng.integers(1, len(data))) :]
    )


def moved(rng, data):
    """A piece is left out, or put elsewhere, or is there twice."""
    start, end, to = sorted(rng.integers(len(data), size=2)) + [int(rng.integers(len(data)))]
    end = min(end, start + int(rng.choice([1, 2, 8, 100, len(data)])))
    rest = data[:start] + data[end:] if rng.random() < 0.7 else data
    return rest[:to] + data[start:end] * int(rng.integers(0, 3)) + rest[to:]


def numbers(rng, data):
    """A number of 2 or 4 bytes becomes an odd one."""
    data, size = bytearray(data), int(rng.choice([2, 4]))
    at = int(rng.integers(min(len(data) - size, rng.choice([200, 2000, 10**9]))))
    value = int(rng.choice(ODD)) if rng.random() < 0.7 else int(rng.integers(1 << 32)) >> int(rng.integers(32))
    data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, str(rng.choice(['big', 'little'])))
    return bytes(data)


def segments(rng, data):
    """JPEG: one has an odd length, is elsewhere or is there twice, or there is something between two."""
    source = io.BytesIO(data)
    pieces = [jpeg_parts.segment(*pair) for pair in jpeg_parts.segments(source)]
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
    """PNG: one has another content, and the checksum of it, or is elsewhere, missing or there twice."""
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
    """TIFF, or EXIF in any format: a tag of one of its directories has another number, type, count or value."""
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
    """(name of what it was, what was done, its bytes) of an input."""
    rng = np.random.default_rng([seed, number])
    name = sorted(seeds())[number % len(seeds())]
    data, done = seeds()[name], []
    choice = GENERAL + 2 * OF_FORMAT.get(name.split()[0], ())
    for _ in range(1 if rng.random() < 0.7 else 2):
        how = choice[rng.integers(len(choice))]
        try:
            data, done = how(rng, data), done + [how.__name__]
        except (ValueError, IndexError):  # nothing is left to be mutated so
            pass
    return name, '+'.join(done), data


# --- one input ----------------------------------------------------------------------------------------------


def outcome(data, kind, other, folder):
    """What becomes of a file's bytes: (one of a few words, what is wrong or '')."""
    try:
        photo = Photo(folder / f'input{OWN_SUFFIX[kind]}', data)
    except GazeError as error:
        return 'refused', '' if '\n' not in str(error) and len(
            str(error)
        ) < 1000 else f'a message: {str(error)[:200]!r}'
    if not np.array_equal(Photo(photo.path, data).rgb, photo.rgb):
        return 'opened', 'pixels differ from reading to reading'
    height, width, _ = photo.rgb.shape
    box = slice(height // 4, height // 2 + 1), slice(width // 4, width // 2 + 1)
    rgb = photo.rgb.copy()
    rgb[box] = np.maximum(rgb[box].astype(int) - 30, 7)
    saved = []
    for suffix in OWN_SUFFIX[kind], other:
        path = folder / f'output{suffix}'
        path.unlink(missing_ok=True)
        try:
            photo.save(path, rgb)
        except GazeError as error:
            if '\n' in str(error) or path.exists():
                return 'opened', f'a file in spite of {error}'
            saved.append(f'not saved ({re.sub(".*cannot be written", "", str(error))})')
        else:
            saved.append('saved')
            if wrong := unlike(path, rgb, photo, suffix == OWN_SUFFIX[kind]):
                return 'saved', f'{path.name}: {wrong}'
    if any(path.name.startswith('.') for path in folder.iterdir()):
        return 'opened', 'half a file was left'
    return 'opened, ' + ' and '.join(saved) + (', with a note' if photo.notes else ''), ''


def unlike(path, rgb, photo, own):
    """What is wrong with a written file; own: whether it has the source's format, and so its orientation."""
    with Image.open(path) as image:
        image.load()
        if image.format != SUFFIXES[path.suffix]:
            return f'it is a {image.format}'
        # of damaged EXIF, which is kept, Pillow reads less
        if image.size != rgb.shape[1::-1] and not (own and image.size == rgb.shape[:2]):
            return f'{image.size} pixels instead of {rgb.shape[1::-1]}'
        if path.suffix != '.png':
            return ''
        # (16 bits of grey Pillow makes white)
        pixels = Photo.open(path).rgb if own or image.mode == 'I;16' else np.asarray(image.convert('RGB'))
    same = (rgb == photo.rgb).all(axis=-1)
    return '' if (pixels[same] == rgb[same]).all() else 'pixels outside of the change are other ones'


def worker(values):
    """Answers each number on its standard input with a line."""
    import tensorflow  # noqa: F401 (reads 16-bit colour, and takes long to come)

    PngImagePlugin.MAX_TEXT_CHUNK = 1 << 27
    # against what would take the whole machine; TensorFlow reserves much that it does not use
    resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            number = int(line)
            name, how, data = mutated(values.seed, number)
            start = time.process_time()
            pathlib.Path('/proc/self/clear_refs').write_text('5')
            others = sorted(set(SUFFIXES) - {'.jpeg', '.jfif', '.tiff'})
            try:
                other = others[number // len(seeds()) % len(others)]
                result, wrong = outcome(data, name.split()[0], other, pathlib.Path(folder))
            except Exception as error:  # whatever it is, it is what is looked for
                result, wrong = 'exception', f'{type(error).__name__}: {error}'
            peak = int(re.search(r'VmHWM:\s*(\d+)', pathlib.Path('/proc/self/status').read_text())[1]) << 10
            took = time.process_time() - start
            if peak > MEMORY or took > SECONDS:
                wrong = wrong or f'{peak >> 20} MB, {took:.0f} s'
            print(json.dumps([result, wrong, peak]), flush=True)


# --- all of them --------------------------------------------------------------------------------------------


class Process:
    """A worker, which is started anew when it dies."""

    def __init__(self, values):
        self._command = [sys.executable, '-m', __spec__.name, '--worker', f'--seed={values.seed}']
        # memory that nothing was written to is not zero
        self._environment = {**os.environ, 'MALLOC_PERTURB_': '165', 'CUDA_VISIBLE_DEVICES': '-1'}
        self._process = None

    def ask(self, number):
        """[result, what is wrong, bytes] of an input."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
            starting = 300
        else:
            starting = 0
        late = threading.Event()
        timer = threading.Timer(LONGEST + starting, lambda: (late.set(), self._process.kill()))
        timer.start()
        try:
            self._process.stdin.write(f'{number}\n')
            self._process.stdin.flush()
            if line := self._process.stdout.readline():
                return json.loads(line)
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        status, self._process = self._process.wait(), None
        return [
            'timeout' if late.is_set() else 'death',
            f'more than {LONGEST} s' if late.is_set() else f'status {status}',
            0,
        ]

    def close(self):
        if self._process:
            self._process.stdin.close()
            self._process.wait()


def main(_):
    values = flags.FLAGS
    if values.worker:
        worker(values)
        return 0
    numbers_left, results = queue.Queue(), {}
    for number in [values.only] if values.only >= 0 else range(values.count):
        numbers_left.put(number)

    def work():
        process = Process(values)
        while True:
            try:
                number = numbers_left.get_nowait()
            except queue.Empty:
                break
            results[number] = process.ask(number)
        process.close()

    threads = [threading.Thread(target=work) for _ in range(values.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts, bad = collections.Counter(), 0
    for number, (result, wrong, _) in sorted(results.items()):
        name, how, data = mutated(values.seed, number)
        counts[name.split()[0], result] += 1
        if wrong:
            bad += 1
            print(f'{number} ({name}, {how}): {result}: {wrong}')
            if values.keep:
                pathlib.Path(values.keep).mkdir(parents=True, exist_ok=True)
                (pathlib.Path(values.keep) / f'{number}{OWN_SUFFIX[name.split()[0]]}').write_bytes(data)
    for (kind, result), count in sorted(counts.items()):
        print(f'{kind:5} {count:6}  {result}')
    print(
        f'{len(results)} inputs, {bad} not as they should be; at most {max(peak for *_, peak in results.values()) >> 20} MB'
    )
    return 1 if bad else 0


if __name__ == '__main__':
    flags.DEFINE_integer('count', 5000, 'Inputs.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Of all that is drawn.')
    flags.DEFINE_integer('jobs', 2, 'Processes.', lower_bound=1)
    flags.DEFINE_integer('only', -1, 'The number of one input, to do no other.')
    flags.DEFINE_string('keep', '', 'Folder for the inputs that were not handled as they should be.')
    flags.DEFINE_boolean('worker', False, 'To be one of the processes.')
    app.run(main)
