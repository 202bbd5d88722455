"""Tiles cover the image, start on the grid, overlap, and blend to what a single piece would give."""

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fdikp.imaging.tiles import blend, spans

sides = st.integers(1, 900)
tiles_and_overlaps = st.sampled_from([(64, 16), (64, 31), (96, 24), (128, 32), (128, 60), (0, 16)])


@given(sides, tiles_and_overlaps)
def test_weights_sum_to_one_everywhere(length: int, tile_and_overlap: tuple[int, int]) -> None:
    total = np.zeros(length, np.float32)
    for span in spans(length, *tile_and_overlap, grid=16):
        assert span.weights.dtype == np.float32 and span.weights.min() >= 0
        total[span.slice] += span.weights
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)


@given(sides, tiles_and_overlaps)
def test_spans_are_aligned_overlap_enough_and_are_not_too_long(length: int, tile_and_overlap: tuple[int, int]) -> None:
    tile, overlap = tile_and_overlap
    side = spans(length, tile, overlap, grid=16)
    assert side[0].start == 0 and side[-1].stop == length
    assert all(s.start % 16 == 0 for s in side)
    assert all(s.stop - s.start <= (tile or length) for s in side)
    for before, after in itertools.pairwise(side):
        assert after.start > before.start
        # The last span ends before the grid does, and its neighbour with it
        assert before.stop - after.start >= min(overlap, length - after.start)


@given(st.integers(513, 5000))
def test_spans_are_as_few_and_as_short_as_possible(length: int) -> None:
    side = spans(length, 512, 64, grid=16)
    longest = max(s.stop - s.start for s in side)
    assert len(side) == 1 + -(-(length - 512) // (512 - 64))
    # The least that so many spans need, and up to two steps of the grid, of start and of length
    assert longest <= max(384, (length + 64 * (len(side) - 1)) / len(side) + 32)


def test_a_side_just_longer_than_the_tile_takes_two_shorter_spans() -> None:
    assert [(s.start, s.stop) for s in spans(520, 512, 64, 16)] == [(0, 384), (144, 520)]


@given(sides, tiles_and_overlaps)
def test_the_edge_of_a_tile_within_the_image_has_weight_zero(length: int, tile_and_overlap: tuple[int, int]) -> None:
    side = spans(length, *tile_and_overlap, grid=16)
    for before, after in itertools.pairwise(side):
        quarter = (before.stop - after.start) // 4
        assert np.abs(before.weights[len(before.weights) - quarter :]).max(initial=0) < 1e-6
        assert np.abs(after.weights[:quarter]).max(initial=0) < 1e-6


@given(st.integers(1, 300), st.integers(1, 300), tiles_and_overlaps)
def test_blended_tiles_of_an_image_are_the_image(height: int, width: int, tile_and_overlap: tuple[int, int]) -> None:
    image = np.random.default_rng(height).random((2, height, width), np.float32)
    rows, columns = (spans(length, *tile_and_overlap, grid=16) for length in (height, width))
    blended = np.full_like(image, np.nan)
    next_row = 0
    for y, band in blend(rows, columns, 2, lambda i, j: image[:, rows[i].slice, columns[j].slice]):
        assert y == next_row
        blended[:, y : y + band.shape[1]] = band
        next_row += band.shape[1]
    assert next_row == height
    np.testing.assert_allclose(blended, image, rtol=0, atol=1e-6)


def test_bands_come_before_all_tiles_are_computed() -> None:
    computed = []
    rows, columns = spans(1000, 64, 16, 16), spans(100, 64, 16, 16)

    def compute(i: int, j: int) -> np.ndarray:
        computed.append((i, j))
        return np.zeros((1, len(rows[i].weights), len(columns[j].weights)), np.float32)

    next(blend(rows, columns, 1, compute))
    assert computed == [(0, 0), (0, 1)]  # one row of tiles


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0))
def test_tiles_that_are_left_out_count_as_zero(height: int, width: int, seed: int) -> None:
    rows, columns = (spans(length, 64, 16, grid=16) for length in (height, width))
    included = np.random.default_rng(seed).random((len(rows), len(columns))) < 0.5

    def blended(compute: Callable[[int, int], np.ndarray | None]) -> np.ndarray:
        return np.concatenate([band for _, band in blend(rows, columns, 1, compute)], axis=1)

    def tile(i: int, j: int) -> np.ndarray:
        return np.full((1, len(rows[i].weights), len(columns[j].weights)), float(included[i, j]), np.float32)

    expected = blended(tile)
    np.testing.assert_array_equal(blended(lambda i, j: tile(i, j) if included[i, j] else None), expected)
    assert expected.shape == (1, height, width)


def test_tiles_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import fdikp.imaging.tiles"
    subprocess.run([sys.executable, "-c", code], check=True)
