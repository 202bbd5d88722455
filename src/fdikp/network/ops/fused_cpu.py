"""The compiled passes without a gradient, for inference on CPUs: what they take and give. `native.applies` says when.

Where torch computes these with its own operations each is several passes over memory, of which those over maps that
lie innermost go a dozen numbers at a time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network.ops.native import applies, call, products

MOST_MAPS = 64
"""Coefficient maps up to which there is room in recurrence.c and blend.c: N is at most 31 there."""

LANES = 16
"""Floats in a vector of winograd.c."""

MOST_TOKENS = 1024
"""Tokens of a strip for which there is room in attention.c."""

FEATURES = (8, 20)
"""Numbers of a head that attention.c has code for."""


def innermost(x: Tensor) -> Tensor:
    """[B, C, H, W] as it lies in memory for compiled passes: [B, H, W, C], without a copy where it lies so already."""
    return x.permute(0, 2, 3, 1).contiguous()


def polar(f: Tensor, rounding: float) -> tuple[Tensor, Tensor]:
    """Amplitude log(1 + |F| / rounding) / 4 and phase arg F · |F|² / (|F|² + rounding²) of a half-plane
    spectrum, its zero vertical frequency in the middle row.

    Args:
        f: [B, C, H, W], complex64.
        rounding: the amplitude below which there is nothing to see, above 0.

    Returns:
        Two of [B, C, H, W], float32.
    """
    B, C, H, W = f.shape
    seen = torch.view_as_real(f).contiguous()
    amplitude, phase = seen.new_empty(B, C, H, W), seen.new_empty(B, C, H, W)
    call("fdikp_polar", seen, amplitude, phase, rounding, H, W, items=B * C, pixels=H * W)
    return amplitude, phase


def detail(x: Tensor, floor: float) -> Tensor:
    """The logarithm of fine, medium and coarse detail's energy over `floor`, as `blur.detail`: [B, 3, H, W] float32."""
    B, _, H, W = x.shape
    seen = x.contiguous()
    out = torch.empty_like(seen)
    call("fdikp_detail", seen, out, 1 / floor, H, W, items=B * H, pixels=W)
    return out


def attends(qkv: Tensor, heads: int) -> bool:
    """Whether `attended` can take these queries, keys and values, [B, H, W, 3C], along rows and along columns."""
    return (
        qkv.dtype == torch.bfloat16
        and qkv.shape[-1] in (3 * heads * features for features in FEATURES)
        and max(qkv.shape[1:3]) <= MOST_TOKENS
        and qkv.is_contiguous()
        and applies(qkv)
        and products()
    )


def attended(rows: Tensor, columns: Tensor, heads: int) -> Tensor:
    """Attention of some channels within rows, beside that of others within columns.

    Args:
        rows: [B, H, W, 3C], queries, keys and values of the first, which `attends` takes; columns: of the second.
        heads: splits C.

    Returns:
        [B, H, W, 2C], bfloat16.
    """
    B, H, W, both = rows.shape
    width = both // 3
    out = rows.new_empty(B, H, W, 2 * width)
    features = width // heads
    for b in range(B):
        across = (W, heads, features, 3 * width, W * 3 * width, 2 * width, W * 2 * width)
        down = (H, heads, features, W * 3 * width, 3 * width, W * 2 * width, 2 * width)
        call("fdikp_attend", rows[b], out[b], *across, items=H, pixels=W * W)
        call("fdikp_attend", columns[b], out[b, ..., width:], *down, items=W, pixels=H * H)
    return out


def pointwise_concat(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """A 1×1 convolution of x beside y: of each apart, and added, which takes an eighth less than of both together."""
    ours, theirs = conv.weight.flatten(1).split((x.shape[1], y.shape[1]), dim=1)
    out = F.linear(innermost(x), ours, conv.bias)
    out.flatten(0, -2).addmm_(innermost(y).flatten(0, -2), theirs.t())
    return out.permute(0, 3, 1, 2)


def cell(gates: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent unit's new hidden state and cell from its gates [B, 4 maps, H, W] and its cell [B, maps, H, W]."""
    B, maps, H, W = before.shape
    opened, kept = innermost(gates), innermost(before.to(gates.dtype))
    hidden, after = torch.empty_like(kept), torch.empty_like(kept)
    half = int(gates.dtype == torch.bfloat16)
    call("fdikp_cell", opened, kept, hidden, after, maps, half, items=B * H * W, pixels=1)
    return hidden.permute(0, 3, 1, 2), after.permute(0, 3, 1, 2)


def coefficients(located: Tensor, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """tanh((u v + u) / 2) of v = relu(norm(located)) [B, maps, H, W] and u = hidden [B, maps, H/2, W/2]."""
    B, maps, H, W = located.shape
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.float() / torch.sqrt(norm.running_var.float() + norm.eps)
    shift = norm.bias.float() - scale * norm.running_mean.float()
    seen, below = innermost(located), innermost(hidden.to(located.dtype))
    out = torch.empty_like(seen)
    half = int(seen.dtype == torch.bfloat16)
    call("fdikp_coefficients", seen, below, scale, shift, out, maps, W, half, items=B * H, pixels=W)
    return out.permute(0, 3, 1, 2)


def blended(changes: tuple[Tensor, Tensor], shares: Tensor, output: nn.Conv2d, begin: Tensor) -> Tensor:
    """begin [B, 3, H, W] and the sum of all changes, weighed by their coefficient maps and the last convolution.

    Args:
        changes: of each of two images, [B, N + 1, 3, H, W].
        shares: coefficients [B, 2(N + 1), H, W], for the changes of both.
        output: the 1×1 convolution from 6(N + 1) channels to 3.
        begin: [B, 3, H, W], float32.
    """
    B, M, _, H, W = changes[0].shape
    dtype = changes[0].dtype
    weights = begin.new_zeros(2 * M, 3, 4)
    weights[..., :3] = output.weight.flatten(1).t().unflatten(0, (-1, 3))
    bias = output.bias.float()  # type: ignore[union-attr]
    seen, begin = innermost(shares.to(dtype)), begin.contiguous()
    ours, theirs = (change.permute(0, 3, 4, 1, 2).contiguous() for change in changes)
    out = torch.empty_like(begin)
    half = int(dtype == torch.bfloat16)
    for b in range(B):
        known = (ours[b], theirs[b], seen[b], weights, bias, begin[b], out[b])
        call("fdikp_blend", *known, M, half, H * W, items=H * W, pixels=1)
    return out
