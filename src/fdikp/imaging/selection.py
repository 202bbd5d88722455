"""Which part of an image to restore: a mask, regions, and limits on the blur radius."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.errors import ArgumentError
from fdikp.imaging.limits import white_level
from fdikp.imaging.photo import as_unit

if TYPE_CHECKING:
    from fdikp.imaging.photo import Photo
    from fdikp.imaging.tiles import Span

FEATHER = 8.0
"""Width of the soft edge of a region in pixels, half of it inside the region and half outside."""

RELATIVE_SOFTNESS = 0.25
"""Width of the soft threshold of a blur limit, relative to the limit. About the error of the blur map."""

MIN_SOFTNESS = 0.5
"""Least width of the soft threshold of a blur limit, in pixels."""

MAX_MASK_EXCESS = 1e-3
"""How far a mask of floats may leave 0..1, which resampling can cause."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(%|px)?", re.IGNORECASE)


@dataclass(frozen=True)
class Length:
    """A position or a size along one side of an image."""

    value: float
    percent: bool = False
    """Whether the value is a percentage of the side; else it is in pixels."""

    def __str__(self) -> str:
        return f"{self.value!r}".removesuffix(".0") + ("%" if self.percent else "")

    def pixels(self, side: int) -> float:
        """The length in pixels, for a side of so many pixels."""
        return self.value * side / 100 if self.percent else self.value

    def scaled(self, factor: float) -> Length:
        """The same length in an image whose sides are `factor` times as long."""
        return self if self.percent else Length(self.value * factor)


@dataclass(frozen=True)
class Region:
    """A rectangle in an image: its left and upper edge, width and height.

    >>> Region.parse("120, 80, 400, 300").box(1120, 1680)
    (80.0, 380.0, 120.0, 520.0)
    >>> Region.parse("10%, 20%, 50%, 100%").box(1000, 2000)     # clipped to the image
    (200.0, 1000.0, 200.0, 1200.0)

    Raises:
        ArgumentError: a value is negative or not finite, or width or height is 0.
    """

    x: Length
    y: Length
    width: Length
    height: Length

    def __post_init__(self) -> None:
        values = [length.value for length in (self.x, self.y, self.width, self.height)]
        if not all(map(math.isfinite, values)) or min(values) < 0:
            raise _region_error(self, "its values must be finite and at least 0")
        if min(values[2:]) == 0:
            raise _region_error(self, "is empty; width and height must be above 0")

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read a region such as `120,80,400,300` (pixels) or `10%,20%,50%,50%`; the units may be mixed.

        Raises:
            ArgumentError: the text has another form, or stands for no rectangle.
        """
        matches = [_NUMBER.fullmatch(part.strip()) for part in text.split(",")] if isinstance(text, str) else []
        if len(matches) != 4 or None in matches:
            raise _region_error(
                text, "must be X,Y,WIDTH,HEIGHT; give pixels (120,80,400,300) or per cent (10%,5%,50%,50%)"
            )
        return cls(*(Length(float(match[1]), match[2] == "%") for match in matches if match))

    @classmethod
    def of(cls, value: Region | str | Sequence[float]) -> Region:
        """A region as it is, from its text, or from four numbers in pixels: x, y, width and height.

        Raises:
            ArgumentError: it is none of these, or stands for no rectangle.
        """
        if isinstance(value, Region):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        numbers: list[Any] = list(value) if isinstance(value, Sequence | np.ndarray) else []
        if len(numbers) != 4 or not all(isinstance(n, Real) and not isinstance(n, bool) for n in numbers):
            raise _region_error(value, "must be four numbers: x, y, width and height in pixels")
        return cls(*(Length(float(number)) for number in numbers))

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Top, bottom, left and right in an image of this size, in pixels, clipped to the image.

        Raises:
            ArgumentError: the region lies outside the image.
        """
        left, top = self.x.pixels(width), self.y.pixels(height)
        if left >= width or top >= height:
            raise _region_error(self, f"lies outside the image of {width} × {height} pixels")
        bottom, right = top + self.height.pixels(height), left + self.width.pixels(width)
        return top, min(bottom, float(height)), left, min(right, float(width))

    def scaled(self, factor: float) -> Region:
        """The same region in an image whose sides are `factor` times as long."""
        return Region(*(length.scaled(factor) for length in (self.x, self.y, self.width, self.height)))


