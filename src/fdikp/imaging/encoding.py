"""Encoding a photo into a stream: pixels in the depth that the format holds, settings of the encoder, and metadata."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fdikp.errors import PhotoError
from fdikp.imaging import avif, jpeg, png, tiff, webp
from fdikp.imaging._vips import pyvips
from fdikp.imaging.formats import FORMATS
from fdikp.imaging.limits import white_level
from fdikp.imaging.metadata import Metadata

if TYPE_CHECKING:
    from fdikp.imaging.photo import Photo

# Default quality where the source's is unknown: a JPEG from another format, and any WebP or AVIF (a WebP's quantiser is
# behind its arithmetic coder; AVIF's differs from block to block). The loss is invisible beside the deblurring.
_JPEG_QUALITY, _WEBP_QUALITY, _AVIF_QUALITY = 95, 90, 90

# Bits per sample that AVIF supports besides 8.
_AVIF_DEPTHS = (10, 12)

# Progressive scans and optimised Huffman tables (a few per cent smaller files) need all coefficients in memory: 12
# bytes per pixel. Larger photos are encoded in one pass, row by row.
_MAX_PIXELS_FOR_TWO_PASSES = 25_000_000

# Classic TIFF addresses 4 GiB; the margin is for metadata and for data that compression enlarges.
_MAX_BYTES_OF_CLASSIC_TIFF = 3_900_000_000

# libvips always writes a resolution into JPEG, PNG and TIFF.
_UNKNOWN_DPI = (72.0, 72.0)

# libvips' VIPS_FOREIGN_KEEP_XMP | IPTC | ICC | OTHER: not EXIF, which libvips would rewrite.
_KEEP, _KEEP_EXIF = 2 | 4 | 8 | 16, 1

# Signature and number of the IPTC records among Photoshop's image resources.
_IPTC_RESOURCE = b"8BIM\x04\x04"

_VIPS_TYPES = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
_SPACES = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}
_FULL_SCALE = {vips: white_level(name) for name, vips in _VIPS_TYPES.items()}


def encode(photo: Photo, format: str, file: BinaryIO, quality: int | None, strip: bool) -> list[str]:
    """Write a photo into the empty binary file `file`; return notes on what could not be kept.

    Raises:
        PhotoError: the format cannot hold the photo.
        pyvips.Error: the encoder failed.
        BaseException: any exception that writing to `file` raises.
    """
    target = FORMATS.get(format)
    if target is None or not target.writable:
        writable = ", ".join(name for name, each in FORMATS.items() if each.writable)
        raise PhotoError(f"cannot be written as {format!r}; choose one of {writable}", code="output_unwritable")
    if quality is not None and not 1 <= quality <= 100:
        raise PhotoError(f"quality {quality} is not between 1 and 100", code="request_invalid")
    if target.longest_side is not None and max(photo.width, photo.height) > target.longest_side:
        raise PhotoError(
            f"{photo.width} × {photo.height} pixels do not fit in {target.title}, which is limited to "
            f"{target.longest_side} per side; write TIFF or PNG",
            code="output_unwritable",
        )
    notes: list[str] = []
    photo = replace(photo, metadata=_holdable(photo.metadata, format, strip, notes))
    if format == "webp" and photo.pixels.shape[2] == 1 and photo.metadata.icc:
        notes.append("The grey colour profile is left out: WebP has no grey images.")
        photo = replace(photo, metadata=replace(photo.metadata, icc=None))
    image = _described(_as_image(photo, format, notes), photo.metadata, format)
    _WRITERS[format](image, photo, file, quality, notes)
    return notes


def _holdable(metadata: Metadata, format: str, strip: bool, notes: list[str]) -> Metadata:
    """Return the metadata without what is to be stripped and what `format` cannot hold."""
    if strip:
        chunks = tuple((name, body) for name, body in metadata.png_chunks if name in png.COLOUR)
        coding = metadata.jpeg and replace(metadata.jpeg, comments=())
        return replace(metadata, exif=None, xmp=None, iptc=None, photoshop=None, jpeg=coding, png_chunks=chunks)
    if format not in ("jpeg", "tiff") and (metadata.iptc or metadata.photoshop):
        notes.append(f"IPTC is left out: {FORMATS[format].title} has no place for it.")
        metadata = replace(metadata, iptc=None, photoshop=None)
    if format == "jpeg":
        resources = metadata.photoshop or b""
        if metadata.iptc and _IPTC_RESOURCE not in resources:
            body = metadata.iptc + bytes(len(metadata.iptc) % 2)
            resources += _IPTC_RESOURCE + b"\0\0" + struct.pack(">I", len(metadata.iptc)) + body
            metadata = replace(metadata, photoshop=resources)
        if len(metadata.exif or b"") > jpeg.SEGMENT_ROOM - len(jpeg.EXIF_PREFIX):
            notes.append("EXIF is left out: it is too long for JPEG.")
            metadata = replace(metadata, exif=None)
        if len(metadata.xmp or b"") > jpeg.SEGMENT_ROOM - len(jpeg.XMP_PREFIX):
            notes.append("XMP is left out: it is too long for JPEG.")
            metadata = replace(metadata, xmp=None)
        if len(metadata.photoshop or b"") > jpeg.SEGMENT_ROOM - len(jpeg.PHOTOSHOP_PREFIX):
            notes.append("IPTC is left out: it is too long for JPEG.")
            metadata = replace(metadata, photoshop=None)
    return metadata


def _as_image(photo: Photo, format: str, notes: list[str]) -> Any:
    """Make a libvips image with the channels and depth that `format` holds, on the photo's memory if possible."""
    target, metadata = FORMATS[format], photo.metadata
    image, own = _wrap(photo.pixels), _VIPS_TYPES[photo.pixels.dtype.name]
    if (
        photo.pixels.dtype == np.float32
        and format == "tiff"
        and (metadata.float_scale, metadata.float_offset) != (1, 0)
    ):
        image = image.linear(metadata.float_scale, metadata.float_offset)
    if photo.alpha is not None:
        image = image.bandjoin(_wrap(photo.alpha[..., np.newaxis]))
    image = image.copy(interpretation=_SPACES[own][photo.pixels.shape[2] == 3])
    if photo.alpha is not None and metadata.premultiplied and format != "tiff":
        straight = image.unpremultiply(max_alpha=_FULL_SCALE[own])
        image = straight if own == "float" else straight.rint().cast(own)
    if photo.alpha is not None and not target.alpha:
        image = image.flatten(background=_FULL_SCALE[own], max_alpha=_FULL_SCALE[own])
        notes.append(f"Transparency is laid over white: {target.title} has none.")
    return _in_depth(image, own, format, metadata, notes)


