"""Frequency inverse kernel prediction (FIKP, Fig. 3b and 3c): from an image's spectrum to deconvolved images."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.light import linear_to_srgb, srgb_to_linear
from fdikp.network import compiled, native, pac_cpu
from fdikp.network.blocks import wide
from fdikp.network.blur import BlurMap, box
from fdikp.network.config import NetworkConfig
from fdikp.network.pac import plain_convolution, position_adaptive_convolution

NOISE = 1e-6
"""Share of the largest amplitude at and below which an amplitude is rounding."""


READS, BORDER = 11, 2
"""Side and padding of the Predictor's first convolution (the paper gives 11×11)."""


class Spectrum(NamedTuple):
    """The half-plane spectrum of a real image, [B, 3, H, W // 2 + 1], its zero vertical frequency in the middle row."""

    amplitude: Tensor  # log(1 + |F|), orthonormal transform
    phase: Tensor  # -π..π


def spectrum(x: Tensor) -> Spectrum:
    """The amplitude and phase that FIKP reads.

    A real image's spectrum is point-symmetric, so half of it says everything. Ours, where the paper is silent:

    - Amplitudes span six decades; their logarithm is what the Predictor sees.
    - Where an amplitude is below the rounding error of the transform the phase is noise, and is set to 0: else a
      flat image's result would change with the order of summation.
    - The spectrum is an observation: no gradient flows through it into the image (the phase's grows as 1/|F|).

    Args:
        x: [B, 3, H, W], any float type; the transform is computed in float32 or better.
    """
    f = torch.fft.rfft2(wide(x.detach()), norm="ortho")
    if native.applies(x) and f.dtype == torch.complex64:
        return Spectrum(*compiled.polar(f, NOISE))
    f = torch.fft.fftshift(f, dim=-2)
    amplitude = f.abs()
    noise = NOISE * amplitude.amax(dim=(-2, -1), keepdim=True)
    phase = torch.where(amplitude > noise, torch.atan2(f.imag, f.real), 0.0)
    return Spectrum(torch.log1p(amplitude), phase)


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


