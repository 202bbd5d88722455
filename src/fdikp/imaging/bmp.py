"""BMP, read with numpy: the libvips wheel has no loader, and Pillow fills what is missing of a cut file with black.

Read are 1, 4, 8, 16, 24 and 32 bits per pixel, palettes, any bit masks, RLE4 and RLE8, either order of rows, the alpha
channel that a mask declares, and an embedded ICC profile. Not read are OS/2's Huffman and RLE24 compression and JPEG or
PNG data inside a BMP. Run-length coding is expanded in Python, about half a million runs a second.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from fdikp.errors import PhotoError
from fdikp.imaging.colour import kept_profile
from fdikp.imaging.limits import check_size
from fdikp.imaging.metadata import Metadata
from fdikp.imaging.photo import Photo, blank_photo

_FILE_HEADER, _CORE_HEADER, _V5_HEADER = 14, 12, 124
_RGB, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_EMBEDDED = 0x4D424544  # the colour space type of a V5 header with an ICC profile

# Bits per pixel that each compression allows.
_DEPTHS = {_RGB: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _BITFIELDS: (16, 32), _ALPHA_BITFIELDS: (16, 32)}

# Masks of red, green and blue where the file states none.
_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0x00FF00, 0x0000FF, 0)}


@dataclass(frozen=True)
class _Header:
    """The headers of a BMP file, without those fields that say nothing about the pixels."""

    width: int
    height: int
    top_down: bool
    bits: int
    """Bits per pixel."""

    compression: int
    masks: tuple[int, ...]
    """Bits of red, green, blue and alpha in a pixel of 16 or 32 bits."""

    palette: np.ndarray
    """[2**bits, 3] uint8 RGB for up to 8 bits; colours that the file lacks are black."""

    pixels_at: int
    """Where the pixels start in the file."""

    dpi: tuple[float, float] | None
    icc: bytes | None

    @property
    def stride(self) -> int:
        """Bytes of a row, which are a multiple of 4."""
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def bands(self) -> int:
        """Number of channels; an alpha channel may turn out to be empty."""
        if self.bits <= 8:
            return _grey_if_possible(self.palette).shape[1]
        return 4 if any(self.masks[3:]) else 3

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """Type of the samples."""
        return np.uint16 if any(mask.bit_count() > 8 for mask in self.masks) else np.uint8


def read_bmp(file: BinaryIO, max_pixels: int, header_only: bool = False) -> Photo:
    """Read a BMP file: 8 bits per channel, or 16 if a mask is wider; grey if the palette is.

    With `header_only` it is not decoded; the pixels are then all 0.

    Raises:
        PhotoError: the file is damaged, coded in an unsupported way, or has more than `max_pixels` pixels.
    """
    try:
        header = _read_header(file, max_pixels)
        if header_only:
            return blank_photo((header.height, header.width, header.bands), header.dtype, "bmp")
        file.seek(header.pixels_at)
        if header.compression in (_RLE4, _RLE8):
            samples = _grey_if_possible(header.palette)[_expand_runs(file.read(), header)]
        else:
            samples = _unpack(_rows(file, header), header)
    except (struct.error, ValueError) as error:
        reason = "the BMP data is cut short or damaged"
        raise PhotoError(reason, code="photo_damaged", hint="copy or export it again") from error
    if not header.top_down:
        samples = samples[::-1]
    notes: list[str] = []
    colours = min(samples.shape[2], 3)
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    pixels = np.ascontiguousarray(samples[..., :colours])
    metadata = Metadata(icc=kept_profile(header.icc, colours, notes), dpi=header.dpi, bits=pixels.itemsize * 8)
    return Photo(pixels, alpha, "bmp", tuple(notes), metadata)


def _read_header(file: BinaryIO, max_pixels: int) -> _Header:
    """Read the headers and the palette; struct.error or ValueError if they are damaged."""
    file.seek(0)
    pixels_at, length = struct.unpack("<10xII", file.read(_FILE_HEADER + 4))
    body = file.read(length - 4)
    compression = colours = 0
    dpi = None
    if length == _CORE_HEADER:
        width, height, _, bits = struct.unpack("<HHHH", body)
    else:
        width, height, _, bits, compression, _, *density, colours = struct.unpack_from("<iiHHIIiiI", body)
        if min(density) > 0:
            dpi = density[0] * 0.0254, density[1] * 0.0254
    if bits not in _DEPTHS.get(compression, ()) or (length == 64 and compression not in (_RGB, _RLE8, _RLE4)):
        raise PhotoError(
            f"the BMP has {bits} bits per pixel with compression {compression}, which fdikp does not read",
            code="photo_unsupported",
            hint="save it without compression",
        )
    top_down, height = height < 0, abs(height)
    if width <= 0 or height == 0 or (top_down and compression in (_RLE4, _RLE8)):
        raise ValueError("the size is impossible")
    check_size(width, height, max_pixels)
    masks = _MASKS.get(bits, ())
    if compression in (_BITFIELDS, _ALPHA_BITFIELDS):
        if length == 40:  # the masks follow the header; in the larger ones they are part of it
            body += file.read(16 if compression == _ALPHA_BITFIELDS else 12)
        masks = struct.unpack("<4I", body[36:52].ljust(16, b"\0") if len(body) >= 48 else b"")
    entry = 3 if length == _CORE_HEADER else 4
    entries = 2**bits if bits <= 8 else 0
    table = np.frombuffer(file.read(entry * min(colours or entries, entries)), np.uint8)
    known = table[: len(table) // entry * entry].reshape(-1, entry)[:, 2::-1]
    # A palette that is shorter than the number of bits allows, and says so by where the pixels start
    known = known[: max(pixels_at - _FILE_HEADER - length, 0) // entry]
    palette = np.zeros((entries, 3), np.uint8)
    palette[: len(known)] = known
    icc = None
    if length == _V5_HEADER and struct.unpack_from("<I", body, 52)[0] == _EMBEDDED:
        profile_at, size = struct.unpack_from("<II", body, 108)
        file.seek(_FILE_HEADER + profile_at)
        icc = file.read(size)
    return _Header(width, height, top_down, bits, compression, masks, palette, pixels_at, dpi, icc)


def _rows(file: BinaryIO, header: _Header) -> np.ndarray:
    """Read the bytes of uncompressed pixels, [H, stride]; ValueError if some are missing."""
    data = file.read(header.stride * header.height)
    used = (header.width * header.bits + 7) // 8
    if len(data) < header.stride * (header.height - 1) + used:  # the last row's padding may be missing
        raise ValueError("the file ends before the pixels do")
    data = data.ljust(header.stride * header.height, b"\0")
    return np.frombuffer(data, np.uint8).reshape(header.height, header.stride)


def _unpack(rows: np.ndarray, header: _Header) -> np.ndarray:
    """Turn the bytes of uncompressed pixels into samples [H, W, B], in the order of the rows in the file."""
    width, bits = header.width, header.bits
    if bits <= 8:
        if bits == 4:
            rows = np.stack([rows >> 4, rows & 15], -1).reshape(header.height, -1)
        elif bits == 1:
            rows = np.unpackbits(rows, axis=1)
        return _grey_if_possible(header.palette)[rows[:, :width]]
    if bits == 24:
        return rows[:, : 3 * width].reshape(header.height, width, 3)[..., ::-1]
    values = rows.view("<u2" if bits == 16 else "<u4")[:, :width]
    channels = [(mask, (mask & -mask).bit_length() - 1) for mask in header.masks if mask]
    if len(channels) < 3 or not all(header.masks[:3]):
        raise ValueError("a colour has no bits")
    tops = [mask >> shift for mask, shift in channels]
    if any(top & (top + 1) or mask >= 1 << bits for top, (mask, _) in zip(tops, channels, strict=True)):
        raise ValueError("the bits of a colour are not adjacent")
    samples = np.empty((*values.shape, len(channels)), header.dtype)
    white = np.iinfo(header.dtype).max
    for i, ((mask, shift), top) in enumerate(zip(channels, tops, strict=True)):
        channel = (values & mask) >> shift
        samples[..., i] = channel if top == white else channel.astype(np.uint64) * white // top
    # Many programs declare an alpha channel and leave it empty
    return samples if samples.shape[2] == 4 and samples[..., 3].any() else samples[..., :3]


def _grey_if_possible(palette: np.ndarray) -> np.ndarray:
    """Return a palette [N, 3], or [N, 1] if it holds only grey."""
    return palette[:, :1] if (palette == palette[:, :1]).all() else palette


def _expand_runs(data: bytes, header: _Header) -> np.ndarray:
    """Expand RLE4 or RLE8 to indices [H, W]; what the runs skip is index 0. ValueError if the data is cut short.

    A run that passes the end of its row is cut off there.
    """
    four, width, height = header.compression == _RLE4, header.width, header.height
    indices = bytearray(width * height)
    x = y = at = 0
    while y < height:
        if at + 2 > len(data):
            if y == height - 1 and x >= width:  # complete, without the mark of its end
                break
            raise ValueError("the file ends before the pixels do")
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = bytes((value >> 4, value & 15)) * ((count + 1) // 2) if four else bytes((value,)) * count
        elif value == 0:  # the end of a row
            x, y = 0, y + 1
            continue
        elif value == 1:  # the end
            break
        elif value == 2:  # a jump
            right, up = struct.unpack_from("BB", data, at)
            x, y, at = x + right, y + up, at + 2
            continue
        else:  # `value` literal pixels, padded to an even number of bytes
            count, size = value, (value + 1) // 2 if four else value
            run = data[at : at + size]
            if len(run) < size:
                raise ValueError("the file ends before the pixels do")
            run = bytes(index for byte in run for index in (byte >> 4, byte & 15)) if four else run
            at += size + size % 2
        room = max(min(count, width - x), 0)
        start = y * width + x
        indices[start : start + room] = run[:room]
        x += count
    return np.frombuffer(indices, np.uint8).reshape(height, width)
