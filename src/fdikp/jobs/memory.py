"""Fit a job into a memory budget: the tile to load a model with, and the largest photo to accept."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fdikp.errors import FdikpError
from fdikp.imaging import Photo
from fdikp.jobs.request import DeblurRequest

if TYPE_CHECKING:
    import numpy as np

PROCESS_BYTES = 340 * 2**20
"""What a process takes beside tiles and photos: Python, torch, libvips and the weights. Measured on Linux: 244 MiB for
fdikp-lite and 272 MiB for fdikp-base before the first tile, and up to 40 MiB more with it, whatever its size."""

RESERVED_BYTES = 64 * 2**20
"""What is left for the photo when a tile is chosen: enough for 3.5 megapixels in 8 bits."""

ENCODER_BYTES_PER_PIXEL = 12
"""What encoding a result takes at most beside its pixels: measured for progressive JPEG, which takes the most."""

BLUR_BYTES_PER_PIXEL = 8
"""What blur radius and confidence take."""

FIGURE_BYTES = 100 * 2**20
"""What drawing the blur map takes at most, beyond what the network has freed: Matplotlib and its canvas. Measured."""


class MemoryModel(Protocol):
    """How much memory a model takes: `fdikp.models.descriptor.ModelDescriptor` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def min_tile(self) -> int:
        """The smallest side of a tile, in pixels."""

    @property
    def size_multiple(self) -> int:
        """What the side of a tile is a multiple of, in pixels."""

    def working_memory(self, tile: int) -> int:
        """The most bytes that inference on one tile of this side takes, without the weights."""


@dataclass(frozen=True)
class MemoryPlan:
    """How a budget is divided."""

    tile: int
    """The side of the tiles, for `load_model`."""

    photo_bytes: int
    """What is left for one photo, for `DeblurRequest.max_bytes`."""


def plan_memory(model: MemoryModel, budget: int, largest_tile: int) -> MemoryPlan:
    """Choose the largest tile with which a process that works on one photo at a time stays within a budget.

    Args:
        model: the model to load.
        budget: for the whole process, in bytes.
        largest_tile: no larger tile is chosen, in pixels.

    Raises:
        FdikpError: even the smallest tile does not fit; its code is `over_memory_budget`.
    """
    for tile in range(largest_tile, model.min_tile - 1, -model.size_multiple):
        left = budget - _without_photo(model, tile)
        if left >= RESERVED_BYTES:
            return MemoryPlan(tile, left)
    least = _without_photo(model, model.min_tile) + RESERVED_BYTES
    raise FdikpError(
        f"{model.name}: needs at least {megabytes(least)} of memory for a photo of 3.5 megapixels, "
        f"and may take {megabytes(budget)}",
        code="over_memory_budget",
        hint="raise the budget or choose a smaller model",
    )


def _without_photo(model: MemoryModel, tile: int) -> int:
    """Bytes that a process takes beside its photo."""
    return PROCESS_BYTES + model.working_memory(tile)


def pixel_limit(request: DeblurRequest) -> int:
    """The most pixels that a photo may have: three channels of 8 bits are assumed, which is checked after decoding."""
    if request.max_bytes is None:
        return request.max_pixels
    left = request.max_bytes - _bytes_of_figure(request)
    pixels = left // _bytes_per_pixel(request, 3)
    if request.preview is not None:
        pixels = max(pixels, (left - _bytes_of_preview(request, 3)) // _bytes_to_shrink(3))
    return max(0, min(request.max_pixels, pixels))


def check_memory(request: DeblurRequest, photo: Photo, mask: "np.ndarray | None" = None) -> None:
    """Raise FdikpError if a photo, its mask, its result and the encoder together take more than `max_bytes`."""
    pixels = photo.width * photo.height
    if request.max_bytes is not None:
        needed = _needed(request, pixels, photo.pixels.nbytes // pixels) + (mask.nbytes if mask is not None else 0)
        if needed > request.max_bytes:
            raise _too_large(request, needed)


def declared_too_large(request: DeblurRequest, pixels: int) -> FdikpError:
    """The error for a photo that declares more pixels than `pixel_limit` for the sake of `max_bytes`."""
    return _too_large(request, _needed(request, pixels, 3))


def _too_large(request: DeblurRequest, needed: int) -> FdikpError:
    lacking = needed - (request.max_bytes or 0)
    return FdikpError(
        f"{request.source}: the photo and its result need {megabytes(needed)} of memory, "
        f"{megabytes(lacking)} more than is left for them",
        code="over_memory_budget",
        hint="raise the memory budget by that much",
    )


def _needed(request: DeblurRequest, pixels: int, photo: int) -> int:
    """Bytes that a job takes for a photo of so many pixels, which itself takes `photo` bytes a pixel."""
    whole = pixels * _bytes_per_pixel(request, photo)
    if request.preview is not None:
        whole = min(whole, pixels * _bytes_to_shrink(photo) + _bytes_of_preview(request, photo))
    return whole + _bytes_of_figure(request)


def _bytes_per_pixel(request: DeblurRequest, photo: int) -> int:
    """Bytes that a job takes for each pixel of a photo, which itself takes `photo` bytes a pixel."""
    return 2 * photo + ENCODER_BYTES_PER_PIXEL + (BLUR_BYTES_PER_PIXEL if request.measures_blur else 0)


def _bytes_of_figure(request: DeblurRequest) -> int:
    """Bytes that drawing the blur map takes, whatever the photo's size."""
    return FIGURE_BYTES if request.blur_map_figure is not None else 0


def _bytes_to_shrink(photo: int) -> int:
    """Bytes that decoding a photo and shrinking it take for each of its pixels."""
    return 2 * photo


def _bytes_of_preview(request: DeblurRequest, photo: int) -> int:
    """Bytes that the job takes at the size of the preview, at most."""
    return (request.preview or 0) ** 2 * _bytes_per_pixel(request, photo)


def megabytes(count: int) -> str:
    """A number of bytes in words.

    >>> megabytes(2**30)
    '1024 MiB'
    """
    return f"{-(-count // 2**20)} MiB"
