"""Intra- and inter-strip attention (Tsai et al. 2022, Stripformer): the spatial half of the dual-domain module.

Half of the channels attend along rows, half along columns. Intra-strip attention relates the pixels of one strip;
inter-strip attention relates whole strips to each other. Together they cover the whole map at the cost of its strips.
"""

from typing import Literal

from torch import Tensor, nn

from fdikp.network import ops


class StripAttention(nn.Module):
    """One strip transformer block: attention over rows and columns, an MLP, a depthwise positional encoding."""

    def __init__(self, width: int, heads: int, kind: Literal["intra", "inter"]) -> None:
        super().__init__()
        half = width // 2
        self.heads = heads
        self.between = kind == "inter"
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
        x = x + self.fuse(ops.attend_in_strips(rows, columns, self.heads, self.between))
        x = x + self.mlp(x)
        x = x.permute(0, 3, 1, 2)
        return x + self.position(x)
