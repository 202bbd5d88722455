"""AVIF's boxes: replace the EXIF item (ISO/IEC 14496-12 section 8.11, ISO/IEC 23008-12 annex A)."""

import struct

from fdikp.imaging.jpeg import EXIF_PREFIX


def boxes(data: bytes, start: int, end: int) -> dict[bytes, list[tuple[int, int]]]:
    """List the boxes between two positions: by name, start and end of each body, which the data may cut short."""
    end = min(end, len(data))
    found: dict[bytes, list[tuple[int, int]]] = {}
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        if size < 8:  # sizes 0 and 1 are special codes, used only for pixel data
            break
        found.setdefault(name, []).append((start + 8, min(start + size, end)))
        start += size
    return found


def with_exif(data: bytes, block: bytes) -> bytes | None:
    """Return an AVIF file with its EXIF item replaced by `block`; None if it has no item where libheif puts it.

    The block is appended in a box of its own, and the item's location points to it, so that nothing else moves.
    """
    try:
        ((meta, meta_end),) = boxes(data, 0, len(data))[b"meta"]
        inside = boxes(data, meta + 4, meta_end)  # 4: version and flags
        ((items, items_end),) = inside[b"iinf"]
        ((locations, _),) = inside[b"iloc"]
        entries = boxes(data, items + 6, items_end)[b"infe"]  # 6: version, flags, 16-bit count
        (number,) = (data[at + 4 : at + 6] for at, _ in entries if data[at + 8 : at + 12] == b"Exif")
    except (KeyError, ValueError):
        return None
    # Version 0, and 32-bit offsets, lengths and base offsets; then each item takes 18 bytes: number, file, base
    # offset, how many extents (1), offset, length.
    if data[locations] or data[locations + 4 : locations + 6] != b"\x44\x40":
        return None
    count = int.from_bytes(data[locations + 6 : locations + 8], "big")
    places = (locations + 8 + 18 * i for i in range(count))
    place = next((at for at in places if data[at : at + 2] == number and data[at + 8 : at + 10] == b"\0\1"), None)
    if place is None:
        return None
    body = struct.pack(">I", len(EXIF_PREFIX)) + EXIF_PREFIX + block
    patched = bytearray(data)
    struct.pack_into(">IHII", patched, place + 4, len(data) + 8, 1, 0, len(body))
    return bytes(patched) + struct.pack(">I4s", 8 + len(body), b"mdat") + body
