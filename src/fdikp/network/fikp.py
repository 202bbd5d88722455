"""Frequency inverse kernel prediction (FIKP, Fig. 3b): from images to the residuals of deconvolved images."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.config import NetworkConfig
from fdikp.network.dikp import DIKP, SpatialPredictor
from fdikp.network.dilation import DilationMap
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear


class Deconvolved(NamedTuple):
    """The result of FIKP for a batch of images."""

    candidate_residuals: Tensor
    """[B, N + 1, 3, H, W]: N deconvolved images, then the image itself, each minus the base image, refined; in the
    type that convolutions compute in, channels last in memory."""

    kernels: Tensor
    """[B, N, K, K], float32, inverse kernels."""

    dilation: Tensor
    """[B, 1, H, W], float32, the dilation map in pixels."""


class FIKP(nn.Module):
    """Predict inverse kernels, apply them with a dilation that follows the blur, refine the results."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        maps = 3 * (config.kernels + 1)
        # The weights files fix these names: `predict` is the predictor of inverse kernels, `blur` the dilation map
        self.predict = DIKP(config) if config.predictor == "frequency" else SpatialPredictor(config)
        self.blur = DilationMap(config) if config.position_adaptive else None
        self.on_light = config.kernels_act_on == "light"
        self.refine = nn.Conv2d(maps, maps, 3, padding=1)
        # Ours: the refinement starts as the identity, so that residuals start as those of eq. 9
        nn.init.dirac_(self.refine.weight)
        nn.init.zeros_(self.refine.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, base: Tensor) -> Deconvolved:
        """Deconvolve images.

        Ours: the refinement sees residuals rather than images, for the reason that `FDIKP` blends residuals. And
        kernels may act on linear light: a lens blurs light, not the values that encode it, in which a blurred edge
        moves.

        Args:
            x: images [B, 3, H, W] in 0..1, float32 or float64.
            base: what the candidates' residuals are relative to, of the same shape and type.
        """
        kernels = self.predict(x)
        dilation = torch.ones_like(x[:, :1], dtype=torch.float32) if self.blur is None else self.blur(x)
        residuals = self._residuals(x, kernels, dilation, base)
        refined = ops.conv_act(self.refine, residuals.flatten(1, 2), slope=1.0)
        return Deconvolved(refined.unflatten(1, (-1, 3)), kernels, dilation)

    def _residuals(self, x: Tensor, kernels: Tensor, dilation: Tensor, base: Tensor) -> Tensor:
        """The deconvolved images and the image itself minus `base`, [B, N + 1, 3, H, W]."""
        dtype = self.refine.weight.dtype
        if self.blur is not None and not self.on_light:
            return ops.candidate_residuals(x, kernels, dilation, base, dtype)
        source = srgb_to_linear(x) if self.on_light else x
        if self.blur is None:
            deconvolved = ops.plain_convolution(source, kernels)
        else:
            deconvolved = ops.position_adaptive_convolution(source, kernels.to(x.dtype), dilation.to(x.dtype))
        if self.on_light:
            deconvolved = linear_to_srgb(deconvolved)
        return ops.residuals(deconvolved, x, base).to(dtype)


class FixedKernels(nn.Module):
    """The stand-in of the ablations without FIKP: N fixed sharpening kernels, the same for every image.

    Kernel n is 2δ - Gₙ, the first-order inverse of a Gaussian blur Gₙ; the widths of G are evenly spaced up to K / 4.
    """

    kernels: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        N, K = config.kernels, config.kernel_size
        offset = torch.arange(K) - K // 2
        squared = offset[:, None] ** 2 + offset[None, :] ** 2
        sigma = (K / 4) * torch.arange(1, N + 1) / N
        gaussian = torch.exp(-squared / (2 * sigma[:, None, None] ** 2))
        kernels = -gaussian / gaussian.sum(dim=(-2, -1), keepdim=True)
        kernels[:, K // 2, K // 2] += 2
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, x: Tensor, base: Tensor) -> Deconvolved:
        """Images [B, 3, H, W] in 0..1, sharpened, and their residuals relative to `base`."""
        kernels = self.kernels.float().expand(len(x), -1, -1, -1)
        residuals = ops.residuals(ops.plain_convolution(x, kernels), x, base)
        return Deconvolved(residuals, kernels, torch.ones_like(x[:, :1], dtype=torch.float32))
