"""The network's operations: each has a reference in plain torch, and may have faster kernels.

Model files call these functions; only this file decides which body runs. `reference_ops` has the references,
`torch_variants` other compositions of torch's operations, `fused_cpu` and `winograd` kernels for CPUs (of the C library
in `native`). Position adaptive convolution has kernels for CPUs (`pac_cpu`) and for GPUs (`pac_cuda`, `pac_triton`).

    with ops.reference():
        network(x)        # textbook operations: to read, to debug, to export, and to compare kernels with
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from fdikp.network.ops import fused_cpu, native, pac_cpu, pac_cuda, reference_ops, torch_variants, winograd
from fdikp.network.ops.reference_ops import SLOPE, at_least_float32, plain_convolution, residuals

__all__ = [
    "SLOPE",
    "at_least_float32",
    "attend_in_strips",
    "band_energy",
    "blend",
    "box",
    "candidate_residuals",
    "coefficient_maps",
    "conv_act",
    "conv_concat",
    "conv_relu_mean",
    "conv_relu_pool",
    "log_amplitude_and_phase",
    "lstm_cell",
    "plain_convolution",
    "position_adaptive_convolution",
    "reference",
    "residuals",
]

_reference_only: ContextVar[bool] = ContextVar("reference_only", default=False)


@contextmanager
def reference() -> Iterator[None]:
    """In this context every operation runs its reference, on any device."""
    token = _reference_only.set(True)
    try:
        yield
    finally:
        _reference_only.reset(token)


def _use_fused(*tensors: Tensor) -> bool:
    """Whether the native kernels without a gradient support these tensors and may run."""
    return not _reference_only.get() and native.is_eligible(*tensors)


def conv_act(
    conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, slope: float = SLOPE, skip: Tensor | None = None
) -> Tensor:
    """LeakyReLU(conv(x) + skip); without the sum where skip is None. A slope of 0 is ReLU, of 1 no activation."""
    if isinstance(conv, nn.Conv2d) and not _reference_only.get() and winograd.is_eligible(conv, x):
        return winograd.conv_act(conv, x, slope, skip)
    return reference_ops.conv_act(conv, x, slope, skip)


def conv_concat(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """A convolution of x [B, C, H, W] beside y [B, C', H, W]."""
    pointwise = conv.kernel_size == (1, 1)
    if pointwise and x.dtype == y.dtype == conv.weight.dtype == torch.bfloat16 and _use_fused(x, y):
        return fused_cpu.pointwise_concat(conv, x, y)
    return reference_ops.conv_concat(conv, x, y)


def conv_relu_pool(conv: nn.Conv2d, x: Tensor, size: int) -> Tensor:
    """adaptive_avg_pool2d(relu(conv(x)), size): [B, C', H, W] to [B, C, size, size]."""
    if _reference_only.get():
        return reference_ops.conv_relu_pool(conv, x, size)
    return torch_variants.conv_relu_pool(conv, x, size)


def conv_relu_mean(weight: Tensor, x: Tensor) -> Tensor:
    """The mean over positions of relu(conv(x)), of an odd kernel with zero padding and no bias, [B, C]."""
    if _reference_only.get():
        return reference_ops.conv_relu_mean(weight, x)
    return torch_variants.conv_relu_mean(weight, x)


def log_amplitude_and_phase(f: Tensor, noise_floor: float) -> tuple[Tensor, Tensor]:
    """Amplitude log(1 + |F| / noise_floor) / 4 and phase arg F · |F|² / (|F|² + noise_floor²) of a half-plane spectrum.

    Args:
        f: [B, C, H, W // 2 + 1] complex, as rfft2 leaves it.
        noise_floor: the amplitude of the noise, above 0, in the units of f.

    Returns:
        Two of [B, C, H, W // 2 + 1], the zero vertical frequency in the middle row.
    """
    if f.dtype == torch.complex64 and _use_fused(f.real):
        return fused_cpu.log_amplitude_and_phase(f, noise_floor)
    return reference_ops.log_amplitude_and_phase(f, noise_floor)


def band_energy(x: Tensor, floor: float) -> Tensor:
    """How much fine, medium and coarse detail there is around each pixel: images [B, 3, H, W] to the same shape.

    log(1 + energy / floor) / 10 of the luminance in three bands.
    """
    if _use_fused(x):
        return fused_cpu.band_energy(x, floor)
    return reference_ops.band_energy(x, floor, box)


def box(x: Tensor, side: int) -> Tensor:
    """The mean over squares of an odd number of pixels, the border pixel repeated: [B, C, H, W] to the same shape."""
    if _reference_only.get() or x.device.type != "cpu":
        return reference_ops.box(x, side)
    return torch_variants.box(x, side)


def position_adaptive_convolution(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Apply each kernel with its taps spread by the dilation of the pixel it is applied at (eq. 9, Fig. 3c).

    F(p) = Σᵢ k*ᵢ · x(p + Δpᵢ · D(p)), with Δp on the K×K grid centred at 0 and bilinear sampling between pixels.
    With D ≡ 1 this is `conv2d` (a correlation, as eq. 9 is written), with D ≡ 2 its dilated form. Outside the image
    the border pixel is repeated, which is ours: the paper does not say.

    The native kernel runs on a CPU where it was built, the Triton kernel on a GPU where Triton works, else the
    reference; they agree up to rounding. On a GPU the Triton kernel adds up the gradient of x in no fixed order; after
    `torch.use_deterministic_algorithms(True)` the reference runs instead, and torch raises where it has no
    deterministic form of that either.

    Args:
        x: images [B, C, H, W], float32 or float64.
        kernels: [B, N, K, K], K odd, one set for each image.
        dilation: D [B, 1, H, W], in pixels.

    Returns:
        [B, N, C, H, W]; differentiable in all three arguments.
    """
    if not _reference_only.get() and (pac_cpu.is_eligible(x, kernels) or pac_cuda.is_eligible(x, kernels)):
        return pac_cpu.pac_forward(x, kernels, dilation)
    return reference_ops.position_adaptive_convolution(x, kernels, dilation)


def candidate_residuals(x: Tensor, kernels: Tensor, dilation: Tensor, base: Tensor, dtype: torch.dtype) -> Tensor:
    """The differences to `base` of the images that eq. 9 makes of x, and last of x itself.

    Args:
        x: images [B, 3, H, W], float32 or float64.
        kernels: [B, N, K, K].
        dilation: D [B, 1, H, W], in pixels.
        base: [B, 3, H, W].
        dtype: of the result.

    Returns:
        [B, N + 1, 3, H, W].
    """
    if dtype in native.DTYPES and _use_fused(x, base) and pac_cpu.is_eligible(x, kernels):
        return pac_cpu.candidate_residuals(x, kernels, dilation, base, dtype)
    # eq. 9 samples at fractions of a pixel: 16-bit coordinates would be off by pixels in a large image
    deconvolved = position_adaptive_convolution(x, kernels.to(x.dtype), dilation.to(x.dtype))
    return residuals(deconvolved, x, base).to(dtype)


def attend_in_strips(rows: Tensor, columns: Tensor, heads: int, between: bool) -> Tensor:
    """Attention of some channels along rows, beside that of others along columns.

    Args:
        rows: [B, H, W, 3C], queries, keys and values side by side.
        columns: the same shape, for the other channels.
        heads: splits C.
        between: whether whole strips attend to each other; else the pixels of each strip.

    Returns:
        [B, H, W, 2C].
    """
    # On CPUs torch's fused attention is faster in float32 without a gradient alone; else two products with a softmax
    # between are: strips are short, so that their weights are small
    slower = rows.device.type == "cpu" and (rows.dtype == torch.bfloat16 or torch.is_grad_enabled())
    if _reference_only.get() or slower:
        return reference_ops.attend_in_strips(rows, columns, heads, between)
    return torch_variants.attend_in_strips(rows, columns, heads, between)


def lstm_cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent unit's new hidden state and cell from its gates [B, 4 maps, H, W] and its cell [B, maps, H, W]."""
    if cell.shape[1] <= fused_cpu.MAX_MAPS and _use_fused(gates, cell):
        return fused_cpu.lstm_cell(gates, cell)
    return reference_ops.lstm_cell(gates, cell)


def coefficient_maps(spatial: Tensor, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """2 σ(u v + u) - 1 of v = relu(norm(spatial)) [B, maps, H, W] and u = hidden [B, maps, H/2, W/2]."""
    if not norm.training and hidden.shape[1] <= fused_cpu.MAX_MAPS and _use_fused(spatial, hidden):
        return fused_cpu.coefficient_maps(spatial, hidden, norm)
    return reference_ops.coefficient_maps(spatial, hidden, norm)


def blend(residuals: tuple[Tensor, Tensor], coefficients: Tensor, output: nn.Conv2d, base: Tensor) -> Tensor:
    """base [B, 3, H, W] and the sum of all residuals, weighted by their coefficient maps and the output convolution.

    Args:
        residuals: of each of two images, [B, N + 1, 3, H, W].
        coefficients: [B, 2(N + 1), H, W], for the residuals of both.
        output: the 1×1 convolution from 6(N + 1) channels to 3.
        base: [B, 3, H, W].
    """
    fits = coefficients.shape[1] <= fused_cpu.MAX_MAPS and base.dtype == torch.float32
    if fits and _use_fused(*residuals, coefficients, base):
        return fused_cpu.blend(residuals, coefficients, output, base)
    return reference_ops.blend(residuals, coefficients, output, base)
