"""Image headers: size, depth and completeness of a file, without decoding it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fdikp.data.faults import DECODE_ERRORS, map_all, unreadable
from fdikp.imaging.exif import SIDEWAYS
from fdikp.imaging.ifd import IfdReader

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files."""

_ENDS = {"PNG": (b"IEND", 4096), "JPEG": (b"\xff\xd9", 65536)}
"""End marker of complete files, and the number of bytes at the end of the file that are searched for it."""

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLE_FORMAT, _FLOAT = 256, 257, 258, 274, 339, 3
_PLACES = ((273, 279), (324, 325))
"""TIFF's tags for the offsets and the lengths of strips, and of tiles."""


@dataclass(frozen=True)
class Header:
    """Size of an image, upright, and type of its samples."""

    height: int
    width: int
    bits: int
    """Bits per sample: 8, 16 or 32."""
    floating: bool = False
    """Whether the samples are floats, which may be NaN."""


def read_header(file: Path) -> Header:
    """Read the header of an image file. A truncated file is detected; damage within the data is not.

    Raises:
        DataError: the file is missing, truncated, or not an image.
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
        DataError: the file is missing, truncated, or not an image.
    """
    header = read_header(file)
    return header.height, header.width


def image_sizes(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Height and width of each image, upright.

    Raises:
        DataError: files are missing, truncated, or not images; the message lists them.
    """
    unique = list(dict.fromkeys(files))
    return dict(zip(unique, map_all(image_size, unique), strict=True))


def _other(file: Path, head: bytes) -> Header:
    """The header of a file that Pillow reads."""
    with Image.open(file) as image:
        width, height = image.size
        kind, exif = image.format, Image.Exif()
        if kind != "PNG":
            exif = image.getexif()
        elif "exif" in image.info:  # getexif would decode the image, to find EXIF after the pixels
            exif.load(image.info["exif"])
    sideways = exif.get(_ORIENTATION) in SIDEWAYS
    with file.open("rb") as data:
        size = file.stat().st_size
        if kind in _ENDS:
            end, reach = _ENDS[kind]
            data.seek(max(0, size - reach))
            complete = end in data.read()
        else:
            complete = kind != "WEBP" or int.from_bytes(head[4:8], "little") + 8 <= size
    if not complete:
        raise OSError("the file is cut short")
    bits = 16 if kind == "PNG" and head[24] == 16 else 8
    return Header(width, height, bits) if sideways else Header(height, width, bits)


def _tiff(file: Path) -> Header:
    """The header of a TIFF, without Pillow, which does not know all TIFF variants that libvips reads."""
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
