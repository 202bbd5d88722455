"""The kinds of image that a program may hold, and how each is restored and returned as the same kind."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import ArgumentError
from fdikp.imaging import Photo, encode_photo, output_format, read_photo
from fdikp.imaging.resize import shrink_pixels, shrunk

if TYPE_CHECKING:
    from PIL import Image

Readable = Photo | str | os.PathLike[str] | IO[bytes]
"""Images that are returned as a `Photo`."""

Encoded = bytes | bytearray | memoryview
"""Images that are returned as `bytes`."""

SameKind = TypeVar("SameKind", bytes, np.ndarray, Tensor, "Image.Image")
"""Images that are returned as the kind that they are."""

Scalar = TypeVar("Scalar", bound=np.generic)
"""The type of an array's values, which stays."""

Restore = Callable[[Tensor], Tensor]
"""Maps pixels [H, W, C], C = 1 or 3, uint8, uint16 or float, to the same shape and type."""

Convert = Callable[[Any, Restore], Any]
"""Restores an image of one kind."""


def map_image(image: Any, restore: Restore) -> Any:
    """Restore an image of any supported kind, and return the same kind.

    ================  =====================================================================  =====================
    in                what it may be                                                         out
    ================  =====================================================================  =====================
    path              a photo that `read_photo` reads                                        `Photo`
    binary file       an encoded photo, read from the current position to the end            `Photo`
    `bytes`           an encoded photo                                                       `bytes`, same format
    `Photo`           any                                                                    `Photo`
    PIL image         any mode; those other than L, LA, RGB, RGBA and I;16 become RGB        PIL image
    `ndarray`         [H, W], [H, W, C], [B, H, W, C], C = 1, 2, 3, 4; uint8, uint16, or     `ndarray`, same type
                      floats in 0..1
    `torch.Tensor`    [C, H, W], [B, C, H, W], C = 1, 3; uint8, uint16, or floats in 0..1    tensor, same type
    ================  =====================================================================  =====================

    Alpha (the second of two channels, the fourth of four) is returned unchanged. Bytes in a format that fdikp does not
    write become what `fdikp.imaging.output_format` says.

    Raises:
        PhotoError: the photo cannot be read.
        ArgumentError: the array or tensor has another shape, type or range.
        TypeError: not a kind of image.
    """
    convert = _converter(image)
    if convert is None:
        raise _not_a_kind(image)
    return convert(image, restore)


def is_image(image: object) -> bool:
    """Whether this is one of the kinds of image that `map_image` takes, a batch included."""
    return _converter(image) is not None


def opened(image: Any) -> Any:
    """An image of any kind that `map_image` takes; paths, files and bytes become a `Photo`.

    Raises:
        PhotoError: the photo cannot be read.
        TypeError: not a kind of image.
    """
    convert = _converter(image)
    if convert is None:
        raise _not_a_kind(image)
    if convert is _encoded:
        return read_photo(bytes(image))
    return image if convert in (_array, _tensor, _pillow) else convert(image, lambda pixels: pixels)


def image_size(image: Any) -> tuple[int, int]:
    """Height and width of an image that `opened` returned; 0 and 0 if it has not the shape of one."""
    if isinstance(image, Photo):
        return image.height, image.width
    if isinstance(image, Tensor):
        return (image.shape[-2], image.shape[-1]) if image.ndim in (3, 4) else (0, 0)
    if isinstance(image, np.ndarray):
        return image.shape[image.ndim == 4 :][:2] if image.ndim in (2, 3, 4) else (0, 0)
    return image.height, image.width


def shrunk_image(image: Any, long_side: int) -> Any:
    """An image that `opened` returned, shrunk so that its long side has at most this many pixels.

    Raises:
        ArgumentError: the array or tensor has another type or range than an image.
    """
    if isinstance(image, Photo):
        return shrunk(image, long_side)
    if isinstance(image, np.ndarray | Tensor) and image.ndim == 4:
        stack: Any = np.stack if isinstance(image, np.ndarray) else torch.stack
        return stack([shrunk_image(one, long_side) for one in image])
    if isinstance(image, Tensor):
        pixels = _checked(image.detach().permute(1, 2, 0).cpu())
        small = shrink_pixels((pixels.float() if pixels.dtype == torch.bfloat16 else pixels).numpy(), long_side)
        return torch.from_numpy(small).permute(2, 0, 1).to(image)
    if isinstance(image, np.ndarray):
        pixels = _checked(torch.from_numpy(_contiguous(image[..., None] if image.ndim == 2 else image)))
        small = shrink_pixels(pixels.numpy(), long_side)
        return small[..., 0] if image.ndim == 2 else small
    return _map_pillow(image, lambda array: shrunk_image(array, long_side))