@dataclass(frozen=True, eq=False)
class Selection:
    """What to restore: the weight, 0..1, of the change at each pixel. Without fields it is 1 everywhere.

    The weight is mask × maximum over the regions × blur gate.

    Raises:
        ArgumentError: a field has a value that is not allowed; one line names it.
    """

    mask: np.ndarray | None = None
    """[h, w]: bool, uint8, uint16 or floats in 0..1; white is restored, black is kept. A mask of another size than the
    image is resized bilinearly, but must have its aspect."""

    regions: tuple[Region, ...] = ()
    """Rectangles to restore, each given as `Region.of` takes it; no regions stand for the whole image. Edges within the
    image are soft, over `FEATHER` pixels."""

    min_blur: float | None = None
    """Restore only where the blur radius is at least this, in pixels. The weight falls to 0 below it, over
    `RELATIVE_SOFTNESS` of the limit and at least `MIN_SOFTNESS`."""

    max_blur: float | None = None
    """Restore only where the blur radius is at most this, in pixels; above it, the weight falls to 0 likewise."""

    def __post_init__(self) -> None:
        if self.mask is not None:
            object.__setattr__(self, "mask", _checked_mask(self.mask))
        object.__setattr__(self, "regions", regions_of(self.regions))
        for name in ("min_blur", "max_blur"):
            _check_radius(name, getattr(self, name))
        if self.min_blur is not None and self.max_blur is not None and self.min_blur > self.max_blur:
            raise ArgumentError(
                f"must be at most max_blur, which is {self.max_blur:g}", argument="min_blur", value=self.min_blur
            )

    @property
    def needs_blur(self) -> bool:
        """Whether the weight depends on the blur radius."""
        return self.min_blur is not None or self.max_blur is not None

    def spatial_weights(self, height: int, width: int) -> SpatialWeights | None:
        """The weights of mask and regions in an image of this size; None if they are 1 everywhere.

        Raises:
            ArgumentError: the mask has another aspect than the image, or a region lies outside it.
        """
        if self.mask is None and not self.regions:
            return None
        return SpatialWeights(self, height, width)

    def spatial_weight(self, height: int, width: int) -> np.ndarray | None:
        """The weights of mask and regions as one array [H, W] float32; otherwise as `spatial_weights`."""
        weights = self.spatial_weights(height, width)
        return None if weights is None else weights.rows(0, height)

    def blur_gate(self, radius: np.ndarray) -> np.ndarray:
        """The weights that the limits on the blur radius give, float32 in 0..1.

        Args:
            radius: of the circle of confusion, in pixels, of any shape.
        """
        gate = np.ones(radius.shape, np.float32)
        if self.min_blur is not None:
            gate *= _smoothstep((radius - self.min_blur) / _softness(self.min_blur) + 1)
        if self.max_blur is not None:
            gate *= _smoothstep((self.max_blur - radius) / _softness(self.max_blur) + 1)
        return gate

    def scaled(self, factor: float) -> Selection:
        """The same selection for an image whose sides are `factor` times as long."""
        return replace(
            self,
            regions=tuple(region.scaled(factor) for region in self.regions),
            min_blur=None if self.min_blur is None else self.min_blur * factor,
            max_blur=None if self.max_blur is None else self.max_blur * factor,
        )


