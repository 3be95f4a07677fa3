"""Photos in files: every mode, format and orientation; what is kept, what changes, what is refused."""
import contextlib
import os
import pathlib
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from gaze_tf.editing.photo import Photo
from gaze_tf.errors import GazeError

PORTRAIT = pathlib.Path(__file__).parent / 'data' / 'portrait.png'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
WIDTH, HEIGHT = 40, 30
BOX = slice(10, 18), slice(5, 25)       # rows and columns that are changed


def portrait(size=(WIDTH, HEIGHT)):
    with Image.open(PORTRAIT) as image:
        return image.convert('RGB').resize(size)


def in_mode(mode, size=(WIDTH, HEIGHT)):
    """The portrait in a mode, with an alpha of 0, 128 and 255 where it has one."""
    image = portrait(size)
    if mode == 'P':
        return image.quantize(64)
    if mode in ('LA', 'RGBA'):
        alpha = np.zeros(size[::-1], np.uint8)
        alpha[:, 10:], alpha[:, 20:] = 128, 255
        image = image.convert(mode)
        image.putalpha(Image.fromarray(alpha))
        return image
    return image.convert(mode)


def stored(path, mode=None):
    """(mode, values int) as Pillow reads them."""
    with Image.open(path) as image:
        return image.mode, np.array(image if mode is None else image.convert(mode)).astype(int)


def changed(photo, box=BOX, amount=30):
    """Its pixels, darker in a box."""
    rgb = photo.rgb.copy()
    rgb[box] = np.maximum(rgb[box].astype(int) - amount, 7)
    return rgb


def outside(shape, box=BOX):
    mask = np.ones(shape[:2], bool)
    mask[box] = False
    return mask


LOSSLESS = [('png', 'L', {}), ('png', 'LA', {}), ('png', 'RGB', {}), ('png', 'RGBA', {}), ('png', 'P', {}),
            ('tif', 'L', {}), ('tif', 'LA', {}), ('tif', 'RGB', {'compression': 'tiff_lzw'}),
            ('tiff', 'RGBA', {'compression': 'tiff_adobe_deflate'}), ('tif', 'P', {}), ('tif', 'CMYK', {}),
            ('tif', 'LAB', {}), ('webp', 'RGB', {'lossless': True}),
            ('webp', 'RGBA', {'lossless': True, 'exact': True}), ('bmp', 'L', {}), ('bmp', 'RGB', {}), ('bmp', 'P', {})]


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
    # exact where the mode holds every RGB; grey pixels get the luma; rounding; the palette has 64 colours
    limit = {'RGB': 0, 'RGBA': 0, 'CMYK': 0, 'L': 0, 'LA': 0, 'LAB': 12, 'P': 60}[mode]
    assert error.max() <= limit and np.abs(after - before)[BOX].mean() > 1
    with Image.open(source) as one, Image.open(result) as other:
        assert one.info.get('compression') == other.info.get('compression')


@pytest.mark.parametrize('suffix, mode', [('jpg', 'RGB'), ('png', 'P'), ('tif', 'CMYK'), ('webp', 'RGB'),
                                          ('bmp', 'RGB')])
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


def test_grey_takes_the_luma(tmp_path):
    in_mode('L').save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    rgb = photo.rgb.copy()
    rgb[3, 4] = 255, 0, 0
    photo.save(tmp_path / 'b.png', rgb)
    mode, after = stored(tmp_path / 'b.png')
    assert mode == 'L' and after[3, 4] == round(0.299 * 255)


def test_palettes_take_the_nearest_colour_of_the_same_opacity(tmp_path):
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


def png(values, *chunks):
    """The bytes of a 16-bit PNG, without interlace or filters: values uint16 [H, W, C]."""
    def chunk(name, content):
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))

    height, width, channels = values.shape
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
    header = struct.pack('>IIBBBBB', width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*pair) for pair in [
        (b'IHDR', header), *chunks, (b'IDAT', zlib.compress(rows)), (b'tEXt', b'Late\0text'), (b'IEND', b'')])


