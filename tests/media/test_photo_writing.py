"""What an edited photo preserves of its file: orientation, metadata, the coding of JPEGs."""

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from gaze_tf.media.photo import Photo
from tests.photos import HEIGHT, PORTRAIT, SRGB, WIDTH, changed, in_mode, outside, stored


def exif(orientation=1, tags=()):
    exif = Image.Exif()
    exif.update({271: 'Maker', 274: orientation, **dict(tags)})
    exif[0x8769] = {0x9003: '2024:05:06 07:08:09'}
    return exif.tobytes()


def shown(path):
    """Returns upright pixels. Pillow itself turns those of TIFFs."""
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
    in_mode('RGB').save(
        source, exif=exif(6, tags=tags), icc_profile=SRGB, dpi=(240, 240), pnginfo=texts, xmp=XMP, comment='A face'
    )
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


@pytest.mark.parametrize(
    'mode, source, target, expected, profile',
    [
        ('RGB', 'jpg', 'png', 'RGB', True),
        ('RGB', 'jpg', 'tif', 'RGB', True),
        ('RGB', 'png', 'jpg', 'RGB', True),
        ('RGB', 'tif', 'webp', 'RGB', True),
        ('RGBA', 'png', 'jpg', 'RGB', True),
        ('RGBA', 'png', 'webp', 'RGBA', True),
        ('RGBA', 'png', 'bmp', 'RGB', False),
        ('L', 'png', 'webp', 'RGB', True),
        ('CMYK', 'jpg', 'png', 'RGB', False),
        ('P', 'png', 'jpg', 'RGB', True),
        ('P', 'gif', 'png', 'P', False),
        ('LA', 'png', 'jpg', 'L', False),
        ('1', 'png', 'tif', 'L', False),
    ],
)
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
    """Returns the mean absolute differences to the source, outside the edit, of (our JPEG, a new one of quality 95)."""
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


@pytest.mark.parametrize(
    'quality, bars', [(60, (0.13, 0.09)), (75, (0.15, 0.08)), (85, (0.2, 0.07)), (95, (0.36, 0.1))]
)
def test_jpeg_blocks_keep_their_coefficients(tmp_path, quality, bars):
    """bars: with chroma at half the resolution, with full chroma."""
    with Image.open(PORTRAIT) as image:
        for subsampling, progressive in ((2, False), (1, True), (0, True), (0, False)):
            ours, plain = damage(
                image.convert('RGB'),
                {'folder': tmp_path, 'quality': quality, 'subsampling': subsampling, 'progressive': progressive},
            )
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
    assert broken[at : at + 40] in (tmp_path / 'b.jpg').read_bytes()


def test_phones_several_pictures(tmp_path):
    small = in_mode('RGB', (16, 16))
    in_mode('RGB').save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[small])
    photo = Photo.open(tmp_path / 'a.jpg')
    assert len(photo.notes) == 1 and 'first' in photo.notes[0]
    photo.save(tmp_path / 'b.jpg', changed(photo))
    with Image.open(tmp_path / 'b.jpg') as image:
        assert image.format == 'JPEG' and image.size == (WIDTH, HEIGHT)
    assert b'MPF\0' in (tmp_path / 'a.jpg').read_bytes() and b'MPF\0' not in (tmp_path / 'b.jpg').read_bytes()
