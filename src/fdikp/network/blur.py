"""The blur-aware dilated map (Fig. 3c): how far kernels reach at each pixel, from how blurred it looks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.blocks import convolve_pixels
from fdikp.network.config import NetworkConfig

FLOOR = 2e-6
"""Energy of detail too faint to tell anything: about a third of a step of 8 bits, squared."""

START = (-34.0, 22.0, 9.0)
"""Weights of fine, medium and coarse detail in an untrained map, and `START_BIAS`: fitted to the radii of 80 rendered
pairs of crisp photographs. `research/blur_map.py` fits them anew, to pairs of soft ones too: there the map that
starts from these correlates with the dilation that is wanted by 0.65, 0.67 and 0.59 at the three scales from fine to
coarse, and the best fit by 0.67, 0.68 and 0.60."""

START_BIAS = 2.8


class BlurMap(nn.Module):
    """The dilated map D: one 3×3 convolution to one channel and a sigmoid, times the largest dilation.

    Ours: the convolution reads the energy of `detail` rather than the image. What is linear in the image cannot tell
    blurred from sharp: an edge and its negative are equally sharp, and in training such a map stayed flat. The
    difference between the logarithms of fine and coarse energy is a measure of blur that no contrast changes, and the
    convolution starts as that difference, by the numbers that fit the radii of rendered defocus. `blur_reads="image"`
    is the paper's form.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.reads = config.blur_reads
        self.range = config.dilation_range
        self.weigh = nn.Conv2d(3, 1, 3)
        if self.reads == "detail":
            with torch.no_grad():
                self.weigh.weight.copy_(torch.tensor(START)[None, :, None, None].expand(1, 3, 3, 3) / 9)
                self.weigh.bias.fill_(START_BIAS)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] in 0..1 to D [B, 1, H, W] in pixels, float32 or float64."""
        seen = detail(x) if self.reads == "detail" else ops.at_least_float32(x)
        logits = convolve_pixels(self.weigh, F.pad(seen, (1, 1, 1, 1), mode="replicate"))
        return self.range * torch.sigmoid(logits)


def detail(x: Tensor) -> Tensor:
    """How much fine, medium and coarse detail there is around each pixel: [B, 3, H, W] in 0..1 to the same shape.

    The logarithm of the energy of the luminance in three bands, from 0 where there is none to about 1. An
    observation, like the spectrum: no gradient flows through it into the image.
    """
    with torch.no_grad():
        return ops.band_energy(ops.at_least_float32(x.detach()), FLOOR)
