"""Paired sets on disk, in the layout of DPDD: `source/000000.png`, rendered out of focus, and `target/000000.png`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import PhotoError
from fdikp.imaging import Metadata, Photo, as_unit, read_photo, write_photo
from fdikp.synthesis.field import Field
from fdikp.synthesis.render import Rendered, render_pair
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.settings import RenderSettings

RADIUS_UNIT = 1 / 256
"""Pixels of blur radius that a step of a radius map stands for."""


class UnusablePhotoError(PhotoError):
    """A sharp picture that no pair can be made of. Others may do."""


@dataclass(frozen=True)
class RenderedSet:
    """A set of pairs. Pair n is a function of these fields and n: not of how many there are, or who makes them when."""

    pictures: Sequence[Path]
    """Sharp photographs; each is used once before any is used again."""

    folder: Path
    """Where source/, target/ and radius/ lie."""

    settings: RenderSettings
    seed: int = 0

    size: int = 512
    """Side of the pairs in pixels; 0 is the whole photograph."""

    depth: int = 8
    """Bits per sample, 8 or 16."""

    radius_maps: bool = False
    """Whether radius/000000.png is written too: 16 bit, the blur radius in `RADIUS_UNIT`."""

    max_pixels: int = 200_000_000
    """Photographs with more pixels are refused before they are decoded."""

    def files(self, number: int) -> dict[str, Path]:
        """The files of a pair by what they hold; the source is written last."""
        kinds = ["radius"] * self.radius_maps + ["target", "source"]
        return {kind: self.folder / kind / f"{number:06}.png" for kind in kinds}

    def picture(self, number: int) -> Path:
        """The photograph that a pair is made of."""
        epoch, place = divmod(number, len(self.pictures))
        return self.pictures[_order(self.seed, epoch, len(self.pictures))[place]]

    def make(self, number: int) -> dict[str, Any]:
        """Render a pair and write its files, each whole or not at all. Returns what a manifest says of it.

        Raises:
            UnusablePhotoError: its photograph is damaged, or smaller than a pair.
            PhotoError: a file cannot be written.
        """
        path = self.picture(number)
        try:
            photo = read_photo(path, max_pixels=self.max_pixels)
        except PhotoError as error:
            raise UnusablePhotoError(str(error)) from error
        rng = RandomStream(self.seed).fork(f"pair {number}")
        width, height = self.size or photo.width, self.size or photo.height
        if width > photo.width or height > photo.height:
            largest = min(photo.width, photo.height)
            raise UnusablePhotoError(
                f"{path}: {photo.width}×{photo.height} pixels, smaller than a pair; choose a --size up to {largest}"
            )
        place = rng.fork("tile")
        x, y = place.integer(0, photo.width - width), place.integer(0, photo.height - height)
        pair = self._rendered(photo, (x, y, width, height), rng.seed)
        # A grey photograph's profile does not fit the colour picture that noise makes of it
        metadata = Metadata(icc=photo.metadata.icc if photo.pixels.shape[2] == 3 else None)
        pixels = {
            "radius": _integers(pair.radius, 1 / RADIUS_UNIT, np.uint16),
            "target": _integers(pair.target, 2**self.depth - 1, self._type),
            "source": _integers(pair.blurred, 2**self.depth - 1, self._type),
        }
        for kind, file in self.files(number).items():
            write_photo(Photo(pixels[kind], metadata=Metadata() if kind == "radius" else metadata), file)
        radius = pair.radius
        return {
            "file": f"{number:06}.png",
            "picture": str(path),
            "tile": [x, y, width, height],
            "seed": rng.seed,
            "radius_mean": round(float(radius.mean()), 4),
            "radius_median": round(float(radius.median()), 4),
            "radius_max": round(float(radius.max()), 4),
            "in_focus": round(float((radius < 0.5).float().mean()), 4),
        }

    @property
    def _type(self) -> type[np.unsignedinteger[Any]]:
        return np.uint8 if self.depth == 8 else np.uint16

    def _rendered(self, photo: Photo, tile: tuple[int, int, int, int], seed: int) -> Rendered:
        """The pair of a tile (x, y, width, height) with maps [C, H, W]: rendered with its surroundings, and cut."""
        x, y, width, height = tile
        margin = math.ceil(2 * self.settings.max_radius)
        left, top = max(0, x - margin), max(0, y - margin)
        right, bottom = min(photo.width, x + width + margin), min(photo.height, y + height + margin)
        window = _unit(photo.pixels[top:bottom, left:right])
        field = Field.of_tile(left, top, right - left, bottom - top, photo.width, photo.height)
        pair = render_pair(window[None], [seed], self.settings, [field])
        inner = (0, slice(None), slice(y - top, y - top + height), slice(x - left, x - left + width))
        return Rendered(pair.blurred[inner], pair.target[inner], pair.radius[inner])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    """In which order an epoch goes through the photographs."""
    generator = torch.Generator().manual_seed(RandomStream(seed).fork(f"order {epoch}").seed)
    return [int(n) for n in torch.randperm(count, generator=generator)]


def _unit(pixels: np.ndarray) -> Tensor:
    """[3, H, W] float32 in 0..1 of a photograph's pixels [H, W, 1 or 3]."""
    return torch.from_numpy(as_unit(pixels)).permute(2, 0, 1).expand(3, -1, -1).clamp(0.0, 1.0).contiguous()


def _integers(image: Tensor, scale: float, dtype: type[np.unsignedinteger[Any]]) -> np.ndarray:
    """[H, W, C] integers of an image [C, H, W] times a scale."""
    values = (image.permute(1, 2, 0).double() * scale).round().clamp(0, np.iinfo(dtype).max)
    return np.ascontiguousarray(values.numpy().astype(dtype))
