"""XMP of edited photos: claims that became false are removed, all else is preserved, and the mark is added once."""

import pytest

from gaze_tf.media import xmp
from tests.media.xmp_packets import CONTAINER, DIRECTORY, MOTION, packet


@pytest.mark.parametrize(
    'properties, elements, claims, word',
    [
        (CONTAINER, DIRECTORY, {'pictures'}, 'hdrgm'),
        (CONTAINER, DIRECTORY, {'pictures'}, 'Container'),
        (
            'xmlns:g="http://ns.google.com/photos/1.0/camera/"',
            '<g:MotionPhoto>1</g:MotionPhoto>',
            {'pictures'},
            'MotionPhoto',
        ),
        ('xmlns:d="http://ns.google.com/photos/dd/1.0/device/" d:Version="1"', '', {'pictures'}, 'photos/dd'),
        ('xmlns:H="http://ns.apple.com/HDRGainMap/1.0/" H:HDRGainMapVersion="65536"', '', {'pictures'}, 'GainMap'),
        (
            'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://x.org/m.c2pa"',
            '',
            {'credentials'},
            'provenance',
        ),
        (
            'xmlns:xmp="http://ns.adobe.com/xap/1.0/"',
            '<xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails>',
            {'preview'},
            'Thumbnails',
        ),
        (
            'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="http://cv.iptc.org/newscodes/'
            'digitalsourcetype/digitalCapture"',
            '',
            {'source'},
            'digitalCapture',
        ),
    ],
)
def test_void_claims_are_taken_out_of_xmp(properties, elements, claims, word):
    old = packet(properties + ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Maker"', elements)
    new = xmp.renew(old)
    assert new.claims == claims and word.encode() in old and word.encode() not in new.packet
    assert b'<dc:format>image/jpeg</dc:format>' in new.packet and b'tiff:Make="Maker"' in new.packet
    assert new.packet.startswith(b'<?xpacket begin="\xef\xbb\xbf"') and new.packet.endswith(b'<?xpacket end="w"?>')
    assert xmp.renew(new.packet) == (new.packet, frozenset())
    wide = b'\xff\xfe' + old[old.index(b'<x:') : old.index(b'<?xpacket end')].decode().encode('utf-16-le')
    assert xmp.renew(wide).claims == claims


@pytest.mark.parametrize(
    'old',
    [
        None,
        b'',
        b'no XML',
        packet('xmlns:g="http://ns.google.com/photos/1.0/camera/" g:BurstID="7"'),
        packet('xmlns:g="http://ns.google.com/photos/1.0/panorama/" g:ProjectionType="x"'),
        packet(
            'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            'e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
        ),
    ],
)
def test_other_xmp_stays_to_the_byte(old):
    assert xmp.renew(old) == (old, frozenset())


@pytest.mark.parametrize(
    'old',
    [
        MOTION[:-60],
        b'<a>' * 5000 + b'provenance' + b'</a>' * 5000,
        b'<!DOCTYPE a [<!ENTITY b "provenance">]>' + MOTION[MOTION.index(b'<x:') :],
    ],
)
def test_claims_in_xmp_that_cannot_be_read(old):
    assert xmp.renew(old) == (None, {'unreadable'})
    assert xmp.renew(old, mark=True).packet == xmp.renew(None, mark=True).packet


def test_the_mark_is_set_once():
    for old in None, MOTION, packet('', about='uuid:1'), b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>':
        new = xmp.renew(old, mark=True).packet
        assert new.count(xmp.MARK.encode()) == 1
        assert xmp.renew(new, mark=True).packet.count(xmp.MARK.encode()) == 1
    # all descriptions are about the same
    assert xmp.renew(packet('', about='uuid:1'), mark=True).packet.count(b'rdf:about="uuid:1"') == 2
    captured = xmp.renew(None, mark=True).packet.replace(b'compositeWithTrainedAlgorithmicMedia', b'digitalCapture')
    assert b'digitalCapture' not in xmp.renew(captured, mark=True).packet
    # what is made by a model as a whole stays that
    made = captured.replace(b'digitalCapture', b'trainedAlgorithmicMedia')
    assert xmp.MARK.encode() not in xmp.renew(made, mark=True).packet
