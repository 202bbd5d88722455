"""Dual-branch inverse kernel prediction (DIKP, Fig. 3c): from an image's spectrum to inverse kernels."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network import ops
from fdikp.network.config import NetworkConfig

NOISE_FLOOR = 1e-3
"""Amplitude, in an orthonormal transform, of the noise that rounding to 8 bits adds to an image (1/255/√12). Fainter
frequencies carry no information."""

READ_SIZE, READ_PADDING = 11, 2
"""Side and padding of the KernelPredictor's first convolution (the paper gives 11×11)."""


class Spectrum(NamedTuple):
    """The half-plane spectrum of a real image, [B, 3, H, W // 2 + 1], its zero vertical frequency in the middle row."""

    amplitude: Tensor
    """log(1 + |F| / NOISE_FLOOR) / 4, of the orthonormal transform F."""

    phase: Tensor
    """arg F in -π..π, attenuated toward 0 where |F| is only rounding noise."""


def spectrum(x: Tensor) -> Spectrum:
    """The amplitude and phase that DIKP reads.

    A real image's spectrum is point-symmetric, so half of it holds all information. Ours, where the paper is silent:

    - Amplitudes span six decades; the KernelPredictor reads their logarithm, relative to the rounding noise. In
      log(1 + |F|) all but the lowest frequencies are near 0, and with them the falloff that characterises a blur.
    - The phase is weighted by |F|² / (|F|² + NOISE_FLOOR²). Where there is only rounding noise the phase is random, and
      the result for a flat image would depend on the order of summation.
    - The spectrum is a measurement: no gradient flows through it into the image (the phase's grows as 1/|F|).

    Args:
        x: [B, 3, H, W], any float type; the transform is computed in float32 or better.
    """
    f = torch.fft.rfft2(ops.at_least_float32(x.detach()), norm="ortho")
    return Spectrum(*ops.log_amplitude_and_phase(f, NOISE_FLOOR))


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


def ring_bank(kernels: int, K: int) -> Tensor:
    """N amplitude spectra, each of which amplifies one ring of frequencies, from the lowest to the highest: [N, K²].

    Each is at least 1 at every frequency but the zero frequency, and has the sum 2 K² that `DIKP` scales amplitudes to;
    what exceeds 1 is spread over its ring. Blends of kernels with these spectra can have any gain, of either sign, at
    any distance from the zero frequency.

    >>> ring_bank(5, 5)[1].reshape(5, 5)[:3, :3]
    tensor([[0.5000, 1.0000, 1.0000],
            [1.0000, 7.3750, 1.0000],
            [1.0000, 1.0000, 1.0000]])
    """
    squared_frequency = [min(k, K - k) ** 2 for k in range(K)]
    squared_radius = [row + column for row in squared_frequency for column in squared_frequency]
    radii = sorted(set(squared_radius))
    ring = torch.tensor([radii.index(radius) for radius in squared_radius])  # ring 0 is the zero frequency
    count = len(radii) - 1
    centre = torch.linspace(1, count, kernels) if kernels > 1 else torch.ones(1)
    width = max(1.0, (count - 1) / max(1, kernels - 1)) if kernels > 1 else math.inf
    profile = (1 - (ring - centre[:, None]).abs() / width).clamp_min(0) * (ring > 0)
    zero_frequency = 0.5  # any value: DIKP ignores the prediction there
    surplus = 2 * K**2 - zero_frequency - (K**2 - 1)
    return torch.where(ring == 0, zero_frequency, 1 + surplus * profile / profile.sum(dim=1, keepdim=True))


