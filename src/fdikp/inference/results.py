"""What an inference returns. Imports no torch, so that programs that only read or write photos stay light."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from fdikp.imaging import Photo

Image = TypeVar("Image")
"""The kind of image that was given."""


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored photo, and a report of how it was restored."""

    photo: Photo
    """The restored photo; format and metadata are those of the input."""
    blur_map: np.ndarray | None
    """[H, W] float32: the radius of the circle of confusion, in pixels; None unless it was asked for."""
    confidence_map: np.ndarray | None
    """[H, W] float32 in 0..1: how far the blur map can be trusted; near 0 in flat areas, where the blur map is filled
    from the neighbourhood. None unless the blur map was asked for."""
    notes: tuple[str, ...]
    """One sentence for each deviation from the usual way, such as a tile that was halved for lack of memory."""
    tiles: int
    """The number of tiles that were computed: those that contribute to what the selection includes."""


class RestoredBands(Iterator[tuple[int, np.ndarray]]):
    """The rows of a restored photo, in bands from top to bottom; each band is computed when it is asked for.

    Each item is the index of the band's first row, and the band [h, W, C] in the photo's type. Every row comes once.
    Memory holds one row of tiles, whatever the height of the photo.
    """

    def __init__(self, bands: Iterator[tuple[int, np.ndarray]], notes: list[str]) -> None:
        self._bands = bands
        self._notes = notes

    def __next__(self) -> tuple[int, np.ndarray]:
        return next(self._bands)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes so far, as in `Restoration.notes`."""
        return tuple(self._notes)


@dataclass(frozen=True, eq=False)
class Analysis(Generic[Image]):
    """A restored image, and everything that it was computed from (Figs. 3, 5, 6)."""

    image: Image
    """The restored image, of the kind that was given."""
    blur_map: np.ndarray | None
    """[H, W] float32: the radius of the circle of confusion, in pixels; None if the weights have no calibration."""
    confidence_map: np.ndarray | None
    """[H, W] float32 in 0..1: how far the blur map can be trusted, as in `Restoration.confidence_map`."""
    dilation_map: np.ndarray
    """[H, W] float32: the dilation D of eq. 9 at the finest stage, in pixels between taps of the inverse kernels."""
    kernels: np.ndarray
    """[tiles, stages, 2, N, K, K] float32: inverse kernels; stages from coarse to fine, each for its blurry input and
    for the result of the stage before."""
    tile_boxes: np.ndarray
    """[tiles, 4] int: y, x, height and width of each tile, in pixels."""
    coefficients: np.ndarray
    """[2(N + 1), H, W] float32 in -1..1: the weight of each candidate at the finest stage."""
    coefficient_names: tuple[str, ...]
    """The name of the candidate that each coefficient map weighs."""
    notes: tuple[str, ...]
    """As in `Restoration.notes`."""
