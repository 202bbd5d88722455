"""What a picture's file says of it before it is decoded, and whether the file is there to its end."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fdikp.data.faults import DECODE_ERRORS, map_all, unreadable
from fdikp.imaging.exif import SIDEWAYS
from fdikp.imaging.ifd import IfdReader

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF files begin."""

_ENDS = {"PNG": (b"IEND", 4096), "JPEG": (b"\xff\xd9", 65536)}
"""What whole files have near their end, and how near."""

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLE_FORMAT, _FLOAT = 256, 257, 258, 274, 339, 3
_PLACES = ((273, 279), (324, 325))
"""TIFF's tags for where strips and tiles begin, and how long they are."""


@dataclass(frozen=True)
class Header:
    """A picture's size, upright, and what its samples are."""

    height: int
    width: int
    bits: int
    """8, 16 or 32 per sample."""
    floating: bool = False
    """Whether samples are floats, which may be NaN."""


def read_header(file: Path) -> Header:
    """What a picture's header says; files that end too early are noticed, what is broken within is not.

    Raises:
        DataError: missing, cut short, or no picture.
    """
    try:
        with file.open("rb") as data:
            head = data.read(26)
        return _tiff(file) if head.startswith(_TIFF) else _other(file, head)
    except DECODE_ERRORS as error:
        raise unreadable(file, error) from error


def image_size(file: Path) -> tuple[int, int]:
    """Height and width, upright.

    Raises:
        DataError: missing, cut short, or no picture.
    """
    header = read_header(file)
    return header.height, header.width


def image_sizes(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """The size of each picture.

    Raises:
        DataError: some are missing, cut short or no pictures; all of them are named.
    """
    unique = list(dict.fromkeys(files))
    return dict(zip(unique, map_all(image_size, unique), strict=True))


def _other(file: Path, head: bytes) -> Header:
    """The header of a file that Pillow knows."""
    with Image.open(file) as image:
        width, height = image.size
        kind, exif = image.format, Image.Exif()
        if kind != "PNG":
            exif = image.getexif()
        elif "exif" in image.info:  # getexif would decode the picture, to look behind it too
            exif.load(image.info["exif"])
    sideways = exif.get(_ORIENTATION) in SIDEWAYS
    with file.open("rb") as data:
        size = file.stat().st_size
        if kind in _ENDS:
            end, reach = _ENDS[kind]
            data.seek(max(0, size - reach))
            whole = end in data.read()
        else:
            whole = kind != "WEBP" or int.from_bytes(head[4:8], "little") + 8 <= size
    if not whole:
        raise OSError("the file is cut short")
    bits = 16 if kind == "PNG" and head[24] == 16 else 8
    return Header(width, height, bits) if sideways else Header(height, width, bits)


def _tiff(file: Path) -> Header:
    """The header of a TIFF: Pillow does not know all that libvips reads."""
    with file.open("rb") as data:
        reader = IfdReader(data)
        entries, _ = reader.entries(reader.first_offset)
        fields = {tag: reader.field(entry).numbers() for tag, entry in entries.items() if tag in _READ}
    if not fields.get(_WIDTH) or not fields.get(_HEIGHT):
        raise OSError("not an image")
    size = file.stat().st_size
    for starts, lengths in _PLACES:
        pieces = zip(fields.get(starts, ()), fields.get(lengths, ()), strict=False)
        if any(start + length > size for start, length in pieces):
            raise OSError("the file is cut short")
    height, width = fields[_HEIGHT][0], fields[_WIDTH][0]
    if fields.get(_ORIENTATION, (1,))[0] in SIDEWAYS:
        height, width = width, height
    return Header(height, width, max((8, *fields.get(_BITS, ()))), _FLOAT in fields.get(_SAMPLE_FORMAT, ()))


_READ = {_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLE_FORMAT, *(tag for pair in _PLACES for tag in pair)}