def decoded_16(data):
    """Independent of what is tested: OpenCV is not at hand everywhere, TensorFlow is."""
    import tensorflow as tf
    return tf.io.decode_png(data, dtype=tf.uint16).numpy().astype(int)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_16_bit_png_keeps_its_bits_and_chunks(tmp_path, channels):
    rng = np.random.default_rng(channels)
    values = rng.integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    chunks = [(b'gAMA', struct.pack('>I', 45455)), (b'pHYs', struct.pack('>IIB', 3000, 3000, 1)),
              (b'iCCP', b'name\0\0' + zlib.compress(SRGB)), (b'zTXt', b'Comment\0\0' + zlib.compress(b'hello')),
              (b'iDOT', b'offsets')]
    source, result = tmp_path / 'a.png', tmp_path / 'b.png'
    source.write_bytes(png(values, *chunks))
    photo = Photo.open(source)
    colours = slice(0, 3 if channels > 2 else 1)
    np.testing.assert_array_equal(photo.rgb, np.broadcast_to(np.rint(values[..., colours] / 257), photo.rgb.shape))
    rgb = changed(photo)
    photo.save(result, rgb)
    after = decoded_16(result.read_bytes())
    step = 257 * (rgb[BOX].astype(int) - photo.rgb[BOX])[..., colours]
    expected = values.astype(int)
    expected[BOX][..., colours] = np.clip(expected[BOX][..., colours] + step, 0, 65535)
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


def exif(orientation=1, tags=()):
    exif = Image.Exif()
    exif.update({271: 'Maker', 274: orientation, **dict(tags)})
    exif[0x8769] = {0x9003: '2024:05:06 07:08:09'}
    return exif.tobytes()


def shown(path):
    """Upright pixels; of a TIFF Pillow turns them when it reads them."""
    with Image.open(path) as image:
        return np.array(image if image.format == 'TIFF' else ImageOps.exif_transpose(image)).astype(int)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'jpg', 'webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientations(tmp_path, suffix, orientation):
    source, result = tmp_path / f'a.{suffix}', tmp_path / f'b.{suffix}'
    in_mode('RGB').save(source, exif=exif(orientation), **({'lossless': True} if suffix == 'webp' else {}))
    photo = Photo.open(source)
    np.testing.assert_array_equal(photo.rgb, shown(source))
    if suffix != 'jpg':
        image = in_mode('RGB')
        image.getexif()[274] = orientation
        np.testing.assert_array_equal(photo.rgb, np.array(ImageOps.exif_transpose(image)))
    rgb = photo.rgb.copy()
    rgb[8:20, 4:12] = 255, 200, 0
    photo.save(result, rgb)
    with Image.open(result) as image:
        assert image.getexif()[274] == orientation and image.getexif()[271] == 'Maker'
        assert image.getexif().get_ifd(0x8769)[0x9003] == '2024:05:06 07:08:09'
        assert (image.tag_v2[256] if suffix == 'tif' else image.width) == WIDTH
    if suffix == 'jpg':
        assert np.abs(shown(result) - rgb).mean() < 12
    else:
        np.testing.assert_array_equal(shown(result), rgb)
    # into another format it goes upright, so that no program needs to know the tag
    for other in 'png', 'bmp':
        photo.save(tmp_path / f'c.{other}', rgb)
        with Image.open(tmp_path / f'c.{other}') as image:
            if suffix != other:
                np.testing.assert_array_equal(np.array(image), rgb)
                assert image.getexif().get(274, 1) == 1


XMP = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_metadata_of_the_same_format(tmp_path, suffix):
    source, result = tmp_path / f'a.{suffix}', tmp_path / f'b.{suffix}'
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt('XML:com.adobe.xmp', XMP.decode())
    texts.add_text('Title', 'A face')
    tags = {270: 'A face', 305: 'Scanner', 700: XMP} if suffix == 'tif' else {}
    in_mode('RGB').save(source, exif=exif(6, tags=tags), icc_profile=SRGB, dpi=(240, 240), pnginfo=texts, xmp=XMP,
                        comment='A face')
    photo = Photo.open(source)
    photo.save(result, changed(photo, (slice(2, 9), slice(3, 8))))
    with Image.open(source) as one, Image.open(result) as other:
        if suffix == 'png':
            one.load(), other.load()
        names = {'exif', 'icc_profile', 'dpi', 'xmp', 'comment', 'Title', 'XML:com.adobe.xmp', 'compression'}
        assert {name: one.info.get(name) for name in names} == {name: other.info.get(name) for name in names}
        assert other.info['icc_profile'] == SRGB and dict(other.getexif())[274] == 6
        assert other.getexif().get_ifd(0x8769) == one.getexif().get_ifd(0x8769) != {}
        if suffix == 'tif':
            for tag in 270, 271, 282, 305, 700:
                assert other.tag_v2[tag] == one.tag_v2[tag]


