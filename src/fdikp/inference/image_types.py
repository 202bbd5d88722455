"""The kinds of picture that a program may hold, and how each goes through a function on pixels and comes back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import PhotoError
from fdikp.imaging import Photo, encode_photo, output_format, read_photo

Restore = Callable[[Tensor], Tensor]
"""From pixels [H, W, C], C = 1 or 3, uint8, uint16 or float, to the same shape and type."""


def map_image(image: Any, restore: Restore) -> Any:
    """Put a picture of any supported kind through `restore`, and give back the same kind.

    ================  =====================================================================  =====================
    in                what it may be                                                         out
    ================  =====================================================================  =====================
    path              a photograph that `read_photo` reads                                   `Photo`
    `bytes`           an encoded photograph                                                  `bytes`, same format
    `Photo`           any                                                                    `Photo`
    PIL image         any mode; those other than L, LA, RGB, RGBA and I;16 become RGB        PIL image
    `ndarray`         [H, W], [H, W, C], C = 1, 2, 3, 4; uint8, uint16, or floats in 0..1    `ndarray`, same type
    `torch.Tensor`    [C, H, W], [B, C, H, W], C = 1, 3; uint8, uint16, or floats in 0..1    tensor, same type
    ================  =====================================================================  =====================

    Alpha (the second of two channels, the fourth of four) is carried over untouched.

    Raises:
        PhotoError: not a picture, or its values are not finite.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        photo = _photo(read_photo(bytes(image)), restore)
        return encode_photo(photo, output_format(photo)[0])
    if isinstance(image, str | os.PathLike):
        return _photo(read_photo(Path(image)), restore)
    if isinstance(image, Photo):
        return _photo(image, restore)
    if isinstance(image, Tensor):
        return _tensor(image, restore)
    if isinstance(image, np.ndarray):
        return _array(image, restore)
    if type(image).__module__.partition(".")[0] == "PIL":
        return _pillow(image, restore)
    raise PhotoError(f"{type(image).__name__}: not a picture; give a path, bytes, PIL image, ndarray or tensor")


def pixels_of(photo: Photo) -> Tensor:
    """A photograph's pixels as a tensor [H, W, C] that shares their memory."""
    return torch.from_numpy(_contiguous(photo.pixels))


def _photo(photo: Photo, restore: Restore) -> Photo:
    return photo.with_pixels(restore(pixels_of(photo)).numpy())


def _array(image: np.ndarray, restore: Restore) -> np.ndarray:
    flat = image[..., None] if image.ndim == 2 else image
    if flat.ndim != 3 or flat.shape[-1] not in (1, 2, 3, 4) or 0 in flat.shape:
        raise PhotoError(f"array of shape {image.shape}: not a picture; give [H, W] or [H, W, C] with 1 to 4 channels")
    colours = flat.shape[-1] - (flat.shape[-1] % 2 == 0)
    restored = restore(_checked(torch.from_numpy(_contiguous(flat[..., :colours])))).numpy()
    return np.concatenate((restored, flat[..., colours:]), axis=-1).reshape(image.shape)


def _tensor(image: Tensor, restore: Restore) -> Tensor:
    if image.ndim == 4:
        return torch.stack([_tensor(one, restore) for one in image])
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise PhotoError(
            f"tensor of shape {tuple(image.shape)}: not a picture; give [C, H, W] or [B, C, H, W], C 1 or 3"
        )
    return restore(_checked(image.detach().permute(1, 2, 0))).permute(2, 0, 1)


def _pillow(image: Any, restore: Restore) -> Any:
    from PIL import Image

    if image.mode.startswith("I;16"):
        restored = _array(np.asarray(image).astype(np.uint16), restore)
        return Image.fromarray(restored)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    result = Image.fromarray(_array(np.asarray(image), restore))
    result.info = dict(image.info)
    return result


def _contiguous(array: np.ndarray) -> np.ndarray:
    """The array with its bytes in order, native and writable, as torch wants them."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.flags.writeable else array.copy()


def _checked(pixels: Tensor) -> Tensor:
    """The pixels, if they are of a type and range that a picture has."""
    if pixels.dtype in (torch.uint8, torch.uint16):
        return pixels
    if not pixels.is_floating_point():
        raise PhotoError(f"values of type {pixels.dtype}: not a picture; give uint8, uint16, or floats in 0..1")
    low, high = pixels.aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise PhotoError("the picture holds NaN or infinite values; replace them first")
    if low < -0.5 or high > 1.5:
        raise PhotoError(f"float values run from {low:.3g} to {high:.3g}; scale them to 0..1 first")
    return pixels
