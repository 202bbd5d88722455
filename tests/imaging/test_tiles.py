"""Tiles cover, align, overlap, and blend to what one piece would give."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from fdikp.imaging.tiles import blend, spans

sides = st.integers(1, 900)
cuts = st.sampled_from([(64, 16), (64, 31), (96, 24), (128, 32), (128, 60), (0, 16)])


@given(sides, cuts)
def test_shares_sum_to_one_everywhere(length: int, cut: tuple[int, int]) -> None:
    total = torch.zeros(length)
    for span in spans(length, *cut, grid=16):
        assert span.weights.min() >= 0
        total[span.slice] += span.weights
    torch.testing.assert_close(total, torch.ones(length))


@given(sides, cuts)
def test_stretches_are_aligned_overlap_enough_and_are_not_longer_than_asked(length: int, cut: tuple[int, int]) -> None:
    tile, overlap = cut
    cut_up = spans(length, tile, overlap, grid=16)
    assert cut_up[0].start == 0 and cut_up[-1].stop == length
    assert all(s.start % 16 == 0 for s in cut_up)
    assert all(s.stop - s.start <= (tile or length) for s in cut_up)
    for before, after in itertools.pairwise(cut_up):
        assert after.start > before.start
        # the last stretch ends before the grid does, and its neighbour with it
        assert before.stop - after.start >= min(overlap, length - after.start)


@given(st.integers(513, 5000))
def test_no_more_is_computed_than_so_many_tiles_must(length: int) -> None:
    cut_up = spans(length, 512, 64, grid=16)
    longest = max(s.stop - s.start for s in cut_up)
    assert len(cut_up) == 1 + -(-(length - 512) // (512 - 64))
    # what the tiles need at the least, and up to two steps of the grid, of start and of length
    assert longest <= max(384, (length + 64 * (len(cut_up) - 1)) / len(cut_up) + 32)


def test_a_side_just_longer_than_the_tile_takes_two_shorter_ones() -> None:
    assert [(s.start, s.stop) for s in spans(520, 512, 64, 16)] == [(0, 384), (144, 520)]


@given(sides, cuts)
def test_the_edge_of_a_tile_inside_the_picture_counts_for_nothing(length: int, cut: tuple[int, int]) -> None:
    cut_up = spans(length, *cut, grid=16)
    for before, after in itertools.pairwise(cut_up):
        quarter = (before.stop - after.start) // 4
        assert before.weights[len(before.weights) - quarter :].abs().max() < 1e-6
        assert after.weights[:quarter].abs().max() < 1e-6


@given(st.integers(1, 300), st.integers(1, 300), cuts)
def test_blending_tiles_of_a_picture_gives_the_picture(height: int, width: int, cut: tuple[int, int]) -> None:
    picture = torch.rand(2, height, width, generator=torch.Generator().manual_seed(height))
    rows, columns = spans(height, *cut, grid=16), spans(width, *cut, grid=16)
    out = torch.full_like(picture, torch.nan)
    next_row = 0
    for y, band in blend(rows, columns, lambda y, x: picture[:, y, x]):
        assert y == next_row
        out[:, y : y + band.shape[1]] = band
        next_row += band.shape[1]
    assert next_row == height
    torch.testing.assert_close(out, picture)


def test_bands_come_before_all_tiles_are_computed() -> None:
    computed = []

    def compute(y: slice, x: slice) -> torch.Tensor:
        computed.append((y, x))
        return torch.zeros(1, y.stop - y.start, x.stop - x.start)

    bands = blend(spans(1000, 64, 16, 16), spans(100, 64, 16, 16), compute)
    next(bands)
    assert len(computed) == 2  # one row of tiles