def _wrap(pixels: np.ndarray) -> Any:
    """Wrap samples [H, W, B] in a libvips image, without a copy if they are contiguous."""
    pixels = np.ascontiguousarray(pixels)
    height, width, bands = pixels.shape
    return pyvips.Image.new_from_memory(pixels.data, width, height, bands, _VIPS_TYPES[pixels.dtype.name])


def _in_depth(image: Any, own: str, format: str, metadata: Metadata, notes: list[str]) -> Any:
    """Round the samples to the largest depth that `format` holds, with a note if that loses anything."""
    target = FORMATS[format]
    deepest = "uchar" if target.bits == 8 else "ushort" if target.bits <= 16 else "float"
    depth = min(own, deepest, key=list(_FULL_SCALE).index)
    if own == "ushort" and format == "avif" and metadata.bits not in _AVIF_DEPTHS:
        notes.append(f"16 bit reduced to {target.bits} bit: {target.title} holds no more.")
    if depth == own:
        return image
    bits = min(target.bits, 16)
    notes.append(f"{'16 bit' if own == 'ushort' else 'Float'} reduced to {bits} bit: {target.title} holds no more.")
    rounded = image.linear(_FULL_SCALE[depth] / _FULL_SCALE[own], 0.5).cast(depth)  # the cast truncates and clips
    return rounded.copy(interpretation=_SPACES[depth][image.bands >= 3])


def _described(image: Any, metadata: Metadata, format: str) -> Any:
    """Attach resolution, profile, XMP and IPTC to a libvips image, as `format` requires."""
    horizontal, vertical = metadata.dpi or _UNKNOWN_DPI
    image = image.copy(xres=horizontal / 25.4, yres=vertical / 25.4)
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    blocks = {"icc-profile-data": metadata.icc, "xmp-data": metadata.xmp if format not in ("png", "jpeg") else None}
    if format == "jpeg" and metadata.photoshop:
        blocks["iptc-data"] = jpeg.PHOTOSHOP_PREFIX + metadata.photoshop
    elif format == "tiff":
        blocks["photoshop-data"] = metadata.photoshop
    elif format == "avif" and metadata.exif:
        blocks["exif-data"] = jpeg.EXIF_PREFIX + metadata.exif
    for name, block in blocks.items():
        if block:
            image.set_type(pyvips.GValue.blob_type, name, block)
    return image


