"""The dual-domain module at the bottleneck (DDM, Fig. 3d): spatial attention, then frequency blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.blocks import resblocks
from fdikp.network.config import NetworkConfig
from fdikp.network.strips import StripAttention


class FrequencyBlock(nn.Module):
    """A spatial branch of two 3×3 convolutions and a frequency branch of two 1×1 convolutions, fused, plus the input.

    The Fourier transform is orthonormal and computed in float32 whatever the precision of the rest. Real and imaginary
    parts are channels, so every learned operation is a real convolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.spectral = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 1))
        self.fuse = nn.Conv2d(2 * width, width, 1)

    def spatial_branch(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape and type."""
        return _conv_relu_conv(self.local, x)

    def frequency_branch(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape and type."""
        size = x.shape[-2:]
        # Transforms need contiguous planes, convolutions channels last: convert once each way, in the smaller type
        f = torch.view_as_real(torch.fft.rfft2(ops.at_least_float32(x.contiguous()), norm="ortho")).to(x.dtype)
        f = f.permute(0, 2, 3, 4, 1).flatten(-2).permute(0, 3, 1, 2)  # [B, 2 width, H, W // 2 + 1], real parts first
        real, imaginary = ops.at_least_float32(_conv_relu_conv(self.spectral, f).contiguous()).chunk(2, dim=1)
        y = torch.fft.irfft2(torch.complex(real, imaginary), s=size, norm="ortho")
        return y.to(x.dtype).contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        return x + ops.conv_concat(self.fuse, self.spatial_branch(x), self.frequency_branch(x))


def _conv_relu_conv(layers: nn.Sequential, x: Tensor) -> Tensor:
    """A convolution, ReLU, another convolution."""
    first, _, second = layers
    return ops.conv_act(second, ops.conv_act(first, x, slope=0.0), slope=1.0)  # type: ignore[arg-type]


class GatedFusion(nn.Module):
    """Spatial and frequency stage in parallel, weighted by a learned gate (Table 3c; the gate's form is ours)."""

    def __init__(self, spatial: nn.Module, frequency: nn.Module, width: int) -> None:
        super().__init__()
        self.spatial = spatial
        self.frequency = frequency
        self.gate = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.fuse = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, H, W] to the same shape."""
        both = torch.cat((self.spatial(x), self.frequency(x)), dim=1)
        return self.fuse(both * F.sigmoid(self.gate(both)))


def dual_domain_module(config: NetworkConfig) -> nn.Module:
    """The configuration's bottleneck, [B, d, H, W] to the same shape."""
    width, depth = config.widths[2], config.bottleneck_depth
    if config.bottleneck == "residual":
        return resblocks(width, depth)
    strips = (StripAttention(width, config.heads, kind) for _ in range(depth) for kind in ("intra", "inter"))
    spatial = nn.Sequential(*strips)
    frequency = nn.Sequential(*(FrequencyBlock(width) for _ in range(depth)))
    if config.bottleneck == "spatial":
        return spatial
    if config.bottleneck == "frequency":
        return frequency
    if config.bottleneck == "parallel":
        return GatedFusion(spatial, frequency, width)
    return nn.Sequential(spatial, frequency)
