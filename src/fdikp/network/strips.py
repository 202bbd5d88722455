"""Intra- and inter-strip attention (Tsai et al. 2022, Stripformer): the spatial half of the dual-domain module.

Half of the channels attend along rows, half along columns. Intra-strip attention relates the pixels of one strip;
inter-strip attention relates whole strips to each other. Together they see the whole map for the price of its strips.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import compiled


def attend_within_rows(qkv: Tensor, heads: int) -> Tensor:
    """Attention among the pixels of each row.

    Args:
        qkv: [B, H, W, 3C], queries, keys and values side by side.
        heads: splits C.

    Returns:
        [B, H, W, C].
    """
    rows = qkv.flatten(0, 1).unflatten(-1, (3, heads, -1))  # [B · H, W, 3, heads, C']
    out = attend(*rows.permute(2, 0, 3, 1, 4))
    return out.transpose(1, 2).flatten(-2).unflatten(0, qkv.shape[:2])


def attend_between_rows(qkv: Tensor, heads: int) -> Tensor:
    """Attention among the rows, each row with all its pixels one token.

    Args:
        qkv: [B, H, W, 3C], queries, keys and values side by side.
        heads: splits C.

    Returns:
        [B, H, W, C].
    """
    W = qkv.shape[2]
    rows = qkv.unflatten(-1, (3, heads, -1)).permute(3, 0, 4, 1, 2, 5).flatten(-2)  # [3, B, heads, H, W · C']
    out = attend(*rows)
    return out.unflatten(-1, (W, -1)).permute(0, 2, 3, 1, 4).flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention: [B, heads, tokens, features] three times to the same shape.

    Four dimensions, not more: with others torch leaves its fused kernels. On CPUs those win in float32 without a
    gradient only; in 16 bits, and backward, two products with a softmax between are faster. Strips are short, so that
    their weights are small.
    """
    if q.device.type == "cpu" and (q.dtype == torch.bfloat16 or torch.is_grad_enabled()):
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v)


class StripAttention(nn.Module):
    """One strip transformer block: attention over rows and columns, an MLP, a depthwise positional encoding."""

    def __init__(self, width: int, heads: int, kind: Literal["intra", "inter"]) -> None:
        super().__init__()
        half = width // 2
        self.heads = heads
        self.attend = attend_within_rows if kind == "intra" else attend_between_rows
        self.norm = nn.LayerNorm(width)
        self.split = nn.Linear(width, width)  # the 1×1 convolutions of the paper, written for [B, H, W, C]
        self.rows = nn.Linear(half, 3 * half)
        self.columns = nn.Linear(half, 3 * half)
        self.fuse = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        x = x.permute(0, 2, 3, 1)  # [B, H, W, width]
        horizontal, vertical = self.split(self.norm(x)).chunk(2, dim=-1)
        rows, columns = self.rows(horizontal), self.columns(vertical)
        if self.attend is attend_within_rows and compiled.attends(rows, self.heads):
            both = compiled.attended(rows, columns, self.heads)
        else:
            down = self.attend(columns.transpose(1, 2), self.heads).transpose(1, 2)
            both = torch.cat((self.attend(rows, self.heads), down), dim=-1)
        x = x + self.fuse(both)
        x = x + self.mlp(x)
        x = x.permute(0, 3, 1, 2)
        return x + self.position(x)
