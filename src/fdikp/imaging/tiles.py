"""Cut an image into overlapping tiles, and blend the tiles' results without seams, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Span:
    """The range that one tile covers along one side of the image."""

    start: int
    stop: int
    weights: np.ndarray
    """[stop - start] float32: the tile's weight at each pixel. The weights of all tiles along a side sum to 1."""

    @property
    def slice(self) -> slice:
        """The range, for indexing."""
        return slice(self.start, self.stop)


def spans(length: int, tile: int, overlap: int, grid: int) -> list[Span]:
    """Cut one side of an image into overlapping spans that start on the network's grid.

    The number of spans is the least possible. Spans are then shortened as far as this number allows, but not below
    three quarters of `tile`, because global operations (pooling, Fourier blocks) are less accurate on small tiles.
    Neighbours overlap by `overlap` or more, evenly spread. In an overlap the weight passes from one span to the next
    along a sin² ramp over the middle half; the outer quarters, where a tile lacks context, have weight 0.

    Args:
        length: of the side, in pixels.
        tile: maximum length of a span, a multiple of `grid`; 0 for a single span.
        overlap: minimum overlap of neighbours, in pixels, less than half of `tile`.
        grid: every span starts at a multiple of this.

    Returns:
        Spans in order, from 0 to `length`.

    >>> [(s.start, s.stop) for s in spans(100, tile=64, overlap=16, grid=16)]
    [(0, 64), (48, 100)]
    """
    if tile == 0 or length <= tile:
        return [Span(0, length, np.ones(length, np.float32))]
    count = _span_count(length, tile, overlap, grid)
    shortest = max(3 * tile // 4, 2 * overlap + 1)
    while tile - grid >= shortest and _span_count(length, tile - grid, overlap, grid) == count:
        tile -= grid
    last_start = _last_start(length, tile, grid)
    starts = [i * last_start // (count - 1) // grid * grid for i in range(count)]
    stops = [min(start + tile, length) for start in starts]
    weights = [np.ones(stop - start) for start, stop in zip(starts, stops, strict=True)]
    for i in range(count - 1):
        shared = stops[i] - starts[i + 1]
        position = (np.arange(shared) + 0.5) / shared
        ramp = np.sin(np.pi / 2 * (2 * position - 0.5).clip(0, 1)) ** 2
        weights[i][-shared:] *= 1 - ramp
        weights[i + 1][:shared] *= ramp
    # Two ramps can cross where three spans meet; elsewhere the total is 1 already
    total = np.zeros(length)
    for start, stop, weight in zip(starts, stops, weights, strict=True):
        total[start:stop] += weight
    return [
        Span(start, stop, (weight / total[start:stop]).astype(np.float32))
        for start, stop, weight in zip(starts, stops, weights, strict=True)
    ]


def _last_start(length: int, tile: int, grid: int) -> int:
    """Where the last span starts: on the grid, so that the span ends up to `grid - 1` pixels short of a whole tile."""
    return -(-(length - tile) // grid) * grid


def _span_count(length: int, tile: int, overlap: int, grid: int) -> int:
    """The number of spans along a side that is longer than the tile."""
    step = (tile - overlap) // grid * grid
    return 1 + -(-_last_start(length, tile, grid) // step)


def blend(
    rows: list[Span], columns: list[Span], channels: int, compute: Callable[[int, int], np.ndarray | None]
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute an image tile by tile, and yield it in finished bands, top to bottom.

    Memory holds one row of tiles of the result, whatever the height of the image.

    Args:
        rows: spans of the vertical side.
        columns: spans of the horizontal side.
        channels: of the result.
        compute: maps the indices of a tile's spans in `rows` and `columns` to its result [channels, h, w] float32; None
            for a tile that is left out, which counts as 0. It is called once per tile, row by row and from left to
            right.

    Yields:
        The index of a band's first row, and the band [channels, rows, W] float32.
    """
    width = columns[-1].stop
    shared = np.zeros((channels, 0, width), np.float32)  # sums so far of the rows that the next row of tiles shares
    for i, row in enumerate(rows):
        band = np.zeros((channels, row.stop - row.start, width), np.float32)
        band[:, : shared.shape[1]] = shared
        for j, column in enumerate(columns):
            result = compute(i, j)
            if result is not None:
                band[:, :, column.slice] += result * (row.weights[:, None] * column.weights)
        finished = (rows[i + 1].start if i + 1 < len(rows) else row.stop) - row.start
        yield row.start, band[:, :finished]
        shared = band[:, finished:].copy()
