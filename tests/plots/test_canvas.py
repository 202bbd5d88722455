"""Arrays made ready to be drawn."""

import sys

import numpy as np
import pytest

from fdikp.plots import canvas


@pytest.mark.parametrize("shape", [(7, 10), (12, 12, 3), (1, 33), (33, 1, 1)])
def test_shrink_is_the_mean_over_blocks(shape):
    array = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    factor = -(-max(shape[:2]) // 4)
    rows, columns = (range(0, side, factor) for side in shape[:2])
    means = [[array[y : y + factor, x : x + factor].mean(axis=(0, 1)) for x in columns] for y in rows]
    np.testing.assert_allclose(canvas.shrink(array, 4), means, rtol=1e-5)


def test_small_arrays_are_not_shrunk():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(canvas.shrink(array, 3), array)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_luminance_of_any_depth(dtype, white):
    picture = np.zeros((2, 2, 3), dtype)
    picture[0, 0], picture[0, 1, 0] = white, white
    np.testing.assert_allclose(canvas.luminance(picture), [[1, 1 / 3], [0, 0]])


def test_most_changed_is_where_detail_came_in():
    before = np.full((60, 80, 3), 100, np.uint8)
    after = before + 30  # a change of brightness everywhere is none of detail
    after[40:48, 50:58] = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
    ((y, x),) = canvas.most_changed(before, after, 10)
    assert y.start <= 40 and y.stop >= 48 and x.start <= 50 and x.stop >= 58
    assert (y.stop - y.start, x.stop - x.start) == (10, 10)


def test_several_that_changed_come_in_order_and_apart():
    before = np.zeros((60, 60, 3), np.float32)
    after = before.copy()
    noise = np.random.default_rng(0).random((8, 8, 3), np.float32)
    after[4:12, 4:12], after[40:48, 40:48] = 0.5 * noise, noise
    boxes = canvas.most_changed(before, after, 10, 2)
    assert [y.start // 30 for y, _ in boxes] == [1, 0]
    assert len(canvas.most_changed(before, after, 25, 9)) < 4


def test_pyplot_is_not_used():
    canvas.render(canvas.grid_figure(1, 1, 2.0)[0])
    assert "matplotlib.pyplot" not in sys.modules
