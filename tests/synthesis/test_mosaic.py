import pytest
import torch

from fdikp.synthesis.mosaic import bayer_masks, through_mosaic

PATTERNS = range(4)
INNER = (..., slice(2, -2), slice(2, -2))


@pytest.mark.parametrize(("pattern", "corner"), [*enumerate(("RGGB", "GRBG", "GBRG", "BGGR"))])
def test_each_pixel_sees_one_colour_and_half_of_them_green(pattern, corner):
    masks = bayer_masks(6, 8, pattern)
    assert torch.equal(masks.sum(dim=0), torch.ones(6, 8, dtype=torch.long))
    assert masks.sum(dim=(1, 2)).tolist() == [12, 24, 12]
    assert "".join("RGB"[int(masks[:, y, x].int().argmax())] for y, x in ((0, 0), (0, 1), (1, 0), (1, 1))) == corner


@pytest.mark.parametrize("pattern", PATTERNS)
def test_constants_come_back_up_to_the_borders(pattern):
    light = torch.tensor([0.2, 0.5, 0.9])[:, None, None].expand(3, 9, 12)
    assert torch.allclose(through_mosaic(light, pattern), light, atol=1e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_smooth_gradients_of_any_colour_come_back(pattern):
    y, x = torch.arange(14.0)[:, None], torch.arange(18.0)[None]
    grey = 0.1 + 0.02 * x + 0.03 * y
    light = torch.stack([grey, grey + 0.2, 0.5 * grey])
    assert torch.allclose(through_mosaic(light, pattern)[INNER], light[INNER], atol=1e-5)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_a_pixel_saw_is_kept_and_the_rest_is_interpolated(pattern):
    light = torch.rand(3, 16, 20)
    masks = bayer_masks(16, 20, pattern)
    result = through_mosaic(light, pattern)
    assert torch.equal(result[masks], light[masks])
    assert not torch.allclose(result[~masks], light[~masks], atol=0.1)


def test_patterns_are_one_another_moved():
    light = torch.rand(3, 16, 20)
    along = through_mosaic(light, 0)[:, :, 1:]
    assert torch.allclose(through_mosaic(light[:, :, 1:], 1)[INNER], along[INNER], atol=1e-6)
    down = through_mosaic(light, 0)[:, 1:]
    assert torch.allclose(through_mosaic(light[:, 1:], 2)[INNER], down[INNER], atol=1e-6)


def test_it_is_better_than_bilinear_on_a_grey_edge():
    light = torch.zeros(3, 16, 16)
    light[:, :, 8:] = 1.0
    result = through_mosaic(light, 0)
    bilinear_green = light[1].clone()
    for y in range(1, 15):
        for x in range(1, 15):
            if (x + y) % 2 == 0:
                bilinear_green[y, x] = (
                    light[1, y, x - 1] + light[1, y, x + 1] + light[1, y - 1, x] + light[1, y + 1, x]
                ) / 4
    inner = (slice(2, -2), slice(2, -2))
    assert (result[1] - light[1])[inner].square().sum() < (bilinear_green - light[1])[inner].square().sum()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (3, 3)])
def test_small_images(size):
    assert bool(through_mosaic(torch.rand(3, *size), 0).isfinite().all())
