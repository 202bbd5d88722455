"""SSIM (Wang et al. 2004) with the two windows that papers use."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.metrics.psnr import error

Window = Literal["uniform", "gaussian"]
"""The weights of a pixel's neighbours."""

WINDOW: dict[Window, int] = {"uniform": 7, "gaussian": 11}
"""Side of the window, pixels: scikit-image's default, and that of Wang et al."""

SIGMA = 1.5
"""Standard deviation of the Gaussian window, pixels."""


def ssim(output: Tensor, target: Tensor, window: Window = "uniform") -> Tensor:
    """Structural similarity (Wang et al. 2004), -1..1: mean over channels and over windows inside the image.

    Args:
        output: [B, C, H, W] in 0..1.
        target: the same shape and range.
        window: `uniform` is 7x7 with sample covariance, `structural_similarity(a, b, channel_axis=-1, data_range=1)`
            of scikit-image. `gaussian` is 11x11 with a standard deviation of 1.5, not normalised by n - 1: the same
            function with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`, which the published MATLAB
            code, BasicSR and pytorch-msssim compute too.

    Raises:
        ValueError: a side is shorter than the window.

    >>> x = torch.linspace(0, 1, 3 * 64).reshape(1, 3, 8, 8)
    >>> ssim(x, x)
    tensor([1.], dtype=torch.float64)
    """
    side = WINDOW[window]
    if min(output.shape[-2:]) < side:
        raise ValueError(f"SSIM needs at least {side}x{side} pixels, got {tuple(output.shape[-2:])}")
    error(output, target)
    planes = [(output[:, n : n + 1], target[:, n : n + 1]) for n in range(output.shape[1])]
    # One channel at a time takes a third of the memory, which matters for photos of several megapixels
    return torch.stack([_ssim_of_channel(x.double(), y.double(), window) for x, y in planes]).mean(dim=0)


def _ssim_of_channel(x: Tensor, y: Tensor, window: Window) -> Tensor:
    """SSIM of two [B, 1, H, W], as [B]."""
    mean = _uniform if window == "uniform" else _gaussian
    count = WINDOW[window] ** 2
    unbiased = count / (count - 1) if window == "uniform" else 1.0
    mean_x, mean_y = mean(x), mean(y)
    var_x = unbiased * (mean(x * x) - mean_x * mean_x)
    var_y = unbiased * (mean(y * y) - mean_y * mean_y)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (numerator / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(dim=(1, 2, 3))


def _uniform(image: Tensor) -> Tensor:
    """Mean over each window inside the image."""
    return F.avg_pool2d(image, WINDOW["uniform"], stride=1)


def _gaussian(image: Tensor) -> Tensor:
    """Gaussian mean over each window inside the image: along columns, then along rows."""
    side = WINDOW["gaussian"]
    offset = torch.arange(side, dtype=image.dtype, device=image.device) - side // 2
    weights = (-0.5 * (offset / SIGMA).square()).exp()
    weights = (weights / weights.sum()).expand(1, 1, 1, side)  # [1, 1, 1, 11]
    return F.conv2d(F.conv2d(image, weights.mT), weights)
