import sys

import numpy as np
import pytest

from fdikp.plots import analysis


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_side_by_side_keeps_tones_whatever_the_depth(dtype, white):
    before, after = np.zeros((4, 6, 3), dtype), np.full((4, 6, 3), white, dtype)
    both = analysis.side_by_side(before, after)
    assert both.shape == (4, 13, 3) and both.dtype == np.uint8
    assert both[:, :6].max() == 0 and both[:, 6:].min() == 255


def test_side_by_side_is_of_bounded_size():
    both = analysis.side_by_side(*np.zeros((2, 100, 5000, 1), np.uint8))
    strip = 1250 // 32 * 3 // 2
    assert both.shape == (strip + 25, 1250 + 6 + 1250, 1)


@pytest.mark.parametrize(("width", "channels"), [(100, 1), (400, 3), (1600, 3)])
def test_images_side_by_side_have_captions_above_them(width, channels):
    before, after = np.full((2, 60, width, channels), 90, np.uint8)
    both = analysis.side_by_side(before, after)
    strip = both[: len(both) - 60]
    assert (both[-60:, :width] == 90).all() and (both[-60:, -width:] == 90).all()
    for caption in (strip[:, :width], strip[:, -width:]):
        assert unclipped(caption)
        ink = (caption < 128).any(axis=(0, 2)).nonzero()[0]
        assert 0.05 * width < ink[-1] - ink[0] < 0.5 * width
        assert abs(ink[0] + ink[-1] + 1 - width) < 0.05 * width  # centred
    assert not np.array_equal(strip[:, :width], strip[:, -width:])


def unclipped(picture: np.ndarray) -> bool:
    """Whether the margin is white: labels that were cut off would reach into it."""
    top, bottom = picture[0], picture[-1]
    left, right = picture[:, 0], picture[:, -1]
    return all(bool((edge == 255).all()) for edge in (top, bottom, left, right))


@pytest.mark.parametrize("shape", [(60, 90), (1, 1), (1, 5000), (333, 7)])
def test_maps_are_drawn_900_pixels_wide_with_nothing_clipped(shape):
    values = np.linspace(0, 2, shape[0] * shape[1]).reshape(shape)
    for picture in (
        analysis.blur_map(values, "Blur map"),
        analysis.blur_map(values, "Blur map", 1 - values / 2),
        analysis.dilation_map(values, "Dilation map"),
    ):
        assert picture.shape[1:] == (900, 3) and unclipped(picture)
    names = tuple(f"map {i}" for i in range(12))
    picture = analysis.coefficients(np.stack([values - 1] * 12), names, "Coefficients")
    assert picture.shape[1:] == (900, 3) and unclipped(picture)


@pytest.mark.parametrize(("count", "size"), [(5, 5), (2, 3), (15, 15), (1, 1)])
def test_kernels_are_drawn_with_nothing_clipped(count, size):
    values = np.random.default_rng(0).normal(size=(3, 2, count, size, size))
    picture = analysis.kernels(values, "Kernels")
    assert picture.shape[1:] == (900, 3) and unclipped(picture)


def test_only_parts_of_low_confidence_are_hatched():
    values, confidence = np.full((200, 400), 3.0), np.ones((200, 400))
    confidence[:, :200] = 0.2
    plain, hatched = analysis.blur_map(values, "Map"), analysis.blur_map(values, "Map", confidence)
    rows, left, right = slice(60, 400), slice(60, 430), slice(470, 840)
    assert len(np.unique(plain[rows, left].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(hatched[rows, left].reshape(-1, 3), axis=0)) > 4
    np.testing.assert_array_equal(hatched[rows, right], plain[rows, right])


def test_radii_share_a_scale_up_to_four_pixels():
    """A photo in focus is dark, whatever its largest radius is."""
    colours = [analysis.blur_map(np.full((20, 40), radius), "Map")[150, 450] for radius in (0.5, 4.0, 8.0)]
    assert colours[0].max() < 120 and colours[1].max() > 230
    np.testing.assert_array_equal(colours[1], colours[2])


def test_kernels_that_are_zero_are_drawn():
    analysis.kernels(np.zeros((3, 2, 2, 3, 3)), "Kernels")


def test_pyplot_is_not_used():
    analysis.blur_map(np.ones((4, 4)), "Blur map")
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (40, 60, 1), (500, 30, 3)])
@pytest.mark.parametrize("count", [1, 5, 11])
def test_overview_of_any_size(shape, count):
    rng = np.random.default_rng(0)
    before, after = rng.random((2, *shape), np.float32)
    dilation, radius, confidence = rng.random((3, *shape[:2])) * 2
    kernels = rng.normal(size=(count, 5, 5))
    plain = analysis.overview(before, after, dilation, kernels, "name.jpg")
    calibrated = analysis.overview(before, after, dilation, kernels, "name.jpg", radius, confidence / 2)
    for picture in (plain, calibrated):
        assert picture.dtype == np.uint8 and picture.ndim == 3 and len(np.unique(picture)) > 20
    assert plain.shape == calibrated.shape and not np.array_equal(plain, calibrated)
