"""The native kernel of position adaptive convolution on CPUs (`native/kernels/pac.h`), with its gradients."""

from typing import Any

import torch
from torch import Tensor

from fdikp.network.ops.native import is_available, launch

CHANNELS = 3

MAX_KERNEL = 15
"""The largest K and N that the kernel supports; as in pac.h."""


def is_eligible(x: Tensor, kernels: Tensor) -> bool:
    """Whether the kernel supports these: float32 on the CPU, three channels, N and K up to `MAX_KERNEL`."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[1] == CHANNELS
        and max(kernels.shape[1], kernels.shape[-1]) <= MAX_KERNEL
        and is_available()
    )


@torch.library.custom_op("fdikp::pac", mutates_args=(), device_types="cpu")
def pac_forward(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9 by `pac.h`: arguments and result as of `position_adaptive_convolution`, float32 throughout.

    The result's channels and kernels are innermost in memory. It is an operator of its own, so that tracing, compiling
    and counting treat it as one.
    """
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    pixels, taps, dilation = _kernel_layout(x, kernels, dilation)
    out = x.new_empty(B, H, W, N, CHANNELS)
    launch("fdikp_pac_forward", pixels, taps, dilation, out, N, K, H, W, items=B * H, pixels=W)
    return out.permute(0, 3, 4, 1, 2)


@pac_forward.register_fake
def _(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    B, C, H, W = x.shape
    return x.new_empty(B, H, W, kernels.shape[1], C).permute(0, 3, 4, 1, 2)


def candidate_residuals(x: Tensor, kernels: Tensor, dilation: Tensor, base: Tensor, dtype: torch.dtype) -> Tensor:
    """The differences to `base` of what eq. 9 makes of x, and last of x itself; rounded once, without a gradient.

    Args:
        x: images [B, 3, H, W], float32.
        kernels: [B, N, K, K], float32.
        dilation: D [B, 1, H, W], float32, in pixels.
        base: [B, 3, H, W], float32.
        dtype: of the result, float32 or bfloat16.

    Returns:
        [B, N + 1, 3, H, W], channels and candidates innermost in memory.
    """
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    pixels, taps, dilation = _kernel_layout(x, kernels, dilation)
    out = x.new_empty(B, H, W, N + 1, CHANNELS, dtype=dtype)
    arrays = (pixels, taps, dilation, pixels if base is x else _as_pixels(base), out)
    launch("fdikp_pac_residuals", *arrays, int(dtype == torch.bfloat16), N, K, H, W, items=B * H, pixels=W)
    return out.permute(0, 3, 4, 1, 2)


@torch.library.custom_op("fdikp::pac_backward", mutates_args=(), device_types="cpu")
def pac_backward(
    grad_out: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, needs_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (empty unless needed), kernels and dilation; grad_out: [B, N, 3, H, W]."""
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    pixels, taps, dilation = _kernel_layout(x, kernels, dilation)
    grad_out = grad_out.permute(0, 3, 4, 1, 2).contiguous()  # [B, H, W, N, 3]
    grad_x = torch.zeros_like(pixels) if needs_x else None
    grad_taps, grad_dilation = torch.empty_like(taps), torch.empty_like(dilation)
    arrays = (pixels, taps, dilation, grad_out, grad_x, grad_taps, grad_dilation)
    launch("fdikp_pac_backward", *arrays, N, K, H, W, items=B, pixels=H * W)
    planes = x.new_empty(0) if grad_x is None else grad_x[..., :CHANNELS].permute(0, 3, 1, 2).contiguous()
    return planes, grad_taps.transpose(1, 2).reshape(B, N, K, K), grad_dilation


@pac_backward.register_fake
def _(grad_out: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, needs_x: bool) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = x.new_empty(x.shape if needs_x else (0,))
    return grad_x, kernels.new_empty(kernels.shape), dilation.new_empty(dilation.shape)


def _save_inputs(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    needs_x = ctx.needs_input_grad[0]
    grad_x, grad_kernels, grad_dilation = pac_backward(grad_out, *ctx.saved_tensors, needs_x)
    return grad_x if needs_x else None, grad_kernels, grad_dilation


pac_forward.register_autograd(_gradients, setup_context=_save_inputs)


def operations(x: Any, kernels: Any, dilation: Any, out_shape: Any = None, **_: Any) -> int:
    """Multiplications and additions of the weighting, as torch counts those of the reference.

    The arguments are shapes, as torch's counter passes them. The function is not registered there, because importing
    the counter imports Triton where that is installed, and every start of a command would wait for it.
    """
    B, C, H, W = x
    N, K = kernels[1], kernels[-1]
    return int(2 * B * N * K * K * C * H * W)


def _kernel_layout(x: Tensor, kernels: Tensor, dilation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As pac.h reads them: pixels of four floats [B, H, W, 4], kernels [B, K², N], dilation [B, 1, H, W]."""
    return _as_pixels(x), kernels.flatten(2).transpose(1, 2).contiguous(), dilation.contiguous()


def _as_pixels(x: Tensor) -> Tensor:
    """[B, 3, H, W] to [B, H, W, 4], the fourth channel 0."""
    pixels = x.new_zeros(len(x), *x.shape[-2:], 4)
    pixels[..., :CHANNELS] = x.permute(0, 2, 3, 1)
    return pixels
