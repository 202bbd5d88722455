"""3×3 convolutions by Winograd's minimal filtering, for inference on CPUs.

A convolution of stride 1 takes 16 products for each pair of channels and four pixels in place of 36 (F(2×2, 3×3), Lavin
and Gray 2016). `native/winograd_float.c` does it, `winograd_wide.c` with AVX-512, and `winograd.c` in bfloat16 on
processors that multiply it, with what follows a convolution in this network: a skip and LeakyReLU. Where bfloat16 is
multiplied in tiles (AMX), oneDNN's convolutions are faster, and are taken.
"""

import torch
from torch import Tensor, nn

from fdikp.network.ops import native
from fdikp.network.ops.fused_cpu import LANES, innermost
from fdikp.network.ops.packed_weights import kept

MOST_CHANNELS = 256
"""Channels up to which there is room in winograd.h."""

_TRANSFORM = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
"""G of F(2, 3)."""


def applies(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether `convolved` can take this layer and its input, and torch is not faster."""
    return (
        x.dtype == conv.weight.dtype
        and (conv.kernel_size, conv.stride, conv.padding, conv.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.bias is not None
        and conv.in_channels % LANES == 0
        and _group(conv.weight) > 0
        and max(conv.in_channels, conv.out_channels) <= MOST_CHANNELS
        and native.applies(x)
        and (x.dtype == torch.float32 or (native.products() and not native.tiles()))
    )


def convolved(conv: nn.Conv2d, x: Tensor, slope: float = 1.0, skip: Tensor | None = None) -> Tensor:
    """LeakyReLU(conv(x) + skip), [B, C, H, W] of x's type, channels innermost in memory.

    Sums are float throughout and rounded once, at the end.

    Args:
        conv: a layer that `applies`.
        x: [B, C', H, W], float32 or bfloat16.
        slope: of LeakyReLU for negative numbers, in 0..1; 1 to leave it out.
        skip: [B, C, H, W], or None.
    """
    B, _, H, W = x.shape
    assert conv.bias is not None
    seen = innermost(x)
    added = None if skip is None else innermost(skip.to(x.dtype))
    out = x.new_empty(B, H, W, conv.out_channels)
    known = (seen, kept(conv, packed), conv.bias.float(), added, slope, out, H, W, conv.in_channels, conv.out_channels)
    of_floats = "fdikp_winograd_wide" if native.wide() else "fdikp_winograd_float"
    name = "fdikp_winograd" if x.dtype == torch.bfloat16 else of_floats
    native.call(name, *known, items=B * -(-H // 2) * -(-W // 2), pixels=4 * conv.in_channels)
    return out.permute(0, 3, 1, 2)


def _group(weight: Tensor) -> int:
    """How many channels of results are worked on together; 0 where that cannot be."""
    vectors = (4, 5, 2) if weight.dtype == torch.bfloat16 else (1,)
    return next((n * LANES for n in vectors if weight.shape[0] % (n * LANES) == 0), 0)


def packed(weight: Tensor) -> Tensor:
    """G g Gᵀ of weights g [to, from, 3, 3], of their type and in the order that its C wants.

    [16, to / group, from, group] of float32, [16, to / group, from / 2, group, 2] of bfloat16.
    """
    to, channels = weight.shape[:2]
    group = _group(weight)
    spread = torch.einsum("ik,ockl,jl->ijoc", _TRANSFORM, weight.detach().float(), _TRANSFORM)
    side = 2 if weight.dtype == torch.bfloat16 else 1
    grouped = spread.reshape(16, to // group, group, channels // side, side).transpose(2, 3)
    return grouped.to(weight.dtype).contiguous()
