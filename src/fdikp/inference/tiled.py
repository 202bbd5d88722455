"""How an image goes through the network: in tiles, several at once where that is faster, again where it must be."""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import FdikpError
from fdikp.imaging.limits import white_level
from fdikp.imaging.tiles import Span, blend, spans
from fdikp.inference.ensemble import ensemble_stages
from fdikp.network import FDIKP, GRID, Stage
from fdikp.network.fdikp import pad, working_size

log = logging.getLogger(__name__)

OVERLAP = 64
"""Least overlap of neighbouring tiles, pixels."""

SMALLEST_TILE = 4 * GRID
"""Where halving after running out of memory ends."""

BATCH_PIXELS = {"cuda": 1680 * 1120}
"""How many pixels of tiles go through the network at once, by kind of device. A single tile leaves a GPU idle between
its many small operations; a photograph of DPDD, which is as large as this, does not. Elsewhere it is one tile at a
time: on a CPU two tiles of 384 at once were 7 % faster and took a third more memory, before the passes between the
convolutions were compiled."""

Progress = Callable[[int, int], None]
"""Called with the number of tiles done and of all tiles; what it raises ends the work."""

Place = tuple[slice, slice]
"""A tile's rows and columns."""


@dataclass(frozen=True)
class Engine:
    """A network on a device, and how images go through it."""

    name: str
    """The model's, for messages."""
    network: FDIKP
    """In the precision that it computes in."""
    float32: FDIKP
    """The same network in float32: a tile that overflows in 16 bits is computed again by it."""
    device: torch.device
    precision: torch.dtype
    tile: int
    """Side of the tiles, pixels, a multiple of 16; 0 for no tiles."""
    ensemble: bool
    """Whether each tile is restored in eight positions, of which the mean is taken."""


