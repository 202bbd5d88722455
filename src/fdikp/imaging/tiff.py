"""What libvips does not report or keep of a TIFF file: compression, RAW or not, descriptive tags and EXIF.

They are read from the first directory, and added to a written file by appending a second version of that directory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from fdikp.imaging import exif
from fdikp.imaging.ifd import Directory, IfdField, IfdReader, pack

_COMPRESSION, _PHOTOMETRIC, _SUB_DIRECTORIES = 259, 262, 330
_EXTRA_SAMPLES, _ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA = 338, 1, 2
_BITS, _IPTC, _LAB = 258, 33723, 8
_DNG_VERSION, _COLOUR_FILTER_ARRAY, _LINEAR_RAW = 50706, 32803, 34892

# By tag value, the name in libvips of the lossless compression to write: the same one, or deflate instead.
_LOSSLESS = {1: "none", 5: "lzw", 8: "deflate", 32946: "deflate", 32773: "packbits", 2: "deflate", 3: "deflate"}
_LOSSLESS |= {4: "deflate", 50000: "deflate", 34925: "deflate", 34933: "deflate"}  # fax codes, zstd, lzma, PNG

# Compressions that a build of libtiff may lack.
_OPTIONAL = {50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL", 34925: "LZMA", 34887: "LERC", 34712: "JPEG 2000"}

# Tags of the main directory that describe the photo, not how its pixels are stored: camera, author, date,
# rating, Windows' title and keywords. They mean the same in an EXIF block and in a TIFF file.
_DESCRIPTIVE = frozenset(
    {11, 269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095, 50341}
)


@dataclass(frozen=True)
class TiffHeader:
    """What the first directory of a TIFF file holds beyond libvips' fields."""

    compression: str | None
    """libvips' name of the compression to write again; None if the source's is lossy."""

    is_raw: bool
    """Whether the file is camera RAW in a TIFF structure: DNG, NEF, ARW, ..."""

    unassociate: tuple[int, bytes] | None
    """For colours multiplied by alpha: a position in the file, and the two bytes that mark the alpha as ordinary when
    put there. libvips would divide by alpha, which loses the colours where alpha is small. None for ordinary alpha."""

    oddity: str | None
    """The unusual feature that a libvips which cannot decode the file probably lacks; None if there is none."""

    exif: bytes | None
    """Descriptive tags, EXIF and GPS as an EXIF block; None if there are none."""

    iptc: bytes | None
    """IPTC-IIM records. They are often stored as 32-bit words, whose count libvips would take for bytes."""


def read_header(file: BinaryIO) -> TiffHeader:
    """Read the header of the TIFF file `file`; ValueError if its first directory is damaged."""
    reader = IfdReader(file)
    entries, _ = reader.entries(reader.first_offset)

    def numbers(tag: int) -> tuple[int, ...]:
        return reader.field(entries[tag]).numbers() if tag in entries else ()

    described = reader.directory(reader.first_offset, _DESCRIPTIVE)
    extra = numbers(_EXTRA_SAMPLES)
    return TiffHeader(
        compression=_LOSSLESS.get(next(iter(numbers(_COMPRESSION)), 1)),
        is_raw=_DNG_VERSION in entries or _has_sensor_data(reader, entries),
        unassociate=(entries[_EXTRA_SAMPLES][2], struct.pack(reader.order + "H", _UNASSOCIATED_ALPHA))
        if extra[:1] == (_ASSOCIATED_ALPHA,)
        else None,
        oddity=_oddity(numbers(_BITS), numbers(_PHOTOMETRIC), numbers(_COMPRESSION)),
        exif=exif.build(described, reader.order) if described.fields or described.children else None,
        iptc=reader.field(entries[_IPTC]).data if _IPTC in entries else None,
    )


def _oddity(bits: tuple[int, ...], photometric: tuple[int, ...], compression: tuple[int, ...]) -> str | None:
    if any(each > 32 for each in bits):
        return f"{max(bits)}-bit samples"
    if photometric == (_LAB,) and 8 in bits:
        return "8-bit Lab"
    return next((f"{_OPTIONAL[code]} compression" for code in compression if code in _OPTIONAL), None)


def _has_sensor_data(reader: IfdReader, entries: dict[int, tuple[int, int, int]]) -> bool:
    """Look for undeveloped sensor data in a directory and its sub-directories."""
    if _PHOTOMETRIC in entries:
        kind = reader.field(entries[_PHOTOMETRIC]).numbers()
        if kind and kind[0] in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW):
            return True
    if _SUB_DIRECTORIES not in entries:
        return False
    try:
        offsets = reader.field(entries[_SUB_DIRECTORIES]).numbers()[:16]
        directories = [reader.entries(offset)[0] for offset in offsets]
    except ValueError:
        return False
    return any(
        _has_sensor_data(reader, {tag: e for tag, e in sub.items() if tag == _PHOTOMETRIC}) for sub in directories
    )


def add_metadata(file: BinaryIO, block: bytes | None, iptc: bytes | None, *, premultiplied: bool) -> bool:
    """Add an EXIF block's descriptive tags, EXIF and GPS directories, and IPTC, to the written TIFF file `file`.

    The extended first directory is appended to the file, and the header points to it; the pixels do not move.

    Args:
        file: the file, open for reading and writing.
        block: the EXIF block, if any.
        iptc: IPTC-IIM records, if any.
        premultiplied: mark the alpha as multiplied into the colours.

    Returns:
        False if the block cannot be parsed. The rest is added anyway.
    """
    reader = IfdReader(file)
    entries, next_at = reader.entries(reader.first_offset)
    own = Directory({tag: reader.field(entry) for tag, entry in entries.items()})
    width = 8 if reader.big else 4
    following = reader.unpack("Q" if reader.big else "I", reader.read(next_at, width))
    parsed = True
    if block is not None:
        try:
            added, _ = exif.parse(block)
        except ValueError:
            added, parsed = Directory(), False
        own.fields.update({tag: item for tag, item in added.fields.items() if tag in _DESCRIPTIVE})
        own.children.update(added.children)
    if iptc is not None:
        own.fields[_IPTC] = IfdField(7, len(iptc), iptc, reader.order)
    if premultiplied:
        own.fields[_EXTRA_SAMPLES] = IfdField(3, 1, struct.pack("<H", _ASSOCIATED_ALPHA), "<")
    end = file.seek(0, 2)
    start = end + end % 2
    packed, position = pack(own, start, reader.order, big=reader.big, following=following)
    file.write(bytes(start - end) + packed)
    file.seek(8 if reader.big else 4)
    file.write(struct.pack(reader.order + ("Q" if reader.big else "I"), position))
    return parsed
