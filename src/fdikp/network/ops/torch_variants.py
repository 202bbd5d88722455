"""Operations composed of torch's own in another way than the reference: in less memory, or faster on CPUs.

Results are those of the reference up to rounding. All are differentiable, and run on any device.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network.ops import reference_ops
from fdikp.network.ops.reference_ops import at_least_float32

BANDS = 8
"""Parts in which `conv_relu_mean` computes its map."""


def conv_relu_pool(conv: nn.Conv2d, x: Tensor, size: int) -> Tensor:
    """adaptive_avg_pool2d(relu(conv(x)), size), one row of results at a time: [B, C', H, W] to [B, C, size, size].

    The convolution's map is the widest of the network; only a part of it is ever in memory.
    """
    return torch.cat([_conv_relu_pool_row(conv, x, n, size) for n in range(size)], dim=-2)


def _conv_relu_pool_row(conv: nn.Conv2d, x: Tensor, n: int, size: int) -> Tensor:
    """Row n of `conv_relu_pool`, [B, C, 1, size], from the rows of x that it depends on."""
    reach, border = conv.kernel_size[0] - 1, int(conv.padding[0])
    rows = x.shape[-2] + 2 * border - reach  # of the convolution's result
    first, last = n * rows // size, -(-(n + 1) * rows // size)
    band = x[..., max(0, first - border) : last - border + reach, :]
    above, below = max(0, border - first), max(0, last - border + reach - x.shape[-2])
    band = F.pad(band, (border, border, above, below))
    return F.adaptive_avg_pool2d(F.relu_(F.conv2d(band, conv.weight, conv.bias)), (1, size))


def conv_relu_mean(weight: Tensor, x: Tensor) -> Tensor:
    """The mean over positions of relu(conv(x)), [B, C], in bands: the convolution's map is never all in memory."""
    reach = weight.shape[-1] - 1
    padded = F.pad(x, (reach // 2,) * 4)
    H, W = x.shape[-2:]
    rows = -(-H // BANDS)
    bands = [padded[..., y : y + rows + reach, :] for y in range(0, H, rows)]
    sums = [at_least_float32(F.relu_(F.conv2d(band, weight))).sum(dim=(-2, -1)) for band in bands]
    return torch.stack(sums).sum(dim=0) / (H * W)


def box(x: Tensor, side: int) -> Tensor:
    """The mean over squares, as a sum of shifted images: on CPUs torch's pooling is not vectorised, and far slower."""
    H, W = x.shape[-2:]
    reach = side // 2
    padded = F.pad(x, (0, 0, reach, reach), mode="replicate")
    down = padded[..., :H, :].clone()
    for i in range(1, side):
        down += padded[..., i : i + H, :]
    padded = F.pad(down, (reach, reach, 0, 0), mode="replicate")
    mean = padded[..., :W].clone()
    for i in range(1, side):
        mean += padded[..., i : i + W]
    return mean.mul_(1 / side**2)


def attend_in_strips(rows: Tensor, columns: Tensor, heads: int, between: bool) -> Tensor:
    """Attention along rows, beside that along columns, with torch's fused attention.

    torch has fused kernels for four dimensions only.
    """
    return reference_ops.attend_in_strips(rows, columns, heads, between, F.scaled_dot_product_attention)
