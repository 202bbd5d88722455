"""The compiled path of position adaptive convolution on CPUs: `pac.c`, where it could be built at installation."""

import ctypes
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

log = logging.getLogger(__name__)

CHANNELS = 3
LARGEST_KERNEL = 15
"""Sides of kernels, and numbers of them, up to which the compiled path goes; as in pac.c."""

SMALL = 2**14
"""Pixels below which a thread of its own costs more than it saves."""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None where there was no compiler; that is said once."""
    for suffix in EXTENSION_SUFFIXES:
        file = Path(__file__).with_name("_pac" + suffix)
        try:
            if file.is_file():
                return ctypes.CDLL(str(file))
        except OSError as error:
            log.warning("%s cannot be loaded (%s): position adaptive convolution takes the slower path", file, error)
            return None
    log.info("no compiled position adaptive convolution here, for want of a C compiler: it takes the slower path")
    return None


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
    run = _library().fdikp_pac_forward

    def rows(first: int, last: int) -> None:
        run(*_pointers(picture, taps, dilation, out), N, K, H, W, first, last)

    _shared(rows, B * H, W)
    return out.permute(0, 3, 4, 1, 2)


@compiled.register_fake
def _(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    B, C, H, W = x.shape
    return x.new_empty(B, H, W, kernels.shape[1], C).permute(0, 3, 4, 1, 2)


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
    run = _library().fdikp_pac_backward

    def pictures(first: int, last: int) -> None:
        known = _pointers(picture, taps, dilation, gradient, to_x, to_taps, to_dilation)
        run(*known, N, K, H, W, first, last)

    _shared(pictures, B, H * W)
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


@register_flop_formula(torch.ops.fdikp.pac)
def _operations(x: Any, kernels: Any, dilation: Any, out_shape: Any = None, **_: Any) -> int:
    """Multiplications and additions of the weighing, as torch counts those of the slower path."""
    B, C, H, W = x
    N, K = kernels[1], kernels[-1]
    return int(2 * B * N * K * K * C * H * W)


def _as_read(x: Tensor, kernels: Tensor, dilation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As pac.c reads them: pixels of four floats [B, H, W, 4], kernels [B, K², N], dilation [B, 1, H, W]."""
    picture = x.new_zeros(len(x), *x.shape[-2:], 4)
    picture[..., :CHANNELS] = x.permute(0, 2, 3, 1)
    return picture, kernels.flatten(2).transpose(1, 2).contiguous(), dilation.contiguous()


def _library() -> ctypes.CDLL:
    found = library()
    assert found is not None
    return found


def _pointers(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(None if t is None else t.data_ptr()) for t in tensors]


def _shared(work: Callable[[int, int], None], items: int, pixels: int) -> None:
    """Call work(first, last) for stretches of the items, in as many threads as torch has; an item has so many pixels.

    The calls leave Python, so that threads run side by side. Which stretch falls to which thread changes no result.
    """
    threads = max(1, min(torch.get_num_threads(), items, items * pixels // SMALL))
    if threads == 1:
        work(0, items)
        return
    ends = [items * n // threads for n in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, ends[:-1], ends[1:]))
