"""Photos in files: unchanged, bad and too large ones, memory, and full disks."""

import contextlib
import os
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from gaze_tf.errors import GazeError
from gaze_tf.media import formats
from gaze_tf.media.photo import Photo
from tests.photos import PORTRAIT, changed, in_mode, portrait


@pytest.mark.parametrize(
    'suffix, mode', [('jpg', 'RGB'), ('png', 'P'), ('tif', 'CMYK'), ('webp', 'RGB'), ('bmp', 'RGB')]
)
def test_nothing_changed_is_the_same_file(tmp_path, suffix, mode):
    source, result = tmp_path / f'a.{suffix}', tmp_path / f'b.{suffix}'
    in_mode(mode).save(source)
    photo = Photo.open(source)
    photo.save(result, photo.rgb.copy())
    assert result.read_bytes() == source.read_bytes()


def test_a_photo_may_replace_itself(tmp_path):
    source, other = tmp_path / 'a.png', tmp_path / 'b.png'
    in_mode('RGB').save(source)
    photo = Photo.open(source)
    first = photo.rgb.copy()
    first[:5] = 0
    photo.save(source, first)
    rgb = changed(photo)
    photo.save(other, rgb)
    np.testing.assert_array_equal(Photo.open(source).rgb, first)
    np.testing.assert_array_equal(Photo.open(other).rgb, rgb)


def gif(folder):
    frames = [portrait().quantize(8), portrait().rotate(90).quantize(8)]
    frames[0].save(folder / 'two.gif', save_all=True, append_images=frames[1:])
    return folder / 'two.gif'


def pages(folder):
    portrait().save(folder / 'two.tif', save_all=True, append_images=[portrait()])
    return folder / 'two.tif'


def cut(suffix, share):
    def make(folder):
        path = folder / f'cut.{suffix}'
        portrait((200, 200)).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make


def written(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def saved(name, image, **options):
    def make(folder):
        image().save(folder / name, **options)
        return folder / name

    return make


def too_large(folder):
    """A PNG with nothing but a header."""
    header = b'IHDR' + struct.pack('>IIBBBBB', 20000, 10001, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n\0\0\0\r' + header + struct.pack('>I', zlib.crc32(header))
    return written('big.png', data + b'\0\0\0\0IDAT')(folder)


def color_16(folder):
    """A TIFF of 2 x 1 pixels of three 16-bit values."""
    tags = [
        (256, 3, 1, 2),
        (257, 3, 1, 1),
        (258, 3, 3, 122),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 128),
        (277, 3, 1, 3),
        (278, 3, 1, 1),
        (279, 4, 1, 12),
    ]
    data = b'II*\0\x08\0\0\0' + struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *tag) for tag in tags)
    data = (data + b'\0' * 4).ljust(122, b'\0') + struct.pack('<3H', 16, 16, 16) + bytes(12)
    (folder / 'deep.tif').write_bytes(data)
    return folder / 'deep.tif'


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda folder: folder / 'none.jpg', 'there is no such file'),
        (lambda folder: folder, 'is a folder'),
        (written('a.jpg', b''), 'the file is empty'),
        (written('a.jpg', b'hello, I am a text\n' * 20), 'not a photo in a format'),
        (written('a.heic', b'\0\0\0\x18ftypheic' + bytes(40)), 'not a photo in a format|damaged or cut off'),
        *[
            (cut(suffix, share), 'damaged or cut off|not a photo in a format')
            for suffix in ('jpg', 'png', 'tif', 'webp', 'bmp')
            for share in (0.02, 0.5, 0.97)
        ],
        (gif, '2 frames or pages'),
        (pages, '2 frames or pages'),
        (saved('f.tif', lambda: Image.new('F', (9, 9))), 'mode F, which cannot be edited: convert it'),
        (saved('i.tif', lambda: Image.new('I', (9, 9))), 'convert it to a 16-bit PNG'),
        (color_16, '16 bits .* convert it to a 16-bit PNG'),
        (saved('thumb.tif', lambda: Image.new('RGB', (9, 9)), tiffinfo={254: 1}), 'raw picture'),
        (too_large, '20000x10001 pixels'),
    ],
)
def test_bad_files(tmp_path, recwarn, capfd, make, message):
    path = make(tmp_path)
    with pytest.raises(GazeError, match=message) as caught:
        Photo.open(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert '\n' not in str(caught.value) and not recwarn.list and capfd.readouterr() == ('', '')


def test_heic_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    monkeypatch.delitem(Image.OPEN, 'HEIF', raising=False)
    formats.register_heif.cache_clear()
    for brand in b'heic', b'mif1':
        (tmp_path / 'a.heic').write_bytes(b'\0\0\0\x18ftyp' + brand + bytes(40))
        with pytest.raises(
            GazeError, match=r"a.heic: this is not .*: HEIC needs a package: pip install 'gaze_tf\[heif\]'"
        ):
            Photo.open(tmp_path / 'a.heic')
    formats.register_heif.cache_clear()


def test_large_pictures_open_without_warnings(tmp_path, recwarn, capfd):
    Image.new('L', (20000, 9500), 77).save(tmp_path / 'a.png', compress_level=1)
    limit = Image.MAX_IMAGE_PIXELS
    assert Photo.open(tmp_path / 'a.png').rgb.shape == (9500, 20000, 3)
    assert not recwarn.list and capfd.readouterr() == ('', '') and Image.MAX_IMAGE_PIXELS == limit


MEMORY = """
import re, sys
from gaze_tf.media.photo import Photo
peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) * 1024
start = peak()
photo = Photo.open(sys.argv[1])
rgb = photo.rgb.copy()
rgb[1000:1200, 500:900] //= 2
photo.save(sys.argv[2], rgb)
print((peak() - start) / (rgb.size // 3), 'tensorflow' in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_memory(tmp_path, suffix):
    """Bytes per pixel: 3 for the photo, 3 for the edited one, 4 for Pillow's pixels, and little more."""
    source = tmp_path / f'a.{suffix}'
    portrait((3000, 2000)).save(source, **({'compress_level': 1} if suffix == 'png' else {}))
    result = subprocess.run(
        [sys.executable, '-c', MEMORY, source, tmp_path / f'b.{suffix}'], check=True, text=True, capture_output=True
    )
    peak, tensorflow = result.stdout.split()
    assert 10 <= float(peak) < 13.5 and tensorflow == 'False'


@pytest.mark.parametrize('name', ['b.gif', 'b', 'b.heic'])
def test_unknown_suffixes(tmp_path, name):
    photo = Photo.open(PORTRAIT)
    with pytest.raises(
        GazeError, match=r'must end in \.jpg, \.jpeg, \.jfif, \.png, \.tif, \.tiff, \.webp, \.bmp, \.avif'
    ):
        photo.save(tmp_path / name, photo.rgb)
    assert os.listdir(tmp_path) == []


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 1000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp', 'tif'])
def test_disk_errors_leave_the_earlier_file(tmp_path, suffix):
    photo, path = Photo.open(PORTRAIT), tmp_path / 'out' / f'b.{suffix}'
    path.parent.mkdir()
    path.write_text('earlier')
    rgb = changed(photo)
    with pytest.raises(GazeError, match='b.* cannot be written'), full_disk():
        photo.save(path, rgb)
    assert path.read_text() == 'earlier' and os.listdir(path.parent) == [path.name]


def test_too_large_for_the_format(tmp_path):
    Image.new('RGB', (17000, 4)).save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    with pytest.raises(GazeError, match='b.webp: cannot be written'):
        photo.save(tmp_path / 'b.webp', photo.rgb)
    assert os.listdir(tmp_path) == ['a.png']
