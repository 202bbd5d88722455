"""The calibrated blur map: the radius of the circle of confusion at each pixel, and how far it can be trusted.

The dilation map has no unit: it is what restores best. `BlurRadius` computes a radius from the dilation maps and the
energies of detail that they are made of, by a calibration (`blur_calibration`) fitted to rendered defocus. It uses
convolutions, pooling and interpolation only, so that it can be exported with the network.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network.blur_calibration import FEATURES, BlurCalibration
from fdikp.network.config import SCALES
from fdikp.network.dilation import detail
from fdikp.network.fdikp import Stage, downsample

FILL_WINDOWS = ((16, 17), (16, 5), (4, 5))
"""The windows in which the radius is averaged to fill flat areas, wide to narrow: how many times smaller the averaged
image is, and the side of the window in its pixels. Their sides are 272, 80 and 20 pixels of the photo."""

FILL_POWER, KEEP_POWER = 6, 4
"""Powers of the confidence: the weight of a pixel in an average, where a few certain pixels count more than many
doubtful ones, and the weight of its own radius."""

FILL_WEIGHT = 0.02
"""Weight of the average over the next wider window, relative to a narrower one whose pixels all have confidence 1. A
pixel's own radius prevails from a confidence of about 0.02 ** (1 / 4) = 0.38 on."""


def blur_features(x: Tensor, dilations: Sequence[Tensor]) -> Tensor:
    """What the radius is predicted from.

    Args:
        x: images [B, 3, H, W] in 0..1, with H, W multiples of 4.
        dilations: their dilation maps [B, 1, h, w] at the scales of `SCALES`, coarse to fine.

    Returns:
        [B, FEATURES, H, W] float32: the dilation maps, then the energies of fine, medium and coarse detail at each
        scale, coarse to fine.
    """
    energies = [detail(downsample(x, scale)) for scale in SCALES]
    maps = zip((*dilations, *energies), (*SCALES, *SCALES), strict=True)
    return torch.cat([_enlarged(map.float(), scale) for map, scale in maps], dim=1)


class BlurRadius(nn.Module):
    """The blur radius and its confidence.

    A pixel's radius is predicted from its features. Where the confidence is low, as in flat areas, the mean radius of
    the confident pixels nearby takes its place; the confidence stays low.

    Args:
        calibration: of the network that computes the stages.
    """

    def __init__(self, calibration: BlurCalibration) -> None:
        super().__init__()
        self.max_radius = calibration.max_radius
        hidden = len(calibration.hidden_bias)
        self.hidden = nn.Conv2d(FEATURES, hidden, 1)
        self.output = nn.Conv2d(hidden, 2, 1)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor(calibration.hidden_weight)[..., None, None])
            self.hidden.bias.copy_(torch.tensor(calibration.hidden_bias))  # type: ignore[union-attr]
            self.output.weight.copy_(torch.tensor(calibration.output_weight)[..., None, None])
            self.output.bias.copy_(torch.tensor(calibration.output_bias))  # type: ignore[union-attr]
        self.requires_grad_(False)

    def forward(self, x: Tensor, stages: Sequence[Stage]) -> Tensor:
        """The blur map of padded images.

        Args:
            x: [B, 3, H, W] in 0..1, as `FDIKP.stages` takes it.
            stages: what `FDIKP.stages` returns for it.

        Returns:
            [B, 2, H, W] float32: the radius of the circle of confusion in pixels of x, 0..max_radius, and the
            confidence, 0..1: the probability that there is detail at this pixel and the radius is right within 1 pixel
            or 25 %, whichever is more.
        """
        return self.from_features(blur_features(x, [stage.dilation[:, :1] for stage in stages]))

    def from_features(self, features: Tensor) -> Tensor:
        """The blur map [B, 2, H, W] of features [B, FEATURES, H, W], with H, W multiples of 16."""
        output = self.output(F.relu(self.hidden(features)))
        radius = F.softplus(output[:, :1]).clamp(0.0, self.max_radius)
        confidence = torch.sigmoid(output[:, 1:])
        return torch.cat((fill(radius, confidence), confidence), dim=1)


def fill(radius: Tensor, confidence: Tensor) -> Tensor:
    """Replace the radius [B, 1, H, W] where its confidence is low by that of confident pixels nearby.

    Normalised convolution (Knutsson and Westin 1993): the mean over a window, weighted by a power of the confidence. A
    window without confident pixels takes the mean of a wider one; without any in the widest, pixels keep their radius.
    """
    weight = confidence**FILL_POWER
    weighted = torch.cat((weight * radius, weight), dim=1)
    filled = radius
    for scale, side in FILL_WINDOWS:
        average = _enlarged(_box(F.avg_pool2d(weighted, scale), side), scale)
        filled = (average[:, :1] + FILL_WEIGHT * filled) / (average[:, 1:] + FILL_WEIGHT)
    keep = confidence**KEEP_POWER
    return (keep * radius + FILL_WEIGHT * filled) / (keep + FILL_WEIGHT)


def _box(x: Tensor, side: int) -> Tensor:
    """The sum over windows, divided by their area; what is outside the image counts as 0."""
    down = F.avg_pool2d(x, (side, 1), stride=1, padding=(side // 2, 0))
    return F.avg_pool2d(down, (1, side), stride=1, padding=(0, side // 2))


def _enlarged(x: Tensor, factor: int) -> Tensor:
    """Bilinear, by a whole factor."""
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
