"""In-focus masks: where a model has nothing to restore, and every change is damage."""

from functools import cache

import torch
from torch import Tensor

from fdikp.network import NetworkConfig
from fdikp.network.dilation import DilationMap

IN_FOCUS = 0.01
"""A pixel is in focus where no channel of input and target differs by as much as this."""

SHARP = 0.5
"""A pixel shows detail in focus where an untrained `DilationMap` gives the target a dilation below this, pixels. Its
blur radius is then below about one pixel, and its neighbourhood is not flat."""


def focus_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where an input is in focus already: two [3, H, W] in 0..1 to a mask [H, W]."""
    return ((blurred.float().clamp(0, 1) - target.float().clamp(0, 1)).abs() < IN_FOCUS).all(dim=0)


def sharp_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where an input is in focus and the target shows detail in focus: two [3, H, W] in 0..1 to a mask [H, W].

    The in-focus error is the mean squared error on these pixels. Elsewhere input and target may have the same blur, as
    "all-in-focus" photos have in places, and restoring that would count as an error.
    """
    truth = target.float().clamp(0, 1)[None]
    return focus_pixels(blurred, target) & (_dilation_map(truth.device)(truth)[0, 0] < SHARP)


@cache
def _dilation_map(device: torch.device) -> DilationMap:
    return DilationMap(NetworkConfig()).requires_grad_(False).to(device)
