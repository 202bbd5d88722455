"""Between the pixels of an image, of any type, and the values that the network takes and gives."""

import torch
from torch import Tensor

from fdikp.imaging.limits import white_level


def to_rgb(pixels: Tensor) -> Tensor:
    """[h, w, C] with C = 1 or 3, of any type, to [h, w, 3] float32 in 0..1."""
    return (pixels.float() / _white(pixels.dtype)).expand(-1, -1, 3)


def from_rgb(rgb: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """[h, w, 3] float32, clamped to 0..1, to [h, w, channels] of this type; one channel is the mean of R, G and B."""
    values = rgb.mean(dim=-1, keepdim=True) if channels == 1 else rgb
    values = values.clamp(0, 1) * _white(dtype)
    return (values if dtype.is_floating_point else values.round()).to(dtype)


def apply_change(blurry: Tensor, predicted: Tensor, strength: float | Tensor) -> Tensor:
    """The image that has a fraction of the predicted change; images of one shape, and a strength that fits it."""
    return blurry + strength * (predicted - blurry)


def keep_where(kept: Tensor, original: Tensor, changed: Tensor) -> Tensor:
    """The original samples, bit for bit, where `kept` is true, and the changed ones elsewhere; both of one type."""
    if original.dtype == torch.uint16:  # for which torch has no `where`
        return torch.where(kept, original.view(torch.int16), changed.view(torch.int16)).view(torch.uint16)
    return torch.where(kept, original, changed)


def _white(dtype: torch.dtype) -> float:
    return white_level(str(dtype).removeprefix("torch."))