def mean_of_convolution(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The mean of conv(x) over all positions, without conv(x): [B, C, H, W] to [B, C'].

    A convolution is linear, so the mean of its results is its weights times the mean that each of its taps sees: of
    the whole picture, or for taps beside the middle of all but a border row or column, beyond which there are zeros.

    Args:
        conv: 3×3 with a border of one zero.
        x: [B, C, H, W].
    """
    H, W = x.shape[-2:]
    x = wide(x)  # sums of many in 16 bits would be off
    across = torch.stack((x[..., :-1].sum(-1), x.sum(-1), x[..., 1:].sum(-1)), dim=-1)  # [B, C, H, 3]
    seen = torch.stack((across[..., :-1, :].sum(-2), across.sum(-2), across[..., 1:, :].sum(-2)), dim=-2) / (H * W)
    return F.linear(seen.flatten(1), wide(conv.weight).flatten(1), wide(conv.bias))  # type: ignore[arg-type]


class Predictor(nn.Module):
    """From a map to N distributions over K×K entries (eq. 6): two Conv-ReLU-Pool units, a convolution, softmax."""

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

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] with H, W ≥ 7 to [B, N, K²], each of the N summing to 1."""
        x = torch.cat([self._read_band(x, n) for n in range(self.kernels)], dim=-2)  # [B, width, N, N]
        x = F.adaptive_avg_pool2d(F.relu(self.mix(x)), (self.kernels, 1))  # [B, K², N, 1]
        return wide(self.last(x)).softmax(dim=1).squeeze(-1).transpose(1, 2)

    def _read_band(self, x: Tensor, n: int) -> Tensor:
        """Row n of the first unit's result, [B, width, 1, N], from the rows of x that it is pooled from.

        So that no more than an Nth of the widest map there is, at full resolution, is ever in memory.
        """
        N, reach, border = self.kernels, READS - 1, BORDER
        rows = x.shape[-2] + 2 * border - reach  # of the convolution's result
        first, last = n * rows // N, -(-(n + 1) * rows // N)
        seen = x[..., max(0, first - border) : last - border + reach, :]
        above, below = max(0, border - first), max(0, last - border + reach - x.shape[-2])
        seen = F.pad(seen, (border, border, above, below))
        read = F.conv2d(seen, self.read.weight, self.read.bias)
        return F.adaptive_avg_pool2d(F.relu_(read), (1, N))


class FrequencyPredictor(nn.Module):
    """Dual-branch inverse kernel prediction (DIKP): amplitude and phase of k* from amplitude and phase of the image.

    Softmax leaves |K_A| and K_P' with a sum of 1 over K² entries, far below what an inverse needs (its gain is at
    least about 1 at every frequency, its phase reaches π where the blur's spectrum changes sign). Ours:

    - |K_A| is scaled by 2 K² and the phase by π K². A flat prediction then doubles every frequency and hardly turns
      any (π / K²), which is an unsharp mask; attention can turn single frequencies all the way.
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

    def attention(self, amplitude: Tensor) -> Tensor:
        """The amplitude-guided attention of eq. 7: [B, 3, H, W] to [B, 1, K²], summing to 1.

        It reads the amplitude's residual, what is left without its local mean: the mean is mostly the scene's.
        """
        residual = amplitude - box(amplitude, 3)
        return mean_of_convolution(self.attend, residual).softmax(dim=1).unsqueeze(1)

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
        dtype = self.refine.weight.dtype
        dilation = torch.ones_like(x[:, :1], dtype=torch.float32) if self.blur is None else self.blur(x)
        # One pass where it can be: position adaptive convolution, and what it would change
        if self.blur and not self.on_light and native.applies(x, begin) and pac_cpu.applies(x, kernels):
            changes = pac_cpu.changes(x, kernels, dilation, begin, dtype)
        else:
            changes = differences(self._deconvolve(x, kernels, dilation), x, begin).to(dtype)
        return Deconvolved(self.refine(changes.flatten(1, 2)).unflatten(1, (-1, 3)), kernels, dilation)

    def _deconvolve(self, x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
        """What each kernel makes of its image, [B, N, 3, H, W]."""
        acted_on = srgb_to_linear(x) if self.on_light else x
        if self.blur is None:
            deconvolved = plain_convolution(acted_on, kernels)
        else:
            # eq. 9 samples at fractions of a pixel: 16-bit coordinates would be off by pixels in a large image
            deconvolved = position_adaptive_convolution(acted_on, kernels.to(x.dtype), dilation.to(x.dtype))
        return linear_to_srgb(deconvolved) if self.on_light else deconvolved


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
        changes = differences(plain_convolution(x, kernels), x, begin)
        return Deconvolved(changes, kernels, torch.ones_like(x[:, :1], dtype=torch.float32))


def differences(deconvolved: Tensor, x: Tensor, begin: Tensor) -> Tensor:
    """What each deconvolved image, and last the image itself, would change of `begin`.

    Differences are taken in the pixels' own precision: afterwards they may be rounded to 16 bits, and what is small
    beside the photograph keeps its digits.

    Args:
        deconvolved: [B, N, 3, H, W].
        x: [B, 3, H, W].
        begin: [B, 3, H, W].

    Returns:
        [B, N + 1, 3, H, W], channels innermost in memory, so that convolutions take it as it is.
    """
    # The memory's order is that of the dimensions while we work
    images = torch.cat((deconvolved.permute(0, 3, 4, 1, 2), x.permute(0, 2, 3, 1).unsqueeze(3)), dim=3)
    negative = -begin  # subtracting would negate a gradient of all candidates, this one of a single image
    return (images + negative.permute(0, 2, 3, 1).unsqueeze(3)).permute(0, 3, 4, 1, 2)
