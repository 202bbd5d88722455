from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from fdikp.network import PRESETS
from fdikp.network.dilation import ENERGY_FLOOR, DilationMap, detail
from fdikp.network.ops import box
from fdikp.synthesis.aperture import Aperture, aperture_kernels


@pytest.fixture(scope="module")
def textured() -> Tensor:
    """A crop of a photo that is in focus and full of detail, [1, 3, 128, 128]."""
    return torch.from_numpy(data.astronaut()[300:428, 100:228].copy()).permute(2, 0, 1)[None] / 255


def defocused(x: Tensor, radius: float) -> Tensor:
    if radius == 0:
        return x
    kernel = aperture_kernels(torch.tensor([radius]), Aperture(), 12)[:, None].expand(3, 1, -1, -1)
    return F.conv2d(F.pad(x, (12,) * 4, mode="reflect"), kernel, groups=3)


def box_by_hand(x: np.ndarray, side: int) -> np.ndarray:
    padded = np.pad(x, side // 2, mode="edge")
    H, W = x.shape
    return np.array([[padded[y : y + side, x : x + side].mean() for x in range(W)] for y in range(H)])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 4)])
@pytest.mark.parametrize("side", [3, 9])
def test_box_is_the_mean_of_a_square(size: tuple[int, int], side: int) -> None:
    x = torch.rand(*size, dtype=torch.float64)
    torch.testing.assert_close(box(x[None, None], side)[0, 0], torch.from_numpy(box_by_hand(x.numpy(), side)))


def test_detail_written_out() -> None:
    x = torch.rand(1, 3, 14, 11, dtype=torch.float64)
    rest = x[0].mean(dim=0).numpy()
    expected = []
    for side in (3, 3, 5):
        smooth = box_by_hand(rest, side)
        energy = box_by_hand(box_by_hand((rest - smooth) ** 2, 9), 9)
        expected.append(np.log(1 + energy / ENERGY_FLOOR) / 10)
        rest = smooth
    torch.testing.assert_close(detail(x)[0], torch.from_numpy(np.stack(expected)))


def test_detail_depends_on_neither_brightness_nor_sign() -> None:
    x = torch.rand(2, 3, 24, 24, dtype=torch.float64)
    torch.testing.assert_close(detail(0.5 * x + 0.1), detail(0.5 * x))
    torch.testing.assert_close(detail(1 - x), detail(x))
    torch.testing.assert_close(detail(torch.full((1, 3, 9, 9), 0.4)), torch.zeros(1, 3, 9, 9), atol=1e-5, rtol=0)


def test_an_untrained_map_follows_the_blur(textured: Tensor) -> None:
    """Kernels of 5 samples with dilation D reach 2 D pixels: D should be half the radius, up to its largest value 2."""
    blur = DilationMap(PRESETS["fdikp-lite"])
    with torch.no_grad():
        means = [float(blur(defocused(textured, r)).median()) for r in (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)]
    assert means == sorted(means)
    assert means[0] < 0.1 and means[-1] > 1.8
    assert 0.3 < means[1] < 0.8 and 0.9 < means[2] < 1.7


def test_contrast_hardly_changes_the_map(textured: Tensor) -> None:
    blur = DilationMap(PRESETS["fdikp-lite"])
    with torch.no_grad():
        full, half = blur(defocused(textured, 2.0)), blur(0.5 * defocused(textured, 2.0))
    assert float((full - half).abs().median()) < 0.25


def test_the_paper_s_form_reads_the_image() -> None:
    torch.manual_seed(0)
    blur = DilationMap(replace(PRESETS["fdikp-lite"], blur_reads="image"))
    x = torch.rand(2, 3, 20, 30)
    weight, bias = blur.weigh.weight, blur.weigh.bias
    inner = 2 * torch.sigmoid(F.conv2d(x, weight, bias))
    torch.testing.assert_close(blur(x)[..., 1:-1, 1:-1], inner)


def test_the_map_has_a_gradient_and_the_image_has_none(textured: Tensor) -> None:
    blur = DilationMap(PRESETS["fdikp-lite"])
    x = textured.clone().requires_grad_(True)
    blur(x).sum().backward()
    assert x.grad is None
    assert blur.weigh.weight.grad is not None and blur.weigh.weight.grad.abs().sum() > 0
