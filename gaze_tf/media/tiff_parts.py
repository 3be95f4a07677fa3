"""A TIFF as a decoder may see it: with the tags that lay out its pixels, checked, and no others."""

import io
import struct
from typing import NamedTuple

from PIL import Image, ImageChops, ImageFile, TiffImagePlugin

from gaze_tf.media import tiff_tags
from gaze_tf.media.tiff_tags import Reader, integers

_WIDTH, _COMPRESSION, _TILES = 256, 259, (322, 323)
# whole numbers; of these that of old JPEG from 512
_LAYOUT = (
    _WIDTH,
    257,
    258,
    _COMPRESSION,
    262,
    266,
    273,
    277,
    278,
    279,
    284,
    292,
    293,
    317,
    320,
    *_TILES,
    324,
    325,
    338,
    339,
    512,
    513,
    514,
    515,
    517,
    518,
    519,
    520,
    521,
    530,
    531,
)
# bytes and fractions, with their types
_LAYOUT_OF = {347: (1, 7), 529: (5,), 532: (5,)}
# what is said of how pixels are stored and has no effect, or is said again by what writes them
_IDLE = (254, 255, 263, 264, 265, 280, 281, 288, 289, 290, 291, 297, 301, 326, 327, 328, 332, 334, 336, 340, 341)
# pixels of a tile
_MOST = 1 << 26
# by compression, in Pillow's words
_FAX = {2: 'tiff_ccitt', 3: 'group3', 4: 'group4'}
# bytes of the longest end marker
_END = 9
_REVERSED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))


class Parts(NamedTuple):
    """image: File of the first page, not loaded; tags: {number: Tag or dict} of those that are about the picture; dropped:
    numbers of those that will be left out; pages: how many; reduced: whether the first is a smaller version of another."""

    image: Image.Image
    tags: dict
    dropped: list
    pages: int
    reduced: bool


class File(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF without its limit of pixels, which is the whole process's, and without turning."""

    def load_prepare(self):
        self.im = Image.core.new(self.mode, self.size)
        ImageFile.ImageFile.load_prepare(self)

    def load_end(self):
        pass


def opened(data):
    """The Parts of a TIFF; raises ValueError."""
    reader = Reader(data)
    tags, bad, following = reader.read(reader.first)
    layout = {
        number: _for_decoder(number, tag, reader.big)
        for number, tag in tags.items()
        if number in _LAYOUT or number in _LAYOUT_OF
    }
    known = {*_LAYOUT, *_LAYOUT_OF, *_IDLE}
    if missing := [number for number in bad if number in _LAYOUT or number in _LAYOUT_OF]:
        raise ValueError(f'its TIFF tag {missing[0]} cannot be read')
    if 262 in layout and integers(layout[262]) == (3,) and 320 not in layout:
        raise ValueError('its palette is missing')
    if all(tag in layout for tag in _TILES):
        width, height = (integers(layout[tag])[0] for tag in _TILES)
        if width * height > _MOST:
            raise ValueError(f'its tiles have {width}x{height} pixels')
    kept, dropped = tiff_tags.checked({number: tag for number, tag in tags.items() if number not in known})
    start = len(data) + len(data) % 2
    more, directory = tiff_tags.write(layout, start, reader.order, reader.big)
    word, head = ('Q', 8) if reader.big else ('I', 4)
    clean = io.BytesIO(
        b''.join(
            [
                data[:head],
                struct.pack(reader.order + word, directory),
                memoryview(data)[head + struct.calcsize(word) :],
                bytes(len(data) % 2),
                more,
            ]
        )
    )
    reduced = 254 in tags and sum(integers(tags[254])) & 1 == 1
    dropped += [number for number in bad if number not in known]
    return Parts(File(clean), kept, dropped, 1 + _following(reader, following), reduced)


def _for_decoder(number, tag, big):
    """A tag of the layout, in the type that decoders expect; raises ValueError."""
    if number in _LAYOUT_OF:
        if tag.kind in _LAYOUT_OF[number]:
            return tag
    elif (values := integers(tag)) and (big or max(values) < 1 << 32):
        return tiff_tags.of_integers(values, big)
    raise ValueError(f'its TIFF tag {number} has a value of another type')


def _following(reader, position):
    """How many pages follow."""
    seen = set()
    while position and position not in seen and len(seen) < 99:
        try:
            tags, _, following = reader.read(position)
        except ValueError:
            break
        if _WIDTH not in tags:
            break
        seen.add(position)
        position = following
    return len(seen)


def check_fax(image, data):
    """Raises ValueError if the pixels of a loaded File in fax compression, image of mode '1', are not all in the data.

    libtiff leaves rows that it does not find as memory was before, without a word. The compressions allow one way to write
    a row, so that rows written again must be what is there.
    """
    tags, name = image.tag_v2, _FAX.get(image.tag_v2.get(_COMPRESSION))
    if name is None:
        return
    offsets, rows = tags.get(273, ()), min(tags.get(278, image.height), image.height)
    for top, start, size in zip(range(0, image.height, rows), offsets, tags.get(279, ())):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip, file = ImageChops.invert(strip) if tags.get(262) == 0 else strip, io.BytesIO()
        strip.save(file, 'TIFF', compression=name, strip_size=1 << 30)
        written, found = _strip(file.getvalue()), data[start : start + size]
        if tags.get(266) == 2:
            found = found.translate(_REVERSED)
        # the last bytes may hold an end marker, which is not everywhere, or zeros behind it
        same = max(len(written) - 4, 0)
        if found[:same] != written[:same] or len(found.rstrip(b'\0')) > len(written) + _END:
            raise ValueError(f'rows from {top} are not in its fax compression')
    if len(offsets) * rows < image.height:
        raise ValueError('rows are missing in its fax compression')


def _strip(data):
    """The compressed bytes of a TIFF with one strip."""
    tags, _, _ = (reader := Reader(data)).read(reader.first)
    start, size = (integers(tags[number])[0] for number in (273, 279))
    return data[start : start + size]
