"""Opens TIFFs so that the decoder gets only the checked tags that lay out the pixels."""

import io
import struct
from typing import NamedTuple

from PIL import Image, ImageChops, ImageFile, TiffImagePlugin

from gaze_tf.media import tiff_tags
from gaze_tf.media.tiff_tags import Reader, integers

_WIDTH, _COMPRESSION, _TILES = 256, 259, (322, 323)
# tags for the layout of pixels whose values are whole numbers; those from 512 on are for old JPEG compression
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
# such tags whose values are bytes or fractions → the types that they may have
_LAYOUT_OF = {347: (1, 7), 529: (5,), 532: (5,)}
# tags about the storage of pixels that have no effect, or that the encoder writes itself
_IDLE = (254, 255, 263, 264, 265, 280, 281, 288, 289, 290, 291, 297, 301, 326, 327, 328, 332, 334, 336, 340, 341)
# most pixels of a tile
_MOST = 1 << 26
# fax compressions → their names in Pillow
_FAX = {2: 'tiff_ccitt', 3: 'group3', 4: 'group4'}
# bytes of the longest end marker
_END = 9
_REVERSED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))


class TiffParts(NamedTuple):
    """What a TIFF holds.

    Attributes:
      image: the first page, not loaded yet.
      tags: {number: Tag or dict} of the tags that describe the picture.
      dropped: numbers of the tags that will be left out of an edited file.
      pages: number of pages.
      reduced: whether the first page is a smaller version of another one.
    """

    image: 'TiffFile'
    tags: tiff_tags.Tags
    dropped: list[int]
    pages: int
    reduced: bool


class TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF image without the limit of pixels, which holds for the whole process, and without turning."""

    def load_prepare(self) -> None:
        self.im = Image.core.new(self.mode, self.size)
        ImageFile.ImageFile.load_prepare(self)

    def load_end(self) -> None:
        pass


def open_first_page(data: bytes) -> TiffParts:
    """Opens the first page of a TIFF. Raises ValueError if it is damaged."""
    reader = Reader(data)
    tags, bad, following = reader.read(reader.first)
    layout: tiff_tags.Tags = {
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
    kept, dropped = tiff_tags.check_tags({number: tag for number, tag in tags.items() if number not in known})
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
    return TiffParts(TiffFile(clean), kept, dropped, 1 + _following(reader, following), reduced)


def _for_decoder(number: int, tag: tiff_tags.Tag | tiff_tags.Tags, big: bool) -> tiff_tags.Tag:
    """Returns a tag of the layout in the type that decoders expect. Raises ValueError if it has another one."""
    if isinstance(tag, dict):
        raise ValueError(f'its TIFF tag {number} is a directory')
    if number in _LAYOUT_OF:
        if tag.kind in _LAYOUT_OF[number]:
            return tag
    elif (values := integers(tag)) and (big or max(values) < 1 << 32):
        return tiff_tags.of_integers(values, big)
    raise ValueError(f'its TIFF tag {number} has a value of another type')


def _following(reader: Reader, position: int) -> int:
    """Counts the pages that follow the first."""
    seen: set[int] = set()
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


def check_fax(image: TiffFile, data: bytes) -> None:
    """Raises ValueError if rows are missing in the data of a loaded TiffFile in fax compression (an image of mode '1').

    libtiff does not report missing rows, and leaves their memory as it was. These compressions have only one way to
    write a row, so the rows are compressed again and compared.
    """
    tags, name = image.tag_v2, _FAX.get(image.tag_v2.get(_COMPRESSION, 0))
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
        # the last bytes may hold an end marker, which not all encoders write, and zeros behind it
        same = max(len(written) - 4, 0)
        if found[:same] != written[:same] or len(found.rstrip(b'\0')) > len(written) + _END:
            raise ValueError(f'rows from {top} are not in its fax compression')
    if len(offsets) * rows < image.height:
        raise ValueError('rows are missing in its fax compression')


def _strip(data: bytes) -> bytes:
    """Returns the compressed bytes of a TIFF with one strip."""
    tags, _, _ = (reader := Reader(data)).read(reader.first)
    start, size = (integers(tags[number])[0] for number in (273, 279))
    return data[start : start + size]
