"""PNG's chunks: those that libvips drops are copied unchanged (ISO/IEC 15948)."""

import struct
import zlib
from typing import BinaryIO

# The colour space, besides or instead of a profile; without these chunks the image would look different.
COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
TEXT = (b"tEXt", b"zTXt", b"iTXt")

_XMP = b"XML:com.adobe.xmp\0"  # a text chunk that libvips reads as XMP
_LONGEST = 1 << 20


def chunk(name: bytes, body: bytes) -> bytes:
    """Serialise one chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def xmp_chunk(packet: bytes) -> bytes:
    """Serialise an XMP packet as its specification requires; libvips would compress it, which few readers expect."""
    return chunk(b"iTXt", _XMP + b"\0\0\0\0" + packet)  # not compressed, no language, no translated keyword


def read_chunks(file: BinaryIO) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    """Collect the colour and text chunks (name, body) before the pixels of the PNG file `file`, except damaged ones.

    The second result is whether the file is animated.
    """
    kept: list[tuple[bytes, bytes]] = []
    position, animated, room = 8, False, _LONGEST
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return tuple(kept), animated
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        position += 12 + size
        animated |= name == b"acTL"
        if name in COLOUR + TEXT and size <= room:
            body, checksum = file.read(size), file.read(4)
            if checksum == struct.pack(">I", zlib.crc32(name + body)) and not body.startswith(_XMP):
                kept.append((name, body))
                room -= size
