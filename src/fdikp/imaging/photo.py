"""A photo in memory: its pixels, and everything about its file that the result should keep."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np

from fdikp.imaging.limits import white_level
from fdikp.imaging.metadata import Metadata


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright photo, and what is needed to write it again without loss. It can be pickled."""

    pixels: np.ndarray
    """[H, W, C], C = 1 (grey) or 3 (RGB); uint8, uint16 or float32 (0..1); contiguous. RGB values are those of the
    file, in the colour space of `metadata.icc`."""

    alpha: np.ndarray | None = None
    """Transparency [H, W] of the same dtype, or None. Deblurring does not change it."""

    format: str = "png"
    """Format of the source: a key of `fdikp.imaging.FORMATS`."""

    notes: tuple[str, ...] = ()
    """What was converted or left out while reading, one sentence each."""

    metadata: Metadata = field(default_factory=Metadata)
    """What the source's file holds besides pixels."""

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(f"pixels must be [H, W, 1] or [H, W, 3], not {list(pixels.shape)}")
        if pixels.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"pixels must be uint8, uint16 or float32, not {pixels.dtype}")
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
            raise ValueError(
                f"alpha must be {list(pixels.shape[:2])} {pixels.dtype} like the pixels, "
                f"not {list(alpha.shape)} {alpha.dtype}"
            )

    def __repr__(self) -> str:
        colours = "grey" if self.pixels.shape[2] == 1 else "RGB"
        alpha = ", alpha" if self.alpha is not None else ""
        return f"Photo({self.width}×{self.height}, {colours}, {self.pixels.dtype}{alpha}, format={self.format!r})"

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    def with_pixels(self, pixels: np.ndarray) -> Photo:
        """Return this photo with other pixels of the same shape [H, W, C] and dtype.

        Raises:
            ValueError: shape or dtype differ, so that alpha, profile and depth would no longer fit.
        """
        if pixels.shape != self.pixels.shape or pixels.dtype != self.pixels.dtype:
            raise ValueError(
                f"pixels must be {list(self.pixels.shape)} {self.pixels.dtype} as before, "
                f"not {list(pixels.shape)} {pixels.dtype}"
            )
        return replace(self, pixels=pixels)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        quality: int | None = None,
        strip: bool = False,
    ) -> tuple[str, ...]:
        """Write this photo: see `fdikp.imaging.write_photo`."""
        from fdikp.imaging.writing import write_photo

        return write_photo(self, path, format=format, quality=quality, strip=strip)


def blank_photo(shape: tuple[int, int, int], dtype: type, format: str, notes: tuple[str, ...] = ()) -> Photo:
    """A photo whose samples are all 0 and take no memory.

    Args:
        shape: height, width, and number of channels: 1 or 3 colours, and one more for transparency.
        dtype: of the samples.
        format: see `Photo.format`.
        notes: see `Photo.notes`.
    """
    height, width, bands = shape
    colours = 3 if bands >= 3 else 1
    zero: np.ndarray = np.zeros((), dtype)
    alpha = np.broadcast_to(zero, (height, width)) if bands > colours else None
    return Photo(np.broadcast_to(zero, (height, width, colours)), alpha, format, notes)


def as_unit(pixels: np.ndarray) -> np.ndarray:
    """Convert uint8 or uint16 samples to float32 in 0..1, and floats to float32 unscaled."""
    return pixels.astype(np.float32) / np.float32(white_level(pixels.dtype.name))
