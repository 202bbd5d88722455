"""The header of a JPEG XL codestream (ISO/IEC 18181-1, annexes A, D and E): the colour space that it states by numbers.

pylibjxl returns profiles that are embedded, and nothing for colour spaces that are stated by numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fdikp.imaging.avif import boxes

_CUSTOM = 2
_WHITES = {1: (0.3127, 0.329), 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
_PRIMARIES = {
    1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
_DISPLAY_P3, _OTHER = 12, 0  # as in H.273, which gives each pair of primaries and white a number

# The distributions of the fields, as pairs of offset and number of bits, one of which two bits select.
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW_BLOCKS, _PREVIEW_SIZE = ((16, 0), (32, 0), (1, 5), (33, 9)), ((1, 6), (65, 8), (321, 10), (1345, 12))
_NUMERATOR, _DENOMINATOR = ((100, 0), (1000, 0), (1, 10), (1, 30)), ((1, 0), (1001, 0), (1, 8), (1, 10))
_LOOPS = ((0, 0), (0, 3), (0, 16), (0, 32))
_DEPTH, _FLOAT_DEPTH = ((8, 0), (10, 0), (12, 0), (1, 6)), ((32, 0), (16, 0), (24, 0), (1, 6))
_CHANNELS = ((0, 0), (1, 0), (2, 4), (1, 12))
_SHIFT, _NAME, _FILTER = (
    ((0, 0), (3, 0), (4, 0), (1, 3)),
    ((0, 0), (0, 4), (16, 5), (48, 10)),
    ((1, 0), (0, 2), (3, 4), (19, 8)),
)
_COORDINATE = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))


@dataclass
class ColourHeader:
    """What the header says about colours."""

    numbers: dict[str, Any] | None = None
    """An RGB colour space, as `nclx.profile` takes it; None for sRGB, grey, and where a profile is embedded."""

    premultiplied: bool = False
    """Whether colours are multiplied by alpha."""


class _Bits:
    """Reads numbers from bytes, lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits; ValueError at the end."""
        if count > self._left:
            raise ValueError("the header is cut short")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def number(self, distribution: tuple[tuple[int, int], ...]) -> int:
        """The next number of a distribution."""
        offset, count = distribution[self.take(2)]
        return offset + self.take(count)

    def coordinates(self) -> tuple[float, float]:
        """A chromaticity: two signed millionths."""
        x, y = ((n >> 1) ^ -(n & 1) for n in (self.number(_COORDINATE), self.number(_COORDINATE)))
        return x / 1e6, y / 1e6


def read_colours(data: bytes) -> ColourHeader:
    """Read the header of a JPEG XL file; ValueError if it is damaged."""
    bits = _Bits(_codestream(data)[2:4096])
    header = ColourHeader()
    _skip_size(bits)
    if bits.take(1):  # everything is as usual
        return header
    if bits.take(1):
        _skip_extra_fields(bits)
    _skip_depth(bits)
    bits.take(1)
    for _ in range(bits.number(_CHANNELS)):
        header.premultiplied |= _is_associated_alpha(bits)
    bits.take(1)
    header.numbers = _colours(bits)
    return header


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream, which a container may hold in one box or in numbered pieces."""
    if data[:2] == b"\xff\x0a":
        return data
    found = boxes(data, 0, len(data))
    if b"jxlc" in found:
        return data[found[b"jxlc"][0][0] :]
    if b"jxlp" in found:
        start, end = found[b"jxlp"][0]
        return data[start + 4 : end]
    raise ValueError("there is no codestream")


def _skip_size(bits: _Bits) -> None:
    in_blocks = bits.take(1)
    if not in_blocks:
        bits.number(_SIZE)
    else:
        bits.take(5)
    if bits.take(3) == 0:  # no ratio of width to height
        bits.take(5) if in_blocks else bits.number(_SIZE)


def _skip_extra_fields(bits: _Bits) -> None:
    bits.take(3)  # orientation
    if bits.take(1):
        _skip_size(bits)
    if bits.take(1):  # preview
        distribution = _PREVIEW_BLOCKS if bits.take(1) else _PREVIEW_SIZE
        bits.number(distribution)
        if bits.take(3) == 0:
            bits.number(distribution)
    if bits.take(1):  # animation
        for distribution in (_NUMERATOR, _DENOMINATOR, _LOOPS):
            bits.number(distribution)
        bits.take(1)


def _skip_depth(bits: _Bits) -> None:
    if bits.take(1):
        bits.number(_FLOAT_DEPTH)
        bits.take(4)
    else:
        bits.number(_DEPTH)


def _is_associated_alpha(bits: _Bits) -> bool:
    """Read about one extra channel; tell whether colours are multiplied by it."""
    if bits.take(1):
        return False
    kind = bits.number(_ENUM)
    _skip_depth(bits)
    bits.number(_SHIFT)
    bits.take(8 * bits.number(_NAME))
    if kind == 2:  # a spot colour
        bits.take(64)
    elif kind == 5:  # a colour filter array
        bits.number(_FILTER)
    return kind == 0 and bool(bits.take(1))


def _colours(bits: _Bits) -> dict[str, Any] | None:
    """Read the colour space as `nclx.profile` takes it; None for sRGB, other spaces than RGB, and a profile."""
    if bits.take(1) or bits.take(1) or bits.number(_ENUM) != 0:
        return None
    white_number = bits.number(_ENUM)
    white = bits.coordinates() if white_number == _CUSTOM else _WHITES.get(white_number)
    number = bits.number(_ENUM)
    if number == _CUSTOM:
        primaries: Any = tuple(bits.coordinates() for _ in range(3))
    else:
        primaries = _PRIMARIES.get(number)
    if white is None or primaries is None:
        raise ValueError("the colour space is not known")
    numbers: dict[str, Any] = {"color_primaries": _OTHER, "transfer_characteristics": _OTHER}
    if white_number == 1 and number in (1, 9, 11):
        numbers["color_primaries"] = _DISPLAY_P3 if number == 11 else number
    elif (white_number, number) == (11, 11):
        numbers["color_primaries"] = 11
    if bits.take(1):
        numbers["gamma"] = 1e7 / max(bits.take(24), 1)
    else:
        numbers["transfer_characteristics"] = bits.number(_ENUM)
    for name, (x, y) in zip(("red", "green", "blue", "white"), (*primaries, white), strict=True):
        numbers |= {f"color_primary_{name}_x": x, f"color_primary_{name}_y": y}
    return numbers
