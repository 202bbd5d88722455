"""Run the network over an image in tiles: in batches where that is faster, and again where a tile fails."""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from fdikp.errors import Cancelled, FdikpError, RequestError
from fdikp.imaging.selection import SpatialWeights
from fdikp.imaging.tiles import Span, blend, spans
from fdikp.inference.callbacks import Cancel, Progress
from fdikp.inference.ensemble import ensemble_stages
from fdikp.inference.pixels import to_rgb
from fdikp.models.descriptor import ModelDescriptor
from fdikp.network import FDIKP, Stage
from fdikp.network.blur_radius import BlurRadius
from fdikp.network.config import NetworkConfig
from fdikp.network.fdikp import pad, working_size

log = logging.getLogger(__name__)

BATCH_PIXELS = {"cuda": 1680 * 1120}
"""How many pixels of tiles the network processes at once, by device type; elsewhere it processes one tile at a time.
A GPU idles between the many small operations on a single tile of 512; at this size, that of a DPDD photo, it does not.
On a CPU, batches gain little and cost memory: two tiles of 384 were 7 % faster and took a third more memory."""

TilePosition = tuple[slice, slice]
"""A tile's rows and columns."""


@dataclass(frozen=True)
class Runtime:
    """A loaded network: where it runs, and the settings by which it restores images."""

    descriptor: ModelDescriptor
    """The model, with the limits of its tiles."""
    network: FDIKP
    """The network in the precision that it computes in."""
    network_float32: FDIKP
    """The same network in float32: it computes a tile again that overflows in 16 bits."""
    device: torch.device
    precision: torch.dtype
    tile: int
    """Side of the tiles in pixels, as `descriptor.allows_tile` permits; 0 for no tiles."""
    ensemble: bool
    """Whether each tile is restored in eight orientations and the results are averaged."""
    blur_radius: BlurRadius | None
    """Computes the blur map; None if the weights have no calibration."""

    def blur_map(self, x: Tensor, stages: Sequence[Stage]) -> Tensor:
        """The blur radius and its confidence, [B, 2, H, W], for padded tiles x and their stages.

        Raises:
            RequestError: the weights have no calibration.
        """
        if self.blur_radius is None:
            raise no_calibration(self.descriptor.name)
        return self.blur_radius(x, stages)


def no_calibration(model: str) -> RequestError:
    """The error for what needs the blur radius, with weights that do not give it."""
    return RequestError(f"{model}: these weights have no blur calibration", hint="run fdikp calibrate")


@dataclass(frozen=True)
class Maps:
    """Maps of an image that are computed tile by tile and blended."""

    channels: int
    compute: Callable[[Runtime, Tensor, Sequence[Stage]], Tensor]
    """From a padded tile x [1, 3, H, W] and its stages to the maps [channels, H, W]."""


IMAGE = Maps(3, lambda runtime, x, stages: stages[-1].image[0])
"""The restored image, not clamped."""

BLUR_MAP = Maps(2, lambda runtime, x, stages: runtime.blur_map(x, stages)[0])
"""The blur radius in pixels, and its confidence in 0..1."""

BLUR_RADIUS = Maps(1, lambda runtime, x, stages: runtime.blur_map(x, stages)[0, :1])
"""The blur radius alone."""

DILATION = Maps(1, lambda runtime, x, stages: stages[-1].dilation[0, :1])
"""The dilation map D of the blurry image at the finest stage."""


def coefficients(config: NetworkConfig) -> Maps:
    """The coefficient maps of the finest stage."""
    return Maps(2 * (config.kernels + 1), lambda runtime, x, stages: stages[-1].coefficients[0].flatten(0, 1))


