"""Frequency inverse kernel prediction (FIKP, Fig. 3b and 3c): from an image's spectrum to deconvolved images."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.blur import BlurMap
from fdikp.network.config import NetworkConfig
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

ROUNDING = 1e-3
"""Amplitude, by an orthonormal transform, of what rounding to 8 bits adds to a picture (1/255/√12): of what is fainter
nothing is seen."""

READS, BORDER = 11, 2
"""Side and padding of the Predictor's first convolution (the paper gives 11×11)."""


class Spectrum(NamedTuple):
    """The half-plane spectrum of a real image, [B, 3, H, W // 2 + 1], its zero vertical frequency in the middle row."""

    amplitude: Tensor  # log(1 + |F| / ROUNDING) / 4, orthonormal transform
    phase: Tensor  # -π..π, toward 0 where there is only rounding


def spectrum(x: Tensor) -> Spectrum:
    """The amplitude and phase that FIKP reads.

    A real image's spectrum is point-symmetric, so half of it says everything. Ours, where the paper is silent:

    - Amplitudes span six decades; their logarithm is what the Predictor sees, over the noise that each picture has.
      With log(1 + |F|) all but the lowest frequencies, and with them the fall by which a blur is known, are near 0.
    - The phase of an amplitude is weighed by |F|² / (|F|² + ROUNDING²): where there is only rounding it is noise, and
      a flat image's result would change with the order of summation.
    - The spectrum is an observation: no gradient flows through it into the image (the phase's grows as 1/|F|).

    Args:
        x: [B, 3, H, W], any float type; the transform is computed in float32 or better.
    """
    f = torch.fft.rfft2(ops.at_least_float32(x.detach()), norm="ortho")
    return Spectrum(*ops.polar(f, ROUNDING))


def inverse_kernel(amplitude: Tensor, phase: Tensor) -> Tensor:
    """The kernel with the given spectrum: k* = real(F⁻¹(|K_A| · exp(j K_P'))) (eq. 8).

    The spectrum has its zero frequency at index [0, 0], as `torch.fft.fft2` leaves it. The kernel has its origin in
    the middle, at [K // 2, K // 2], as `conv2d` and eq. 9 use it. Hence the inverse of a known blur k with spectrum
    K = F(k) is `inverse_kernel(1 / |K|, -arg K)` (eq. 3). The real part is the kernel of the spectrum's Hermitian part.

    Args:
        amplitude: [..., K, K], not negative.
        phase: [..., K, K], radians.

    Returns:
        [..., K, K].
    """
    return torch.fft.fftshift(torch.fft.ifft2(torch.polar(amplitude, phase)).real, dim=(-2, -1))


def rings(kernels: int, K: int) -> Tensor:
    """N amplitudes of which each strengthens a ring of frequencies, from the lowest to the highest: [N, K²].

    Each is 1, as it must be at least, and shares out among its ring what the sum of `FrequencyPredictor` leaves. Blends
    of kernels with these can have any gain at any distance from the zero frequency, of either sign.

    >>> rings(5, 5)[1].reshape(5, 5)[:3, :3]
    tensor([[0.5000, 1.0000, 1.0000],
            [1.0000, 7.3750, 1.0000],
            [1.0000, 1.0000, 1.0000]])
    """
    away = [min(k, K - k) ** 2 for k in range(K)]
    squared = [row + column for row in away for column in away]
    found = sorted(set(squared))
    ring = torch.tensor([found.index(distance) for distance in squared])  # ring 0 is the zero frequency
    count = len(found) - 1
    middle = torch.linspace(1, count, kernels) if kernels > 1 else torch.ones(1)
    width = max(1.0, (count - 1) / max(1, kernels - 1)) if kernels > 1 else math.inf
    share = (1 - (ring - middle[:, None]).abs() / width).clamp_min(0) * (ring > 0)
    zero = 0.5  # what is predicted there counts for nothing
    surplus = 2 * K**2 - zero - (K**2 - 1)
    return torch.where(ring == 0, zero, 1 + surplus * share / share.sum(dim=1, keepdim=True))