class TiledInference:
    """One image's way through the network: tiles, retries, and what is collected on the way.

    Args:
        engine: what computes.
        progress: called after each tile.
        keep: whether kernels and the places of tiles are collected.
    """

    def __init__(self, engine: Engine, progress: Progress | None = None, keep: bool = False) -> None:
        self.engine = engine
        self.progress = progress
        self.keep = keep
        self.notes: list[str] = []
        self.tiles = 0
        self.kernels: list[np.ndarray] = []
        self.origins: list[tuple[int, int, int, int]] = []

    def bands(self, pixels: Tensor, outputs: Callable[[Stage], Tensor]) -> Iterator[tuple[int, Tensor]]:
        """Finished bands of the picture's outputs, top to bottom.

        Begins again when memory runs out: with half as many tiles at once, and from one on with half the tile.

        Args:
            pixels: the picture [H, W, C], as `rgb` takes it.
            outputs: from a tile's finest stage (B = 1) to the maps [maps, h, w] wanted of it.

        Yields:
            The first row of a band, and the band [maps, rows, W], float32 on the CPU.
        """
        tile, batch = self.engine.tile, 0
        while True:
            rows, columns = (spans(side, tile, min(OVERLAP, tile // 4), GRID) for side in pixels.shape[:2])
            batch = batch or self._batch(rows, columns)
            try:
                yield from self._bands(pixels, outputs, rows, columns, batch)
                return
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            # Outside the handler, whose traceback would keep the failed tile's memory alive
            if batch > 1:
                self.note(f"out of memory: {batch} tiles at once halved to {batch // 2}")
                batch //= 2
            else:
                tile = self._halved(tile or max(pixels.shape[:2]))
            self.kernels.clear()
            self.origins.clear()
            gc.collect()
            if self.engine.device.type == "cuda":
                torch.cuda.empty_cache()

    def _batch(self, rows: Sequence[Span], columns: Sequence[Span]) -> int:
        """How many tiles go through at once: few enough for the device, and about as many each time."""
        tiles = len(rows) * len(columns)
        pixels = rows[0].stop * columns[0].stop
        most = max(1, BATCH_PIXELS.get(self.engine.device.type, 0) // pixels)
        return -(-tiles // -(-tiles // most))

    def _halved(self, tile: int) -> int:
        half = tile // 2 // GRID * GRID
        if half < SMALLEST_TILE:
            raise FdikpError(
                f"out of memory even with tiles of {tile} pixels; close other programs or use --device cpu"
            )
        self.note(f"out of memory: tile {tile} halved to {half}")
        return half

    def _bands(
        self, pixels: Tensor, outputs: Callable[[Stage], Tensor], rows: list[Span], columns: list[Span], batch: int
    ) -> Iterator[tuple[int, Tensor]]:
        places = [(row.slice, column.slice) for row in rows for column in columns]
        self.tiles = len(places)
        results = self._results(pixels, outputs, places, batch)
        return blend(rows, columns, lambda y, x: next(results))

    def _results(
        self, pixels: Tensor, outputs: Callable[[Stage], Tensor], places: Sequence[Place], batch: int
    ) -> Iterator[Tensor]:
        """The outputs of one tile after the other, [maps, h, w], float32 on the CPU."""
        for first in range(0, len(places), batch):
            together = places[first : first + batch]
            results = [
                outputs(stages[-1])[:, : y.stop - y.start, : x.stop - x.start].cpu()
                for (y, x), stages in zip(together, self._stages(pixels, together), strict=True)
            ]
            for done, result in enumerate(results, first + 1):
                if self.progress:
                    self.progress(done, self.tiles)
                yield result

    @torch.inference_mode()
    def _stages(self, pixels: Tensor, places: Sequence[Place]) -> list[list[Stage]]:
        """The stages of each tile, computed at once; alone and in float32 again for one that 16 bits left not finite.

        Tiles of a picture differ by what pads them to the grid, so padded they are of one size.
        """
        seen = torch.cat([self._padded(pixels[place]) for place in places])
        together = self._run_network(self.engine.network, seen)
        finite = together[-1].image.isfinite().flatten(1).all(1).tolist()
        found = []
        for i, (y, x) in enumerate(places):
            alone = slice(i, i + 1)
            stages = (
                [_part(stage, alone) for stage in together] if finite[i] else self._retry_float32(seen[alone], y, x)
            )
            if self.keep:
                self.kernels.append(torch.stack([stage.kernels[0] for stage in stages]).float().cpu().numpy())
                self.origins.append((y.start, x.start, y.stop - y.start, x.stop - x.start))
            found.append(stages)
        return found

    def _run_network(self, network: FDIKP, seen: Tensor) -> list[Stage]:
        """The stages of tiles [B, 3, H, W], padded; from eight positions if that is asked for."""
        return ensemble_stages(network, seen) if self.engine.ensemble else network.padded_stages(seen)

    def _padded(self, tile: Tensor) -> Tensor:
        """A tile's pixels [h, w, C] as the network takes them, [1, 3, H, W]."""
        seen = rgb(tile.to(self.engine.device)).permute(2, 0, 1).unsqueeze(0)
        return pad(seen, *working_size(*seen.shape[-2:]))

    def _retry_float32(self, tile: Tensor, y: slice, x: slice) -> list[Stage]:
        """The stages of one tile [1, 3, H, W] in float32."""
        engine = self.engine
        if engine.network is not engine.float32:
            self.note(f"tile at {x.start}, {y.start} was not finite in {engine.precision}; redone in float32")
            stages = self._run_network(engine.float32, tile)
            if bool(stages[-1].image.isfinite().all()):
                return stages
        raise FdikpError(f"{engine.name}: gives no finite image even in float32; its weights are unusable")

    def note(self, what: str) -> None:
        """Keep a note for the caller, and log it."""
        log.warning(what)
        self.notes.append(what)


def _part(stage: Stage, which: slice) -> Stage:
    """A stage of some of the batch's tiles."""
    return Stage(*(getattr(stage, field.name)[which] for field in fields(Stage)))


def white(dtype: torch.dtype) -> float:
    """The value of white in pixels of this type."""
    return white_level(str(dtype).removeprefix("torch."))


def rgb(pixels: Tensor) -> Tensor:
    """[h, w, C] of any type to [h, w, 3] float32 in 0..1."""
    return (pixels.float() / white(pixels.dtype)).expand(-1, -1, 3)


def _out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch on CPU has no type of its own for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
