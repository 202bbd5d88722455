"""Correlation of a map with the blur radius, over the pixels that show texture."""

import torch
from torch import Tensor

from fdikp.network.ops import box
from fdikp.network.ops.reference_ops import NEIGHBOURHOOD

TEXTURE = 0.02
"""A pixel shows texture where the standard deviation of the target's luminance over its neighbourhood is at least this,
five steps of 8 bits. A flat wall looks the same in focus and out of focus."""


def texture(target: Tensor) -> Tensor:
    """Standard deviation of the luminance around each pixel where it is at least `TEXTURE`, else 0; [B, 1, H, W].

    Args:
        target: [B, 3, H, W] in 0..1.
    """
    grey = target.double().mean(dim=1, keepdim=True)
    variance = (box(grey.square(), NEIGHBOURHOOD) - box(grey, NEIGHBOURHOOD).square()).clamp_min(0.0)
    deviation = variance.sqrt()
    return torch.where(deviation >= TEXTURE, deviation, 0.0)


def pearson(x: Tensor, y: Tensor) -> float:
    """Linear correlation of two [n]; NaN if one of them is constant.

    >>> round(pearson(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])), 4)
    0.982
    """
    x, y = (v.double() - v.double().mean() for v in (x, y))
    return float((x @ y) / (x.square().sum() * y.square().sum()).sqrt())


def spearman(x: Tensor, y: Tensor) -> float:
    """Rank correlation of two [n]; equal values share the mean of their ranks. NaN if one of them is constant.

    >>> round(spearman(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 40.0])), 4)
    1.0
    """
    return pearson(_ranks(x), _ranks(y))


def _ranks(values: Tensor) -> Tensor:
    _, index, count = values.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    return (last - (count - 1) / 2)[index]
