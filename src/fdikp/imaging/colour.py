"""Converting every pixel format to grey or RGB with at most one alpha, in 8 bit, 16 bit or float 0..1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fdikp.errors import PhotoError
from fdikp.imaging._vips import pyvips

_OTHER_SPACES = ("lab", "labs", "labq", "xyz", "lch", "cmc", "yxy", "hsv", "oklab", "oklch")
_NAMES = {"cmyk": "CMYK", "xyz": "XYZ", "lch": "LCh", "yxy": "Yxy", "hsv": "HSV"}

# A larger range of float values does not occur in photos, and would overflow in float32 arithmetic.
_WIDEST = 1e30


def as_grey_or_rgb(image: Any) -> tuple[Any, list[str]]:
    """Return a libvips image with 1 to 4 bands (grey or RGB, then alpha) of uchar, ushort or float, and notes.

    RGB values are not converted. Other colour spaces (CMYK, Lab, ...) are converted to sRGB, with its profile.
    """
    notes: list[str] = []
    if image.interpretation == "cmyk":
        # `input_profile` is the fallback for files without a profile.
        depth = 16 if image.format == "ushort" else 8
        inks, alpha = _split(image, 4)
        image = inks.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
        image = image if alpha is None else image.bandjoin(alpha)
        notes.append("CMYK is converted to sRGB.")
    elif image.interpretation in _OTHER_SPACES:
        name = _NAMES.get(image.interpretation, "Lab")
        colours, alpha = _split(image, 3)
        image = colours.colourspace("rgb16")
        image = (image if alpha is None else image.bandjoin(alpha)).copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "srgb"))
        notes.append(f"{name} is converted to sRGB.")
    if image.format == "uint":
        image = (image >> 16).cast("ushort")
        notes.append("32-bit integers are reduced to 16 bits.")
    elif image.format == "double":
        image = image.cast("float")
        notes.append("64-bit floats are reduced to 32 bits.")
    elif image.format not in ("uchar", "ushort", "float"):
        raise PhotoError(
            f"its samples are of type {image.format}, which photos do not use",
            code="photo_unsupported",
            hint="convert it to unsigned 8 or 16 bits",
        )
    colours = 3 if image.bands >= 3 else 1
    if image.bands > colours + 1:
        notes.append(f"Channels after the first {colours + 1} are left out.")
        image = image.extract_band(0, n=colours + 1)
    return image, notes


def _split(image: Any, colours: int) -> tuple[Any, Any]:
    """Split off the bands after the colours (None if there are none), which a conversion would rescale."""
    if image.bands <= colours:
        return image, None
    return image.extract_band(0, n=colours), image.extract_band(colours, n=image.bands - colours)


def widened(samples: np.ndarray, bits: int) -> np.ndarray:
    """Scale uint16 samples of fewer bits (0 to 2**bits - 1) to 0..65535."""
    top = 2**bits - 1
    return np.round(np.arange(top + 1) * (65535 / top)).astype(np.uint16).take(samples, mode="clip")


def kept_profile(profile: bytes | None, colours: int, notes: list[str]) -> bytes | None:
    """Return a file's ICC profile if it fits 1 (grey) or 3 (RGB) colours; otherwise None, with a note."""
    # libvips would leave these out when writing, without a message.
    if profile and (profile[36:40] != b"acsp" or profile[16:20] != (b"RGB " if colours == 3 else b"GRAY")):
        notes.append("The colour profile is damaged, or does not fit the pixels, and is left out.")
        return None
    return profile


def fit_float_range(pixels: np.ndarray, alpha: np.ndarray | None, notes: list[str]) -> tuple[float, float]:
    """Map float pixels to 0..1 in place; return (scale, offset) with original = pixels * scale + offset.

    Integers, and floats that are in 0..1 already, do not change. The scale is a power of two, so that a float file
    without negative values is restored bit for bit. NaN and infinity raise PhotoError.
    """
    if pixels.dtype != np.float32:
        return 1.0, 0.0
    low, high = float(pixels.min()), float(pixels.max())
    spans = [high - low] if alpha is None else [high - low, float(alpha.max()) - float(alpha.min())]
    if not all(map(math.isfinite, spans)):
        reason = "has pixels that are not numbers (NaN or infinity)"
        raise PhotoError(reason, code="photo_damaged", hint="replace them first")
    if low >= 0 and high <= 1:
        return 1.0, 0.0
    offset = min(low, 0.0)
    if high - offset > _WIDEST:
        raise PhotoError("has pixel values beyond 1e30", code="photo_unsupported", hint="rescale them first")
    scale = 2.0 ** math.ceil(math.log2(max(high - offset, 1.0)))
    if offset:
        pixels -= np.float32(offset)
    pixels /= np.float32(scale)
    notes.append(f"Values from {low:g} to {high:g} are mapped to 0..1, and mapped back when written as a float TIFF.")
    return scale, offset
