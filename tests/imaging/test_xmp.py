"""The record of an edit is added to a packet, and nothing else of it changes. ElementTree is the independent reader."""

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import Metadata, Photo, encode_photo, read_photo
from fdikp.imaging.xmp import FDIKP, UnusualPacketError, record_edit, with_record

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
HISTORY = "{http://ns.adobe.com/xap/1.0/mm/}History"
EVENT = "{http://ns.adobe.com/xap/1.0/sType/ResourceEvent#}"
OURS = f"{{{FDIKP}}}"
VALUES = {"Software": "fdikp", "Strength": "0.8", "Mask": """ä <eye> & "brow"'s.png"""}

LIGHTROOM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   xmp:CreatorTool="Adobe Photoshop Lightroom Classic 13.0 (Windows)"
   xmp:Label="two&#xA;lines &gt; one"
   crs:ToneCurveName2012='fdikp:Strength="9"'
   xmpMM:DocumentID="xmp.did:1">
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li
      stEvt:action="derived"
      stEvt:parameters="converted from image/x-nikon-nef to image/jpeg"/>
     <rdf:li stEvt:action="saved" stEvt:when="2024-05-01T10:00:00+02:00" stEvt:changed="/"/>
    </rdf:Seq>
   </xmpMM:History>
   <dc:subject><rdf:Bag><rdf:li>Möwe</rdf:li><rdf:li><![CDATA[<sea>]]></rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
