import sys

import numpy as np
import pytest

from fdikp.cli import figures


def block_means(array: np.ndarray, factor: int) -> np.ndarray:
    """The obvious way: one block after the other."""
    rows, columns = (range(0, side, factor) for side in array.shape[:2])
    return np.array([[array[y : y + factor, x : x + factor].mean(axis=(0, 1)) for x in columns] for y in rows])


@pytest.mark.parametrize("shape", [(7, 10), (12, 12, 3), (1, 33), (33, 1, 1)])
def test_shrunk_is_the_mean_over_blocks(shape):
    array = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    factor = -(-max(shape[:2]) // 4)
    np.testing.assert_allclose(figures.shrunk(array, 4), block_means(array, factor), rtol=1e-5)


def test_small_arrays_are_not_shrunk():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(figures.shrunk(array, 3), array)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_side_by_side_keeps_tones_whatever_the_depth(dtype, white):
    before, after = np.zeros((4, 6, 3), dtype), np.full((4, 6, 3), white, dtype)
    both = figures.side_by_side(before, after)
    assert both.shape == (4, 13, 3) and both.dtype == np.uint8
    assert both[:, :6].max() == 0 and both[:, 6:].min() == 255


def test_side_by_side_is_of_bounded_size():
    both = figures.side_by_side(*np.zeros((2, 100, 5000, 1), np.uint8))
    assert both.shape == (25, 1250 + 6 + 1250, 1)


def unclipped(picture: np.ndarray) -> bool:
    """Whether the margin is white: labels that were cut off would reach into it."""
    top, bottom = picture[0], picture[-1]
    left, right = picture[:, 0], picture[:, -1]
    return all(bool((edge == 255).all()) for edge in (top, bottom, left, right))


@pytest.mark.parametrize("shape", [(60, 90), (1, 1), (1, 5000), (333, 7)])
def test_maps_are_drawn_900_pixels_wide_with_nothing_clipped(shape):
    values = np.linspace(0, 2, shape[0] * shape[1]).reshape(shape)
    picture = figures.blur_map(values, "Blur map")
    assert picture.shape[1:] == (900, 3) and unclipped(picture)
    names = tuple(f"map {i}" for i in range(12))
    picture = figures.coefficients(np.stack([values - 1] * 12), names, "Coefficients")
    assert picture.shape[1:] == (900, 3) and unclipped(picture)


@pytest.mark.parametrize(("count", "size"), [(5, 5), (2, 3), (15, 15), (1, 1)])
def test_kernels_are_drawn_with_nothing_clipped(count, size):
    values = np.random.default_rng(0).normal(size=(3, 2, count, size, size))
    picture = figures.kernels(values, "Kernels")
    assert picture.shape[1:] == (900, 3) and unclipped(picture)


def test_kernels_that_are_zero_are_drawn():
    figures.kernels(np.zeros((3, 2, 2, 3, 3)), "Kernels")


def test_pyplot_is_not_used():
    figures.blur_map(np.ones((4, 4)), "Blur map")
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (40, 60, 1), (500, 30, 3)])
@pytest.mark.parametrize("count", [1, 5, 11])
def test_overview_of_any_size(shape, count):
    rng = np.random.default_rng(0)
    before, after = rng.random((2, *shape), np.float32)
    picture = figures.overview(before, after, rng.random(shape[:2]) * 2, rng.normal(size=(count, 5, 5)), "name.jpg")
    assert picture.dtype == np.uint8 and picture.ndim == 3 and len(np.unique(picture)) > 20


def test_most_changed_is_where_detail_came_in():
    before = np.full((60, 80, 3), 100, np.uint8)
    after = before + 30  # a change of brightness everywhere is none of detail
    after[40:48, 50:58] = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
    y, x = figures.most_changed(before, after, 10)
    assert y.start <= 40 and y.stop >= 48 and x.start <= 50 and x.stop >= 58
    assert (y.stop - y.start, x.stop - x.start) == (10, 10)
