"""Light and its encoding: the sRGB curve (IEC 61966-2-1) both ways, for any number."""

import torch
from torch import Tensor


def srgb_to_linear(image: Tensor) -> Tensor:
    """Linear light of sRGB values, any shape; the curve goes on above 1, straight below 0.

    >>> [round(v, 4) for v in srgb_to_linear(torch.tensor([-0.1292, 0.04045, 0.5, 1.0])).tolist()]
    [-0.01, 0.0031, 0.214, 1.0]
    """
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp_min(0.0) + 0.055) / 1.055).pow(2.4))


def linear_to_srgb(light: Tensor) -> Tensor:
    """sRGB values of linear light, any shape; the curve goes on above 1, and there is no light below 0.

    >>> [round(v, 4) for v in linear_to_srgb(torch.tensor([-1.0, 0.0031308, 0.2140, 1.0])).tolist()]
    [0.0, 0.0404, 0.5, 1.0]
    """
    light = light.clamp_min(0.0)
    # Clamped for the gradient: that of the branch not taken must be finite too
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(1e-6).pow(1 / 2.4) - 0.055)
