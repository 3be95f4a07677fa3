"""XMP packets of edited photos: claims that no longer hold are taken out, and the mark of an edited picture is put in."""

from typing import NamedTuple
from xml.dom import minidom
from xml.parsers.expat import ExpatError

# IPTC: "the compositing of captured and trained algorithmic media", which editors set on what they repaint
MARK = 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia'
_MADE = MARK, 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'
# source types that deny that anything was repainted
_CAPTURED = (
    '/digitalCapture',
    '/computationalCapture',
    '/negativeFilm',
    '/positiveFilm',
    '/print',
    '/minorHumanEdits',
    '/screenCapture',
    '/compositeCapture',
)
_RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'
_XMLNS = 'http://www.w3.org/2000/xmlns/'
_IPTC, _SOURCE_TYPE = 'http://iptc.org/std/Iptc4xmpExt/2008-02-29/', 'DigitalSourceType'
_NOTE = 'http://ns.adobe.com/xmp/note/'
# by the beginnings of their namespaces, what says where in the file other pictures and videos are: Ultra HDR's and Apple's
# gain maps, Google's containers, Dynamic Depth, original pictures of lens blur; portraits and live photos of other makers
_PICTURES = (
    'http://ns.adobe.com/hdr-gain-map/',
    'http://ns.apple.com/HDRGainMap/',
    'http://ns.apple.com/pixeldatainfo/',
    'http://ns.google.com/photos/1.0/container/',
    'http://ns.google.com/photos/dd/',
    'http://ns.google.com/photos/1.0/image/',
    'http://ns.xiaomi.com/photos/',
    'http://ns.oplus.com/photos/',
)
_CAMERA = 'http://ns.google.com/photos/1.0/camera/'
# what extended XMP, in segments of its own, holds the data of
_EXTENDED = ('http://ns.google.com/photos/1.0/depthmap/', 'http://ns.google.com/photos/1.0/audio/')
# a packet with none of these words makes no such claim
_WORDS = (
    b'hdr-gain-map',
    b'HDRGainMap',
    b'pixeldatainfo',
    b'ns.google.com/photos/',
    b'ns.xiaomi.com',
    b'ns.oplus.com',
    b'provenance',
    b'Thumbnails',
    b'DigitalSourceType',
)
_EMPTY = (
    f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta><?xpacket end="w"?>'
).encode()


class Renewed(NamedTuple):
    """packet: bytes, or None where nothing is left; claims: which kinds were taken out of it: 'pictures' (of further pictures
    or videos in the file), 'credentials', 'preview', 'source', or 'unreadable', of which nothing is kept."""

    packet: bytes | None
    claims: frozenset = frozenset()


def renewed(packet, mark=False, extended=True):
    """The packet (bytes, or None) of a changed picture, of whose file only the picture itself stays, as Renewed.

    mark: whether to add IPTC's digital source type; extended: whether the extended XMP that it may have stays. A packet of
    which nothing is to be changed is returned as it was.
    """
    plain = (packet or b'').replace(b'\0', b'')  # UTF-16, too
    if not mark and extended and not any(word in plain for word in _WORDS):
        return Renewed(packet)
    claims = set()
    # a parser of foreign text raises many things, and deep nesting ends in a RecursionError
    try:
        document = _parsed(packet or _EMPTY)
        _take_out(document, claims, mark, extended)
        if not (claims or mark):
            return Renewed(packet)
        text = _text(document, mark)
    except (ExpatError, ValueError, LookupError, RecursionError):
        document, claims = _parsed(_EMPTY), {'unreadable'}
        text = _text(document, mark)
    return Renewed(text, frozenset(claims))


def makes_claims(packet):
    """Whether any word of it is about other pictures, in a packet that need not be whole."""
    return any(namespace.encode() in packet for namespace in _PICTURES) or b'Thumbnails' in packet


