"""Photos in every mode: only edited pixels change, and they get the right values."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gaze_tf.media.photo import Photo
from tests.photos import BOX, HEIGHT, SRGB, WIDTH, changed, in_mode, outside, png, stored

LOSSLESS = [
    ('png', 'L', {}),
    ('png', 'LA', {}),
    ('png', 'RGB', {}),
    ('png', 'RGBA', {}),
    ('png', 'P', {}),
    ('tif', 'L', {}),
    ('tif', 'LA', {}),
    ('tif', 'RGB', {'compression': 'tiff_lzw'}),
    ('tiff', 'RGBA', {'compression': 'tiff_adobe_deflate'}),
    ('tif', 'P', {}),
    ('tif', 'CMYK', {}),
    ('tif', 'LAB', {}),
    ('webp', 'RGB', {'lossless': True}),
    ('webp', 'RGBA', {'lossless': True, 'exact': True}),
    ('bmp', 'L', {}),
    ('bmp', 'RGB', {}),
    ('bmp', 'P', {}),
]


@pytest.mark.parametrize('suffix, mode, options', LOSSLESS, ids=lambda value: str(value).replace(' ', ''))
def test_only_changed_pixels_change(tmp_path, suffix, mode, options):
    source, result = tmp_path / f'a.{suffix}', tmp_path / 'deep' / f'b.{suffix}'
    in_mode(mode).save(source, **options)
    photo = Photo.open(source)
    assert photo.notes == () and photo.path == source
    np.testing.assert_array_equal(photo.rgb, stored(source, 'RGB')[1])
    rgb = changed(photo)
    photo.save(result, rgb)
    (before_mode, before), (after_mode, after) = stored(source), stored(result)
    assert before_mode == after_mode and os.listdir(result.parent) == [result.name]
    np.testing.assert_array_equal(after[outside(after.shape)], before[outside(after.shape)])
    if mode in ('LA', 'RGBA'):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])
    error = np.abs(stored(result, 'RGB')[1] - rgb)[BOX]
    # exact where the mode holds every RGB; gray pixels get the luma; rounding; the palette has 64 colors
    limit = {'RGB': 0, 'RGBA': 0, 'CMYK': 0, 'L': 0, 'LA': 0, 'LAB': 12, 'P': 60}[mode]
    assert error.max() <= limit and np.abs(after - before)[BOX].mean() > 1
    with Image.open(source) as one, Image.open(result) as other:
        assert one.info.get('compression') == other.info.get('compression')


def test_grey_takes_the_luma(tmp_path):
    in_mode('L').save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    rgb = photo.rgb.copy()
    rgb[3, 4] = 255, 0, 0
    photo.save(tmp_path / 'b.png', rgb)
    mode, after = stored(tmp_path / 'b.png')
    assert mode == 'L' and after[3, 4] == round(0.299 * 255)


def test_palettes_take_the_nearest_color_of_the_same_opacity(tmp_path):
    rng = np.random.default_rng(2)
    palette, indices = rng.integers(0, 256, (40, 3), np.uint8), rng.integers(0, 40, (HEIGHT, WIDTH), np.uint8)
    opacity = np.where(np.arange(40) < 13, 90, 255).astype(np.uint8)
    image = Image.frombytes('P', (WIDTH, HEIGHT), indices.tobytes())
    image.putpalette(palette.tobytes())
    image.save(tmp_path / 'a.png', transparency=opacity.tobytes())
    photo = Photo.open(tmp_path / 'a.png')
    rgb = changed(photo)
    rgb[BOX] = rng.integers(0, 256, rgb[BOX].shape)
    photo.save(tmp_path / 'b.png', rgb)
    mode, after = stored(tmp_path / 'b.png', 'RGBA')
    np.testing.assert_array_equal(after[..., 3], opacity[indices])
    for row in range(10, 18):
        for column in range(5, 25):
            alike = palette[opacity == opacity[indices[row, column]]].astype(int)
            distances = ((alike - rgb[row, column]) ** 2).sum(axis=1)
            assert ((after[row, column, :3] - rgb[row, column]) ** 2).sum() == distances.min()
    np.testing.assert_array_equal(after[outside(after.shape)][:, :3], photo.rgb[outside(after.shape)])


@pytest.mark.parametrize('mode, key', [('L', 40), ('RGB', (40, 40, 40))])
def test_no_changed_pixel_becomes_transparent(tmp_path, mode, key):
    in_mode(mode).point(lambda value: max(value, 50)).save(tmp_path / 'a.png', transparency=key)
    photo = Photo.open(tmp_path / 'a.png')
    rgb = photo.rgb.copy()
    rgb[BOX] = 40
    photo.save(tmp_path / 'b.png', rgb)
    after = stored(tmp_path / 'b.png', 'RGBA')[1]
    assert after[..., 3].min() == 255 and np.abs(after[BOX][..., :3] - 40).max() == 1
    with Image.open(tmp_path / 'b.png') as image:
        assert image.info['transparency'] == key


def test_cmyk_of_every_kind(tmp_path):
    rng = np.random.default_rng(0)
    Image.frombytes('CMYK', (64, 64), rng.bytes(64 * 64 * 4)).save(tmp_path / 'a.tif')
    photo = Photo.open(tmp_path / 'a.tif')
    rgb = rng.integers(0, 256, photo.rgb.shape, np.uint8)
    photo.save(tmp_path / 'b.tif', rgb)
    np.testing.assert_array_equal(stored(tmp_path / 'b.tif', 'RGB')[1], rgb)
    black, before = stored(tmp_path / 'b.tif')[1][..., 3], stored(tmp_path / 'a.tif')[1][..., 3]
    np.testing.assert_array_equal(black, np.minimum(before, 255 - rgb.max(axis=-1).astype(int)))


def decoded_16(data):
    """Decodes a PNG with all its bits: int [H, W, C]."""
    import tensorflow as tf

    return tf.io.decode_png(data, dtype=tf.uint16).numpy().astype(int)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_16_bit_png_keeps_its_bits_and_chunks(tmp_path, channels):
    rng = np.random.default_rng(channels)
    values = rng.integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    chunks = [
        (b'gAMA', struct.pack('>I', 45455)),
        (b'pHYs', struct.pack('>IIB', 3000, 3000, 1)),
        (b'iCCP', b'name\0\0' + zlib.compress(SRGB)),
        (b'zTXt', b'Comment\0\0' + zlib.compress(b'hello')),
        (b'iDOT', b'offsets'),
    ]
    source, result = tmp_path / 'a.png', tmp_path / 'b.png'
    source.write_bytes(png(values, *chunks))
    photo = Photo.open(source)
    colors = slice(0, 3 if channels > 2 else 1)
    np.testing.assert_array_equal(photo.rgb, np.broadcast_to(np.rint(values[..., colors] / 257), photo.rgb.shape))
    rgb = changed(photo)
    photo.save(result, rgb)
    after = decoded_16(result.read_bytes())
    step = 257 * (rgb[BOX].astype(int) - photo.rgb[BOX])[..., colors]
    expected = values.astype(int)
    expected[BOX][..., colors] = np.clip(expected[BOX][..., colors] + step, 0, 65535)
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(Photo.open(result).rgb, rgb)
    data = result.read_bytes()
    for name, content in chunks[:-1]:
        assert data.count(name + content) == 1
    assert data.index(b'gAMA') < data.index(b'IDAT') < data.index(b'Late\0text') and b'iDOT' not in data
    assert data[24:26] == source.read_bytes()[24:26]


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bit_grey(tmp_path, suffix):
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    Image.fromarray(values).save(tmp_path / 'a.tif')
    photo = Photo.open(tmp_path / 'a.tif')
    rgb = changed(photo)
    photo.save(tmp_path / f'b.{suffix}', rgb)
    expected = values.astype(int)
    expected[BOX] += 257 * (rgb.astype(int) - photo.rgb)[BOX][..., 0]
    np.testing.assert_array_equal(stored(tmp_path / f'b.{suffix}')[1], expected.clip(0, 65535))


def test_bilevel_becomes_grey(tmp_path):
    in_mode('1').save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    assert 'gray' in photo.notes[0]
    rgb = photo.rgb.copy()
    rgb[BOX] = 99
    photo.save(tmp_path / 'b.png', rgb)
    mode, after = stored(tmp_path / 'b.png')
    assert mode == 'L'
    np.testing.assert_array_equal(after, rgb[..., 0])