class TiledInference:
    """One image's run through the network: tiles, retries, and the report.

    Args:
        runtime: the network and its settings.
        progress: called after each tile.
        cancel: asked before each tile whether to stop.
        keep_kernels: whether to collect `kernels` and `boxes`.
    """

    def __init__(
        self,
        runtime: Runtime,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        keep_kernels: bool = False,
    ) -> None:
        self.runtime = runtime
        self.progress = progress
        self.cancel = cancel
        self.keep_kernels = keep_kernels
        self.notes: list[str] = []
        self.tiles = 0
        self.kernels: list[np.ndarray] = []
        """[stages, 2, N, K, K] float32 for each tile."""
        self.boxes: list[tuple[int, int, int, int]] = []
        """y, x, height and width of each tile, in pixels."""

    def bands(
        self, pixels: Tensor, outputs: Sequence[Maps], weights: SpatialWeights | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Compute maps of an image, and yield them in finished bands, top to bottom.

        The tiles are those of the whole image. Those that do not contribute where `weights` is above 0 are not
        computed; their maps count as 0.

        When memory runs out, it starts again at the first row, with half as many tiles per batch, and from single
        tiles on with tiles of half the side. Later bands then replace earlier ones.

        Args:
            pixels: the image [H, W, C], as `to_rgb` takes it.
            outputs: the maps.
            weights: where the maps are needed; None for everywhere.

        Yields:
            The index of a band's first row, and the band [channels, rows, W] float32, with the channels of all maps.

        Raises:
            Cancelled: `cancel` returned true.
            FdikpError: memory is too small for the smallest tile, or the result is not finite even in float32.
        """
        tile, batch = self.runtime.tile, 0
        while True:
            rows, columns = (self._spans(side, tile) for side in pixels.shape[:2])
            needed = np.ones((len(rows), len(columns)), bool) if weights is None else weights.tiles(rows, columns)
            batch = batch or self._batch_size(int(needed.sum()), rows[0].stop * columns[0].stop)
            try:
                yield from self._blended(pixels, outputs, rows, columns, needed, batch)
                return
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Outside the handler, whose traceback would keep the failed tile's memory alive
            if batch > 1:
                self.note(f"out of memory: {batch} tiles at once halved to {batch // 2}")
                batch //= 2
            else:
                tile = self._half_tile(tile or max(pixels.shape[:2]))
            self.kernels.clear()
            self.boxes.clear()
            gc.collect()
            if self.runtime.device.type == "cuda":
                torch.cuda.empty_cache()

    def _spans(self, length: int, tile: int) -> list[Span]:
        """Cut one side of the image into tiles; small ones overlap by a quarter of their side."""
        model = self.runtime.descriptor
        return spans(length, tile, min(model.tile_overlap, tile // 4), model.size_multiple)

    def _batch_size(self, tiles: int, tile_pixels: int) -> int:
        """The number of tiles per batch: within the device's limit, and such that batches are about equal."""
        limit = max(1, BATCH_PIXELS.get(self.runtime.device.type, 0) // tile_pixels)
        batches = max(1, -(-tiles // limit))
        return max(1, -(-tiles // batches))

    def _half_tile(self, tile: int) -> int:
        model = self.runtime.descriptor
        half = tile // 2 // model.size_multiple * model.size_multiple
        if half < model.min_tile:
            raise FdikpError(
                f"out of memory even with tiles of {tile} pixels; close other programs or compute on the CPU",
                code="out_of_memory",
            )
        self.note(f"out of memory: tile {tile} halved to {half}")
        return half

    def _blended(
        self,
        pixels: Tensor,
        outputs: Sequence[Maps],
        rows: list[Span],
        columns: list[Span],
        needed: np.ndarray,
        batch: int,
    ) -> Iterator[tuple[int, np.ndarray]]:
        positions = [(rows[i].slice, columns[j].slice) for i, j in np.argwhere(needed)]
        self.tiles = len(positions)
        results = self._results(pixels, outputs, positions, batch)
        channels = sum(maps.channels for maps in outputs)
        return blend(rows, columns, channels, lambda i, j: next(results) if needed[i, j] else None)

    def _results(
        self, pixels: Tensor, outputs: Sequence[Maps], positions: Sequence[TilePosition], batch: int
    ) -> Iterator[np.ndarray]:
        """The maps of one tile after the other, [channels, h, w] float32."""
        for first in range(0, len(positions), batch):
            if self.cancel is not None and self.cancel():
                raise Cancelled(f"cancelled after {first} of {len(positions)} tiles")
            batch_positions = positions[first : first + batch]
            results = [
                self._maps(x, stages, outputs)[:, : rows.stop - rows.start, : columns.stop - columns.start]
                .cpu()
                .numpy()
                for (rows, columns), (x, stages) in zip(
                    batch_positions, self._stages(pixels, batch_positions), strict=True
                )
            ]
            for done, result in enumerate(results, first + 1):
                if self.progress is not None:
                    self.progress(done, self.tiles)
                yield result

    @torch.inference_mode()
    def _maps(self, x: Tensor, stages: Sequence[Stage], outputs: Sequence[Maps]) -> Tensor:
        """The maps of a padded tile x [1, 3, H, W], [channels, H, W] float32."""
        return torch.cat([maps.compute(self.runtime, x, stages).float() for maps in outputs])

    @torch.inference_mode()
    def _stages(self, pixels: Tensor, positions: Sequence[TilePosition]) -> list[tuple[Tensor, list[Stage]]]:
        """Each padded tile [1, 3, H, W] and its stages; a tile that is not finite is computed again in float32.

        They are one batch: the tiles of one image differ in size by at most what pads them to the grid, so padded tiles
        are equal in size.
        """
        x = torch.cat([self._padded(pixels[position]) for position in positions])
        batch_stages = self._run_network(self.runtime.network, x)
        finite = batch_stages[-1].image.isfinite().flatten(1).all(1).tolist()
        tiles = []
        for i, (rows, columns) in enumerate(positions):
            this = slice(i, i + 1)
            if finite[i]:
                stages = [_select(stage, this) for stage in batch_stages]
            else:
                stages = self._retry_float32(x[this], rows, columns)
            if self.keep_kernels:
                self.kernels.append(torch.stack([stage.kernels[0] for stage in stages]).float().cpu().numpy())
                size = (rows.stop - rows.start, columns.stop - columns.start)
                self.boxes.append((rows.start, columns.start, *size))
            tiles.append((x[this], stages))
        return tiles

    def _run_network(self, network: FDIKP, x: Tensor) -> list[Stage]:
        """The stages of padded tiles x [B, 3, H, W]."""
        return ensemble_stages(network, x) if self.runtime.ensemble else network.padded_stages(x)

    def _padded(self, pixels: Tensor) -> Tensor:
        """A tile's pixels [h, w, C] as the network takes them, [1, 3, H, W] on its device."""
        x = to_rgb(pixels.to(self.runtime.device)).permute(2, 0, 1).unsqueeze(0)
        return pad(x, *working_size(*x.shape[-2:]))

    def _retry_float32(self, x: Tensor, rows: slice, columns: slice) -> list[Stage]:
        """The stages of one padded tile x [1, 3, H, W] in float32."""
        runtime = self.runtime
        if runtime.network is not runtime.network_float32:
            self.note(f"tile at {columns.start}, {rows.start} was not finite in {runtime.precision}; redone in float32")
            stages = self._run_network(runtime.network_float32, x)
            if bool(stages[-1].image.isfinite().all()):
                return stages
        raise FdikpError(f"{runtime.descriptor.name}: its result is not finite even in float32; use other weights")

    def note(self, note: str) -> None:
        """Report a note to the caller, and log it."""
        log.warning(note)
        self.notes.append(note)


def _select(stage: Stage, tiles: slice) -> Stage:
    """The stage of some tiles of a batch."""
    return Stage(*(getattr(stage, field.name)[tiles] for field in fields(Stage)))


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on a CPU, torch raises a plain RuntimeError for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
