"""What a photograph's file says beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from fdikp.imaging.jpeg import JpegCoding


@dataclass(frozen=True)
class Metadata:
    """What a photograph's file said beside its pixels. None, or the default, where it said nothing."""

    # ICC profile that gives the pixels' numbers their colour.
    icc: bytes | None = None
    # EXIF as a TIFF structure (beginning with II or MM), orientation reset, without thumbnail.
    exif: bytes | None = None
    # XMP packet.
    xmp: bytes | None = None
    # IPTC-IIM records, as TIFF holds them.
    iptc: bytes | None = None
    # Photoshop image resources (JPEG's APP13, TIFF's tag 34377); in a JPEG these contain the IPTC records.
    photoshop: bytes | None = None
    # (horizontal, vertical) pixels per inch.
    dpi: tuple[float, float] | None = None
    # Bits per sample in the file.
    bits: int = 8
    # How a JPEG was coded.
    jpeg: JpegCoding | None = None
    # (name, body) of a PNG's colour and text chunks.
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    # Whether a WebP was coded without loss.
    lossless: bool = False
    # A TIFF's compression by libvips' name, when it is a lossless one that can be written again.
    compression: str | None = None
    # A float file's samples are pixels * float_scale + float_offset; the scale is a power of two, hence exact.
    float_scale: float = 1.0
    float_offset: float = 0.0
    # Whether the colours of a TIFF are multiplied by its alpha.
    premultiplied: bool = False