@pytest.mark.parametrize('mode, source, target, expected, profile', [
    ('RGB', 'jpg', 'png', 'RGB', True), ('RGB', 'jpg', 'tif', 'RGB', True), ('RGB', 'png', 'jpg', 'RGB', True),
    ('RGB', 'tif', 'webp', 'RGB', True), ('RGBA', 'png', 'jpg', 'RGB', True), ('RGBA', 'png', 'webp', 'RGBA', True),
    ('RGBA', 'png', 'bmp', 'RGB', False), ('L', 'png', 'webp', 'RGB', True), ('CMYK', 'jpg', 'png', 'RGB', False),
    ('P', 'png', 'jpg', 'RGB', True), ('P', 'gif', 'png', 'P', False), ('LA', 'png', 'jpg', 'L', False),
    ('1', 'png', 'tif', 'L', False)])
def test_into_another_format(tmp_path, mode, source, target, expected, profile):
    space = b'CMYK' if mode == 'CMYK' else b'RGB '
    icc = SRGB[:16] + space + SRGB[20:]
    options = {} if source == 'gif' else {'icc_profile': icc, 'exif': exif(3)}
    in_mode(mode).save(tmp_path / f'a.{source}', **options)
    photo = Photo.open(tmp_path / f'a.{source}')
    rgb = changed(photo)
    photo.save(tmp_path / f'b.{target}', rgb)
    with Image.open(tmp_path / f'b.{target}') as image:
        assert image.mode == expected and image.info.get('icc_profile') == (icc if profile else None)
        if source != 'gif' and target != 'bmp':
            assert image.getexif()[271] == 'Maker' and image.getexif()[274] == 1
            assert image.getexif().get_ifd(0x8769) == {0x9003: '2024:05:06 07:08:09'}
        error = np.abs(np.array(image.convert('RGB')).astype(int) - rgb)
    assert error.mean() < (4 if target == 'jpg' or mode in ('P', '1') else 1e-9)


def damage(image, options):
    """Mean absolute difference outside the change of (what Photo writes, a new JPEG of quality 95) to the source."""
    folder = options.pop('folder')
    source, result, plain = (folder / name for name in ('a.jpg', 'b.jpg', 'c.jpg'))
    image.save(source, **options)
    photo = Photo.open(source)
    box = slice(80, 120), slice(100, 200)
    rgb = photo.rgb.copy()
    rgb[box] = rgb[box][:, ::-1]
    photo.save(result, rgb)
    Image.fromarray(rgb).save(plain, quality=95)
    # blocks of chroma that are cut by the box change, too
    far = outside(rgb.shape, (slice(48, 160), slice(64, 240)))
    with Image.open(source) as one, Image.open(result) as other:
        assert one.quantization == other.quantization and one.layer == other.layer
        assert one.info.get('progressive') == other.info.get('progressive')
    before = stored(source)[1]
    assert np.abs(stored(result)[1] - rgb)[box].mean() < 12
    return tuple(np.abs(stored(path)[1] - before)[far].mean() for path in (result, plain))


@pytest.mark.parametrize('quality, bars', [(60, (0.13, 0.09)), (75, (0.15, 0.08)), (85, (0.2, 0.07)),
                                           (95, (0.36, 0.1))])
def test_jpeg_blocks_keep_their_coefficients(tmp_path, quality, bars):
    """Bars: with chroma at half the resolution, with chroma in full."""
    with Image.open(PORTRAIT) as image:
        for subsampling, progressive in ((2, False), (1, True), (0, True), (0, False)):
            ours, plain = damage(image.convert('RGB'), {
                'folder': tmp_path, 'quality': quality, 'subsampling': subsampling, 'progressive': progressive})
            # with these tables and half the chroma, the new JPEG is the same
            assert ours < bars[subsampling == 0] and (ours < plain / 2 or (quality, subsampling) == (95, 2))


