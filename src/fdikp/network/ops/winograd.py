"""3×3 convolutions by Winograd's minimal filtering, float32, for inference on CPUs.

F(2×2, 3×3) (Lavin and Gray 2016) takes 16 multiplications for each pair of channels and four pixels instead of 36. The
kernel, `native/kernels/winograd.h`, also applies what follows a convolution in this network: bias, skip and LeakyReLU.
"""

import torch
from torch import Tensor, nn

from fdikp.network.ops import native
from fdikp.network.ops.fused_cpu import to_nhwc
from fdikp.network.ops.packed_weight_cache import packed_weights

GROUP = 16
"""Channels that the kernel computes together; numbers of channels are multiples of it."""

MAX_CHANNELS = 256
"""Channels for which the kernel's workspace has room."""

_TRANSFORM = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
"""G of F(2, 3)."""


def is_eligible(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether `conv_act` supports this layer and its input."""
    return (
        x.dtype == conv.weight.dtype == torch.float32
        and (conv.kernel_size, conv.stride, conv.padding, conv.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.bias is not None
        and conv.in_channels % GROUP == conv.out_channels % GROUP == 0
        and max(conv.in_channels, conv.out_channels) <= MAX_CHANNELS
        and native.is_eligible(x)
    )


def conv_act(conv: nn.Conv2d, x: Tensor, slope: float, skip: Tensor | None) -> Tensor:
    """LeakyReLU(conv(x) + skip), [B, C, H, W], channels innermost in memory.

    Args:
        conv: a layer for which `is_eligible` is true.
        x: [B, C', H, W], float32.
        slope: of LeakyReLU for negative values, in 0..1; 1 is no activation.
        skip: [B, C, H, W], or None.
    """
    B, _, H, W = x.shape
    nhwc = to_nhwc(x)
    added = None if skip is None else to_nhwc(skip.to(x.dtype))
    out = x.new_empty(B, H, W, conv.out_channels)
    arguments = (nhwc, packed_weights(conv, pack), conv.bias, added, slope, out, H, W)
    channels = (conv.in_channels, conv.out_channels)
    native.launch(
        "fdikp_winograd", *arguments, *channels, items=B * -(-H // 2) * -(-W // 2), pixels=4 * conv.in_channels
    )
    return out.permute(0, 3, 1, 2)


def pack(weight: Tensor) -> Tensor:
    """G g Gᵀ of weights g [outputs, inputs, 3, 3], as the kernel reads it: [16, outputs / 16, inputs, 16]."""
    outputs, inputs = weight.shape[:2]
    transformed = torch.einsum("ik,ockl,jl->ijoc", _TRANSFORM, weight.detach(), _TRANSFORM)
    return transformed.reshape(16, outputs // GROUP, GROUP, inputs).transpose(2, 3).contiguous()
