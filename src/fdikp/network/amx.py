"""Convolutions of bfloat16 on CPUs that multiply it in tiles (AMX), for inference; `native/amx.c` does them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import native
from fdikp.network.compiled import innermost
from fdikp.network.packed import kept

FEWEST_CHANNELS = 12
"""Channels below which most of a tile would be zeros, and torch is faster."""

MOST_CHANNELS = 512
"""Channels up to which there is room in amx.c, for windows of up to `MOST_SIDE`."""

MOST_SIDE = 5
LANES, DEPTH = 16, 32
"""A tile holds 16 pixels of 32 channels; one of weights 32 channels of 16."""

COST = 4
"""How many pixels of a pass through memory a result is worth, when work is shared out."""


def applies(conv: nn.Conv2d, *maps: Tensor) -> bool:
    """Whether `convolved` can take this layer and one or two maps, whose channels it sees side by side."""
    side = conv.kernel_size[0]
    return (
        all(x.dtype == conv.weight.dtype == torch.bfloat16 for x in maps)
        and conv.kernel_size == (side, side)
        and side in range(1, MOST_SIDE + 1, 2)
        and conv.padding == (side // 2, side // 2)
        and conv.stride in ((1, 1), (2, 2))
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.bias is not None
        and FEWEST_CHANNELS <= conv.in_channels <= MOST_CHANNELS
        and native.applies(*maps)
        and native.tiles()
    )


def convolved(
    conv: nn.Conv2d, x: Tensor, slope: float = 1.0, skip: Tensor | None = None, beside: Tensor | None = None
) -> Tensor:
    """LeakyReLU(conv(x beside another) + skip), [B, C, ⌈H / stride⌉, ⌈W / stride⌉], channels innermost in memory.

    Sums are float throughout and rounded once, at the end.

    Args:
        conv: a layer that `applies`.
        x: [B, C', H, W], bfloat16.
        slope: of LeakyReLU for negative numbers, in 0..1; 1 to leave it out.
        skip: of the result's shape, or None.
        beside: [B, C'', H, W], bfloat16, or None: channels of conv's input that come after those of x.
    """
    B, channels, H, W = x.shape
    side, stride = conv.kernel_size[0], conv.stride[0]
    rows, width = -(-H // stride), -(-W // stride)
    assert conv.bias is not None
    seen = innermost(x)
    more = None if beside is None else innermost(beside)
    added = None if skip is None else innermost(skip.to(x.dtype))
    bias = F.pad(conv.bias.float(), (0, -conv.out_channels % LANES))
    out = x.new_empty(B, rows, width, conv.out_channels)
    maps = (seen, more, kept(conv, packed), bias, added, slope, out)
    shape = (H, W, channels, conv.in_channels - channels, conv.out_channels, side, stride)
    native.call("fdikp_amx", *maps, *shape, items=B * rows, pixels=COST * width)
    return out.permute(0, 3, 1, 2)


def packed(weight: Tensor) -> Tensor:
    """Weights [to, from, side, side] in the order that amx.c wants, with zeros where tiles are not full.

    For each 32 channels of results, and what is left, [side, side, from / 32, 1 or 2, 16, 16, 2]: tiles of pairs of
    channels, as many results, and the pair.
    """
    weight = F.pad(weight.detach(), (0, 0, 0, 0, 0, -weight.shape[1] % DEPTH, 0, -weight.shape[0] % LANES))
    groups = []
    for group in weight.split(2 * LANES):
        tiles = group.permute(2, 3, 1, 0).unflatten(3, (-1, LANES)).unflatten(2, (-1, LANES, 2))
        groups.append(tiles.permute(0, 1, 2, 5, 3, 6, 4).flatten())
    return torch.cat(groups)