def test_jpeg_of_inks_and_of_grey(tmp_path):
    for mode in 'L', 'CMYK':
        in_mode(mode).save(tmp_path / 'a.jpg', quality=90)
        photo = Photo.open(tmp_path / 'a.jpg')
        rgb = changed(photo)
        photo.save(tmp_path / 'b.jpg', rgb)
        found, values = stored(tmp_path / 'b.jpg', 'RGB')
        assert stored(tmp_path / 'b.jpg')[0] == mode and np.abs(values - rgb).mean() < 3


def test_jpeg_of_rgb_channels(tmp_path):
    with Image.open(PORTRAIT) as image:
        image.save(tmp_path / 'a.jpg', quality=85, keep_rgb=True)
    photo = Photo.open(tmp_path / 'a.jpg')
    photo.save(tmp_path / 'b.jpg', changed(photo))
    with Image.open(tmp_path / 'b.jpg') as image:
        values = np.array(image).astype(int)
    assert np.abs(values - photo.rgb)[32:].mean() < 0.25


def test_broken_exif_is_kept_and_harmless(tmp_path):
    in_mode('RGB').save(tmp_path / 'a.jpg', exif=exif(6))
    broken = (tmp_path / 'a.jpg').read_bytes().replace(b'MM\0*', b'MM\7*').replace(b'II*\0', b'II*\7')
    (tmp_path / 'a.jpg').write_bytes(broken)
    photo = Photo.open(tmp_path / 'a.jpg')
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    for suffix in 'jpg', 'png', 'tif':
        photo.save(tmp_path / f'b.{suffix}', changed(photo))
        assert Photo.open(tmp_path / f'b.{suffix}').rgb.shape == photo.rgb.shape
    at = broken.index(b'Exif\0\0')
    assert broken[at:at + 40] in (tmp_path / 'b.jpg').read_bytes()


def test_phones_several_pictures(tmp_path):
    small = in_mode('RGB', (16, 16))
    in_mode('RGB').save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[small])
    photo = Photo.open(tmp_path / 'a.jpg')
    assert 'first' in photo.notes[0]
    photo.save(tmp_path / 'b.jpg', changed(photo))
    with Image.open(tmp_path / 'b.jpg') as image:
        assert image.format == 'JPEG' and image.size == (WIDTH, HEIGHT)
    assert b'MPF\0' in (tmp_path / 'a.jpg').read_bytes() and b'MPF\0' not in (tmp_path / 'b.jpg').read_bytes()


def test_bilevel_becomes_grey(tmp_path):
    in_mode('1').save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    assert 'grey' in photo.notes[0]
    rgb = photo.rgb.copy()
    rgb[BOX] = 99
    photo.save(tmp_path / 'b.png', rgb)
    mode, after = stored(tmp_path / 'b.png')
    assert mode == 'L'
    np.testing.assert_array_equal(after, rgb[..., 0])


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
        path.write_bytes(data[:int(len(data) * share)])
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
    """A PNG whose header alone is there."""
    header = b'IHDR' + struct.pack('>IIBBBBB', 20000, 10001, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n\0\0\0\r' + header + struct.pack('>I', zlib.crc32(header))
    return written('big.png', data + b'\0\0\0\0IDAT')(folder)


def colour_16(folder):
    """A TIFF of 2 x 1 pixels of three 16-bit values."""
    tags = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128),
            (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12)]
    data = b'II*\0\x08\0\0\0' + struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *tag) for tag in tags)
    data = (data + b'\0' * 4).ljust(122, b'\0') + struct.pack('<3H', 16, 16, 16) + bytes(12)
    (folder / 'deep.tif').write_bytes(data)
    return folder / 'deep.tif'


