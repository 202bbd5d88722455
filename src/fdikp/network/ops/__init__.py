"""The network's operations: each has a body of torch's own operations, and may have kernels that are faster.

Model files call these functions, and only here is it decided which kernel runs. `reference_bodies` has the plain
bodies; `fused_cpu` and `winograd` the kernels for CPUs, of the C library in `native`; `pac` position adaptive
convolution with its kernels for CPUs (`pac_cpu`) and GPUs (`pac_cuda`, `pac_triton`).

    with ops.reference():
        network(x)        # torch's textbook operations: to read, to debug, to export, and what tests compare with
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network.ops import fused_cpu, native, pac, pac_cpu, winograd
from fdikp.network.ops import reference_bodies as bodies
from fdikp.network.ops.reference_bodies import SLOPE, at_least_float32, plain_convolution, residuals

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
    "lstm_cell",
    "plain_convolution",
    "polar",
    "position_adaptive_convolution",
    "reference",
    "residuals",
]

_reference_only: ContextVar[bool] = ContextVar("reference_only", default=False)


@contextmanager
def reference() -> Iterator[None]:
    """In this context every operation is computed by its reference body, on any device."""
    token = _reference_only.set(True)
    try:
        yield
    finally:
        _reference_only.reset(token)


def _fused(*tensors: Tensor) -> bool:
    """Whether the kernels without a gradient can take these."""
    return not _reference_only.get() and native.applies(*tensors)


def conv_act(
    conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, slope: float = SLOPE, skip: Tensor | None = None
) -> Tensor:
    """LeakyReLU(conv(x) + skip), the skip left out where it is None; a slope of 0 is ReLU, of 1 no activation."""
    if isinstance(conv, nn.Conv2d) and not _reference_only.get() and winograd.applies(conv, x):
        return winograd.convolved(conv, x, slope, skip)
    return bodies.conv_act(conv, x, slope, skip)


def conv_concat(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """A convolution of x [B, C, H, W] beside y [B, C', H, W]."""
    pointwise = conv.kernel_size == (1, 1)
    if pointwise and x.dtype == y.dtype == conv.weight.dtype == torch.bfloat16 and _fused(x, y):
        return fused_cpu.pointwise_concat(conv, x, y)
    return bodies.conv_concat(conv, x, y)


def conv_relu_pool(conv: nn.Conv2d, x: Tensor, size: int) -> Tensor:
    """adaptive_avg_pool2d(relu(conv(x)), size): [B, C', H, W] to [B, C, size, size]."""
    if _reference_only.get():
        return bodies.conv_relu_pool(conv, x, size)
    return torch.cat([_conv_relu_pool_row(conv, x, n, size) for n in range(size)], dim=-2)


def _conv_relu_pool_row(conv: nn.Conv2d, x: Tensor, n: int, size: int) -> Tensor:
    """Row n of `conv_relu_pool`, [B, C, 1, size], from the rows of x that it is pooled from.

    So that no more than a part of the convolution's map, the widest there is, is ever in memory.
    """
    reach, border = conv.kernel_size[0] - 1, int(conv.padding[0])
    rows = x.shape[-2] + 2 * border - reach  # of the convolution's result
    first, last = n * rows // size, -(-(n + 1) * rows // size)
    read = x[..., max(0, first - border) : last - border + reach, :]
    above, below = max(0, border - first), max(0, last - border + reach - x.shape[-2])
    read = F.pad(read, (border, border, above, below))
    return F.adaptive_avg_pool2d(F.relu_(F.conv2d(read, conv.weight, conv.bias)), (1, size))


BANDS = 8
"""Parts in which `conv_relu_mean` computes its map, so that it is never all in memory."""


def conv_relu_mean(weight: Tensor, x: Tensor) -> Tensor:
    """The mean over positions of relu(conv(x)), of an odd kernel with zero padding and no bias, [B, C]."""
    if _reference_only.get():
        return bodies.conv_relu_mean(weight, x)
    reach = weight.shape[-1] - 1
    padded = F.pad(x, (reach // 2,) * 4)
    H, W = x.shape[-2:]
    rows = -(-H // BANDS)
    bands = [padded[..., y : y + rows + reach, :] for y in range(0, H, rows)]
    sums = [at_least_float32(F.relu_(F.conv2d(band, weight))).sum(dim=(-2, -1)) for band in bands]
    return torch.stack(sums).sum(dim=0) / (H * W)


def polar(f: Tensor, rounding: float) -> tuple[Tensor, Tensor]:
    """Amplitude log(1 + |F| / rounding) / 4 and phase arg F · |F|² / (|F|² + rounding²) of a half-plane spectrum.

    Args:
        f: [B, C, H, W // 2 + 1] complex, as rfft2 leaves it.
        rounding: the amplitude below which there is nothing to see, above 0.

    Returns:
        Two of [B, C, H, W // 2 + 1], the zero vertical frequency in the middle row.
    """
    if f.dtype == torch.complex64 and _fused(f.real):
        return fused_cpu.polar(f, rounding)
    return bodies.polar(f, rounding)


def band_energy(x: Tensor, floor: float) -> Tensor:
    """How much fine, medium and coarse detail there is around each pixel: images [B, 3, H, W] to the same shape.

    log(1 + energy / floor) / 10 of the luminance in three bands.
    """
    if _fused(x):
        return fused_cpu.detail(x, floor)
    return bodies.band_energy(x, floor, box)


def box(x: Tensor, side: int) -> Tensor:
    """The mean over squares of an odd number of pixels, the border pixel repeated: [B, C, H, W] to the same shape."""
    if _reference_only.get() or x.device.type != "cpu":
        return bodies.box(x, side)
    # torch's pooling is not vectorised on CPUs: adding up shifted images is, and takes an eighth of the time
    H, W = x.shape[-2:]
    reach = side // 2
    padded = F.pad(x, (0, 0, reach, reach), mode="replicate")
    down = padded[..., :H, :].clone()
    for i in range(1, side):
        down += padded[..., i : i + H, :]
    padded = F.pad(down, (reach, reach, 0, 0), mode="replicate")
    mean = padded[..., :W].clone()
    for i in range(1, side):
        mean += padded[..., i : i + W]
    return mean.mul_(1 / side**2)


def position_adaptive_convolution(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Apply each kernel with its taps spread by the dilation of the pixel it is applied at (eq. 9).

    Arguments and result as of `pac.position_adaptive_convolution`.
    """
    if _reference_only.get():
        return pac.sampled(x, kernels, dilation)
    return pac.position_adaptive_convolution(x, kernels, dilation)


def candidate_residuals(x: Tensor, kernels: Tensor, dilation: Tensor, base: Tensor, dtype: torch.dtype) -> Tensor:
    """What the images that eq. 9 makes of x, and last x itself, would change of `base`.

    Args:
        x: images [B, 3, H, W], float32 or float64.
        kernels: [B, N, K, K].
        dilation: D [B, 1, H, W], in pixels.
        base: [B, 3, H, W].
        dtype: of the result.

    Returns:
        [B, N + 1, 3, H, W].
    """
    if _fused(x, base) and pac_cpu.applies(x, kernels):
        return pac_cpu.changes(x, kernels, dilation, base, dtype)
    # eq. 9 samples at fractions of a pixel: 16-bit coordinates would be off by pixels in a large image
    deconvolved = position_adaptive_convolution(x, kernels.to(x.dtype), dilation.to(x.dtype))
    return residuals(deconvolved, x, base).to(dtype)


def attend_in_strips(rows: Tensor, columns: Tensor, heads: int, between: bool) -> Tensor:
    """Attention of some channels along rows, beside that of others along columns.

    Args:
        rows: [B, H, W, 3C], queries, keys and values side by side.
        columns: alike, of other channels.
        heads: splits C.
        between: whether whole strips attend to each other; else the pixels of each strip.

    Returns:
        [B, H, W, 2C].
    """
    if not between and not _reference_only.get() and fused_cpu.attends(rows, heads):
        return fused_cpu.attended(rows, columns, heads)
    return bodies.attend_in_strips(rows, columns, heads, between, plain=_reference_only.get())


def lstm_cell(gates: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent unit's new hidden state and cell from its gates [B, 4 maps, H, W] and its cell [B, maps, H, W]."""
    if before.shape[1] <= fused_cpu.MOST_MAPS and _fused(gates, before):
        return fused_cpu.cell(gates, before)
    return bodies.lstm_cell(gates, before)


def coefficient_maps(spatial: Tensor, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """2 σ(u v + u) - 1 of v = relu(norm(spatial)) [B, maps, H, W] and u = hidden [B, maps, H/2, W/2]."""
    if not norm.training and hidden.shape[1] <= fused_cpu.MOST_MAPS and _fused(spatial, hidden):
        return fused_cpu.coefficients(spatial, hidden, norm)
    return bodies.coefficient_maps(spatial, hidden, norm)


def blend(residuals: tuple[Tensor, Tensor], coefficients: Tensor, output: nn.Conv2d, base: Tensor) -> Tensor:
    """base [B, 3, H, W] and the sum of all residuals, weighed by their coefficient maps and the last convolution.

    Args:
        residuals: of each of two images, [B, N + 1, 3, H, W].
        coefficients: [B, 2(N + 1), H, W], for the residuals of both.
        output: the 1×1 convolution from 6(N + 1) channels to 3.
        base: [B, 3, H, W].
    """
    fits = coefficients.shape[1] <= fused_cpu.MOST_MAPS and base.dtype == torch.float32
    if fits and _fused(*residuals, coefficients, base):
        return fused_cpu.blended(residuals, coefficients, output, base)
    return bodies.blend(residuals, coefficients, output, base)