def pixels_of(photo: Photo) -> Tensor:
    """A photo's pixels as a tensor [H, W, C] that shares their memory."""
    return torch.from_numpy(_contiguous(photo.pixels))


def _converter(image: Any) -> Convert | None:
    """How to restore this kind of image; None if it is not one."""
    if isinstance(image, Photo):
        return _photo
    if isinstance(image, str | os.PathLike):
        return lambda path, restore: _photo(read_photo(Path(path)), restore)
    if isinstance(image, bytes | bytearray | memoryview):
        return _encoded
    if isinstance(image, np.ndarray):
        return _array
    if isinstance(image, Tensor):
        return _tensor
    pillow = sys.modules.get("PIL.Image")  # where Pillow is not imported, nobody holds one of its images
    if pillow is not None and isinstance(image, pillow.Image):
        return _pillow
    if hasattr(image, "read"):
        return _file
    return None


def _photo(photo: Photo, restore: Restore) -> Photo:
    return photo.with_pixels(restore(pixels_of(photo)).numpy())


def _encoded(data: bytes | bytearray | memoryview, restore: Restore) -> bytes:
    photo = _photo(read_photo(bytes(data)), restore)
    return encode_photo(photo, output_format(photo)[0])


def _file(file: Any, restore: Restore) -> Photo:
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"{type(file).__name__} is not a binary file; open it with mode 'rb'")
    return _photo(read_photo(data), restore)


def _array(image: np.ndarray, restore: Restore) -> np.ndarray:
    if image.ndim == 4 and len(image):
        return np.stack([_array(one, restore) for one in image])
    channels_last = image[..., None] if image.ndim == 2 else image
    channels = channels_last.shape[-1] if channels_last.ndim == 3 else 0
    if channels not in (1, 2, 3, 4) or 0 in image.shape:
        raise _not_an_image("an array of this shape", image.shape, "[H, W], [H, W, C] or [B, H, W, C], C = 1 to 4")
    colours = 3 if channels >= 3 else 1
    pixels = torch.from_numpy(_contiguous(channels_last[..., :colours]))
    restored = restore(_checked(pixels)).numpy()
    return np.concatenate((restored, channels_last[..., colours:]), axis=-1).reshape(image.shape)


def _tensor(image: Tensor, restore: Restore) -> Tensor:
    if image.ndim == 4 and len(image):
        return torch.stack([_tensor(one, restore) for one in image])
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise _not_an_image("a tensor of this shape", image.shape, "[C, H, W] or [B, C, H, W], C = 1 or 3")
    return restore(_checked(image.detach().permute(1, 2, 0))).permute(2, 0, 1)


def _pillow(image: Any, restore: Restore) -> Any:
    return _map_pillow(image, lambda array: _array(array, restore))


def _map_pillow(image: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The PIL image whose array is that of `image` after `function`."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(function(np.asarray(image).astype(np.uint16)))
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    result = Image.fromarray(function(np.asarray(image)))
    result.info = dict(image.info)
    return result


def _contiguous(array: np.ndarray) -> np.ndarray:
    """The array contiguous, in native byte order and writable, as torch needs it."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.flags.writeable else array.copy()


def _checked(pixels: Tensor) -> Tensor:
    """The pixels, if their type and range are those of an image."""
    if pixels.dtype in (torch.uint8, torch.uint16):
        return pixels
    if not pixels.is_floating_point():
        dtype = str(pixels.dtype).removeprefix("torch.")
        raise ArgumentError(
            "values of this type are not an image",
            argument="image",
            value=dtype,
            hint="give uint8, uint16, or floats in 0..1",
        )
    low, high = pixels.aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise ArgumentError("image: holds NaN or infinite values", hint="replace them first")
    if low < -0.5 or high > 1.5:
        raise ArgumentError(f"image: its values run from {low:.3g} to {high:.3g}", hint="scale them to 0..1 first")
    return pixels


def _not_a_kind(image: object) -> TypeError:
    return TypeError(
        f"{type(image).__name__} is not a kind of image; "
        "give a path, bytes, a binary file, a Photo, a PIL image, an ndarray or a tensor"
    )


def _not_an_image(what: str, shape: Sequence[int], expected: str) -> ArgumentError:
    return ArgumentError(f"{what} is not an image", argument="image", value=tuple(shape), hint=f"give {expected}")
