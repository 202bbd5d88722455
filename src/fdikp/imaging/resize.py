"""Shrink images, without aliasing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fdikp.errors import ArgumentError
from fdikp.imaging import exif
from fdikp.imaging._vips import pyvips
from fdikp.imaging.photo import Photo

KERNEL = "cubic"
"""libvips' reduction kernel: sharper than a triangle, with less ringing than Lanczos'."""


def shrunk(photo: Photo, long_side: int) -> Photo:
    """The photo, shrunk so that its long side has at most this many pixels; a smaller photo is returned as it is.

    Raises:
        ArgumentError: `long_side` is not a whole number of at least 1.
    """
    check_long_side(long_side)
    if max(photo.height, photo.width) <= long_side:
        return photo
    pixels = shrink_pixels(photo.pixels, long_side)
    alpha = None if photo.alpha is None else shrink_pixels(photo.alpha[..., None], long_side)[..., 0]
    block = photo.metadata.exif and exif.upright(photo.metadata.exif, pixels.shape[1], pixels.shape[0])
    return replace(photo, pixels=pixels, alpha=alpha, metadata=replace(photo.metadata, exif=block))


def shrink_pixels(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """[H, W, C], uint8, uint16 or float, shrunk likewise; its type and range of values stay."""
    height, width = pixels.shape[:2]
    if max(height, width) <= long_side:
        return pixels
    scale = long_side / max(height, width)
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    known = pixels if pixels.dtype in (np.uint8, np.uint16, np.float32, np.float64) else pixels.astype(np.float32)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(known, known.dtype.newbyteorder("=")))
    small = image.resize(columns / width, vscale=rows / height, kernel=KERNEL).numpy().reshape(rows, columns, -1)
    if pixels.dtype.kind == "f":  # the kernel overshoots
        small = small.clip(pixels.min(), pixels.max())
    return np.ascontiguousarray(small, pixels.dtype)


def check_long_side(long_side: object) -> None:
    """Raise ArgumentError unless this is a whole number of pixels, at least 1."""
    if isinstance(long_side, bool) or not isinstance(long_side, int) or long_side < 1:
        raise ArgumentError("must be a whole number of pixels, at least 1", argument="long_side", value=long_side)