class SpatialWeights:
    """The weights that mask and regions give to the pixels of one image, computed row by row as they are needed."""

    def __init__(self, selection: Selection, height: int, width: int) -> None:
        self._mask = None if selection.mask is None else _FittedMask(selection.mask, height, width)
        self._profiles = [_region_profiles(region, height, width) for region in selection.regions]
        """For each region its weights along both sides, [H] and [W]; the product is its weight at a pixel."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The weights of the rows from `start` to before `stop`, [stop - start, W] float32 in 0..1."""
        factors = [] if self._mask is None else [self._mask.rows(start, stop)]
        if self._profiles:
            products = [np.outer(vertical[start:stop], horizontal) for vertical, horizontal in self._profiles]
            factors.append(np.maximum.reduce(products))
        return reduce(np.multiply, factors)

    def tiles(self, rows: Sequence[Span], columns: Sequence[Span]) -> np.ndarray:
        """Which tiles contribute to a pixel whose weight is not 0: [rows, columns] bool."""
        return np.array([[part.any() for part in self._parts(row, columns)] for row in rows])

    def _parts(self, row: Span, columns: Sequence[Span]) -> Iterable[np.ndarray]:
        """The weights of a row of tiles, each where the tile contributes to the image."""
        weights = self.rows(row.start, row.stop)[row.weights > 0]
        return (weights[:, column.slice][:, column.weights > 0] for column in columns)


class _FittedMask:
    """A mask, resized to an image row by row as they are needed."""

    def __init__(self, mask: np.ndarray, height: int, width: int) -> None:
        self._mask = _reduced_mask(mask, height, width)
        self._is_resized = self._mask.shape != (height, width)
        if self._is_resized:
            self._vertical, self._horizontal = map(_neighbours, self._mask.shape, (height, width))

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The rows from `start` to before `stop`, [stop - start, W] float32 in 0..1, between the mask's bilinearly."""
        if not self._is_resized:
            return _unit(self._mask[start:stop])
        above, below, fraction = (part[start:stop] for part in self._vertical)
        upper, lower = _unit(self._mask[above]), _unit(self._mask[below])
        rows = upper + fraction[:, None] * (lower - upper)
        left, right, fraction = self._horizontal
        before = rows[:, left]
        between: np.ndarray = before + fraction * (rows[:, right] - before)
        return between


def read_mask(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """Read a mask from an image file, upright: [H, W] in the file's depth.

    Colours become their luma. Where the image is transparent, the mask is black.

    Raises:
        PhotoError: the file cannot be read.
    """
    from fdikp.imaging.reading import read_photo

    return mask_of(read_photo(source))


def mask_of(photo: Photo) -> np.ndarray:
    """The mask that a photo shows, [H, W] in its depth, as `read_mask` returns it."""
    grey, alpha = photo.pixels[..., 0], photo.alpha
    if photo.pixels.shape[2] == 3 and (photo.pixels != photo.pixels[..., :1]).any():
        grey = _luma(photo.pixels)
    if alpha is not None:
        grey = _like(grey.astype(np.float32) * as_unit(alpha), grey.dtype)
    return grey


def regions_of(values: Any) -> tuple[Region, ...]:
    """The regions of a list, each given as `Region.of` takes it.

    Raises:
        ArgumentError: it is no list, or one of them is no region.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentError("must be a list of regions", argument="regions", value=values)
    return tuple(map(Region.of, values))


def _luma(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 3] to [H, W] of the same type (Rec. 601)."""
    return _like(pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32), pixels.dtype)


