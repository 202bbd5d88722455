"""The residual block that encoder, decoder and the plain bottleneck are made of, and where precision is kept."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import native, winograd
from fdikp.network.compiled import innermost

SLOPE = 0.2
"""Negative slope of every LeakyReLU outside the recurrent unit."""


class ResBlock(nn.Module):
    """Two 3×3 convolutions beside a skip: conv, act, conv, + skip, act."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        return activated(self.second, activated(self.first, x), skip=x)


def resblocks(width: int, count: int) -> nn.Sequential:
    """`count` residual blocks, one after another."""
    return nn.Sequential(*(ResBlock(width) for _ in range(count)))


def activated(
    conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, slope: float = SLOPE, skip: Tensor | None = None
) -> Tensor:
    """LeakyReLU(conv(x) + skip), the skip left out where it is None; a slope of 0 is ReLU, of 1 no activation."""
    if isinstance(conv, nn.Conv2d) and winograd.applies(conv, x):
        return winograd.convolved(conv, x, slope, skip)
    # In the memory of the convolution's result. oneDNN's convolution that applies LeakyReLU itself was tried: it takes
    # 1 % less, and is no public operator of torch
    y = conv(x)
    y = y if skip is None else y.add_(skip)
    return y if slope == 1.0 else F.relu_(y) if slope == 0.0 else F.leaky_relu_(y, slope)


def joined(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """A convolution of x [B, C, H, W] beside y [B, C', H, W], without the map of both where that can be."""
    pointwise = conv.kernel_size == (1, 1)
    if not (pointwise and native.applies(x, y) and x.dtype == y.dtype == conv.weight.dtype == torch.bfloat16):
        return conv(torch.cat((x, y), dim=1))
    # Of each apart, and added: that takes an eighth less
    ours, theirs = conv.weight.flatten(1).split((x.shape[1], y.shape[1]), dim=1)
    out = F.linear(innermost(x), ours, conv.bias)
    out.flatten(0, -2).addmm_(innermost(y).flatten(0, -2), theirs.t())
    return out.permute(0, 3, 1, 2)


def wide(x: Tensor) -> Tensor:
    """x in float32 at least."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def convolve_pixels(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A layer that works on pixels and not on features, in the pixels' own precision whatever that of its weights.

    The result differs from the photograph by small sums of large terms, which 16 bits would round away.
    """
    with torch.autocast(x.device.type, enabled=False):
        bias = None if conv.bias is None else conv.bias.to(x.dtype)
        return F.conv2d(x, conv.weight.to(x.dtype), bias, conv.stride, conv.padding)