PADDING
<?xpacket end="w"?>""".replace("PADDING", f"{' ' * 100}\n" * 20).encode()

DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:darktable="http://darktable.sf.net/"
   darktable:xmp_version="5"
   darktable:history_end="2">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="rawprepare" darktable:params="gz02eJx7/"/>
     <rdf:li darktable:num="1" darktable:operation="exposure" darktable:params="0000000000"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

EXIFTOOL = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.76'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about='uuid:faf5bdd5'
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>me</rdf:li></rdf:Alt></dc:rights>
 </rdf:Description>

 <rdf:Description rdf:about='uuid:faf5bdd5'
  xmlns:xmp='http://ns.adobe.com/xap/1.0/'>
  <xmp:Rating>4</xmp:Rating>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""

OTHER_PREFIXES = (
    b'\xef\xbb\xbf<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><!-- <r:RDF> -->'
    b'<r:Description r:about="" xmlns:m="http://ns.adobe.com/xap/1.0/mm/"><m:History><r:Seq/></m:History>'
    b"</r:Description></r:RDF>\0\0\0"
)

PACKETS = {
    "none": None,
    "Lightroom": LIGHTROOM,
    "darktable": DARKTABLE,
    "exiftool": EXIFTOOL,
    "other prefixes": OTHER_PREFIXES,
    "empty": b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
    "default namespace": b'<RDF xmlns="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n</RDF>',
}


def descriptions(packet: bytes) -> list[ET.Element]:
    root = ET.fromstring(packet.rstrip(b"\0").decode("utf-8-sig"))
    return (root if root.tag == f"{RDF}RDF" else root.find(f".//{RDF}RDF")).findall(f"{RDF}Description")


def properties(packet: bytes) -> dict[str, list[str]]:
    """Every property of a packet by name, whether it is an attribute or an element; all its values."""
    found: dict[str, list[str]] = {}
    for description in descriptions(packet):
        for name, value in description.attrib.items():
            found.setdefault(name, []).append(value)
        for element in description:
            found.setdefault(element.tag, []).append(ET.tostring(element, encoding="unicode").strip())
    return {name: values for name, values in found.items() if name != f"{RDF}about"}


def history(packet: bytes) -> list[dict[str, str]]:
    (element,) = [one for description in descriptions(packet) for one in description.iter(HISTORY)]
    return [item.attrib for item in element.findall(f"{RDF}Seq/{RDF}li")]


def recorded(packet: bytes) -> dict[str, list[str]]:
    return {name.removeprefix(OURS): values for name, values in properties(packet).items() if name.startswith(OURS)}


def others(packet: bytes) -> dict[str, list[str]]:
    return {n: values for n, values in properties(packet).items() if not n.startswith(OURS) and n != HISTORY}


def is_inside(part: bytes, whole: bytes) -> bool:
    """Whether bytes were only inserted."""
    rest = iter(whole)
    return all(byte in rest for byte in part)


@pytest.mark.parametrize("name", PACKETS)
def test_an_edit_is_recorded_and_all_else_stays(name):
    packet = PACKETS[name]
    edited = record_edit(packet, "fdikp 1.2", VALUES)
    assert recorded(edited) == {name: [value] for name, value in VALUES.items()}
    *before, last = history(edited)
    assert last == {
        f"{EVENT}action": "edited",
        f"{EVENT}softwareAgent": "fdikp 1.2",
        f"{EVENT}parameters": "; ".join(f"{name}: {value}" for name, value in VALUES.items()),
    }
    assert len({description.get(f"{RDF}about") for description in descriptions(edited)}) == 1
    if packet is not None:
        assert others(edited) == others(packet)
        assert [item[f"{EVENT}action"] for item in before] == {"Lightroom": ["derived", "saved"]}.get(name, [])
        ends = packet.endswith(b"/>")  # an element without content gets an end tag
        assert is_inside(packet.removesuffix(b"/>") if ends else packet, edited)


@pytest.mark.parametrize("name", PACKETS)
def test_each_further_edit_adds_one_item_to_the_history(name):
    once = record_edit(PACKETS[name], "fdikp 1", VALUES)
    packet = once
    for number in range(2, 5):
        packet = record_edit(packet, f"fdikp {number}", {"Strength": str(number)})
        assert recorded(packet) == {"Strength": [str(number)]}
        agents = [item.get(f"{EVENT}softwareAgent") for item in history(packet)]
        assert agents[-number:] == [f"fdikp {each}" for each in range(1, number + 1)]
        assert len(agents) == len(history(once)) + number - 1
        assert len(descriptions(packet)) == len(descriptions(once))
    assert record_edit(once, "fdikp 2", {"Strength": "2"}) == record_edit(once, "fdikp 2", {"Strength": "2"})


@pytest.mark.parametrize(
    "moved",
    [
        f''' xmlns:f="{FDIKP}" f:Strength="9" f:Old = '>' >''',
        f' xmlns:f="{FDIKP}"><f:Strength>9</f:Strength><f:Old rdf:parseType="Resource"><f:a/></f:Old>',
    ],
    ids=["attributes", "elements"],
)
def test_a_record_that_another_program_moved_is_replaced(moved):
    packet = LIGHTROOM.replace(b'xmpMM:DocumentID="xmp.did:1">', b'xmpMM:DocumentID="xmp.did:1"' + moved.encode(), 1)
    assert {"Strength", "Old"} == recorded(packet).keys()
    edited = record_edit(packet, "fdikp 1", {"Strength": "1"})
    assert recorded(edited) == {"Strength": ["1"]}
    assert others(edited) == others(LIGHTROOM)


BAD = {
    "nothing": b"",
    "text": b"Lightroom",
    "cut short": LIGHTROOM[:900],
    "no RDF": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
    "two RDFs": b'<a xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:RDF/><rdf:RDF/></a>',
    "UTF-16": LIGHTROOM.decode().encode("utf-16"),
    "Latin-1": LIGHTROOM.replace("Möwe".encode(), b"M\xf6we"),
    "a DOCTYPE": b'<!DOCTYPE a [<!ENTITY b "c">]>' + DARKTABLE.split(b"\n", 1)[1],
    "a history that is no list": LIGHTROOM.replace(b"rdf:Seq>", b"rdf:Bag>"),
    "an unbound prefix": b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><a:b/></rdf:RDF>',
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_extended_is_kept_with_a_note(name):
    with pytest.raises(UnusualPacketError):
        record_edit(BAD[name], "fdikp 1", VALUES)
    metadata = Metadata(xmp=BAD[name], dpi=(72, 72))
    kept, notes = with_record(metadata, "png", "fdikp 1", VALUES)
    assert kept is metadata and len(notes) == 1 and "not recorded" in notes[0]


def test_entities_are_never_expanded():
    """A packet that would expand to a billion characters is refused at its DOCTYPE."""
    lines = [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    bomb = "<!DOCTYPE a [<!ENTITY a0 'lol'>" + "".join(lines) + "]><a>&a9;</a>"
    with pytest.raises(UnusualPacketError, match="DOCTYPE"):
        record_edit(bomb.encode(), "fdikp", VALUES)


@pytest.mark.parametrize("text", ["a\0b", "\udcff.png", "\x1b[31m", "\ufffe"])
def test_characters_that_xml_cannot_hold_are_replaced(text):
    assert "\ufffd" in recorded(record_edit(None, "fdikp", {"Mask": text}))["Mask"][0]


@pytest.mark.parametrize(("room", "fits"), [(0, True), (1, False)])
def test_a_packet_that_would_be_too_long_for_jpeg_stays(room, fits):
    """65502 bytes: the length of a segment takes two bytes, XMP's signature 29."""
    growth = len(record_edit(DARKTABLE, "fdikp", VALUES)) - len(DARKTABLE)
    packet = DARKTABLE + b" " * (65535 - 2 - 29 - growth - len(DARKTABLE) + room)
    for format in ("jpeg", "png"):
        metadata, notes = with_record(Metadata(xmp=packet), format, "fdikp", VALUES)
        assert (metadata.xmp != packet, notes == ()) == ((fits or format == "png",) * 2)
        photo = Photo(np.zeros((8, 8, 3), np.uint8), metadata=metadata)
        assert read_photo(encode_photo(photo, format)).metadata.xmp == metadata.xmp


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("name", ["none", "Lightroom", "darktable", "exiftool"])
def test_round_trip(format, name):
    metadata, _ = with_record(Metadata(xmp=PACKETS[name]), format, "fdikp 1", VALUES)
    data = encode_photo(Photo(np.full((16, 16, 3), 90, np.uint8), metadata=metadata), format)
    assert read_photo(data).metadata.xmp == metadata.xmp
    assert recorded(metadata.xmp)["Strength"] == ["0.8"]
    if format in ("jpeg", "webp", "png"):  # an independent reader of the file
        info = Image.open(io.BytesIO(data)).info
        stored = info.get("xmp") or info["XML:com.adobe.xmp"].encode()
        assert stored == metadata.xmp


def test_a_long_start_tag_takes_no_longer_than_its_length():
    """A regular expression that backtracks would not come to an end."""
    attributes = "".join(f" a{n}=\">'\" b{n}='\"'" for n in range(20_000))
    packet = re.sub(rb"darktable:xmp_version", attributes.encode() + rb" darktable:xmp_version", DARKTABLE, count=1)
    assert recorded(record_edit(packet, "fdikp", VALUES))["Strength"] == ["0.8"]
