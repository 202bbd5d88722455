"""Image file directories, the structure shared by TIFF files and EXIF blocks: reading and packing a tree of them.

TIFF 6.0 section 2; BigTIFF has the same with 8-byte numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

Order = Literal["<", ">"]

# Bytes per item of each field type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# Bytes that are reversed together when the byte order changes: a rational is two numbers.
_SWAPPED = {**_SIZES, 5: 4, 10: 4}

POINTERS = (0x8769, 0x8825, 0xA005)
"""Tags whose value is the position of another directory: EXIF, GPS, interoperability."""

# Limits above those of any real directory: a file that exceeds them is damaged or malicious.
_MAX_ENTRIES = 4096
_LARGEST_VALUE = 1 << 26
# Limit on all values of a tree together, since many entries may point to the same megabytes.
_LARGEST_TREE = 1 << 24


@dataclass(frozen=True)
class IfdField:
    """One directory entry: `count` items of a TIFF field type."""

    type: int
    count: int

    data: bytes
    """The items, in the byte order `order`."""

    order: Order

    def in_order(self, order: Order) -> bytes:
        """Return the items in another byte order."""
        size = _SWAPPED[self.type]
        if order == self.order or size == 1:
            return self.data
        return b"".join(self.data[i : i + size][::-1] for i in range(0, len(self.data), size))

    def numbers(self) -> tuple[int, ...]:
        """Return the items of an unsigned integer type (BYTE, SHORT, LONG, LONG8, IFD); none for other types."""
        code = {1: "B", 7: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(self.type)
        return struct.unpack(f"{self.order}{self.count}{code}", self.data) if code else ()


@dataclass(frozen=True)
class Directory:
    """The fields of one directory, and the directories that it points to, both by tag."""

    fields: dict[int, IfdField] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)

    def first(self, tag: int, default: int = 0) -> int:
        """Return the first number of a field, or `default` where the field is missing or not a number."""
        value = self.fields.get(tag)
        return next(iter(value.numbers()), default) if value else default


class IfdReader:
    """Reads directories of a TIFF structure. Every method raises ValueError if the structure is damaged."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._room = _LARGEST_TREE
        head = self.read(0, 16, at_least=8)
        orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
        if head[:2] not in orders:
            raise ValueError("not a TIFF structure")
        self.order: Order = orders[head[:2]]
        self.big = self.unpack("H", head[2:4]) == 43
        self.first_offset = self.unpack("Q", head[8:16]) if self.big else self.unpack("I", head[4:8])

    def read(self, position: int, size: int, at_least: int | None = None) -> bytes:
        """Read `size` bytes at `position`, or at least that many if given."""
        if position > 1 << 62 or size > _LARGEST_VALUE:
            raise ValueError("offset or size out of range")
        self.file.seek(position)
        data = self.file.read(size)
        if len(data) < (size if at_least is None else at_least):
            raise ValueError("the structure reaches beyond the end of the file")
        return data

    def unpack(self, code: str, data: bytes) -> int:
        """Read one number of a `struct` code in this structure's byte order."""
        try:
            return int(struct.unpack(self.order + code, data)[0])
        except struct.error:
            raise ValueError("the structure is cut off") from None

    def entries(self, offset: int) -> tuple[dict[int, tuple[int, int, int]], int]:
        """List the directory at `offset`.

        Returns:
            By tag: type, count and position of the value; and the position of the offset of the next directory.
        """
        width, number = (8, "Q") if self.big else (2, "H")
        count = self.unpack(number, self.read(offset, width))
        if count > _MAX_ENTRIES:
            raise ValueError("a directory has too many entries")
        size, word = (20, "Q") if self.big else (12, "I")
        body = self.read(offset + width, count * size)
        listed = {}
        for i in range(count):
            entry = body[i * size : (i + 1) * size]
            tag, kind = self.unpack("H", entry[:2]), self.unpack("H", entry[2:4])
            items = self.unpack(word, entry[4 : 4 + size // 2 - 2])
            inline = size // 2 - 2  # bytes that fit in the entry: 4, in BigTIFF 8
            value = offset + width + (i + 1) * size - inline
            if kind in _SIZES:
                if items * _SIZES[kind] > inline:
                    value = self.unpack(word, entry[-inline:])
                listed[tag] = (kind, items, value)
        return listed, offset + width + count * size

    def field(self, entry: tuple[int, int, int]) -> IfdField:
        """Read the value of an entry."""
        kind, count, position = entry
        return IfdField(kind, count, self.read(position, count * _SIZES[kind]), self.order)

    def directory(self, offset: int, tags: frozenset[int] | None = None, depth: int = 0) -> Directory:
        """Read the directory at `offset` and those that it points to; of the outermost, only `tags` if given.

        A value or a child that cannot be read is left out, so that the rest is kept.
        """
        result = Directory()
        for tag, entry in self.entries(offset)[0].items():
            if tags is not None and tag not in tags and tag not in POINTERS:
                continue
            try:
                self._room -= entry[1] * _SIZES[entry[0]]
                if self._room < 0:
                    break
                value = self.field(entry)
                if tag not in POINTERS:
                    result.fields[tag] = value
                elif depth < 2 and value.numbers():
                    result.children[tag] = self.directory(value.numbers()[0], None, depth + 1)
            except ValueError:
                continue
        return result


def pack(directory: Directory, at: int, order: Order, *, big: bool = False, following: int = 0) -> tuple[bytes, int]:
    """Serialise a directory and its children.

    Args:
        directory: what to serialise.
        at: the position of the result in the file.
        order: byte order.
        big: BigTIFF.
        following: position of the next directory in the chain; 0 for none.

    Returns:
        The bytes, and the position of the directory itself in the file.
    """
    word, count_code, inline = ("Q", "Q", 8) if big else ("I", "H", 4)
    out = bytearray()
    fields = dict(directory.fields)
    for tag, child in directory.children.items():
        packed, position = pack(child, at + len(out), order, big=big)
        out += packed + bytes(-len(packed) % 2)
        fields[tag] = IfdField(4, 1, struct.pack(order + "I", position), order)
    entries = bytearray()
    for tag in sorted(fields):
        item = fields[tag]
        data = item.in_order(order)
        if len(data) <= inline:
            value = data + bytes(inline - len(data))
        else:
            value = struct.pack(order + word, at + len(out))
            out += data + bytes(len(data) % 2)
        entries += struct.pack(f"{order}HH{word}", tag, item.type, item.count) + value
    position = at + len(out)
    out += struct.pack(order + count_code, len(fields)) + entries + struct.pack(order + word, following)
    return bytes(out), position
