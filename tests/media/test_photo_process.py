"""Reading and writing photos changes nothing in the process, and whatever fails ends in a sentence."""

import struct
import sys
import threading
import warnings

import pytest
from PIL import Image

from gaze_tf.errors import GazeError
from gaze_tf.media import photo_reading, photo_writing
from gaze_tf.media.photo import Photo
from tests.photos import changed, encoded, in_mode, opened, portrait, refused, tiff


def test_reading_and_writing_touch_nothing_of_the_process(tmp_path, monkeypatch):
    """Also in several threads, and with pictures beyond Pillow's limit, which a caller has set."""
    big = portrait((120, 90))
    exif = b'Exif\0\0II*\0\x08\0\0\0\x09\0'
    for suffix, options in ('png', {}), ('jpg', {'exif': exif}), ('tif', {'compression': 'tiff_lzw'}):
        big.save(tmp_path / f'a.{suffix}', **options)
    big.quantize(64).save(tmp_path / 'p.png', transparency=bytes(range(64)))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10_000)
    filters, seen, failed = list(warnings.filters), set(), []

    def watch(*_):
        seen.add((Image.MAX_IMAGE_PIXELS, warnings.filters == filters))

    def work(name):
        # at each call of a function
        sys.settrace(watch)
        try:
            photo = Photo.open(tmp_path / name)
            photo.save(tmp_path / f'out-{name}', changed(photo))
        except Exception as error:
            failed.append(error)

    with monkeypatch.context() as patch:
        patch.setattr(warnings, 'catch_warnings', None)
        threads = [threading.Thread(target=work, args=(name,)) for name in ('a.png', 'a.jpg', 'a.tif', 'p.png')]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed and seen == {(10_000, True)}


def test_warnings_as_errors_are_no_damage(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        image = in_mode('P')
        for name, data in {
            'a.png': encoded(image, 'PNG', transparency=bytes(range(64))),
            'a.jpg': encoded(in_mode('RGB'), 'JPEG', exif=b'Exif\0\0II*\0\x08\0\0\0\x09\0'),
            'a.tif': tiff((305, 2, 99, struct.pack('<I', 1 << 30))),
        }.items():
            photo = opened(tmp_path, name, data)
            photo.save(tmp_path / f'b{name}', changed(photo))


@pytest.mark.parametrize(
    'rubbish',
    [
        b'',
        b'rubbish',
        encoded(portrait((20, 20)), 'PNG'),
        encoded(portrait(), 'BMP'),
        encoded(portrait(), 'PNG') + b'behind the end',
    ],
)
def test_what_does_not_open_does_not_take_its_place(tmp_path, monkeypatch, rubbish):
    photo = opened(tmp_path, 'a.png', encoded(in_mode('RGB'), 'PNG'))
    (tmp_path / 'b.png').write_text('earlier')
    monkeypatch.setattr(photo_writing, 'write_same_format', lambda file, *args: file.write(rubbish))
    with pytest.raises(GazeError, match='b.png: cannot be written'):
        photo.save(tmp_path / 'b.png', changed(photo))
    assert (tmp_path / 'b.png').read_text() == 'earlier' and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('error', [KeyError('x'), OverflowError(), struct.error('odd'), MemoryError(), SystemError()])
def test_whatever_decoders_and_encoders_raise_is_one_sentence(tmp_path, monkeypatch, error):
    def fail(*args):
        raise error

    photo = opened(tmp_path, 'a.png', encoded(in_mode('RGB'), 'PNG'))
    monkeypatch.setattr(photo_writing, 'write_same_format', fail)
    with pytest.raises(GazeError, match='b.png: cannot be written'):
        photo.save(tmp_path / 'b.png', changed(photo))
    monkeypatch.setattr(photo_reading, '_png', fail)
    refused(tmp_path, 'a.png', photo.data, 'a.png: .*(damaged or cut off|enough memory)')
