"""Tiles: how a picture of any size goes through the network in bounded memory, without seams."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """One tile's stretch along one side of the picture."""

    start: int
    stop: int
    weights: Tensor
    """[stop - start], float32: the tile's share of each pixel. Over all tiles of a side the shares sum to 1."""

    @property
    def slice(self) -> slice:
        """The stretch, for indexing."""
        return slice(self.start, self.stop)


def spans(length: int, tile: int, overlap: int, grid: int) -> list[Span]:
    """Cut a side of a picture into overlapping stretches that start on the network's grid.

    There are as few as can be, and they are no longer than so many need to be, though not below three quarters of the
    tile: what reads a tile as a whole reads less well in a small one. Neighbours overlap by `overlap` or more, evenly
    spread. In an overlap the share passes from one to the other along
    a smooth curve over the middle half; the outer quarters, where a tile lacks context, count for nothing.

    Args:
        length: of the side, pixels.
        tile: longest stretch, a multiple of `grid`; 0 for the whole side.
        overlap: least overlap of neighbours, less than half the tile.
        grid: every stretch starts at a multiple of this.

    >>> [(s.start, s.stop) for s in spans(100, tile=64, overlap=16, grid=16)]
    [(0, 64), (48, 100)]
    """
    if tile == 0 or length <= tile:
        return [Span(0, length, torch.ones(length))]
    count = _count(length, tile, overlap, grid)
    least = max(3 * tile // 4, 2 * overlap + 1)
    while tile - grid >= least and _count(length, tile - grid, overlap, grid) == count:
        tile -= grid
    room = _room(length, tile, grid)
    starts = [i * room // (count - 1) // grid * grid for i in range(count)]
    stops = [min(start + tile, length) for start in starts]
    weights = [torch.ones(stop - start) for start, stop in zip(starts, stops, strict=True)]
    for i in range(count - 1):
        shared = stops[i] - starts[i + 1]
        position = (torch.arange(shared) + 0.5) / shared
        ramp = torch.sin(torch.pi / 2 * (2 * position - 0.5).clamp(0, 1)) ** 2
        weights[i][-shared:] *= 1 - ramp
        weights[i + 1][:shared] *= ramp
    # Where three stretches meet, two curves can cross; elsewhere the total is 1 already
    total = torch.zeros(length)
    for start, stop, weight in zip(starts, stops, weights, strict=True):
        total[start:stop] += weight
    for start, stop, weight in zip(starts, stops, weights, strict=True):
        weight /= total[start:stop]
    return [Span(*parts) for parts in zip(starts, stops, weights, strict=True)]


def _room(length: int, tile: int, grid: int) -> int:
    """Where the last stretch starts: so that it is on the grid, and shorter by what pads the side to it."""
    return -(-(length - tile) // grid) * grid


def _count(length: int, tile: int, overlap: int, grid: int) -> int:
    """How many stretches a side longer than the tile takes."""
    return 1 + -(-_room(length, tile, grid) // ((tile - overlap) // grid * grid))


def blend(
    rows: list[Span], columns: list[Span], compute: Callable[[slice, slice], Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """Compute a picture tile by tile and yield it in finished bands, top to bottom.

    Memory holds one row of tiles of the result, whatever the picture's height.

    Args:
        rows: the spans of the vertical side.
        columns: the spans of the horizontal side.
        compute: from a tile's rows and columns to its result [C, h, w], float32 on the CPU; asked row by row, from left
            to right.

    Yields:
        The first row of a band, and the band [C, rows, W].
    """
    width = columns[-1].stop
    pending: Tensor | None = None  # what tiles above have put into rows that the next ones share
    for i, row in enumerate(rows):
        band: Tensor | None = None
        for column in columns:
            result = compute(row.slice, column.slice)
            if band is None:
                band = result.new_zeros(len(result), row.stop - row.start, width)
                if pending is not None:
                    band[:, : pending.shape[1]] = pending
            band[:, :, column.slice] += result * (row.weights[:, None] * column.weights)
        assert band is not None
        finished = (rows[i + 1].start if i + 1 < len(rows) else row.stop) - row.start
        yield row.start, band[:, :finished]
        pending = band[:, finished:].clone()
