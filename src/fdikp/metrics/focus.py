"""In-focus masks: where a model has nothing to restore, and every change is damage."""

import torch
from torch import Tensor
from torch.nn import functional as F

IN_FOCUS = 0.01
"""A pixel is in focus where no channel of input and target differs by as much as this."""

SHARP = 0.5
"""A pixel shows detail in focus where `blur_estimate` of the target is below this. Its blur radius is then below about
one pixel, and its neighbourhood is not flat."""

# The constants of `blur_estimate` define the metric. They equal those of the network's initial dilation map, but do not
# follow it: results stay comparable when it changes.

BANDS = (3, 3, 5)
"""Sides of the box filters that, one after another, split off fine, medium and coarse detail, in pixels."""

NEIGHBOURHOOD = 9
"""Side of the box filter that is applied twice to the energy of detail, in pixels."""

ENERGY_FLOOR = 2e-6
"""Energy of detail that is too faint to measure blur by."""

WEIGHTS, BIAS = (-34.0, 22.0, 9.0), 2.8
"""Weights of fine, medium and coarse detail."""


def focus_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where an input is in focus already: two [3, H, W] in 0..1 to a mask [H, W]."""
    return ((blurred.float().clamp(0, 1) - target.float().clamp(0, 1)).abs() < IN_FOCUS).all(dim=0)


def sharp_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where an input is in focus and the target shows detail in focus: two [3, H, W] in 0..1 to a mask [H, W].

    The in-focus error is the mean squared error on these pixels. Elsewhere input and target may have the same blur, as
    "all-in-focus" photos have in places, and restoring that would count as an error.
    """
    return focus_pixels(blurred, target) & (blur_estimate(target.float().clamp(0, 1)) < SHARP)


@torch.no_grad()
def blur_estimate(image: Tensor) -> Tensor:
    """How blurred an image looks around each pixel: [3, H, W] in 0..1 to [H, W] in 0..2, low at fine detail.

    A weighted difference between the logarithms of fine and coarse detail's energy, which does not depend on contrast,
    through a sigmoid.
    """
    rest = image.mean(dim=0)[None, None]
    bands = []
    for side in BANDS:
        smooth = _box(rest, side)
        bands.append(rest - smooth)
        rest = smooth
    energy = _box(_box(torch.cat(bands, dim=1).square(), NEIGHBOURHOOD), NEIGHBOURHOOD)
    detail = F.pad(torch.log1p(energy / ENERGY_FLOOR) / 10, (1, 1, 1, 1), mode="replicate")
    weights = torch.tensor(WEIGHTS, device=image.device)[None, :, None, None].expand(1, 3, 3, 3) / 9
    return 2 * torch.sigmoid(F.conv2d(detail, weights) + BIAS)[0, 0]


def _box(x: Tensor, side: int) -> Tensor:
    """The mean over squares of an odd number of pixels, the border pixel repeated: [B, C, H, W] to the same shape."""
    reach = side // 2
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    for axis in (-2, -1):  # sums of shifted images are several times faster than torch's pooling
        length = x.shape[axis] - 2 * reach
        total = x.narrow(axis, 0, length).clone()
        for i in range(1, side):
            total += x.narrow(axis, i, length)
        x = total / side
    return x