class Predictor(nn.Module):
    """From a map to N distributions over K×K entries (eq. 6): two Conv-ReLU-Pool units, a convolution, softmax.

    Ours: each of the N starts from logits of its own, the bank, and what is read moves them. The N are read from bands
    of one map by the same weights; with nothing else to tell them apart they stay nearly the same.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        N, K = config.kernels, config.kernel_size
        self.read = nn.Conv2d(3, config.predictor_width, READS, padding=BORDER)
        self.mix = nn.Conv2d(config.predictor_width, K * K, 1)
        self.last = nn.Conv2d(K * K, K * K, 1)
        self.kernels = N
        # Ours: logits start with a spread near 1. With torch's default all N kernels start, and stay long, the same
        nn.init.normal_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.bank = nn.Parameter(torch.zeros(N, K * K))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] with H, W ≥ 7 to [B, N, K²], each of the N summing to 1."""
        x = ops.conv_relu_pool(self.read, x, self.kernels)  # [B, width, N, N]
        x = F.adaptive_avg_pool2d(F.relu(self.mix(x)), (self.kernels, 1))  # [B, K², N, 1]
        logits = ops.at_least_float32(self.last(x)).squeeze(-1).transpose(1, 2)
        return (logits + ops.at_least_float32(self.bank)).softmax(dim=-1)


PHASELESS = 3.0
"""Logit of the zero frequency in the phase's bank: it takes most of the sum, and its own phase counts for nothing."""

STEEPNESS = 8.0
"""Factor on what attention reads: a residual is a tenth or so, its mean over a picture less."""


class FrequencyPredictor(nn.Module):
    """Dual-branch inverse kernel prediction (DIKP): amplitude and phase of k* from amplitude and phase of the image.

    Softmax leaves |K_A| and K_P' with a sum of 1 over K² entries, far below what an inverse needs (its gain is at
    least about 1 at every frequency, its phase reaches π where the blur's spectrum changes sign). Ours:

    - |K_A| is scaled by 2 K² and the phase by π K². A flat prediction then doubles every frequency and hardly turns
      any (π / K²), which is an unsharp mask; attention can turn single frequencies all the way.
    - The N kernels start as `rings` without phase.
    - The zero frequency passes as it is: a blur neither makes nor destroys light, and so must its inverse not.
    """

    zero: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.amplitude = Predictor(config)
        self.phase = Predictor(config)
        self.attend = nn.Conv2d(3, config.kernel_size**2, 3, padding=1)
        self.register_buffer("zero", torch.arange(config.kernel_size**2) == 0, persistent=False)
        with torch.no_grad():
            for branch in (self.amplitude, self.phase):
                branch.last.weight *= 0.1  # the bank comes first
            self.amplitude.bank.copy_(rings(config.kernels, config.kernel_size).log())
            self.phase.bank[:, 0] = PHASELESS

    def attention(self, amplitude: Tensor) -> Tensor:
        """The amplitude-guided attention of eq. 7: [B, 3, H, W] to [B, 1, K²], summing to 1.

        It reads the amplitude's residual, what is left without its local mean: the mean is mostly the scene's. Ours:
        what the convolution finds is rectified before its mean is taken. A residual's own mean is 0, and so is that of
        whatever is linear in it.
        """
        residual = amplitude - ops.box(amplitude, 3)
        found = ops.conv_relu_mean(self.attend.weight, residual)
        bias = ops.at_least_float32(self.attend.bias)  # type: ignore[arg-type]
        return (STEEPNESS * found + bias).softmax(dim=1).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to inverse kernels [B, N, K, K] in float32, origin in the middle."""
        K = self.kernel_size
        seen = spectrum(x)
        dtype = self.attend.weight.dtype
        A, P = seen.amplitude.to(dtype), seen.phase.to(dtype)
        amplitude = torch.where(self.zero, 1.0, 2 * K**2 * self.amplitude(A))  # eq. 6
        phase = torch.where(self.zero, 0.0, math.pi * K**2 * self.phase(P) * self.attention(A))  # eq. 7
        return inverse_kernel(amplitude.unflatten(-1, (K, K)), phase.unflatten(-1, (K, K)))


class SpatialPredictor(nn.Module):
    """The comparison of Fig. 6: the Predictor reads the image itself, and its K² outputs are the kernel."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.predict = Predictor(config)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to inverse kernels [B, N, K, K] in float32."""
        kernels: Tensor = self.predict(x.to(self.predict.last.weight.dtype))
        return kernels.unflatten(-1, (self.kernel_size, self.kernel_size))


