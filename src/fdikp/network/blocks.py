"""The residual block that encoder, decoder and the plain bottleneck are made of."""

import torch.nn.functional as F
from torch import Tensor, nn

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
        y = self.second(F.leaky_relu(self.first(x), SLOPE))
        return F.leaky_relu(x + y, SLOPE)


def resblocks(width: int, count: int) -> nn.Sequential:
    """`count` residual blocks, one after another."""
    return nn.Sequential(*(ResBlock(width) for _ in range(count)))
