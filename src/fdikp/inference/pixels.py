"""Between the pixels of an image, of any type, and the values that the network takes and gives."""

import torch
from torch import Tensor


def white_level(dtype: torch.dtype) -> float:
    """The value of white in pixels of this type: the largest integer, or 1 for floats."""
    return 1.0 if dtype.is_floating_point else float(torch.iinfo(dtype).max)


def to_rgb(pixels: Tensor) -> Tensor:
    """[h, w, C] with C = 1 or 3, of any type, to [h, w, 3] float32 in 0..1."""
    return (pixels.float() / white_level(pixels.dtype)).expand(-1, -1, 3)


def from_rgb(rgb: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """[h, w, 3] float32, clamped to 0..1, to [h, w, channels] of this type; one channel is the mean of R, G and B."""
    values = rgb.mean(dim=-1, keepdim=True) if channels == 1 else rgb
    values = values.clamp(0, 1) * white_level(dtype)
    return (values if dtype.is_floating_point else values.round()).to(dtype)
