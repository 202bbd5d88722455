"""The blur-aware dilated map (Fig. 3c): how far kernels reach at each pixel, from how blurred it looks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import compiled, native
from fdikp.network.blocks import convolve_pixels, wide
from fdikp.network.config import NetworkConfig

BOXES = (3, 3, 5)
"""Sides of the boxes that, one after another, part the luminance into fine, medium and coarse detail."""

NEIGHBOURHOOD = 9
"""Side of the box that the energy of detail is the mean of, twice over: once leaves squares in the map."""

FLOOR = 2e-6
"""Energy of detail too faint to tell anything: about a third of a step of 8 bits, squared."""

START = (-34.0, 22.0, 9.0)
"""Weights of fine, medium and coarse detail in an untrained map, and `START_BIAS`: fitted to the radii of 80 rendered
pairs of crisp photographs. `benchmarks/blur_map.py` fits them anew, to pairs of soft ones too: there the map that
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
        seen = detail(x) if self.reads == "detail" else wide(x)
        logits = convolve_pixels(self.weigh, F.pad(seen, (1, 1, 1, 1), mode="replicate"))
        return self.range * torch.sigmoid(logits)


def detail(x: Tensor) -> Tensor:
    """How much fine, medium and coarse detail there is around each pixel: [B, 3, H, W] in 0..1 to the same shape.

    The logarithm of the energy of the luminance in three bands, from 0 where there is none to about 1. An
    observation, like the spectrum: no gradient flows through it into the image.
    """
    x = wide(x.detach())
    with torch.no_grad():
        if native.applies(x):
            return compiled.detail(x, FLOOR)
    rest = x.mean(dim=1, keepdim=True)
    bands = []
    for side in BOXES:
        smooth = box(rest, side)
        bands.append(rest - smooth)
        rest = smooth
    energy = box(box(torch.cat(bands, dim=1).square(), NEIGHBOURHOOD), NEIGHBOURHOOD)
    return torch.log1p(energy / FLOOR) / 10


def box(x: Tensor, side: int) -> Tensor:
    """The mean over squares of an odd number of pixels, the border pixel repeated: [B, C, H, W] to the same shape."""
    H, W = x.shape[-2:]
    reach = side // 2
    padded = F.pad(x, (0, 0, reach, reach), mode="replicate")
    if x.device.type != "cpu":
        down = F.avg_pool2d(padded, (side, 1), stride=1)
        return F.avg_pool2d(F.pad(down, (reach, reach, 0, 0), mode="replicate"), (1, side), stride=1)
    # torch's pooling is not vectorised on CPUs: adding up shifted pictures is, and takes an eighth of the time
    down = padded[..., :H, :].clone()
    for i in range(1, side):
        down += padded[..., i : i + H, :]
    padded = F.pad(down, (reach, reach, 0, 0), mode="replicate")
    mean = padded[..., :W].clone()
    for i in range(1, side):
        mean += padded[..., i : i + W]
    return mean.mul_(1 / side**2)