class KernelPredictor(nn.Module):
    """From a map to N distributions over K×K entries (eq. 6): two Conv-ReLU-Pool units, a convolution, softmax.

    Ours: each of the N distributions has logits of its own, the bank, to which those predicted are added. The same
    weights predict all N from bands of one map; without a bank they stay almost equal.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        N, K = config.kernels, config.kernel_size
        # The weights files fix these names. `read` and `mix` are the convolutions of the two Conv-ReLU-Pool units,
        # `last` is the one that follows them
        self.read = nn.Conv2d(3, config.predictor_width, READ_SIZE, padding=READ_PADDING)
        self.mix = nn.Conv2d(config.predictor_width, K * K, 1)
        self.last = nn.Conv2d(K * K, K * K, 1)
        self.kernels = N
        # Ours: initial logits have a standard deviation near 1. With torch's default, all N kernels start almost equal
        # and stay so for long
        nn.init.normal_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.bank = nn.Parameter(torch.zeros(N, K * K))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] with H, W ≥ 7 to [B, N, K²], each of the N summing to 1."""
        x = ops.conv_relu_pool(self.read, x, self.kernels)  # [B, width, N, N]
        x = F.adaptive_avg_pool2d(F.relu(self.mix(x)), (self.kernels, 1))  # [B, K², N, 1]
        logits = ops.at_least_float32(self.last(x)).squeeze(-1).transpose(1, 2)
        return (logits + ops.at_least_float32(self.bank)).softmax(dim=-1)


ZERO_PHASE_LOGIT = 3.0
"""Initial logit of the zero frequency in the phase's bank. It takes most of the softmax, so that the phases of all
other frequencies start near 0; the phase of the zero frequency itself is ignored."""

ATTENTION_GAIN = 8.0
"""Factor on what the attention reads: a residual is about 0.1, and its mean over an image is smaller."""


class DIKP(nn.Module):
    """Dual-branch inverse kernel prediction: amplitude and phase of k* from amplitude and phase of the image.

    |K_A| is a softmax, with a sum of 1 over K² entries; K_P' is the product of two, with a smaller sum. Both are far
    below what an inverse needs: its gain is at least about 1 at every frequency, and its phase reaches π where the
    blur's spectrum changes sign. Ours:

    - |K_A| is scaled by 2 K² and the phase by π K². A flat prediction then doubles every frequency and hardly turns
      any (π / K²), which is an unsharp mask; attention can turn single frequencies all the way.
    - The N kernels are initialised to `ring_bank`, with almost no phase.
    - The zero frequency has gain 1 and phase 0: blur preserves mean intensity, so its inverse must too.
    """

    is_zero_frequency: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.amplitude = KernelPredictor(config)
        self.phase = KernelPredictor(config)
        self.attend = nn.Conv2d(3, config.kernel_size**2, 3, padding=1)
        self.register_buffer("is_zero_frequency", torch.arange(config.kernel_size**2) == 0, persistent=False)
        with torch.no_grad():
            for branch in (self.amplitude, self.phase):
                branch.last.weight *= 0.1  # small beside the bank
            self.amplitude.bank.copy_(ring_bank(config.kernels, config.kernel_size).log())
            self.phase.bank[:, 0] = ZERO_PHASE_LOGIT

    def attention(self, amplitude: Tensor) -> Tensor:
        """The amplitude-guided attention of eq. 7: [B, 3, H, W] to [B, 1, K²], summing to 1.

        It reads the amplitude's residual, the amplitude minus its local mean, because the mean depends mostly on the
        scene. Ours: the convolution's result is rectified before its mean is taken. The mean of a residual is 0, and so
        is the mean of any linear function of it.
        """
        residual = amplitude - ops.box(amplitude, 3)
        response = ops.conv_relu_mean(self.attend.weight, residual)
        bias = ops.at_least_float32(self.attend.bias)  # type: ignore[arg-type]
        return (ATTENTION_GAIN * response + bias).softmax(dim=1).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to inverse kernels [B, N, K, K] in float32, origin in the middle."""
        K = self.kernel_size
        dtype = self.attend.weight.dtype
        A, P = (part.to(dtype) for part in spectrum(x))
        amplitude = torch.where(self.is_zero_frequency, 1.0, 2 * K**2 * self.amplitude(A))  # eq. 6
        phase = torch.where(self.is_zero_frequency, 0.0, math.pi * K**2 * self.phase(P) * self.attention(A))  # eq. 7
        return inverse_kernel(amplitude.unflatten(-1, (K, K)), phase.unflatten(-1, (K, K)))


class SpatialPredictor(nn.Module):
    """The comparison of Fig. 6: the KernelPredictor reads the image itself, and its K² outputs are the kernel."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.predict = KernelPredictor(config)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to inverse kernels [B, N, K, K] in float32."""
        kernels: Tensor = self.predict(x.to(self.predict.last.weight.dtype))
        return kernels.unflatten(-1, (self.kernel_size, self.kernel_size))
