"""Engines of numpy alone, for tests of the service. A worker process imports this module by its name."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fdikp.errors import Cancelled, FdikpError
from fdikp.imaging import Photo
from fdikp.inference.results import Restoration
from fdikp.service.settings import ServiceSettings

TILES = 4
DEADLY_WIDTH = 13
"""A photo of this width kills the process of `load_deadly`'s engine, each time."""


@dataclass(frozen=True)
class Model:
    name: str = "negative"
    sha256: str = "0" * 64


@dataclass
class NegativeEngine:
    """Returns the negative, in four tiles. The blur radius of a pixel is its column."""

    descriptor: Model = field(default_factory=Model)
    before_tile: Callable[[Photo, int], None] = lambda photo, tile: None
    tiles: int = 0

    def restore(self, photo: Photo, *, strength, selection, blur_map, progress, cancel) -> Restoration:
        for tile in range(TILES):
            if cancel is not None and cancel():
                raise Cancelled
            self.before_tile(photo, tile)
            self.tiles += 1
            if progress is not None:
                progress(tile + 1, TILES)
        white = np.iinfo(photo.pixels.dtype).max
        height, width = photo.pixels.shape[:2]
        radius = np.tile(np.arange(width, dtype=np.float32), (height, 1))
        maps = (radius, np.full_like(radius, 0.5)) if blur_map else (None, None)
        return Restoration(photo.with_pixels(white - photo.pixels), *maps, (), TILES)


def load(settings: ServiceSettings, model: str) -> NegativeEngine:
    return NegativeEngine(Model(model))


def load_deadly(settings: ServiceSettings, model: str) -> NegativeEngine:
    """An engine that is killed at the third tile of the first photo, and of every one of `DEADLY_WIDTH`."""

    def before_tile(photo: Photo, tile: int) -> None:
        if tile == 2:
            first = not (settings.data / "killed").exists()
            (settings.data / "killed").touch()
            if first or photo.width == DEADLY_WIDTH:
                os.kill(os.getpid(), signal.SIGKILL)

    return NegativeEngine(Model(model), before_tile)


def load_stuck(settings: ServiceSettings, model: str) -> NegativeEngine:
    """An engine whose tiles wait until a file `go` is in the data folder."""

    def before_tile(photo: Photo, tile: int) -> None:
        import time

        (settings.data / "waiting").touch()
        for _ in range(20):  # a tile of up to 0.2 s
            if not (settings.data / "go").exists():
                time.sleep(0.01)
        if tile == TILES - 1 and not (settings.data / "go").exists():
            before_tile(photo, 0)

    return NegativeEngine(Model(model), before_tile)


def load_nothing(settings: ServiceSettings, model: str) -> NegativeEngine:
    raise FdikpError(f"{model}: the device is not there", code="device_unusable")
