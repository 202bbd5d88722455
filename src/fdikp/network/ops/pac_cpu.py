"""The compiled path of position adaptive convolution on CPUs: `native/pac.c`, where it could be built."""

from typing import Any

import torch
from torch import Tensor

from fdikp.network.ops import native
from fdikp.network.ops.native import call, library

CHANNELS = 3
LARGEST_KERNEL = 15
"""Sides of kernels, and numbers of them, up to which the compiled path goes; as in pac.c."""


def applies(x: Tensor, kernels: Tensor) -> bool:
    """Whether the compiled path can do this: float32 on the CPU, three channels, kernels not too many nor too large."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[1] == CHANNELS
        and max(kernels.shape[1], kernels.shape[-1]) <= LARGEST_KERNEL
        and library() is not None
    )


@torch.library.custom_op("fdikp::pac", mutates_args=(), device_types="cpu")
def compiled(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9 by `pac.c`: arguments and result as of `position_adaptive_convolution`, float32 throughout.

    The result's channels and kernels lie innermost in memory. An operator of its own, so that tracing, compiling and
    counting take it as one.
    """
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    picture, taps, dilation = _as_read(x, kernels, dilation)
    out = x.new_empty(B, H, W, N, CHANNELS)
    call("fdikp_pac_forward", picture, taps, dilation, out, int(native.wide()), N, K, H, W, items=B * H, pixels=W)
    return out.permute(0, 3, 4, 1, 2)


@compiled.register_fake
def _(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    B, C, H, W = x.shape
    return x.new_empty(B, H, W, kernels.shape[1], C).permute(0, 3, 4, 1, 2)


def changes(x: Tensor, kernels: Tensor, dilation: Tensor, begin: Tensor, dtype: torch.dtype) -> Tensor:
    """What eq. 9 makes of x, and last x itself, would change of `begin`, rounded once at the end; without a gradient.

    Args:
        x: images [B, 3, H, W], float32.
        kernels: [B, N, K, K], float32.
        dilation: D [B, 1, H, W], float32, in pixels.
        begin: [B, 3, H, W], float32.
        dtype: of the result, float32 or bfloat16.

    Returns:
        [B, N + 1, 3, H, W], channels and candidates innermost in memory.
    """
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    picture, taps, dilation = _as_read(x, kernels, dilation)
    out = x.new_empty(B, H, W, N + 1, CHANNELS, dtype=dtype)
    known = (picture, taps, dilation, picture if begin is x else _as_pixels(begin), out, int(dtype == torch.bfloat16))
    call("fdikp_pac_changes", *known, int(native.wide()), N, K, H, W, items=B * H, pixels=W)
    return out.permute(0, 3, 4, 1, 2)


@torch.library.custom_op("fdikp::pac_backward", mutates_args=(), device_types="cpu")
def compiled_backward(
    gradient: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (empty unless wanted), kernels and dilation; gradient: [B, N, 3, H, W]."""
    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    picture, taps, dilation = _as_read(x, kernels, dilation)
    gradient = gradient.permute(0, 3, 4, 1, 2).contiguous()  # [B, H, W, N, 3]
    to_x = torch.zeros_like(picture) if wants_x else None
    to_taps, to_dilation = torch.empty_like(taps), torch.empty_like(dilation)
    known = (picture, taps, dilation, gradient, to_x, to_taps, to_dilation)
    call("fdikp_pac_backward", *known, N, K, H, W, items=B, pixels=H * W)
    whole = x.new_empty(0) if to_x is None else to_x[..., :CHANNELS].permute(0, 3, 1, 2).contiguous()
    return whole, to_taps.transpose(1, 2).reshape(B, N, K, K), to_dilation


@compiled_backward.register_fake
def _(gradient: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, wants_x: bool) -> tuple[Tensor, Tensor, Tensor]:
    whole = x.new_empty(x.shape if wants_x else (0,))
    return whole, kernels.new_empty(kernels.shape), dilation.new_empty(dilation.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    wanted = ctx.needs_input_grad[0]
    to_x, to_kernels, to_dilation = compiled_backward(gradient, *ctx.saved_tensors, wanted)
    return to_x if wanted else None, to_kernels, to_dilation


compiled.register_autograd(_gradients, setup_context=_keep)


def operations(x: Any, kernels: Any, dilation: Any, out_shape: Any = None, **_: Any) -> int:
    """Multiplications and additions of the weighing, as torch counts those of the slower path.

    The arguments are shapes, as torch's counter gives them. It is not registered there: the counter imports Triton
    where that is installed, which each start of a command would wait for.
    """
    B, C, H, W = x
    N, K = kernels[1], kernels[-1]
    return int(2 * B * N * K * K * C * H * W)


def _as_read(x: Tensor, kernels: Tensor, dilation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As pac.c reads them: pixels of four floats [B, H, W, 4], kernels [B, K², N], dilation [B, 1, H, W]."""
    return _as_pixels(x), kernels.flatten(2).transpose(1, 2).contiguous(), dilation.contiguous()


def _as_pixels(x: Tensor) -> Tensor:
    picture = x.new_zeros(len(x), *x.shape[-2:], 4)
    picture[..., :CHANNELS] = x.permute(0, 2, 3, 1)
    return picture
