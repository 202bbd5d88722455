"""An engine of numpy alone, and small photos."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import Cancelled
from fdikp.imaging import Photo
from fdikp.inference.results import Restoration


@dataclass(frozen=True)
class Model:
    name: str = "negative"
    sha256: str = "0" * 64


@dataclass
class NegativeEngine:
    """Returns the negative of what is selected, four tiles at a time. The blur radius of a pixel is its column."""

    descriptor: Model = field(default_factory=Model)
    calls: list[str] = field(default_factory=list)

    def restore(self, photo: Photo, *, strength, selection, blur_map, progress, cancel) -> Restoration:
        for done in range(1, 5):
            if cancel is not None and cancel():
                raise Cancelled
            self.calls.append(f"tile {done}")
            if progress is not None:
                progress(done, 4)
        white = np.iinfo(photo.pixels.dtype).max
        height, width = photo.pixels.shape[:2]
        radius = np.tile(np.arange(width, dtype=np.float32), (height, 1))
        weight = np.full((height, width), strength, np.float32)
        if selection is not None:
            spatial = selection.spatial_weight(height, width)
            weight *= selection.blur_gate(radius) * (1 if spatial is None else spatial)
        change = weight[..., None] * (white - 2.0 * photo.pixels)
        pixels = np.rint(photo.pixels + change).clip(0, white).astype(photo.pixels.dtype)
        maps = (radius, np.full_like(radius, 0.5)) if blur_map else (None, None)
        return Restoration(photo.with_pixels(pixels), *maps, ("It was easy.",), 4)


@pytest.fixture
def engine() -> NegativeEngine:
    return NegativeEngine()


@pytest.fixture
def photo_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small photo below tmp_path; returns its path."""

    def photo_file(name: str = "a.png", size: tuple[int, int] = (20, 30), **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(noise).save(path, **options)
        return path

    return photo_file


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], list[str]]:
    """Every file below tmp_path, as sorted relative names; hidden ones too."""
    return lambda: sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
