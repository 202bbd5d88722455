"""The residual block of encoder, decoder and plain bottleneck, and the convolution of pixels in full precision."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops


class ResBlock(nn.Module):
    """Two 3×3 convolutions with a skip: conv, act, conv, + skip, act."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        return ops.conv_act(self.second, ops.conv_act(self.first, x), skip=x)


def resblocks(width: int, count: int) -> nn.Sequential:
    """`count` residual blocks, one after another."""
    return nn.Sequential(*(ResBlock(width) for _ in range(count)))


def convolve_pixels(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve pixels, as opposed to features, in the precision of the pixels, whatever that of the weights.

    The results are small sums of large terms, which 16 bits would round away.
    """
    with torch.autocast(x.device.type, enabled=False):
        bias = None if conv.bias is None else conv.bias.to(x.dtype)
        return F.conv2d(x, conv.weight.to(x.dtype), bias, conv.stride, conv.padding)
