"""The loss of the paper: eqs. 4 and 5, with the terms of eqs. 10 to 12."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fdikp.network import FDIKP, downsample

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""LPIPS: two [B, 3, H, W] in 0..1 to a distance for each picture, [B]."""


def frequency_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the spectra (eq. 12), [B, C, H, W] to a scalar.

    Ours, not the paper's: the transform is orthonormal and the mean is over all numbers, real and imaginary parts
    apart, so that the weight γ means the same at every crop size.
    """
    spectrum = torch.fft.rfft2(output.float() - target.float(), norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


NEGLIGIBLE = 1e-5
"""Mean squared error (50 dB) far below which its root asks for no further gain."""


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
    scales: λ of eq. 4, fine to coarse. alpha, beta, gamma: eq. 5. delta: weight of the root of each picture's mean
    squared error, which is ours: plain squared error is ruled by pictures that are blurred beyond repair, and nothing
    in the paper's loss keeps what is in focus from drifting. The LPIPS term is left out without `perceptual`, and
    where a picture is smaller than the 32 pixels that its backbone can read.
    """
    total = target.new_zeros(())
    for weight, output in zip(scales, reversed(outputs), strict=True):
        truth = downsample(target, target.shape[-1] // output.shape[-1])
        output = output.float()
        loss = alpha * (output - truth).square().mean() + gamma * frequency_loss(output, truth)
        if delta:
            errors = (output - truth).square().mean(dim=(1, 2, 3))
            loss = loss + delta * (errors + NEGLIGIBLE).sqrt().mean()
        if perceptual is not None and beta and min(output.shape[-2:]) >= 32:
            loss = loss + beta * perceptual(output, truth).abs().mean()
        total = total + weight * loss
    return total


class BlurSupervision(nn.Module):
    """Ours: teach the features to tell how far out of focus a pixel is, which the renderer knows.

    What a stage should change depends on that first of all, and learning it from the restored picture alone takes
    thousands of steps. One 1×1 convolution reads the decoder's features at each scale and predicts the logarithm of
    the blur radius; it is no part of the network and is thrown away with the run.
    """

    def __init__(self, network: FDIKP) -> None:
        super().__init__()
        self.read = nn.Conv2d(network.config.widths[0], 1, 1)
        self._features: list[Tensor] = []
        network.dsrm.decoder.register_forward_hook(lambda module, inputs, output: self._features.append(output))

    def forward(self, radius: Tensor, scales: Sequence[float]) -> Tensor:
        """The loss of the pass that the network has just made, a scalar. radius: [B, 1, H, W], pixels."""
        total = radius.new_zeros(())
        for weight, features in zip(scales, reversed(self._features), strict=True):
            factor = radius.shape[-1] // features.shape[-1]
            truth = (downsample(radius, factor) / (4 * factor) + 0.05).log()
            total = total + weight * (self.read(features.float()) - truth).abs().mean()
        self._features.clear()
        return total
