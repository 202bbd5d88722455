"""Restoring brightness that clipping took from highlights."""

from torch import Tensor
from torch.nn import functional as F

SPOT_REACH = 7
"""The surroundings of a spot are the square that reaches this many pixels from its middle."""


def boost_highlights(light: Tensor, gain: float, spot_gain: float = 1.0) -> Tensor:
    """Raise pixels at the sensor's limit above 1.

    A clipped lamp is brighter than its pixel value; blurred, it becomes a disc with a hard edge, not a grey smudge.
    The gain sets in between 0.9 and 1 of the brightest channel, so that clipping the result gives the image back. Spots
    whose surroundings are darker than a quarter of white also get `spot_gain`: they are lamps, which exceed white far
    more than skies, paper, or the halos of a sharpened image.

    Args:
        light: [..., 3, H, W] linear.
        gain: gain where the brightest channel is 1 or above; at least 1.
        spot_gain: additional gain on spots; at least 1.
    """
    brightest = light.amax(dim=-3, keepdim=True)
    weight = ((brightest - 0.9) / 0.1).clamp(0.0, 1.0).square()
    boosted = light * (1.0 + (gain - 1.0) * weight)
    if spot_gain == 1.0:
        return boosted
    around = brightest
    for size, padding in (((2 * SPOT_REACH + 1, 1), (SPOT_REACH, 0)), ((1, 2 * SPOT_REACH + 1), (0, SPOT_REACH))):
        around = F.avg_pool2d(around, size, stride=1, padding=padding, count_include_pad=False)
    return boosted * (1.0 + (spot_gain - 1.0) * weight * (1.0 - 4.0 * around).clamp_min(0.0))
