"""Corrects the XMP of edited photos: removes claims that are no longer true, and adds the AI mark."""

from typing import Any, NamedTuple
from xml.dom import minidom
from xml.parsers.expat import ExpatError

# IPTC: "the compositing of captured and trained algorithmic media", which editors set on pictures that they repaint
MARK = 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia'
_MADE = MARK, 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'
# source types that exclude that a model repainted anything
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
# Beginnings of the namespaces of properties that say where other pictures and videos are in the file: gain maps (Ultra
# HDR, Apple), Google's containers, Dynamic Depth, the original pictures of lens blur, portraits and live photos of
# other makers.
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
# namespaces of properties whose data are in extended XMP, which has its own segments
_EXTENDED = ('http://ns.google.com/photos/1.0/depthmap/', 'http://ns.google.com/photos/1.0/audio/')
# a packet without any of these words makes no claim that may be false
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
    """A corrected XMP packet.

    Attributes:
      packet: bytes, or None if nothing is left.
      claims: the kinds of claims that were removed: 'pictures' (more pictures or videos in the file), 'credentials',
        'preview', 'source', or 'unreadable' (the whole packet was removed).
    """

    packet: bytes | None
    claims: frozenset[str] = frozenset()


def renew(packet: bytes | None, mark: bool = False, extended: bool = True) -> Renewed:
    """Corrects the XMP packet of an edited photo. A packet that needs no change is returned as it is.

    Args:
      packet: the packet, or None.
      mark: whether to add the IPTC digital source type.
      extended: whether the file's extended XMP is preserved, if it has any.
    """
    plain = (packet or b'').replace(b'\0', b'')  # UTF-16, too
    if not mark and extended and not any(word in plain for word in _WORDS):
        return Renewed(packet)
    claims: set[str] = set()
    # the parser raises many kinds of exceptions for damaged text, and a RecursionError for deep nesting
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


def makes_claims(packet: bytes) -> bool:
    """Whether a packet, which may be incomplete, says anything about other pictures."""
    return any(namespace.encode() in packet for namespace in _PICTURES) or b'Thumbnails' in packet


def _parsed(packet: bytes) -> Any:
    wide = packet.startswith((b'\xff\xfe', b'\xfe\xff'))
    document = minidom.parseString(packet if wide else packet.strip(b'\0 \t\r\n'))
    if document.doctype is not None:
        raise ValueError('XMP has no document type.')
    return document


def _take_out(document: Any, claims: set[str], mark: bool, extended: bool) -> None:
    """Removes properties of the picture that are no longer true, and adds their kinds to `claims`."""
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


def _void(namespace: str | None, name: str, value: str, mark: bool, extended: bool) -> str:
    """Returns the kind of claim that a property makes and that is no longer true; '' if the property may stay."""
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


def _properties(description: Any) -> list[Any]:
    """Returns the properties in a description: attributes and elements."""
    attributes = [
        node
        for node in description.attributes.values()
        if node.namespaceURI != _XMLNS and (node.namespaceURI, node.localName) != (_RDF, 'about')
    ]
    return attributes + [node for node in description.childNodes if node.nodeType == node.ELEMENT_NODE]


def _value(node: Any) -> str:
    """Returns the text of a simple property."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        return node.value
    return (
        node.getAttributeNS(_RDF, 'resource')
        or ''.join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE).strip()
    )


def _forget_prefixes(root: Any) -> None:
    """Removes declarations of prefixes that only removed properties used."""
    for element in [root, *root.getElementsByTagName('*')]:
        for attribute in list(element.attributes.values()):
            ours = attribute.namespaceURI == _XMLNS and attribute.value.startswith((*_PICTURES, *_EXTENDED, _CAMERA))
            if ours and f'{attribute.localName}:' not in element.toxml():
                element.removeAttributeNode(attribute)


def _text(document: Any, mark: bool) -> bytes | None:
    """Returns the packet of a document, with the mark if wanted; None if it holds no properties."""
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


def _is_source_type(node: Any) -> bool:
    return (node.namespaceURI, node.localName) == (_IPTC, _SOURCE_TYPE)