class Deconvolved(NamedTuple):
    """What FIKP makes of a batch of images."""

    # [B, N + 1, 3, H, W]: what N deconvolved images, then the image itself, would change, refined; of the type that
    # convolutions compute in, channels innermost in memory
    changes: Tensor
    kernels: Tensor  # [B, N, K, K], float32
    dilation: Tensor  # [B, 1, H, W], float32, pixels


class FIKP(nn.Module):
    """Predict inverse kernels, apply them with a dilation that follows the blur, refine the results."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        maps = 3 * (config.kernels + 1)
        self.predict = FrequencyPredictor(config) if config.predictor == "frequency" else SpatialPredictor(config)
        self.blur = BlurMap(config) if config.position_adaptive else None
        self.on_light = config.kernels_act_on == "light"
        self.refine = nn.Conv2d(maps, maps, 3, padding=1)
        # Ours: the refinement starts as the identity, so that changes start as what eq. 9 makes of them
        nn.init.dirac_(self.refine.weight)
        nn.init.zeros_(self.refine.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, begin: Tensor) -> Deconvolved:
        """Images [B, 3, H, W] in 0..1, float32 or float64, to what they would change of `begin`, of the same shape.

        Ours: the refinement sees changes rather than images, for the reason that `FDIKP` blends them. And kernels may
        act on light: a lens blurs that, not the numbers that encode it, in which a blurred edge is not where it was.
        """
        kernels = self.predict(x)
        dilation = torch.ones_like(x[:, :1], dtype=torch.float32) if self.blur is None else self.blur(x)
        changes = self._residuals(x, kernels, dilation, begin)
        refined = ops.conv_act(self.refine, changes.flatten(1, 2), slope=1.0)
        return Deconvolved(refined.unflatten(1, (-1, 3)), kernels, dilation)

    def _residuals(self, x: Tensor, kernels: Tensor, dilation: Tensor, begin: Tensor) -> Tensor:
        """What the deconvolved images, and the image itself, would change of `begin`, [B, N + 1, 3, H, W]."""
        dtype = self.refine.weight.dtype
        if self.blur is not None and not self.on_light:
            return ops.candidate_residuals(x, kernels, dilation, begin, dtype)
        acted_on = srgb_to_linear(x) if self.on_light else x
        if self.blur is None:
            deconvolved = ops.plain_convolution(acted_on, kernels)
        else:
            deconvolved = ops.position_adaptive_convolution(acted_on, kernels.to(x.dtype), dilation.to(x.dtype))
        if self.on_light:
            deconvolved = linear_to_srgb(deconvolved)
        return ops.residuals(deconvolved, x, begin).to(dtype)


class FixedKernels(nn.Module):
    """The stand-in of the ablations without FIKP: N fixed sharpening kernels, the same for every image.

    Kernel n is 2δ - Gₙ, the first-order inverse of a Gaussian blur Gₙ; the widths of G run evenly to K / 4.
    """

    kernels: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        N, K = config.kernels, config.kernel_size
        reach = torch.arange(K) - K // 2
        squared = reach[:, None] ** 2 + reach[None, :] ** 2
        sigma = (K / 4) * torch.arange(1, N + 1) / N
        gaussian = torch.exp(-squared / (2 * sigma[:, None, None] ** 2))
        kernels = -gaussian / gaussian.sum(dim=(-2, -1), keepdim=True)
        kernels[:, K // 2, K // 2] += 2
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, x: Tensor, begin: Tensor) -> Deconvolved:
        """Images [B, 3, H, W] in 0..1 to what they, sharpened, would change of `begin`."""
        kernels = self.kernels.float().expand(len(x), -1, -1, -1)
        changes = ops.residuals(ops.plain_convolution(x, kernels), x, begin)
        return Deconvolved(changes, kernels, torch.ones_like(x[:, :1], dtype=torch.float32))
