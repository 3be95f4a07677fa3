"""HEIC photos, which need an extra package."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from gaze_tf.media.photo import Photo
from tests.photos import SRGB, portrait


def heic(orientation, size=(160, 120)):
    """Returns (the bytes of the portrait as HEIC with this orientation, what it shows: int [H, W, 3])."""
    pillow_heif.register_heif_opener()
    image, exif, file = portrait(size), Image.Exif(), io.BytesIO()
    exif.update({271: 'Maker', 274: orientation})
    image.save(file, 'HEIF', quality=95, exif=exif.tobytes(), icc_profile=SRGB)
    image.getexif()[274] = orientation
    return file.getvalue(), np.array(ImageOps.exif_transpose(image)).astype(int)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('target', ['jpg', 'png', 'tif'])
def test_turned_exactly_once(tmp_path, orientation, target):
    data, shown = heic(orientation)
    (tmp_path / 'a.heic').write_bytes(data)
    photo = Photo.open(tmp_path / 'a.heic')
    assert photo.rgb.shape == shown.shape and np.abs(photo.rgb - shown).mean() < 3
    rgb = photo.rgb.copy()
    rgb[20:60, 30:90] = 255, 0, 0
    photo.save(tmp_path / f'b.{target}', rgb)
    again = Photo.open(tmp_path / f'b.{target}').rgb
    assert again.shape == shown.shape and np.abs(again.astype(int) - rgb).mean() < 3
    with Image.open(tmp_path / f'b.{target}') as image:
        assert (
            image.getexif().get(274, 1) == 1 and image.getexif()[271] == 'Maker' and image.info['icc_profile'] == SRGB
        )


def test_a_tag_beside_the_turn_of_the_file(tmp_path):
    """The turn in the file counts. EXIF, which repeats it here, turns nothing."""
    data, shown = heic(6)
    others = [
        data.replace(struct.pack('>HHIH', 274, 3, 1, 6), struct.pack('>HHIH', 274, 3, 1, value)) for value in (1, 8)
    ]
    assert b'irot' in data and data not in others
    for number, each in enumerate((data, *others)):
        path = tmp_path / f'{number}.heic'
        path.write_bytes(each)
        assert np.abs(Photo.open(path).rgb - shown).mean() < 3


def test_notes(tmp_path):
    data, _ = heic(1)
    (tmp_path / 'a.heic').write_bytes(data + struct.pack('>I4s', 12, b'mpvd') + b'film')
    assert 'The video in the file' in Photo.open(tmp_path / 'a.heic').notes[0]
    (tmp_path / 'b.heic').write_bytes(data)
    assert not Photo.open(tmp_path / 'b.heic').notes
