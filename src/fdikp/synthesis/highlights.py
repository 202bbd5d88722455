"""What clipping took from highlights."""

from torch import Tensor
from torch.nn import functional as F

SPOT = 7
"""Spots are looked at in the square that reaches so many pixels from their middle."""


def boost_highlights(light: Tensor, gain: float, spot_gain: float = 1.0) -> Tensor:
    """Brightness beyond 1 for pixels at the sensor's limit, [..., 3, H, W] linear light.

    A clipped lamp is brighter than its pixel says; blurred, it is a disc with a hard edge and not a grey smudge.
    The gain sets in between 0.9 and 1 of the brightest channel, so that clipping again gives the picture back. Spots
    in the dark, whose surroundings are darker than a quarter of white, take `spot_gain` on top: they are lamps, and
    outshine white far more than skies, paper, or the halos of a sharpened picture do.
    """
    brightest = light.amax(dim=-3, keepdim=True)
    weight = ((brightest - 0.9) / 0.1).clamp(0.0, 1.0).square()
    lifted = light * (1.0 + (gain - 1.0) * weight)
    if spot_gain == 1.0:
        return lifted
    around = brightest
    for size, padding in (((2 * SPOT + 1, 1), (SPOT, 0)), ((1, 2 * SPOT + 1), (0, SPOT))):
        around = F.avg_pool2d(around, size, stride=1, padding=padding, count_include_pad=False)
    return lifted * (1.0 + (spot_gain - 1.0) * weight * (1.0 - 4.0 * around).clamp_min(0.0))
