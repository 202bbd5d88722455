"""Recording an edit in an XMP packet (ISO 16684-1) without touching what else it holds.

The record is written twice: as properties of fdikp's own namespace, which state the last edit, and as an item of
`xmpMM:History`, the list of edits that Lightroom, Photoshop and exiftool show. The packet is not parsed and written
again, because that would rename prefixes and drop what other programs rely on. Text is inserted at positions that a
parser finds; all other bytes stay as they are.

The item of the history has no `stEvt:when`, and `xmp:ModifyDate` stays: the same photo always gives the same file.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from fdikp.imaging import jpeg
from fdikp.imaging.metadata import Metadata

FDIKP = "urn:fdikp:xmp:1.0/"
"""The namespace of fdikp's own properties."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MANAGEMENT = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"

_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{_RDF}">\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
).encode()
"""A packet without properties."""

_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEPARATOR = "\x01"  # no XML name contains it


class UnusualPacketError(ValueError):
    """A packet is no XMP in UTF-8, or has a structure that this module does not extend safely."""


def with_record(
    metadata: Metadata, format: str, software: str, values: Mapping[str, str]
) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata of a result with the record of an edit in its XMP.

    Args:
        metadata: that of the photo.
        format: of the result, a key of `fdikp.imaging.FORMATS`.
        software: see `record_edit`.
        values: see `record_edit`.

    Returns:
        The metadata, and a note if the XMP stays as it was because it cannot be extended.
    """
    try:
        packet = record_edit(metadata.xmp, software, values)
    except UnusualPacketError:
        return metadata, ("The XMP is damaged or of an unusual form; it is kept, and the edit is not recorded in it.",)
    if format == "jpeg" and len(packet) > jpeg.SEGMENT_ROOM - len(jpeg.XMP_PREFIX):
        return metadata, ("The edit is not recorded in the XMP, which would be too long for JPEG.",)
    return replace(metadata, xmp=packet), ()


def record_edit(packet: bytes | None, software: str, values: Mapping[str, str]) -> bytes:
    """Record an edit in a packet. Of fdikp's own properties only the last edit's stay; the history grows by one item.

    Args:
        packet: the XMP packet of a photo; None makes a new one.
        software: name and version of the program, for the history.
        values: by name in fdikp's namespace, such as `Strength`. Names are XML names.

    Raises:
        UnusualPacketError: the packet cannot be extended. Among the reasons is a DOCTYPE, which could define entities.
    """
    edited = _without_record(_NEW if packet is None else packet)
    root = _rdf(edited)
    described = [node.attributes.get((uri, "about")) for node in root.children for uri in (_RDF, "")]
    about = quoteattr(next(filter(None, described), ""))  # the same in all descriptions of a packet
    parameters = "; ".join(f"{name}: {value}" for name, value in values.items())
    event = {"action": "edited", "softwareAgent": software, "parameters": parameters}
    item = f'<rdf:li xmlns:rdf="{_RDF}" xmlns:stEvt="{_EVENT}"{_attributes("stEvt", event)}/>'
    record = f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about={about} xmlns:fdikp="{FDIKP}"'
    record += f"{_attributes('fdikp', values)}/>"
    if history := _history(root):
        inserted = _append(edited, history, item)
        return _append(inserted, _rdf(inserted), record)
    new_history = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about={about} xmlns:xmpMM="{_MANAGEMENT}">\n'
        f"<xmpMM:History><rdf:Seq>\n{item}\n</rdf:Seq></xmpMM:History>\n</rdf:Description>"
    )
    return _append(edited, root, f"{new_history}\n{record}")


def _attributes(prefix: str, values: Mapping[str, str]) -> str:
    clean = {name: _NO_XML.sub("\ufffd", value) for name, value in values.items()}  # file names may hold anything
    return "".join(f"\n {prefix}:{name}={quoteattr(value)}" for name, value in clean.items())


@dataclass
class _Node:
    """An element, and where it is in the packet. Names are pairs of namespace and local name."""

    name: tuple[str, str]
    attributes: dict[tuple[str, str], str]
    prefixes: dict[tuple[str, str], str]
    """By attribute, its prefix with the colon; empty where there is none."""
    start: int
    head_end: int
    """Where the start tag ends."""
    tail: int = 0
    """Where the end tag begins; `head_end` if there is none."""
    end: int = 0
    children: "list[_Node]" = field(default_factory=list)

    def walk(self) -> "Iterator[_Node]":
        """The element, and all below it."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending += node.children