def _like(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Float values in the scale of this type, as this type."""
    return values.astype(dtype) if dtype.kind == "f" else values.round().astype(dtype)


def _unit(mask: np.ndarray) -> np.ndarray:
    """A mask's values as float32 in 0..1."""
    return mask.astype(np.float32) if mask.dtype == bool else as_unit(mask).clip(0, 1)


def _checked_mask(mask: Any) -> np.ndarray:
    """The mask, if it is one."""
    if not isinstance(mask, np.ndarray):
        raise ArgumentError("must be an array [height, width]", argument="mask", value=type(mask).__name__)
    if mask.ndim != 2 or mask.size == 0:
        raise ArgumentError("must be [height, width], and not empty", argument="mask", value=mask.shape)
    mask = mask.astype(mask.dtype.newbyteorder("="), copy=False)
    if mask.dtype in (bool, np.uint8, np.uint16):
        return mask
    if mask.dtype.kind != "f":
        raise ArgumentError("must be bool, uint8, uint16 or floats in 0..1", argument="mask", value=mask.dtype.name)
    low, high = float(mask.min()), float(mask.max())
    if not (low >= -MAX_MASK_EXCESS and high <= 1 + MAX_MASK_EXCESS):  # NaN included
        raise ArgumentError("must be in 0..1", argument="mask", value=f"{low:g} to {high:g}")
    return mask


def _reduced_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask, averaged over blocks if it is at least twice as large as the image.

    Raises:
        ArgumentError: its aspect differs from the image's by more than rounding to whole pixels explains.
    """
    rows, columns = mask.shape
    # Either size may be the other one scaled, with each side rounded
    differences = (
        rows - columns * height / width,
        columns - rows * width / height,
        height - width * rows / columns,
        width - height * columns / rows,
    )
    if min(map(abs, differences)) >= 1:
        raise ArgumentError(
            f"has another aspect than the image of {width} × {height} pixels",
            argument="mask",
            value=f"{columns} × {rows} pixels",
            hint="give a mask of the image's size",
        )
    factor = min(rows // height, columns // width)
    return _block_means(mask, factor) if factor > 1 else mask


def _block_means(mask: np.ndarray, side: int) -> np.ndarray:
    """The means over blocks of side × side pixels, float32 in 0..1; what is left over at the end is left out."""
    rows, columns = (length // side for length in mask.shape)
    blocks = mask[: rows * side, : columns * side].reshape(rows, side, columns, side)
    means: np.ndarray = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means / np.float32(1 if mask.dtype == bool else white_level(mask.dtype.name))


def _neighbours(length: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `target` samples over a side: the sample of `length` before it, that after it, and how far between
    them it is, 0..1."""
    position = ((np.arange(target) + 0.5) * length / target - 0.5).clip(0, length - 1)
    before = position.astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (position - before).astype(np.float32)


def _region_profiles(region: Region, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A region's weights along both sides of an image, [H] and [W] float32."""
    top, bottom, left, right = region.box(height, width)
    return _profile(top, bottom, height), _profile(left, right, width)


def _profile(start: float, stop: float, length: int) -> np.ndarray:
    """The weights of an interval along a side, [length] float32; its ends are soft, except at the image's edge."""
    centres = np.arange(length) + 0.5
    feather = min(FEATHER, stop - start)
    weights = np.ones(length, np.float32)
    if start > 0:
        weights *= _smoothstep((centres - start) / feather + 0.5)
    if stop < length:
        weights *= _smoothstep((stop - centres) / feather + 0.5)
    return weights


def _smoothstep(t: np.ndarray) -> np.ndarray:
    """0 up to t = 0, 1 from t = 1, and a smooth step between, float32."""
    t = np.asarray(t, np.float32).clip(0, 1)
    step: np.ndarray = t * t * (3 - 2 * t)
    return step


def _softness(limit: float) -> float:
    """Width of the soft threshold of a limit on the blur radius, in pixels."""
    return max(MIN_SOFTNESS, RELATIVE_SOFTNESS * limit)


def _check_radius(name: str, radius: object) -> None:
    """Raise ArgumentError unless the radius is None, or a finite number of at least 0."""
    if radius is None:
        return
    number = float("nan") if isinstance(radius, bool) or not isinstance(radius, Real) else float(radius)
    if not 0 <= number < math.inf:
        raise ArgumentError("must be a radius in pixels, at least 0", argument=name, value=radius)


def _region_error(value: object, reason: str) -> ArgumentError:
    return ArgumentError(reason, argument="region", value=str(value) if isinstance(value, Region) else value)
