"""PSNR, SSIM and MAE as IFAN, DRBNet, Restormer and P2IKT compute them: full image, RGB, floating point, 0..1.

Each takes two [B, 3, H, W] in 0..1 (clamp first: what lies outside is not clamped here) and returns a float64 [B], one
number for each picture; papers report the mean of these. Sums run in float64, as scikit-image's do.
"""

from torch import Tensor
from torch.nn import functional as F

WINDOW = 7
"""Side of SSIM's uniform window, scikit-image's default."""


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, peak 1; infinite for equal pictures.

    >>> import torch
    >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([20.], dtype=torch.float64)
    """
    return -10.0 * _error(output, target).square().mean(dim=(1, 2, 3)).log10()


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error.

    >>> import torch
    >>> mae(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([0.1000], dtype=torch.float64)
    """
    return _error(output, target).abs().mean(dim=(1, 2, 3))


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), -1..1: uniform 7x7 window, sample covariance, mean of the channels.

    Equals `skimage.metrics.structural_similarity(a, b, channel_axis=-1, data_range=1)`.

    Raises:
        ValueError: a side is shorter than the window.

    >>> import torch
    >>> x = torch.linspace(0, 1, 3 * 64).reshape(1, 3, 8, 8)
    >>> ssim(x, x)
    tensor([1.], dtype=torch.float64)
    """
    if min(output.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs at least {WINDOW}x{WINDOW} pixels, got {tuple(output.shape[-2:])}")
    _error(output, target)
    x, y = output.double(), target.double()
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    mean_x, mean_y = _mean(x), _mean(y)
    var_x = unbiased * (_mean(x * x) - mean_x * mean_x)
    var_y = unbiased * (_mean(y * y) - mean_y * mean_y)
    covariance = unbiased * (_mean(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(dim=(1, 2, 3))


def _mean(image: Tensor) -> Tensor:
    """Mean over each window that lies wholly inside."""
    return F.avg_pool2d(image, WINDOW, stride=1)


def _error(output: Tensor, target: Tensor) -> Tensor:
    if output.shape != target.shape or output.ndim != 4:
        raise ValueError(f"expected two [B, C, H, W] alike, got {tuple(output.shape)} and {tuple(target.shape)}")
    return output.double() - target.double()
