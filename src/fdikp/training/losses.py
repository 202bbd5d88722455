"""The loss of the paper: eqs. 4 and 5, with the terms of eqs. 10 to 12."""

import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import FDIKP, Stage, downsample

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""LPIPS: two [B, 3, H, W] in 0..1 to a distance for each picture, [B]."""


def frequency_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the spectra (eq. 12), [B, C, H, W] to a scalar.

    Ours, not the paper's: the transform is orthonormal and the mean is over all numbers, real and imaginary parts
    apart, so that the weight γ means the same at every crop size.
    """
    spectrum = torch.fft.rfft2(output.float() - target.float(), norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


STRIDE = 16
"""Pixels between positions of the coarsest features that LPIPS reads (AlexNet's)."""


def shifted(perceptual: Perceptual, step: int) -> Perceptual:
    """Ours: LPIPS of pictures that lie differently on its grid at each step.

    Its first layer reads every fourth pixel's surroundings and later ones fewer. A network that is always judged on one
    grid learns where it lies, and a faint weave of that period pleases LPIPS: it showed in foliage.

    perceptual: at least 32 pixels a side. step: of the run; the same step shifts alike.
    """
    drawn = random.Random(step)
    left, top = drawn.randrange(STRIDE), drawn.randrange(STRIDE)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        x, y = (F.pad(image, (left, 0, top, 0), mode="replicate") for image in (x, y))
        return perceptual(x, y)

    return distance


NEGLIGIBLE = 1e-5
"""Mean squared error (50 dB) far below which its root asks for no further gain."""

BLOCK = 8
"""Side in pixels of the blocks whose errors count alike in the guard term."""


def guard_loss(output: Tensor, target: Tensor) -> Tensor:
    """Ours: the root of each block's mean squared error, [B, C, H, W] to a scalar.

    The squared error is ruled by what is blurred beyond repair, and nothing in the paper's loss keeps what is in focus
    from drifting. The root, taken block by block, weighs an error against what there is around it.
    """
    errors = (output - target).square().mean(dim=1, keepdim=True)
    blocks = F.avg_pool2d(errors, min(BLOCK, *errors.shape[-2:]))
    return (blocks + NEGLIGIBLE).sqrt().mean()


def restoration_loss(
    outputs: Sequence[Tensor],
    target: Tensor,
    scales: Sequence[float] = (1.0, 0.2, 0.1),
    alpha: float = 1.0,
    beta: float = 0.2,
    gamma: float = 0.2,
    perceptual: Perceptual | None = None,
    delta: float = 0.0,
) -> Tensor:
    """The multi-scale loss (eq. 4) of the three stages' images, a scalar.

    outputs: coarse to fine, [B, 3, H/4, W/4], [B, 3, H/2, W/2], [B, 3, H, W]. target: [B, 3, H, W].
    scales: λ of eq. 4, fine to coarse. alpha, beta, gamma: eq. 5. delta: weight of `guard_loss`. The LPIPS term is
    left out without `perceptual`, and where a picture is smaller than the 32 pixels that its backbone can read.
    """
    total = target.new_zeros(())
    for weight, output in zip(scales, reversed(outputs), strict=True):
        truth = downsample(target, target.shape[-1] // output.shape[-1])
        output = output.float()
        loss = alpha * (output - truth).square().mean() + gamma * frequency_loss(output, truth)
        if delta:
            loss = loss + delta * guard_loss(output, truth)
        if perceptual is not None and beta and min(output.shape[-2:]) >= 32:
            loss = loss + beta * perceptual(output, truth).abs().mean()
        total = total + weight * loss
    return total


class BlurSupervision(nn.Module):
    """Ours: teach the network to tell how far out of focus a pixel is, which the renderer knows.

    What a stage should change depends on that first of all, and learning it from the restored picture alone takes
    thousands of steps. Two things learn it. The dilated map: kernels should reach as far as the blur does, so that
    where nothing is blurred their taps fall on one pixel and change nothing. And the decoder's features, from which
    one 1×1 convolution predicts the logarithm of the radius; it is no part of the network and is thrown away with the
    run. The second is a hint for the beginning: its gradient in encoder and decoder is far larger than that of the
    restored picture, which learns little beside it.
    """

    def __init__(self, network: FDIKP) -> None:
        super().__init__()
        self.read = nn.Conv2d(network.config.widths[0], 1, 1)
        self.reach = max(1, network.config.kernel_size // 2)
        self.range = network.config.dilation_range
        self._features: list[Tensor] = []
        network.dsrm.decoder.register_forward_hook(lambda module, inputs, output: self._features.append(output))

    def forward(
        self, radius: Tensor, stages: Sequence[Stage], scales: Sequence[float], hint: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Two losses of the pass that the network has just made, scalars: of the dilated maps, and of the features.

        radius: [B, 1, H, W], pixels. Without `hint` the features are read and not taught.
        """
        reached, told = radius.new_zeros(()), radius.new_zeros(())
        for weight, stage, features in zip(scales, reversed(stages), reversed(self._features), strict=True):
            factor = radius.shape[-1] // features.shape[-1]
            here = downsample(radius, factor) / factor
            reached = reached + weight * self.reached(here, stage)
            seen = (features if hint else features.detach()).float()
            told = told + weight * (self.read(seen) - (here / 4 + 0.05).log()).abs().mean()
        self._features.clear()
        return reached, told

    def reached(self, radius: Tensor, stage: Stage) -> Tensor:
        """Mean distance of the stage's dilated map from that of kernels which reach as far as the blur, a scalar.

        radius: [B, 1, h, w], pixels of the stage's scale.
        """
        return (stage.dilation[:, :1] - (radius / self.reach).clamp_max(self.range)).abs().mean()
