"""Shrink images in linear light, without aliasing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fdikp.errors import ArgumentError
from fdikp.imaging import exif
from fdikp.imaging._vips import pyvips
from fdikp.imaging.limits import white_level
from fdikp.imaging.photo import Photo

KERNEL = "cubic"
"""libvips' reduction kernel: sharper than a triangle, with less ringing than Lanczos'."""

_LEAST_OPACITY = 1e-6
"""Added to alpha, so that the colours of wholly transparent parts are kept."""


def shrunk(photo: Photo, long_side: int) -> Photo:
    """The photo, shrunk so that its long side has at most this many pixels; a smaller photo is returned as it is.

    Metadata is kept; EXIF states the new size.

    Raises:
        ArgumentError: `long_side` is not a whole number of at least 1.
    """
    check_long_side(long_side)
    if max(photo.height, photo.width) <= long_side:
        return photo
    if photo.alpha is None:
        pixels, alpha = shrink_pixels(photo.pixels, long_side), None
    else:
        pixels, alpha = _shrink_transparent(photo.pixels, photo.alpha, long_side)
    block = photo.metadata.exif and exif.upright(photo.metadata.exif, pixels.shape[1], pixels.shape[0])
    return replace(photo, pixels=pixels, alpha=alpha, metadata=replace(photo.metadata, exif=block))


def shrunk_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """Height and width of an image that is shrunk to this long side."""
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink_pixels(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """[H, W, C], uint8, uint16 or float in 0..1, shrunk likewise; its type stays. The last of 2 or 4 channels is alpha.

    Light is averaged, not sRGB values, so that small highlights keep their brightness, as they would in a camera with
    fewer pixels.
    """
    if max(pixels.shape[:2]) <= long_side:
        return pixels
    if pixels.shape[2] in (2, 4):
        colours, alpha = _shrink_transparent(pixels[..., :-1], pixels[..., -1], long_side)
        return np.concatenate((colours, alpha[..., None]), axis=2)
    return _encoded(_resized(_linear(pixels), long_side), pixels.dtype)


def _shrink_transparent(pixels: np.ndarray, alpha: np.ndarray, long_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [H, W, C] weighted by their alpha [H, W], and alpha; both shrunk."""
    opacity = _wrapped(alpha[..., None]).linear(1 / white_level(alpha.dtype.name), 0)
    image = _linear(pixels).bandjoin(opacity.linear(1, _LEAST_OPACITY)).premultiply(max_alpha=1)
    samples = _resized(image, long_side)
    opacity = samples[..., -1:].clip(_LEAST_OPACITY, None)
    return _encoded(samples[..., :-1] / opacity, pixels.dtype), _quantised(opacity[..., 0], alpha.dtype)


def check_long_side(long_side: object) -> None:
    """Raise ArgumentError unless this is a whole number of pixels, at least 1."""
    if isinstance(long_side, bool) or not isinstance(long_side, int) or long_side < 1:
        raise ArgumentError("must be a whole number of pixels, at least 1", argument="long_side", value=long_side)


def _resized(image: Any, long_side: int) -> np.ndarray:
    """A libvips image of floats, shrunk: [h, w, B] float32."""
    height, width = shrunk_size(image.height, image.width, long_side)
    small = image.resize(width / image.width, vscale=height / image.height, kernel=KERNEL)
    samples: np.ndarray = small.numpy().reshape(height, width, -1)
    return samples


def _linear(pixels: np.ndarray) -> Any:
    """A libvips image of the linear light of samples [H, W, C]; integers go through a table, row by row."""
    if pixels.dtype.kind == "f":
        light = np.empty(pixels.shape, np.float32)
        for y in range(0, len(pixels), 64):  # in bands: the intermediate results of a whole photo take much memory
            light[y : y + 64] = _decoded(pixels[y : y + 64].astype(np.float32))
        return _wrapped(light)
    white = int(white_level(pixels.dtype.name))
    table = _decoded(np.arange(white + 1, dtype=np.float32) / np.float32(white))
    return _wrapped(pixels).maplut(_wrapped(table[None, :, None]))


def _wrapped(samples: np.ndarray) -> Any:
    return pyvips.Image.new_from_array(np.ascontiguousarray(samples, samples.dtype.newbyteorder("=")))


def _decoded(values: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values in 0..1 (IEC 61966-2-1), float32."""
    light: np.ndarray = np.where(values <= 0.04045, values / 12.92, ((values + 0.055).clip(0) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _encoded(light: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """sRGB samples, of a type, of linear light; the kernel's overshoot is clipped."""
    light = light.clip(0, 1)
    return _quantised(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055), dtype)


def _quantised(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Values in 0..1 as samples of a type."""
    samples = values.clip(0, 1) * white_level(dtype.name)
    return np.ascontiguousarray(samples if dtype.kind == "f" else np.rint(samples), dtype)
