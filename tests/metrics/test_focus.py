"""In-focus masks, on a photo that a lens blurs by known radii."""

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from fdikp.metrics.focus import SHARP, blur_estimate, focus_pixels, sharp_pixels

SAMPLES = 21
"""Samples along each side of a pixel, of which a disc covers a part."""


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return torch.from_numpy(data.astronaut()).permute(2, 0, 1) / 255


def defocused(photo: torch.Tensor, radius: float) -> torch.Tensor:
    """The photo convolved with a disc, each pixel weighted by how much of it the disc covers."""
    reach = int(np.ceil(radius))
    place = (np.arange((2 * reach + 1) * SAMPLES) + 0.5) / SAMPLES - reach - 0.5
    inside = (place[:, None] ** 2 + place**2 <= radius**2).astype(np.float32)
    disc = torch.from_numpy(inside.reshape(2 * reach + 1, SAMPLES, 2 * reach + 1, SAMPLES).mean((1, 3)))
    padded = F.pad(photo[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(padded, (disc / disc.sum())[None, None])[:, 0]


def test_the_mask_holds_sharp_detail_and_no_blurred_detail(photo: torch.Tensor) -> None:
    detailed = blur_estimate(photo) < SHARP
    assert 0.5 < detailed.float().mean() < 0.9

    def fraction(radius: float) -> float:
        target = defocused(photo, radius)
        return float(sharp_pixels(target, target)[detailed].float().mean())

    assert fraction(0.5) > 0.98 and fraction(2.0) < 0.01
    assert fraction(0.5) > fraction(1.0) > fraction(1.5) > fraction(2.0)


def test_contrast_does_not_matter_and_flat_areas_are_left_out(photo: torch.Tensor) -> None:
    detailed = blur_estimate(photo) < SHARP
    assert ((blur_estimate(photo / 2 + 0.2) < SHARP) == detailed).float().mean() > 0.8
    flat = torch.full((3, 40, 40), 0.5)
    assert not sharp_pixels(flat, flat).any()


def test_blurred_inputs_are_not_in_focus(photo: torch.Tensor) -> None:
    blurred = defocused(photo, 2.0)
    in_focus = focus_pixels(blurred, photo)
    assert torch.equal(in_focus, ((blurred - photo).abs() < 0.01).all(dim=0))
    assert torch.equal(sharp_pixels(blurred, photo), in_focus & (blur_estimate(photo) < SHARP))


def test_the_estimate_at_a_step_and_far_from_it() -> None:
    """Values of version 0.1: results that were published with it stay comparable."""
    step = torch.zeros(3, 64, 64)
    step[..., 32:] = 0.6
    estimate = blur_estimate(step)
    expected = torch.tensor([1.8854, 1.9615, 0.0075, 0.0050, 0.0043])
    torch.testing.assert_close(estimate[32, [2, 20, 26, 30, 31]], expected, atol=2e-4, rtol=0)