@pytest.mark.parametrize('make, message', [
    (lambda folder: folder / 'none.jpg', 'there is no file'), (lambda folder: folder, 'is a folder'),
    (written('a.jpg', b''), 'is empty'), (written('a.jpg', b'hello, I am a text\n' * 20), 'not a photo in a format'),
    (written('a.heic', b'\0\0\0\x18ftypheic' + bytes(40)), 'HEIC photos must be exported as JPEG'),
    *[(cut(suffix, share), 'damaged or cut off|not a photo in a format')
      for suffix in ('jpg', 'png', 'tif', 'webp', 'bmp') for share in (0.02, 0.5, 0.97)],
    (gif, '2 frames or pages'), (pages, '2 frames or pages'),
    (saved('f.tif', lambda: Image.new('F', (9, 9))), 'mode F, which cannot be edited: convert it'),
    (saved('i.tif', lambda: Image.new('I', (9, 9))), 'convert it to a 16-bit PNG'),
    (colour_16, '16 bits .* convert it to a 16-bit PNG'),
    (saved('thumb.tif', lambda: Image.new('RGB', (9, 9)), tiffinfo={254: 1}), 'raw picture'),
    (too_large, '20000x10001 pixels')])
def test_bad_files(tmp_path, recwarn, capfd, make, message):
    path = make(tmp_path)
    with pytest.raises(GazeError, match=message) as caught:
        Photo.open(path)
    assert str(caught.value).startswith('--input') and path.name in str(caught.value)
    assert '\n' not in str(caught.value) and not recwarn.list and capfd.readouterr() == ('', '')


def test_large_pictures_open_without_warnings(tmp_path, recwarn, capfd):
    Image.new('L', (20000, 9500), 77).save(tmp_path / 'a.png', compress_level=1)
    limit = Image.MAX_IMAGE_PIXELS
    assert Photo.open(tmp_path / 'a.png').rgb.shape == (9500, 20000, 3)
    assert not recwarn.list and capfd.readouterr() == ('', '') and Image.MAX_IMAGE_PIXELS == limit


MEMORY = """
import re, sys
from gaze_tf.editing.photo import Photo
peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) * 1024
start = peak()
photo = Photo.open(sys.argv[1])
rgb = photo.rgb.copy()
rgb[1000:1200, 500:900] //= 2
photo.save(sys.argv[2], rgb)
print((peak() - start) / (rgb.size // 3), 'tensorflow' in sys.modules)
"""


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_memory(tmp_path, suffix):
    """Bytes per pixel: 3 of the photo, 3 of the change, 4 of Pillow's pixels, and little more."""
    source = tmp_path / f'a.{suffix}'
    portrait((5000, 3000)).save(source, **({'compress_level': 1} if suffix == 'png' else {}))
    result = subprocess.run([sys.executable, '-c', MEMORY, source, tmp_path / f'b.{suffix}'], check=True, text=True,
                            capture_output=True)
    peak, tensorflow = result.stdout.split()
    assert 10 <= float(peak) < 13.5 and tensorflow == 'False'


@pytest.mark.parametrize('name', ['b.gif', 'b', 'b.heic'])
def test_unknown_suffixes(tmp_path, name):
    photo = Photo.open(PORTRAIT)
    with pytest.raises(GazeError, match=r'--output=.*\.jpg, \.jpeg, \.png, \.tif, \.tiff, \.webp, \.bmp'):
        photo.save(tmp_path / name, photo.rgb)
    assert os.listdir(tmp_path) == []


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 1000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp', 'tif'])
@pytest.mark.parametrize('how', ['folder', 'disk'])
def test_disk_errors_leave_the_earlier_file(tmp_path, suffix, how):
    photo, path = Photo.open(PORTRAIT), tmp_path / 'out' / f'b.{suffix}'
    path.parent.mkdir()
    path.write_text('earlier')
    kept, rgb = [path.name], changed(photo)
    if how == 'folder':
        (path.parent / f'.b.{suffix}.part').mkdir()
        kept = [f'.b.{suffix}.part', path.name]
    with pytest.raises(GazeError, match='--output: .* cannot be written'):
        with full_disk() if how == 'disk' else contextlib.nullcontext():
            photo.save(path, rgb)
    assert path.read_text() == 'earlier' and sorted(os.listdir(path.parent)) == kept


def test_too_large_for_the_format(tmp_path):
    Image.new('RGB', (17000, 4)).save(tmp_path / 'a.png')
    photo = Photo.open(tmp_path / 'a.png')
    with pytest.raises(GazeError, match='--output: .*b.webp cannot be written'):
        photo.save(tmp_path / 'b.webp', photo.rgb)
    assert os.listdir(tmp_path) == ['a.png']
