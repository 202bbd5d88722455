"""PSNR, SSIM, MAE as scikit-image, MATLAB and BasicSR compute them; overshoot; and what papers do to pictures before.

Each metric takes two [B, C, H, W] in 0..1 (what lies outside is not clamped here) and returns a float64 [B], one number
for each picture; papers report the mean of these. Sums run in float64, as scikit-image's do. Which of them a paper
means, and after which rounding and on which pixels, is said by a `Protocol`.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Window = Literal["uniform", "gaussian"]
"""What SSIM weighs a place's neighbours by."""

WINDOW: dict[Window, int] = {"uniform": 7, "gaussian": 11}
"""Side of SSIM's window: scikit-image's default, and that of Wang et al."""

SIGMA = 1.5
"""Of the Gaussian window, pixels."""

OVERSHOOT_WINDOW = 5
"""Side of the window whose minimum and maximum an output may not leave, and within which an edge counts as near."""

EDGE_PERCENTILE = 80
"""Pixels of the target with a gradient magnitude above this percentile are its edges."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in BT.601's luma."""


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, peak 1; infinite for equal pictures.

    >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([20.], dtype=torch.float64)
    """
    return -10.0 * _error(output, target).square().mean(dim=(1, 2, 3)).log10()


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, 0..1.

    >>> mae(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round(decimals=3)
    tensor([0.1000], dtype=torch.float64)
    """
    return _error(output, target).abs().mean(dim=(1, 2, 3))


def ssim(output: Tensor, target: Tensor, window: Window = "uniform") -> Tensor:
    """Structural similarity (Wang et al. 2004), -1..1: mean over the windows that lie wholly inside and the channels.

    Args:
        output: [B, C, H, W] in 0..1.
        target: alike.
        window: `uniform` is 7x7 with sample covariance, `structural_similarity(a, b, channel_axis=-1, data_range=1)`
            of scikit-image. `gaussian` is 11x11 with a standard deviation of 1.5, not normalised by n - 1: the same
            function with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`, which is also the published
            MATLAB code's, BasicSR's and pytorch-msssim's.

    Raises:
        ValueError: a side is shorter than the window.

    >>> x = torch.linspace(0, 1, 3 * 64).reshape(1, 3, 8, 8)
    >>> ssim(x, x)
    tensor([1.], dtype=torch.float64)
    """
    side = WINDOW[window]
    if min(output.shape[-2:]) < side:
        raise ValueError(f"SSIM needs at least {side}x{side} pixels, got {tuple(output.shape[-2:])}")
    _error(output, target)
    planes = [(output[:, n : n + 1], target[:, n : n + 1]) for n in range(output.shape[1])]
    # A channel at a time: a third of the memory, which for a photograph of several megapixels is much
    return torch.stack([_likeness(x.double(), y.double(), window) for x, y in planes]).mean(dim=0)


def overshoot(output: Tensor, target: Tensor) -> Tensor:
    """Ours: how far an output leaves the range of the target around each pixel, near the target's edges, in 1/255.

    Halos and ringing lie beside edges, darker or brighter than anything that the target has there; PSNR hardly notices
    them. At each pixel and channel the excess is what the output lies below the target's minimum or above its maximum
    over the 5x5 window, minus 1/255 (the rounding of an 8-bit file), and not below 0. The score is the mean excess over
    channels and over pixels within 2 pixels of an edge: pixels whose luma gradient (central differences) is above the
    80th percentile of the target. 0 for an output that is its target, or for a target without edges. The target must
    be aligned to the pixel.

    >>> step = torch.zeros(1, 3, 16, 16)
    >>> step[..., 8:] = 0.5
    >>> overshoot(step, step), overshoot(step * 1.2, step).round(decimals=2)  # 0.6 where 0.5 is: 24.5 in half of it
    (tensor([0.], dtype=torch.float64), tensor([12.2500], dtype=torch.float64))

    Args:
        output: [B, C, H, W] in 0..1; C is 1 or 3.
        target: alike.
    """
    _error(output, target)
    reach = OVERSHOOT_WINDOW // 2
    highest = F.max_pool2d(target, OVERSHOOT_WINDOW, 1, reach)
    lowest = -F.max_pool2d(-target, OVERSHOOT_WINDOW, 1, reach)
    excess = (torch.maximum(output - highest, lowest - output) - 1 / 255).clamp_min(0.0)
    near = F.max_pool2d(edge_pixels(target).to(target.dtype), OVERSHOOT_WINDOW, 1, reach)
    total = (excess.double() * near).sum(dim=(1, 2, 3))
    return 255.0 * total / (near.double().sum(dim=(1, 2, 3)) * excess.shape[1]).clamp_min(1.0)


