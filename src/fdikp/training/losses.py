"""The loss of the paper: eqs. 4 and 5, with the terms of eqs. 10 to 12."""

import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.metrics.lpips import MIN_SIDE
from fdikp.network import FDIKP, Stage, downsample

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""LPIPS: two batches [B, 3, H, W] in 0..1 to the distance of each pair of images, [B]."""


def frequency_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the spectra of [B, C, H, W] (eq. 12), a scalar.

    Ours, not the paper's: the transform is orthonormal, and the mean is over real and imaginary parts separately, so
    that the weight γ means the same at every crop size.
    """
    spectrum = torch.fft.rfft2(output.float() - target.float(), norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


STRIDE = 16
"""Stride in pixels of the coarsest features that LPIPS reads (AlexNet's)."""


def shifted(perceptual: Perceptual, step: int) -> Perceptual:
    """Ours: LPIPS of images that are shifted by a random offset at each step.

    LPIPS samples its input with a stride of 4, then coarser. A network that is always scored on the same grid learns
    its phase, and adds a faint pattern of that period, which lowers LPIPS and is visible in foliage.

    Args:
        perceptual: needs images of at least `MIN_SIDE` pixels a side.
        step: of the run; equal steps have equal offsets.
    """
    rng = random.Random(step)
    left, top = rng.randrange(STRIDE), rng.randrange(STRIDE)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        x, y = (F.pad(image, (left, 0, top, 0), mode="replicate") for image in (x, y))
        return perceptual(x, y)

    return distance


NEGLIGIBLE = 1e-5
"""Mean squared error (50 dB) far below which its root has nearly no gradient."""

BLOCK = 8
"""Side in pixels of the blocks of the guard term."""


def guard_loss(output: Tensor, target: Tensor) -> Tensor:
    """Ours: the mean over blocks of the root of a block's mean squared error; [B, C, H, W] to a scalar.

    Areas that are blurred beyond repair dominate the squared error, and nothing in the paper's loss keeps areas in
    focus from drifting. The root of each block's error weighs an error relative to its neighbourhood.
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
    guard_weight: float = 0.0,
) -> Tensor:
    """The multi-scale loss (eq. 4) of the three stages' images, a scalar.

    Args:
        outputs: coarse to fine, [B, 3, H/4, W/4], [B, 3, H/2, W/2], [B, 3, H, W].
        target: [B, 3, H, W].
        scales: λ of eq. 4, fine to coarse.
        alpha: weight of the squared error (eq. 5).
        beta: weight of LPIPS (eq. 5).
        gamma: weight of `frequency_loss` (eq. 5).
        perceptual: LPIPS. Its term is left out without it, and at scales where images are smaller than the `MIN_SIDE`
            pixels that its backbone needs.
        guard_weight: weight of `guard_loss`.
    """
    total = target.new_zeros(())
    for weight, output in zip(scales, reversed(outputs), strict=True):
        truth = downsample(target, target.shape[-1] // output.shape[-1])
        output = output.float()
        loss = alpha * (output - truth).square().mean() + gamma * frequency_loss(output, truth)
        if guard_weight:
            loss = loss + guard_weight * guard_loss(output, truth)
        if perceptual is not None and beta and min(output.shape[-2:]) >= MIN_SIDE:
            loss = loss + beta * perceptual(output, truth).abs().mean()
        total = total + weight * loss
    return total


class BlurSupervision(nn.Module):
    """Ours: two losses that teach the network the blur radius of a pixel, which the renderer knows.

    What a stage should change depends mostly on the radius, and learning it from the restored image alone takes
    thousands of steps. The first loss acts on the dilation map: kernels should reach as far as the blur, so that
    without blur all their taps fall on one pixel and change nothing. The second acts on the decoder's features, from
    which a 1×1 convolution predicts the logarithm of the radius; this convolution is not part of the network and ends
    with the run. The second loss is only useful at the start of a run: its gradient in encoder and decoder is far
    larger than that of the restored image, which hardly improves meanwhile.
    """

    def __init__(self, network: FDIKP) -> None:
        super().__init__()
        self.read = nn.Conv2d(network.config.widths[0], 1, 1)
        self.reach = max(1, network.config.kernel_size // 2)
        self.max_dilation = network.config.dilation_range
        self._features: list[Tensor] = []
        network.dsrm.decoder.register_forward_hook(lambda module, inputs, output: self._features.append(output))

    def forward(
        self, radius: Tensor, stages: Sequence[Stage], scales: Sequence[float], hint: bool = True
    ) -> tuple[Tensor, Tensor]:
        """The losses of the last forward pass: of the dilation maps and of the features, both scalars.

        Args:
            radius: [B, 1, H, W], pixels.
            stages: of that pass, coarse to fine.
            scales: weights, fine to coarse.
            hint: whether the second loss has a gradient in the features.
        """
        map_loss, hint_loss = radius.new_zeros(()), radius.new_zeros(())
        for weight, stage, features in zip(scales, reversed(stages), reversed(self._features), strict=True):
            factor = radius.shape[-1] // features.shape[-1]
            scaled_radius = downsample(radius, factor) / factor
            map_loss = map_loss + weight * self.dilation_loss(scaled_radius, stage)
            predicted = self.read((features if hint else features.detach()).float())
            hint_loss = hint_loss + weight * (predicted - (scaled_radius / 4 + 0.05).log()).abs().mean()
        self._features.clear()
        return map_loss, hint_loss

    def dilation_loss(self, radius: Tensor, stage: Stage) -> Tensor:
        """Mean distance between the stage's dilation map and the dilation at which kernels reach as far as the blur.

        Args:
            radius: [B, 1, h, w], pixels of the stage's scale.
            stage: of the same scale.
        """
        return (stage.dilation[:, :1] - (radius / self.reach).clamp_max(self.max_dilation)).abs().mean()