def _parsed(packet):
    wide = packet.startswith((b'\xff\xfe', b'\xfe\xff'))
    document = minidom.parseString(packet if wide else packet.strip(b'\0 \t\r\n'))
    if document.doctype is not None:
        raise ValueError('XMP has no document type.')
    return document


def _take_out(document, claims, mark, extended):
    """Removes void properties of the described picture itself; adds to `claims` what they are."""
    for description in document.getElementsByTagNameNS(_RDF, 'Description'):
        if description.parentNode.namespaceURI != _RDF or description.parentNode.localName != 'RDF':
            continue
        void = [
            (node, kind)
            for node in _properties(description)
            if (kind := _void(node.namespaceURI, node.localName, _value(node), mark, extended))
        ]
        for node, kind in void:
            claims.add(kind)
            (description.removeAttributeNode if node.nodeType == node.ATTRIBUTE_NODE else description.removeChild)(node)
        if void and not _properties(description):
            description.parentNode.removeChild(description)
    if claims:
        _forget_prefixes(document.documentElement)


def _void(namespace, name, value, mark, extended):
    """What kind of claim a property is that does not hold any more; '' if it may stay."""
    namespace = namespace or ''
    if namespace.startswith(_PICTURES) or namespace == _CAMERA and name.startswith(('MotionPhoto', 'MicroVideo')):
        return 'pictures'
    if not extended and (namespace.startswith(_EXTENDED) or (namespace, name) == (_NOTE, 'HasExtendedXMP')):
        return 'pictures'
    if (namespace, name) == ('http://purl.org/dc/terms/', 'provenance'):
        return 'credentials'
    if (namespace, name) == ('http://ns.adobe.com/xap/1.0/', 'Thumbnails'):
        return 'preview'
    if (namespace, name) == (_IPTC, _SOURCE_TYPE):
        return 'source' if value.endswith(_CAPTURED) or mark and value not in _MADE else ''
    return ''


def _properties(description):
    """What a description says: attributes and elements."""
    attributes = [
        node
        for node in description.attributes.values()
        if node.namespaceURI != _XMLNS and (node.namespaceURI, node.localName) != (_RDF, 'about')
    ]
    return attributes + [node for node in description.childNodes if node.nodeType == node.ELEMENT_NODE]


def _value(node):
    """The text of a simple property."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        return node.value
    return (
        node.getAttributeNS(_RDF, 'resource')
        or ''.join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE).strip()
    )


def _forget_prefixes(root):
    """Removes declarations of prefixes that only void properties had."""
    for element in [root, *root.getElementsByTagName('*')]:
        for attribute in list(element.attributes.values()):
            ours = attribute.namespaceURI == _XMLNS and attribute.value.startswith((*_PICTURES, *_EXTENDED, _CAMERA))
            if ours and f'{attribute.localName}:' not in element.toxml():
                element.removeAttributeNode(attribute)


def _text(document, mark):
    """The packet of a document, marked if that is wanted; None if it says nothing."""
    found = document.getElementsByTagNameNS(_RDF, 'RDF')
    if not found:
        found = [document.createElement('rdf:RDF')]
        found[0].setAttribute('xmlns:rdf', _RDF)
        document.documentElement.appendChild(found[0])
    described = document.getElementsByTagNameNS(_RDF, 'Description')
    if mark and not any(
        _is_source_type(node) and _value(node) in _MADE for each in described for node in _properties(each)
    ):
        description = document.createElement('rdf:Description')
        for name, value in {
            'xmlns:rdf': _RDF,
            'rdf:about': described[0].getAttributeNS(_RDF, 'about') if described else '',
            'xmlns:Iptc4xmpExt': _IPTC,
            'Iptc4xmpExt:DigitalSourceType': MARK,
        }.items():
            description.setAttribute(name, value)
        found[0].appendChild(description)
    if not any(node.nodeType == node.ELEMENT_NODE for node in found[0].childNodes):
        return None
    return ''.join(node.toxml() for node in document.childNodes).encode()


def _is_source_type(node):
    return (node.namespaceURI, node.localName) == (_IPTC, _SOURCE_TYPE)