def edge_pixels(image: Tensor) -> Tensor:
    """Where the luma gradient of each image is above its 80th percentile: [B, C, H, W] to a mask [B, 1, H, W]."""
    weights = image.new_tensor(LUMA if image.shape[1] == 3 else (1.0,))
    brightness = (image * weights[:, None, None]).sum(dim=1, keepdim=True)
    around = F.pad(brightness, (1, 1, 1, 1), mode="replicate")
    across = around[..., 1:-1, 2:] - around[..., 1:-1, :-2]
    down = around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    magnitude = torch.hypot(across, down)
    rank = max(1, magnitude[0].numel() * EDGE_PERCENTILE // 100)
    threshold = magnitude.flatten(1).kthvalue(rank, dim=1).values  # torch.quantile takes 16 million pixels at most
    return magnitude > threshold[:, None, None, None]


def rounded(image: Tensor, bits: int) -> Tensor:
    """A picture, any shape, 0..1, as integers of `bits` bits hold it, still 0..1; halves go to the even integer.

    >>> rounded(torch.tensor([0.5, 0.501, 1.0]), bits=8) * 255
    tensor([128., 128., 255.])
    """
    most = 2**bits - 1
    return (image * most).round() / most


def luma(image: Tensor) -> Tensor:
    """Y of BT.601 in its studio range, as MATLAB's `rgb2ycbcr` and BasicSR compute it, not rounded.

    Args:
        image: [B, 3, H, W] RGB in 0..1.

    Returns:
        [B, 1, H, W] in 16/255..235/255. Errors shrink by 219/255 at the least: a PSNR on Y is not one on RGB.

    >>> (luma(torch.ones(1, 3, 1, 1)) * 255).round()
    tensor([[[[235.]]]])
    """
    weights = image.new_tensor([65.481, 128.553, 24.966])[:, None, None]
    return ((image * weights).sum(dim=-3, keepdim=True) + 16.0) / 255.0


def _likeness(x: Tensor, y: Tensor, window: Window) -> Tensor:
    """SSIM of two [B, 1, H, W], as [B]."""
    mean = _uniform if window == "uniform" else _gaussian
    count = WINDOW[window] ** 2
    unbiased = count / (count - 1) if window == "uniform" else 1.0
    mean_x, mean_y = mean(x), mean(y)
    var_x = unbiased * (mean(x * x) - mean_x * mean_x)
    var_y = unbiased * (mean(y * y) - mean_y * mean_y)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (alike / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(dim=(1, 2, 3))


def _uniform(image: Tensor) -> Tensor:
    """Mean over each window that lies wholly inside."""
    return F.avg_pool2d(image, WINDOW["uniform"], stride=1)


def _gaussian(image: Tensor) -> Tensor:
    """The same, weighed: along columns, then along rows."""
    side = WINDOW["gaussian"]
    place = torch.arange(side, dtype=image.dtype, device=image.device) - side // 2
    weights = (-0.5 * (place / SIGMA).square()).exp()
    weights = (weights / weights.sum()).expand(1, 1, 1, side)  # [1, 1, 1, 11]
    return F.conv2d(F.conv2d(image, weights.mT), weights)


def _error(output: Tensor, target: Tensor) -> Tensor:
    if output.shape != target.shape or output.ndim != 4:
        raise ValueError(f"expected two [B, C, H, W] alike, got {tuple(output.shape)} and {tuple(target.shape)}")
    return output.double() - target.double()