def _parse(packet: bytes) -> _Node:
    """The root element of a packet.

    Raises:
        UnusualPacketError: it is not well-formed XML in UTF-8, or has a DOCTYPE.
    """
    text = packet.rstrip(b"\0")
    parser = expat.ParserCreate("utf-8", _SEPARATOR)
    parser.namespace_prefixes = True
    opened: list[_Node] = []
    roots: list[_Node] = []

    def split(name: str) -> tuple[tuple[str, str], str]:
        uri, local, prefix = [*name.split(_SEPARATOR), ""][:3] if _SEPARATOR in name else ("", name, "")
        return (uri, local), f"{prefix}:" if prefix else ""

    def start(name: str, attributes: dict[str, str]) -> None:
        at = parser.CurrentByteIndex
        tag = _TAG.match(text, at)
        if tag is None:
            raise UnusualPacketError("a tag is not found again")
        prefixes = dict(map(split, attributes))
        node = _Node(split(name)[0], dict(zip(prefixes, attributes.values(), strict=True)), prefixes, at, tag.end())
        (opened[-1].children if opened else roots).append(node)
        opened.append(node)

    def end(name: str) -> None:
        node = opened.pop()
        if text[node.start : node.head_end].endswith(b"/>"):
            node.tail = node.end = node.head_end
        else:
            node.tail = parser.CurrentByteIndex
            node.end = text.index(b">", node.tail) + 1

    def refuse(*_: object) -> None:
        raise UnusualPacketError("has a DOCTYPE")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError) as error:
        raise UnusualPacketError(str(error)) from error
    return roots[0]


def _rdf(packet: bytes) -> _Node:
    """The element that holds all properties."""
    found = [node for node in _parse(packet).walk() if node.name == (_RDF, "RDF")]
    if len(found) != 1:
        raise UnusualPacketError(f"has {len(found)} rdf:RDF elements")
    return found[0]


def _history(root: _Node) -> _Node | None:
    """The list of `xmpMM:History`; None if there is no such property."""
    for description in root.children:
        for node in description.children:
            if node.name == (_MANAGEMENT, "History"):
                if [child.name for child in node.children] != [(_RDF, "Seq")]:
                    raise UnusualPacketError("xmpMM:History is no list")
                return node.children[0]
    return None


def _append(packet: bytes, parent: _Node, text: str) -> bytes:
    """The packet with text as the last child of an element."""
    inserted = f"{text}\n".encode()
    if parent.tail < parent.end:
        return packet[: parent.tail] + inserted + packet[parent.tail :]
    head = packet[parent.start : parent.head_end]
    name = re.match(rb"<([^\s/>]+)", head)
    assert name is not None  # a tag has a name
    opened = head.removesuffix(b"/>") + b">\n" + inserted + b"</" + name[1] + b">"
    return packet[: parent.start] + opened + packet[parent.head_end :]


def _without_record(packet: bytes) -> bytes:
    """The packet without properties of fdikp's namespace, and without descriptions that hold nothing else."""
    cuts: list[tuple[int, int]] = []
    for description in _rdf(packet).children:
        ours = [key for key in description.attributes if key[0] == FDIKP]
        elements = [node for node in description.children if node.name[0] == FDIKP]
        others = description.attributes.keys() - {*ours, (_RDF, "about")}
        if (ours or elements) and not others and len(elements) == len(description.children):
            after = packet[description.end : description.end + 1]
            cuts.append((description.start, description.end + (after == b"\n")))
            continue
        cuts += [(node.start, node.end) for node in elements]
        names = {f"{description.prefixes[key]}{key[1]}".encode() for key in ours}
        attributes = _ATTRIBUTE.finditer(packet, description.start, description.head_end)
        cuts += [attribute.span() for attribute in attributes if attribute[1] in names]
    for start, end in sorted(cuts, reverse=True):
        packet = packet[:start] + packet[end:]
    return packet
