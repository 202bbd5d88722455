"""How a JPEG file is coded: quantisation tables, chroma subsampling, progressive or not.

Marker segments as in ITU-T T.81 annex B; tables of annex K, scaled as in the IJG library.
"""

from dataclasses import dataclass
from typing import BinaryIO

# First bytes of the APP1 and APP13 segments of a JPEG.
EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"

SEGMENT_ROOM = 65533
"""Number of bytes that a segment holds, including its prefix."""

# T.81 tables K.1 and K.2, row by row.
# fmt: off
_LUMINANCE = (
    16, 11, 10, 16,  24,  40,  51,  61,  12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56,  14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77,  24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101,  72, 92, 95, 98, 112, 100, 103,  99,
)
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99,  18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,  47, 66, 99, 99, 99, 99, 99, 99,
) + (99,) * 32
# Position in the block of the n-th entry as stored (T.81 figure A.6).
_ZIGZAG = (
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
)
# fmt: on


@dataclass(frozen=True)
class JpegCoding:
    """How the pixels of a JPEG file are coded."""

    tables: tuple[tuple[int, ...], ...]
    """A table of 64 divisors for each component in the frame's order, row by row; smaller is better."""

    sampling: tuple[tuple[int, int], ...]
    """(horizontal, vertical) sampling factor of each component."""

    progressive: bool

    multi_picture: bool = False
    """Whether more images follow the first (Multi-Picture Format): gain map (Ultra HDR), depth map, stereo partner."""

    comments: tuple[bytes, ...] = ()
    """Bodies of the comment segments."""

    @property
    def quality(self) -> int:
        """The lowest IJG quality (1 to 100) whose tables are nowhere coarser than these."""
        return next(
            (
                quality
                for quality in range(1, 100)
                if all(
                    all(ours <= theirs for ours, theirs in zip(ijg_table(quality, index > 0), table, strict=True))
                    for index, table in enumerate(self.tables)
                )
            ),
            100,
        )

    @property
    def chroma_halved(self) -> bool:
        """Whether colour has half the resolution in both directions (4:2:0) or less, so that 4:2:0 loses nothing."""
        if len(self.sampling) < 3:
            return True
        (width, height), *chroma = self.sampling
        return all(2 * h <= width and 2 * v <= height for h, v in chroma[:2])


def ijg_table(quality: int, chrominance: bool) -> tuple[int, ...]:
    """Return the 64 divisors, row by row, that the IJG library uses at `quality` (1 to 100)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    base = _CHROMINANCE if chrominance else _LUMINANCE
    return tuple(min(max((value * scale + 50) // 100, 1), 255) for value in base)


def read_coding(file: BinaryIO) -> JpegCoding | None:
    """Read the coding of the JPEG file `file`; None if its markers are invalid."""
    file.seek(2)
    tables: dict[int, tuple[int, ...]] = {}
    components: list[tuple[int, int, int]] = []  # (horizontal, vertical, table number)
    progressive = multi_picture = False
    comments: list[bytes] = []
    while (marker := _next_marker(file)) not in (None, 0xDA, 0xD9):  # up to the first scan
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a body
            continue
        body = file.read(max(int.from_bytes(file.read(2), "big") - 2, 0))
        if marker == 0xDB:
            tables.update(_quantisation_tables(body))
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            multi_picture = True
        elif marker == 0xFE:
            comments.append(body)
        elif marker in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
            progressive = marker in (0xC2, 0xCA)
            components = [(body[i + 1] >> 4, body[i + 1] & 15, body[i + 2]) for i in range(6, len(body) - 2, 3)]
    if not components or any(number not in tables for _, _, number in components):
        return None
    return JpegCoding(
        tuple(tables[number] for _, _, number in components),
        tuple((horizontal, vertical) for horizontal, vertical, _ in components),
        progressive,
        multi_picture,
        tuple(comments),
    )


def segment(marker: int, body: bytes) -> bytes:
    """Serialise a marker segment."""
    return bytes((0xFF, marker)) + (2 + len(body)).to_bytes(2, "big") + body


def repaired(file: BinaryIO) -> bytes:
    """Return the JPEG file `file` with its header repaired where libjpeg would warn although no pixel is affected.

    Stray bytes between segments are removed. An unknown JFIF version, Adobe colour transform, or spectral range of a
    baseline scan is replaced by what decoders take it for. The coded pixels do not change.
    """
    file.seek(2)
    out, progressive = bytearray(b"\xff\xd8"), False
    while (marker := _next_marker(file)) is not None:
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:
            continue
        body = bytearray(file.read(max(int.from_bytes(file.read(2), "big") - 2, 0)))
        progressive |= marker in (0xC2, 0xCA)
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            body[5:6] = b"\1"
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) > 11 and body[11] > 2:
            body[11] = 1
        elif marker == 0xDA and not progressive:
            body[-3:] = b"\0\x3f\0"
        out += segment(marker, bytes(body))
        if marker == 0xDA:
            break
    return bytes(out) + file.read()


def _next_marker(file: BinaryIO) -> int | None:
    """Skip to the next marker, over stray bytes and fill bytes, and return its second byte."""
    previous = b""
    while byte := file.read(1):
        if previous == b"\xff" and byte not in (b"\x00", b"\xff"):
            return byte[0]
        previous = byte
    return None


def _quantisation_tables(body: bytes) -> dict[int, tuple[int, ...]]:
    """Parse the tables of a DQT segment: by number, entries row by row."""
    tables = {}
    while body:
        size = 2 if body[0] >> 4 else 1
        stored = [int.from_bytes(body[1 + size * i : 1 + size * (i + 1)], "big") for i in range(64)]
        table = [0] * 64
        for position, value in zip(_ZIGZAG, stored, strict=True):
            table[position] = value
        tables[body[0] & 15] = tuple(table)
        body = body[1 + 64 * size :]
    return tables
