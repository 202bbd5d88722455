"""WebP's RIFF chunks: lossless or not, and adding an EXIF chunk unchanged."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

_ALPHA, _EXIF = 0x10, 0x08  # flags of the VP8X chunk


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield name and size of each chunk of a WebP file, with `file` positioned at the start of the chunk's body."""
    position = 12
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], int.from_bytes(head[4:], "little")
        yield name, size
        position += 8 + size + size % 2


def is_lossless(file: BinaryIO) -> bool:
    """Return whether the image, or the first frame, of the WebP file `file` is coded without loss."""
    for name, _ in _chunks(file):
        if name == b"ANMF":  # a frame: 16 bytes about it, then chunks
            body = file.read(16 + 256)[16:]
            return b"VP8L" in body and b"VP8 " not in body[: body.index(b"VP8L")]
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
    return False


def with_exif(data: bytes, block: bytes, width: int, height: int, *, alpha: bool) -> bytes:
    """Return a WebP file of one image, width × height, without EXIF, with an EXIF chunk added."""
    body = data[12:]
    if body[:4] != b"VP8X":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = struct.pack("<4sIBxxx", b"VP8X", 10, _ALPHA if alpha else 0) + size + body
    body = body[:8] + bytes([body[8] | _EXIF]) + body[9:]
    body += struct.pack("<4sI", b"EXIF", len(block)) + block + bytes(len(block) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