def _jpeg(image: Any, photo: Photo, file: BinaryIO, quality: int | None, notes: list[str]) -> None:
    coding, block = photo.metadata.jpeg, photo.metadata.exif
    two_passes = photo.width * photo.height <= _MAX_PIXELS_FOR_TWO_PASSES
    density = (min(round(dpi), 65535) for dpi in photo.metadata.dpi or _UNKNOWN_DPI)
    # libvips writes a JFIF segment only when it writes EXIF.
    segments = jpeg.segment(0xE0, b"JFIF\0\1\1\1" + struct.pack(">HH", *density) + b"\0\0")
    if block:
        segments += jpeg.segment(0xE1, jpeg.EXIF_PREFIX + block)
    if photo.metadata.xmp:  # libvips would drop one of more than 60000 bytes
        segments += jpeg.segment(0xE1, jpeg.XMP_PREFIX + photo.metadata.xmp)
    for comment in coding.comments if coding else ():
        segments += jpeg.segment(0xFE, comment)
    _stream(
        "jpegsave",
        image,
        file,
        insert=segments,
        at=2,  # after the start marker
        Q=quality or (coding.quality if coding else _JPEG_QUALITY),
        subsample_mode="on" if coding and coding.chroma_halved else "off",
        interlace=two_passes and bool(coding and coding.progressive),
        optimize_coding=two_passes,
        keep=_KEEP,
    )


def _png(image: Any, photo: Photo, file: BinaryIO, quality: int | None, notes: list[str]) -> None:
    chunks = b"".join(png.chunk(name, body) for name, body in photo.metadata.png_chunks)
    if photo.metadata.xmp:
        chunks += png.xmp_chunk(photo.metadata.xmp)
    if photo.metadata.exif:
        chunks += png.chunk(b"eXIf", photo.metadata.exif)
    # at: after the signature and the header chunk. The filters halve the size of photos at little cost.
    _stream("pngsave", image, file, insert=chunks, at=33, compression=6, filter="all", keep=_KEEP)


def _tiff(image: Any, photo: Photo, file: BinaryIO, quality: int | None, notes: list[str]) -> None:
    metadata = photo.metadata
    compression = metadata.compression or "deflate"
    size = photo.pixels.nbytes + (photo.alpha.nbytes if photo.alpha is not None else 0)
    predictor = "float" if image.format == "float" else "horizontal"
    _stream(
        "tiffsave",
        image,
        file,
        compression=compression,
        predictor=predictor if compression in ("deflate", "lzw") else "none",
        bigtiff=size > _MAX_BYTES_OF_CLASSIC_TIFF,
        keep=_KEEP,
    )
    premultiplied = metadata.premultiplied and photo.alpha is not None
    if (metadata.exif or metadata.iptc or premultiplied) and not tiff.add_metadata(
        file, metadata.exif, metadata.iptc, premultiplied=premultiplied
    ):
        notes.append("The EXIF block is damaged and is left out.")


def _webp(image: Any, photo: Photo, file: BinaryIO, quality: int | None, notes: list[str]) -> None:
    lossless = photo.metadata.lossless and quality is None
    data = image.webpsave_buffer(Q=quality or _WEBP_QUALITY, lossless=lossless, exact=lossless, keep=_KEEP)
    if photo.metadata.exif:
        data = webp.with_exif(data, photo.metadata.exif, photo.width, photo.height, alpha=photo.alpha is not None)
    file.write(data)


def _avif(image: Any, photo: Photo, file: BinaryIO, quality: int | None, notes: list[str]) -> None:
    bits = 8 if image.format == "uchar" else photo.metadata.bits if photo.metadata.bits in _AVIF_DEPTHS else 12
    keep = _KEEP | _KEEP_EXIF if photo.metadata.exif else _KEEP
    data = image.heifsave_buffer(compression="av1", Q=quality or _AVIF_QUALITY, bitdepth=bits, keep=keep)
    if photo.metadata.exif:
        # If a later libheif lays out its files in another way, its own version of the block remains.
        data = avif.with_exif(data, photo.metadata.exif) or data
    file.write(data)


_WRITERS: dict[str, Callable[[Any, Photo, BinaryIO, int | None, list[str]], None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "tiff": _tiff,
    "webp": _webp,
    "avif": _avif,
}


def _stream(saver: str, image: Any, file: BinaryIO, *, insert: bytes = b"", at: int = 0, **options: Any) -> None:
    """Encode into `file` piece by piece, inserting `insert` at byte `at`.

    Exceptions cannot pass through libvips. One from `file` (a full disk) or a keyboard interrupt is stored, libvips is
    stopped, and the exception is raised here.
    """
    failures: list[BaseException] = []
    head = bytearray()

    def guarded(action: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return action(*arguments)
            except BaseException as error:
                failures.append(error)
                return -1

        return call

    def write(data: Any) -> int:
        nonlocal insert
        if insert and len(head) + len(data) < at:
            head.extend(data)
        elif insert:
            head.extend(data)
            file.write(bytes(head[:at]) + insert + bytes(head[at:]))
            insert = b""
        else:
            file.write(data)
        return len(data)

    target = pyvips.TargetCustom()
    target.on_write(guarded(write))
    if saver == "tiffsave":  # the only saver that seeks back
        target.on_seek(guarded(file.seek))
        target.on_read(guarded(file.read))
    try:
        pyvips.Operation.call(f"{saver}_target", image, target, **options)
    except pyvips.Error:
        if not failures:
            raise
    if failures:
        raise failures[0]
