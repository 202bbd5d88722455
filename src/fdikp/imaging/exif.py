"""EXIF blocks: patched in place for an upright image, otherwise unchanged byte for byte.

libvips would rewrite EXIF through libexif, which empties maker notes and drops unknown tags and non-ASCII text. So
fdikp keeps the original block and patches only what is no longer true.
"""

from __future__ import annotations

import io
import re
import struct

from fdikp.imaging.ifd import Directory, IfdReader, Order, pack
from fdikp.imaging.jpeg import EXIF_PREFIX

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange rows and columns."""

_ORIENTATION = 0x0112
_EXIF_POINTER = 0x8769
_PIXEL_SIZE = (0xA002, 0xA003)  # width, height
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202


def upright(block: bytes, width: int, height: int) -> bytes | None:
    """Return an EXIF block for an upright image of width × height; None if the block is damaged.

    Orientation becomes 1, and the pixel size becomes the given one. The thumbnail (directory 1) is removed: it shows
    the image before deblurring and before rotation.
    """
    patched = bytearray(block)
    try:
        reader = IfdReader(io.BytesIO(block))
        entries, next_at = reader.entries(reader.first_offset)
        if _ORIENTATION in entries:
            _put_number(patched, reader, entries[_ORIENTATION], 1)
        if _EXIF_POINTER in entries:
            inner, _ = reader.entries(next(iter(reader.field(entries[_EXIF_POINTER]).numbers()), 0))
            for tag, size in zip(_PIXEL_SIZE, (width, height), strict=True):
                if tag in inner:
                    _put_number(patched, reader, inner[tag], size)
        return _without_thumbnail(patched, reader, next_at)
    except ValueError:
        return None


def kept(block: bytes | None, width: int, height: int, notes: list[str]) -> bytes | None:
    """Return the `upright` version of a file's EXIF block, if any; note if it is damaged."""
    if not block:
        return None
    patched = upright(block.removeprefix(EXIF_PREFIX), width, height)
    if patched is None:
        notes.append("The EXIF block is damaged and is left out.")
    return patched


def _put_number(block: bytearray, reader: IfdReader, entry: tuple[int, int, int], value: int) -> None:
    kind, count, position = entry
    code = {1: "B", 3: "H", 4: "I"}.get(kind)
    if code and count:
        if position + struct.calcsize(code) > len(block):
            raise ValueError("a value lies beyond the end of the block")
        largest = (1 << 8 * struct.calcsize(code)) - 1
        struct.pack_into(reader.order + code, block, position, min(value, largest))


def _without_thumbnail(block: bytearray, reader: IfdReader, next_at: int) -> bytes:
    """Unlink directory 1; if its thumbnail is at the end of the block, as usual, cut it off too."""
    second = reader.unpack("I", bytes(block[next_at : next_at + 4]).ljust(4, b"\0"))
    if second:
        block[next_at : next_at + 4] = bytes(4)
        try:
            directory = reader.directory(second)
        except ValueError:
            return bytes(block)
        start, length = directory.first(_THUMBNAIL), directory.first(_THUMBNAIL_LENGTH)
        if second < start and start + length == len(block):
            del block[start:]
    return bytes(block)


def parse(block: bytes) -> tuple[Directory, Order]:
    """Parse an EXIF block into its main directory with children, and its byte order; ValueError if it is damaged."""
    reader = IfdReader(io.BytesIO(block))
    return reader.directory(reader.first_offset), reader.order


def build(directory: Directory, order: Order) -> bytes:
    """Make an EXIF block from a directory with children."""
    signature = b"II*\0" if order == "<" else b"MM\0*"
    packed, position = pack(directory, 8, order)
    return signature + struct.pack(order + "I", position) + packed


def upright_xmp(packet: bytes) -> bytes:
    """Return an XMP packet with tiff:Orientation, written as attribute or element, set to 1."""
    return re.sub(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]", rb"\g<1>1", packet)
