"""Fused kernels for inference on CPUs, without a gradient; `native.is_eligible` is their common condition.

torch computes each of these with several operations, each a pass over memory; a fused kernel is one pass.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fdikp.network.ops.native import launch

MAX_MAPS = 64
"""Coefficient maps for which recurrence.h and blend.h have room: N is at most 31 there."""


def to_nhwc(x: Tensor) -> Tensor:
    """[B, C, H, W] to [B, H, W, C], contiguous; no copy where x is channels-last already."""
    return x.permute(0, 2, 3, 1).contiguous()


def log_amplitude_and_phase(f: Tensor, noise_floor: float) -> tuple[Tensor, Tensor]:
    """Amplitude log(1 + |F| / noise_floor) / 4 and phase arg F · |F|² / (|F|² + noise_floor²) of a half-plane spectrum.

    Args:
        f: [B, C, H, W // 2 + 1], complex64.
        noise_floor: the amplitude of the noise, above 0, in the units of f.

    Returns:
        Two of [B, C, H, W // 2 + 1], float32, the zero vertical frequency in the middle row.
    """
    B, C, H, W = f.shape
    pairs = torch.view_as_real(f).contiguous()
    amplitude, phase = pairs.new_empty(B, C, H, W), pairs.new_empty(B, C, H, W)
    launch("fdikp_log_amplitude_and_phase", pairs, amplitude, phase, noise_floor, H, W, items=B * C, pixels=H * W)
    return amplitude, phase


def band_energy(x: Tensor, floor: float) -> Tensor:
    """log(1 + energy / floor) / 10 of the luminance in three bands: [B, 3, H, W] to the same shape, float32."""
    B, _, H, W = x.shape
    x = x.contiguous()
    out = torch.empty_like(x)
    launch("fdikp_band_energy", x, out, 1 / floor, H, W, items=B * H, pixels=W)
    return out


def pointwise_concat(conv: nn.Conv2d, x: Tensor, y: Tensor) -> Tensor:
    """A 1×1 convolution of x beside y as two products, added: no memory for both maps side by side, and faster."""
    for_x, for_y = conv.weight.flatten(1).split((x.shape[1], y.shape[1]), dim=1)
    out = F.linear(to_nhwc(x), for_x, conv.bias)
    out.flatten(0, -2).addmm_(to_nhwc(y).flatten(0, -2), for_y.t())
    return out.permute(0, 3, 1, 2)


def lstm_cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent unit's new hidden state and cell from its gates [B, 4 maps, H, W] and its cell [B, maps, H, W]."""
    B, maps, H, W = cell.shape
    gates, old_cell = to_nhwc(gates), to_nhwc(cell.to(gates.dtype))
    hidden, new_cell = torch.empty_like(old_cell), torch.empty_like(old_cell)
    arguments = (gates, old_cell, hidden, new_cell, maps, _is_bfloat16(gates))
    launch("fdikp_lstm_cell", *arguments, items=B * H * W, pixels=1)
    return hidden.permute(0, 3, 1, 2), new_cell.permute(0, 3, 1, 2)


def coefficient_maps(spatial: Tensor, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """tanh((u v + u) / 2) of v = relu(norm(spatial)) [B, maps, H, W] and u = hidden [B, maps, H/2, W/2]."""
    B, maps, H, W = spatial.shape
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.float() / torch.sqrt(norm.running_var.float() + norm.eps)
    shift = norm.bias.float() - scale * norm.running_mean.float()
    spatial, hidden = to_nhwc(spatial), to_nhwc(hidden.to(spatial.dtype))
    out = torch.empty_like(spatial)
    arguments = (spatial, hidden, scale, shift, out, maps, W, _is_bfloat16(out))
    launch("fdikp_coefficient_maps", *arguments, items=B * H, pixels=W)
    return out.permute(0, 3, 1, 2)


def blend(residuals: tuple[Tensor, Tensor], coefficients: Tensor, output: nn.Conv2d, base: Tensor) -> Tensor:
    """base [B, 3, H, W] and the sum of all residuals, weighted by their coefficient maps and the output convolution.

    Args:
        residuals: of each of two images, [B, N + 1, 3, H, W].
        coefficients: [B, 2(N + 1), H, W], for the residuals of both.
        output: the 1×1 convolution from 6(N + 1) channels to 3.
        base: [B, 3, H, W], float32.
    """
    B, candidates, _, H, W = residuals[0].shape
    dtype = residuals[0].dtype
    weights = base.new_zeros(2 * candidates, 3, 4)
    weights[..., :3] = output.weight.flatten(1).t().unflatten(0, (-1, 3))
    bias = output.bias.float()  # type: ignore[union-attr]
    coefficients, base = to_nhwc(coefficients.to(dtype)), base.contiguous()
    first, second = (residual.permute(0, 3, 4, 1, 2).contiguous() for residual in residuals)
    out = torch.empty_like(base)
    for b in range(B):
        arrays = (first[b], second[b], coefficients[b], weights, bias, base[b], out[b])
        launch("fdikp_blend", *arrays, candidates, _is_bfloat16(first), H * W, items=H * W, pixels=1)
    return out


def _is_bfloat16(x: Tensor) -> int:
    """A flag as native kernels take it."""
    return int(x.dtype == torch.bfloat16)
