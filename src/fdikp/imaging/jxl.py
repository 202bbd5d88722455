"""JPEG XL, decoded through extra dependencies. Pillow itself does not learn the format.

pylibjxl returns embedded profiles and metadata, but 8-bit samples. imagecodecs decodes the samples of files with more,
and `jxl_header` reads colour spaces without a profile.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from fdikp.errors import PhotoError
from fdikp.extras import install_hint
from fdikp.imaging import exif, nclx
from fdikp.imaging.avif import boxes
from fdikp.imaging.colour import fit_float_range, kept_profile, widened
from fdikp.imaging.jxl_header import ColourHeader, read_colours
from fdikp.imaging.limits import check_size
from fdikp.imaging.metadata import Metadata
from fdikp.imaging.photo import Photo, blank_photo


def jpeg_inside(file: BinaryIO, max_pixels: int) -> bytes | None:
    """Return the JPEG file that a JPEG XL file was made from, byte for byte; None if it was not made from one.

    Raises:
        PhotoError: as `read_jxl`.
    """
    file.seek(0)
    data = file.read()
    if b"jbrd" not in boxes(data, 0, len(data)):  # the box with what else restores the JPEG
        return None
    _described(data, max_pixels)
    return bytes(_call("pylibjxl", "jxl_to_jpeg", data))


def read_jxl(file: BinaryIO, max_pixels: int, header_only: bool = False) -> Photo:
    """Read the first frame of a JPEG XL file: upright, 8 or 16 bits or float as in the file.

    With `header_only` it is not decoded; the pixels are then all 0.

    Raises:
        PhotoError: the packages of the extra are missing, or the file is damaged, has samples of an unusual type, or
            has more than `max_pixels` pixels.
    """
    file.seek(0)
    data = file.read()
    header = _described(data, max_pixels)
    bits, is_float = header["bits_per_sample"], header["exponent_bits_per_sample"] > 0
    colours, has_alpha = header["color_channels"], header["has_alpha"]
    if header_only:
        dtype = np.float32 if is_float else np.uint16 if bits > 8 else np.uint8
        return blank_photo((header["height"], header["width"], colours + has_alpha), dtype, "jxl")
    samples, blocks = _call("pylibjxl", "decode", data, metadata=True)
    if bits > 8 or header["have_animation"]:  # of an animation, pylibjxl returns the last frame
        samples = _call("imagecodecs", "jpegxl_decode", data, **({"index": 0} if header["have_animation"] else {}))
        if is_float:
            samples = samples.astype(np.float32)
        elif samples.dtype == np.uint16:
            samples = widened(samples, bits)
    samples = np.atleast_3d(samples)
    if samples.dtype not in (np.uint8, np.uint16, np.float32) or samples.shape[2] != colours + has_alpha:
        reason = f"the JPEG XL data has {samples.shape[2]} channels of type {samples.dtype}, which fdikp does not read"
        raise PhotoError(reason, code="photo_unsupported", hint="convert it to TIFF")
    notes: list[str] = []
    pixels = np.ascontiguousarray(samples[..., :colours])
    alpha = np.ascontiguousarray(samples[..., colours]) if has_alpha else None
    scale, offset = fit_float_range(pixels, alpha, notes)
    height, width = pixels.shape[:2]
    if header["have_animation"]:
        notes.append("First frame of an animation; the others are left out.")
    profile, stated = blocks.get("icc"), _colours(data)
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    if stated.numbers and not profile:
        profile, chunks = nclx.described(stated.numbers, notes)
    # The decoder has rotated the pixels, so that an orientation tag that remains says nothing.
    metadata = Metadata(
        icc=kept_profile(profile, colours, notes),
        exif=exif.kept(blocks.get("exif"), width, height, notes),
        xmp=exif.upright_xmp(blocks["xmp"]) if blocks.get("xmp") else None,
        bits=bits,
        float_scale=scale,
        float_offset=offset,
        png_chunks=chunks,
        premultiplied=stated.premultiplied and alpha is not None,
    )
    return Photo(pixels, alpha, "jxl", tuple(notes), metadata)


def _described(data: bytes, max_pixels: int) -> dict[str, Any]:
    """Return the header of a JPEG XL file, as pylibjxl names its fields, after checking the size."""
    header: dict[str, Any] = _call("pylibjxl", "probe", data)
    check_size(header["width"], header["height"], max_pixels)
    return header


def _colours(data: bytes) -> ColourHeader:
    try:
        return read_colours(data)
    except ValueError as error:
        raise PhotoError(
            "the JPEG XL data is in a colour space that fdikp does not know",
            code="photo_unsupported",
            hint="convert it to TIFF",
        ) from error


def _call(package: str, function: str, data: bytes, **options: Any) -> Any:
    """Call a function of an extra package with a file; PhotoError if the package is missing or the file is damaged."""
    try:
        call: Callable[..., Any] = getattr(import_module(package), function)
    except ImportError as error:
        message = f"JPEG XL needs {package}"
        raise PhotoError(message, code="photo_unsupported", hint=install_hint("jxl")) from error
    try:
        return call(data, **options)
    except (RuntimeError, ValueError) as error:
        reason = "the JPEG XL data is cut short, damaged or of an unknown kind"
        raise PhotoError(reason, code="photo_damaged", hint="copy or export it again") from error
