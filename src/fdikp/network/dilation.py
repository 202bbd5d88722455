"""The blur-aware dilation map (Fig. 3c): how far kernels reach at each pixel, from how blurred the image is there."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.blocks import convolve_pixels
from fdikp.network.config import NetworkConfig

ENERGY_FLOOR = 2e-6
"""Energy of detail that is too faint to measure blur by: about the square of a third of an 8-bit step."""

INITIAL_WEIGHTS = (-34.0, 22.0, 9.0)
"""Weights of fine, medium and coarse detail in an untrained map. They and `INITIAL_BIAS` are fitted to the blur radii
of 80 rendered pairs of sharp photos. `research/blur_map.py` repeats the fit, soft photos included: on those the
initial map correlates with the target dilation by 0.65, 0.67 and 0.59 at the three scales, fine to coarse, and the best
fit by 0.67, 0.68 and 0.60."""

INITIAL_BIAS = 2.8


class DilationMap(nn.Module):
    """The dilation map D: one 3×3 convolution to one channel and a sigmoid, times the largest dilation.

    Ours: the convolution reads the energy of `detail` rather than the image. A linear function of the image cannot tell
    blurred from sharp, because an edge and its negative are equally sharp; trained on images, the map stayed flat. The
    difference between the logarithms of fine and coarse energy measures blur independently of contrast. The convolution
    is initialised to that difference, fitted to the radii of rendered defocus. `blur_reads="image"` is the paper's
    form.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.reads = config.blur_reads
        self.range = config.dilation_range
        self.weigh = nn.Conv2d(3, 1, 3)  # weights of the three bands of detail; the weights files fix the name
        if self.reads == "detail":
            with torch.no_grad():
                weights = torch.tensor(INITIAL_WEIGHTS)
                self.weigh.weight.copy_(weights[None, :, None, None].expand(1, 3, 3, 3) / 9)
                self.weigh.bias.fill_(INITIAL_BIAS)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] in 0..1 to D [B, 1, H, W] in pixels, float32 or float64."""
        features = detail(x) if self.reads == "detail" else ops.at_least_float32(x)
        logits = convolve_pixels(self.weigh, F.pad(features, (1, 1, 1, 1), mode="replicate"))
        return self.range * torch.sigmoid(logits)


def detail(x: Tensor) -> Tensor:
    """The energy of fine, medium and coarse detail around each pixel: [B, 3, H, W] in 0..1 to the same shape.

    It is the logarithm of the luminance's energy in three bands, from 0 for none to about 1. Like the spectrum it is a
    measurement: no gradient flows through it into the image.
    """
    with torch.no_grad():
        return ops.band_energy(ops.at_least_float32(x.detach()), ENERGY_FLOOR)
