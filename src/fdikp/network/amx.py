"""Convolutions of bfloat16 on CPUs that multiply it in tiles (AMX), for inference; `native/amx.c` does them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import native
from fdikp.network.compiled import innermost
from fdikp.network.packed import kept

MOST_SIDE, MOST_CHANNELS, MOST_NUMBERS = 11, 512, 256 * 5 * 5
"""Side of a window, channels, and both channels and places of it, up to which there is room in amx.c."""

LANES, DEPTH = 16, 32
"""A tile holds 32 numbers of what each of 16 windows sees; one of weights meets those with 16 channels of results."""

QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The rows and columns, of each two, that one of a transposed convolution's quarters makes."""

COST = 4
"""How many pixels of a pass through memory a result is worth, when work is shared out."""


def applies(conv: nn.Conv2d, *maps: Tensor) -> bool:
    """Whether `convolved` can take this layer and one or two maps, whose channels it sees side by side."""
    side = conv.kernel_size[0]
    return (
        all(x.dtype == conv.weight.dtype == torch.bfloat16 for x in maps)
        and conv.kernel_size == (side, side)
        and side <= MOST_SIDE
        and conv.in_channels <= MOST_CHANNELS
        and conv.in_channels * side * side <= MOST_NUMBERS
        and isinstance(conv.padding, tuple)
        and conv.padding[0] == conv.padding[1] < side
        and min(maps[0].shape[-2:]) >= side
        and conv.stride in ((1, 1), (2, 2))
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.bias is not None
        and native.applies(*maps)
        and native.tiles()
    )


def convolved(
    conv: nn.Conv2d, x: Tensor, slope: float = 1.0, skip: Tensor | None = None, beside: Tensor | None = None
) -> Tensor:
    """LeakyReLU(conv(x beside another) + skip), channels innermost in memory.

    Sums are float throughout and rounded once, at the end.

    Args:
        conv: a layer that `applies`.
        x: [B, C', H, W], bfloat16.
        slope: of LeakyReLU for negative numbers, in 0..1; 1 to leave it out.
        skip: of the result's shape, or None.
        beside: [B, C'', H, W], bfloat16, or None: channels of conv's input that come after those of x.
    """
    B, channels, H, W = x.shape
    side, border, stride = conv.kernel_size[0], int(conv.padding[0]), conv.stride[0]
    rows, width = ((size + 2 * border - side) // stride + 1 for size in (H, W))
    assert conv.bias is not None
    seen = innermost(x)
    more = None if beside is None else innermost(beside)
    added = None if skip is None else innermost(skip.to(x.dtype))
    bias = F.pad(conv.bias.float(), (0, -conv.out_channels % LANES))
    out = x.new_empty(B, rows, width, conv.out_channels)
    maps = (seen, more, kept(conv, packed), bias, added, slope, out)
    shape = (H, W, rows, width, channels, conv.in_channels - channels, conv.out_channels, side, stride, border, border)
    native.call("fdikp_amx", *maps, *shape, 1, items=B * rows, pixels=COST * width)
    return out.permute(0, 3, 1, 2)


def doubles(conv: nn.ConvTranspose2d, x: Tensor) -> bool:
    """Whether `doubled` can take this layer and its input."""
    return (
        x.dtype == conv.weight.dtype == torch.bfloat16
        and (conv.kernel_size, conv.stride, conv.padding) == ((4, 4), (2, 2), (1, 1))
        and (conv.output_padding, conv.dilation, conv.groups) == ((0, 0), (1, 1), 1)
        and conv.bias is not None
        and conv.in_channels <= MOST_CHANNELS
        and native.applies(x)
        and native.tiles()
    )


def doubled(conv: nn.ConvTranspose2d, x: Tensor, slope: float = 1.0) -> Tensor:
    """LeakyReLU(conv(x)) of a transposed convolution that `doubles`: [B, C', H, W] to [B, C, 2H, 2W].

    Each second row and column of the result is a convolution of 2×2 pixels: four, which differ in where they begin.
    """
    B, channels, H, W = x.shape
    assert conv.bias is not None
    seen, bias = innermost(x), F.pad(conv.bias.float(), (0, -conv.out_channels % LANES))
    out = x.new_empty(B, 2 * H, 2 * W, conv.out_channels)
    for weights, (down, across) in zip(kept(conv, quartered), QUARTERS, strict=True):
        maps = (seen, None, weights, bias, None, slope, out[0, down, across])
        shape = (H, W, H, W, channels, 0, conv.out_channels, 2, 1, 1 - down, 1 - across)
        native.call("fdikp_amx", *maps, *shape, 2, items=B * H, pixels=COST * W)
    return out.permute(0, 3, 1, 2)


def quartered(weight: Tensor) -> Tensor:
    """A transposed convolution's weights [from, to, 4, 4] as those of four others, packed, ordered as `QUARTERS`."""
    taps = ([3, 1], [2, 0])  # which weights meet the pixels before and after, in even and in odd rows and columns
    quarters = [weight[:, :, taps[down]][..., taps[across]].transpose(0, 1) for down, across in QUARTERS]
    return torch.stack([packed(quarter) for quarter in quarters])


def packed(weight: Tensor) -> Tensor:
    """Weights [to, from, side, side] in the order that amx.c wants, with zeros where tiles are not full.

    For each 32 channels of results, and what is left, [side, numbers of a window's row / 32, 1 or 2, 16, 16, 2]: tiles
    of pairs of numbers, as many results, and the pair.
    """
    rows = weight.detach().permute(0, 2, 3, 1).flatten(2)  # [to, side, side · from], as windows see pixels
    rows = F.pad(rows, (0, -rows.shape[2] % DEPTH, 0, 0, 0, -rows.shape[0] % LANES))
    groups = []
    for group in rows.split(2 * LANES):
        tiles = group.unflatten(2, (-1, LANES, 2)).unflatten(0, (-1, LANES))  # [1 or 2, 16, side, n, 16 pairs, 2]
        groups.append(tiles.permute(2, 3, 0, 4, 1, 5).flatten())
    return torch.cat(groups)
