"""Arguments that several entrances share: their types, and the selection that they make. Imports no torch."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Union

import numpy as np

from fdikp.errors import ArgumentError
from fdikp.imaging.photo import Photo
from fdikp.imaging.selection import Region, Selection, mask_of, read_mask, regions_of
from fdikp.inference.callbacks import Cancel, Progress

if TYPE_CHECKING:
    from PIL import Image

Mask: TypeAlias = Union[np.ndarray, "Image.Image", Photo, str, os.PathLike[str]]
"""Kinds of mask."""

Regions: TypeAlias = Iterable[Region | str | Sequence[float]]
"""Rectangles, each given as `Region.of` takes it."""


class RestoreOptions(TypedDict, total=False):
    """The keyword arguments of `Deblurrer`'s methods that restore an image."""

    strength: float
    """The fraction of the predicted change to apply, 0..2."""
    mask: Mask | None
    """Where to restore: white is restored, black is kept."""
    regions: Regions
    """Rectangles to restore."""
    min_blur: float | None
    """Least blur radius to restore, in pixels."""
    max_blur: float | None
    """Largest blur radius to restore, in pixels."""
    progress: Progress | None
    """Called after each tile."""
    cancel: Cancel | None
    """Asked before each tile whether to stop."""


def make_selection(
    mask: Mask | None = None,
    regions: Regions = (),
    min_blur: float | None = None,
    max_blur: float | None = None,
) -> Selection:
    """The selection that the arguments of `Deblurrer` describe.

    Raises:
        PhotoError: the mask is a file that cannot be read.
        TypeError: the mask is not a kind of mask.
        ArgumentError: an argument has a value that is not allowed.
    """
    return Selection(_mask(mask), regions_of(regions), min_blur, max_blur)


def _mask(mask: Any) -> np.ndarray | None:
    """A mask as an array [h, w]."""
    if mask is None or isinstance(mask, np.ndarray):
        return mask
    if isinstance(mask, str | os.PathLike):
        return read_mask(mask)
    if isinstance(mask, Photo):
        return mask_of(mask)
    pillow = sys.modules.get("PIL.Image")  # where Pillow is not imported, nobody holds one of its images
    if pillow is not None and isinstance(mask, pillow.Image):
        return _pillow_mask(mask)
    raise TypeError(f"{type(mask).__name__} is not a mask; give a path, an ndarray, a PIL image or a Photo")


def _pillow_mask(mask: "Image.Image") -> np.ndarray:
    """A PIL image of any mode as an array [h, w], in its depth."""
    if mask.mode in ("1", "L", "F"):
        return np.asarray(mask)
    if mask.mode.startswith("I"):  # 16 bits; Pillow reads PNGs of 16 bits as I
        samples = np.asarray(mask)
        if samples.size and not 0 <= samples.min() <= samples.max() <= 65535:
            value = f"{samples.min()} to {samples.max()}"
            raise ArgumentError("must be in 0..65535", argument="mask", value=value, hint="scale it to 16 bits first")
        return samples.astype(np.uint16)
    pixels = np.asarray(mask.convert("RGBA"))
    return mask_of(Photo(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])))
