"""Position adaptive convolution against slow, obvious oracles."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fdikp.network.ops import plain_convolution, position_adaptive_convolution


def case(
    seed: int = 0, B: int = 2, C: int = 3, H: int = 9, W: int = 7, N: int = 4, K: int = 3
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(B, C, H, W, generator=generator, dtype=torch.float64)
    kernels = torch.randn(B, N, K, K, generator=generator, dtype=torch.float64)
    return x, kernels


def convolved(x: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    """Ordinary dilated convolution, an image, a kernel and a channel at a time."""
    reach = kernels.shape[-1] // 2 * dilation
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    return torch.stack(
        [
            torch.stack([F.conv2d(image[:, None], k[None, None], dilation=dilation)[:, 0] for k in bank])
            for image, bank in zip(padded, kernels, strict=True)
        ]
    )


def bilinear(channel: Tensor, y: float, x: float) -> float:
    """One sample between pixels, the border repeated."""
    H, W = channel.shape
    y, x = min(max(y, 0), H - 1), min(max(x, 0), W - 1)
    top, left = min(math.floor(y), H - 2), min(math.floor(x), W - 2)
    fy, fx = y - top, x - left
    a, b, c, d = (channel[top + i, left + j].item() for i in (0, 1) for j in (0, 1))
    return (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)


def by_loop(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9 as it is written, a pixel and a tap at a time."""
    B, C, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    out = torch.zeros(B, N, C, H, W, dtype=x.dtype)
    for b in range(B):
        for c in range(C):
            for py in range(H):
                for px in range(W):
                    D = dilation[b, 0, py, px].item()
                    for i in range(K):
                        for j in range(K):
                            sample = bilinear(x[b, c], py + (i - K // 2) * D, px + (j - K // 2) * D)
                            out[b, :, c, py, px] += kernels[b, :, i, j] * sample
    return out


@pytest.mark.parametrize("K", [1, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_constant_dilation_is_dilated_convolution(dilation: int, K: int) -> None:
    x, kernels = case(K=K)
    D = torch.full_like(x[:, :1], dilation)
    torch.testing.assert_close(position_adaptive_convolution(x, kernels, D), convolved(x, kernels, dilation))


def test_plain_convolution_is_convolution() -> None:
    x, kernels = case(K=5)
    torch.testing.assert_close(plain_convolution(x, kernels), convolved(x, kernels, 1))


def test_matches_a_loop_over_pixels_with_random_dilation() -> None:
    x, kernels = case(seed=1)
    D = 2 * torch.rand(2, 1, 9, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(position_adaptive_convolution(x, kernels, D), by_loop(x, kernels, D))


def test_no_dilation_sums_the_kernel() -> None:
    x, kernels = case()
    out = position_adaptive_convolution(x, kernels, torch.zeros_like(x[:, :1]))
    torch.testing.assert_close(out, kernels.sum(dim=(-2, -1))[..., None, None, None] * x[:, None])


def test_gradients_in_image_kernels_and_dilation() -> None:
    x, kernels = case(B=1, C=2, H=5, W=4, N=2)
    # away from whole pixels, where bilinear sampling has a kink
    D = 0.2 + 0.6 * torch.rand(1, 1, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    inputs = tuple(t.requires_grad_() for t in (x, kernels, D))
    assert torch.autograd.gradcheck(position_adaptive_convolution, inputs)


def test_float32_is_exact_enough_far_from_the_origin() -> None:
    x, kernels = case(B=1, H=4, W=3000)
    D = torch.ones_like(x[:, :1])
    exact = position_adaptive_convolution(x, kernels, D)
    single = position_adaptive_convolution(x.float(), kernels.float(), D.float())
    assert (single - exact).abs().max() < 5e-3  # a coordinate near 3000 is exact to 2⁻¹²
