"""What the file of a photo holds besides pixels."""

from __future__ import annotations

from dataclasses import dataclass

from fdikp.imaging.jpeg import JpegCoding


@dataclass(frozen=True)
class Metadata:
    """What the file of a photo holds besides pixels. Fields that the file does not have keep their default."""

    icc: bytes | None = None
    """ICC profile: the colour space of the pixels."""

    exif: bytes | None = None
    """EXIF as a TIFF structure (starting with II or MM), with orientation 1 and without thumbnail."""

    xmp: bytes | None = None
    """XMP packet."""

    iptc: bytes | None = None
    """IPTC-IIM records, as stored in TIFF."""

    photoshop: bytes | None = None
    """Photoshop image resources (JPEG's APP13, TIFF's tag 34377); in a JPEG they contain the IPTC records."""

    dpi: tuple[float, float] | None = None
    """(horizontal, vertical) pixels per inch."""

    bits: int = 8
    """Bits per sample in the file."""

    jpeg: JpegCoding | None = None
    """How a JPEG is coded."""

    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    """(name, body) of a PNG's colour and text chunks."""

    lossless: bool = False
    """Whether a WebP is coded without loss."""

    compression: str | None = None
    """libvips' name of a TIFF's compression, if it is lossless and can be written again."""

    float_scale: float = 1.0
    """A float file's samples are pixels * float_scale + float_offset. The scale is a power of two, hence exact."""

    float_offset: float = 0.0
    """See `float_scale`."""

    premultiplied: bool = False
    """Whether the colours of a TIFF or HEIC are multiplied by its alpha."""
