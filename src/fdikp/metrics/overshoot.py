"""Overshoot: halos and ringing beside edges."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fdikp.metrics.psnr import error

WINDOW = 5
"""Side of the window that gives the allowed minimum and maximum, and within which an edge counts as near."""

EDGE_PERCENTILE = 80
"""Edges are the pixels of the target whose gradient magnitude is above this percentile."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in BT.601's luma."""


def overshoot(output: Tensor, target: Tensor) -> Tensor:
    """Ours: how far an output leaves the target's local range near edges, in units of 1/255.

    Halos and ringing beside edges are darker or brighter than the target's surroundings, and hardly change PSNR. The
    excess of a pixel and channel is how far the output lies below the minimum or above the maximum of the target over
    the 5x5 window, minus 1/255 (the rounding of an 8-bit file), and at least 0. The score is the mean excess over
    channels and over pixels within 2 pixels of an edge. Edges are pixels whose luma gradient (central differences) is
    above the 80th percentile of the target. The score is 0 if the output equals the target or the target has no edges.
    The target must be aligned to the pixel.

    >>> step = torch.zeros(1, 3, 16, 16)
    >>> step[..., 8:] = 0.5
    >>> overshoot(step, step), overshoot(step * 1.2, step).round(decimals=2)  # 0.6 where 0.5 is: 24.5 in half of it
    (tensor([0.], dtype=torch.float64), tensor([12.2500], dtype=torch.float64))

    Args:
        output: [B, C, H, W] in 0..1; C is 1 or 3.
        target: the same shape and range.
    """
    error(output, target)
    reach = WINDOW // 2
    highest = F.max_pool2d(target, WINDOW, 1, reach)
    lowest = -F.max_pool2d(-target, WINDOW, 1, reach)
    excess = (torch.maximum(output - highest, lowest - output) - 1 / 255).clamp_min(0.0)
    near = F.max_pool2d(edge_pixels(target).to(target.dtype), WINDOW, 1, reach)
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
