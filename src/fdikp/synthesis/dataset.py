"""Rendered data sets on disk, in the layout of DPDD: `source/000000.png` (out of focus) and `target/000000.png`."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import PhotoError
from fdikp.imaging import Metadata, Photo, as_unit, read_photo, write_photo
from fdikp.imaging.limits import MAX_PIXELS
from fdikp.synthesis.field import Field
from fdikp.synthesis.render import Rendered, render_pair
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.settings import RenderSettings

RADIUS_UNIT = 1 / 256
"""Blur radius, in pixels, of one step of a radius map."""


class UnusablePhotoError(PhotoError):
    """A sharp photo that cannot be rendered; the other photos of the set may still be."""


@dataclass(frozen=True)
class RenderedSet:
    """A set of pairs. Pair n depends on these fields and n alone, not on the number of pairs or their order."""

    photos: Sequence[Path]
    """Sharp photos; each is used once before any is used again."""

    folder: Path
    """The folder of source/, target/ and radius/."""

    settings: RenderSettings
    seed: int = 0

    size: int = 512
    """Side of the square pairs in pixels; 0 renders whole photos."""

    depth: int = 8
    """Bits per sample, 8 or 16."""

    radius_maps: bool = False
    """Whether to write radius/000000.png too: 16 bit, the blur radius in `RADIUS_UNIT`."""

    max_pixels: int = MAX_PIXELS
    """Photos with more pixels are rejected before they are decoded."""

    def files(self, number: int) -> dict[str, Path]:
        """The files of a pair by kind, in the order of writing: the source comes last."""
        kinds = ["radius"] * self.radius_maps + ["target", "source"]
        return {kind: self.folder / kind / f"{number:06}.png" for kind in kinds}

    def photo_of(self, number: int) -> Path:
        """The photo that a pair is rendered from."""
        epoch, position = divmod(number, len(self.photos))
        return self.photos[_order(self.seed, epoch, len(self.photos))[position]]

    def render_all(
        self, numbers: Iterable[int], workers: int
    ) -> Iterator[tuple[int, dict[str, Any] | UnusablePhotoError]]:
        """Render pairs in threads, `workers` at a time, and yield them in order.

        Yields:
            The number of each pair with its row of the manifest, or with the error of its photo.

        Raises:
            PhotoError: a file cannot be written.
        """
        remaining = iter(numbers)
        pending: deque[tuple[int, Future[dict[str, Any]]]] = deque()
        # One thread for each pair is faster than several threads for one pair
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            while True:
                for number in islice(remaining, 2 * workers - len(pending)):
                    pending.append((number, pool.submit(self.render, number)))
                if not pending:
                    return
                number, future = pending.popleft()
                try:
                    yield number, future.result()
                except UnusablePhotoError as error:
                    yield number, error
        finally:
            pool.shutdown(cancel_futures=True)

    def render(self, number: int) -> dict[str, Any]:
        """Render a pair and write its files, each atomically.

        Returns:
            The row of the manifest: file, photo, tile, seed, and statistics of the blur radius.

        Raises:
            UnusablePhotoError: the photo cannot be read, or is smaller than a pair.
            PhotoError: a file cannot be written.
        """
        path = self.photo_of(number)
        try:
            photo = read_photo(path, max_pixels=self.max_pixels)
        except PhotoError as error:
            raise UnusablePhotoError(str(error)) from error
        rng = RandomStream(self.seed).fork(f"pair {number}")
        width, height = self.size or photo.width, self.size or photo.height
        if width > photo.width or height > photo.height:
            largest = min(photo.width, photo.height)
            raise UnusablePhotoError(
                f"{path}: {photo.width}×{photo.height} pixels, smaller than a pair",
                hint=f"choose a size up to {largest}",
            )
        tile_rng = rng.fork("tile")
        x, y = tile_rng.integer(0, photo.width - width), tile_rng.integer(0, photo.height - height)
        pair = self._render_tile(photo, (x, y, width, height), rng.seed)
        # A grey photo's profile does not fit the RGB image that noise makes of it
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
            "photo": str(path),
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

    def _render_tile(self, photo: Photo, tile: tuple[int, int, int, int], seed: int) -> Rendered:
        """Render a tile (x, y, width, height) with its surroundings, and crop the maps [C, H, W] to the tile."""
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
    """The order in which an epoch goes through the photos."""
    generator = torch.Generator().manual_seed(RandomStream(seed).fork(f"order {epoch}").seed)
    return [int(n) for n in torch.randperm(count, generator=generator)]


def _unit(pixels: np.ndarray) -> Tensor:
    """A photo's pixels [H, W, 1 or 3] as [3, H, W] float32 in 0..1."""
    return torch.from_numpy(as_unit(pixels)).permute(2, 0, 1).expand(3, -1, -1).clamp(0.0, 1.0).contiguous()


def _integers(image: Tensor, scale: float, dtype: type[np.unsignedinteger[Any]]) -> np.ndarray:
    """An image [C, H, W] times `scale`, rounded to integers [H, W, C]."""
    values = (image.permute(1, 2, 0).double() * scale).round().clamp(0, np.iinfo(dtype).max)
    return np.ascontiguousarray(values.numpy().astype(dtype))
