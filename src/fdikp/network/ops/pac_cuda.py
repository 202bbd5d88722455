"""The Triton kernels of position adaptive convolution on GPUs (`pac_triton`): when they run, and how.

They are a second implementation of the operator of CPUs (`pac_cpu.pac_forward`), with the same gradients, shapes and
count of operations, so that what was traced or exported on one device runs on the other.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from fdikp.network.ops.pac_cpu import CHANNELS, MAX_KERNEL, pac_backward, pac_forward

log = logging.getLogger(__name__)

ROWS, COLUMNS = 8, 32
"""Pixels of one image that a program computes; half as many rows where a pixel needs many registers."""

MAX_UNROLLED = 5
"""N and K up to which the loop over rows of a kernel is unrolled; beyond, compiling would take minutes."""

WARPS = 4

OPTIONS = {"num_warps": WARPS, "enable_fp_fusion": True}
"""Compiler options; newer versions of Triton fuse multiplications with additions only on request."""

MAX_OFFSET = 2**31
"""32-bit offsets are below this."""

MAX_SIDE = 2**24
"""The longest side whose coordinates float32 represents exactly."""


def is_eligible(x: Tensor, kernels: Tensor) -> bool:
    """Whether the Triton kernels support these, and torch's settings allow them.

    They support float32 on a CUDA device, three channels, 32-bit offsets, N and K up to `MAX_KERNEL`, where Triton
    works. The gradient of x is a sum of atomic additions in no fixed order: where it may be needed after
    `torch.use_deterministic_algorithms(True)`, the answer is no.
    """
    N, K = kernels.shape[1], kernels.shape[-1]
    if x.device.type != "cuda" or x.dtype != torch.float32 or x.shape[1] != CHANNELS or max(N, K) > MAX_KERNEL:
        return False
    reach = sum((side - 1) * stride for side, stride in zip(x.shape[1:], x.stride()[1:], strict=True))
    if max(x.shape[-2:]) > MAX_SIDE or max(reach, x.shape[1:].numel(), ROWS * x.shape[-1] * N * CHANNELS) >= MAX_OFFSET:
        return False
    trained = torch.is_grad_enabled()
    if trained and x.requires_grad and torch.are_deterministic_algorithms_enabled():
        return False
    return works(x.device, N, K, trained)


def works(device: torch.device, N: int, K: int, trained: bool) -> bool:
    """Whether Triton compiles and runs the kernels for this N and K here, with gradients where `trained`.

    It is tried once; a failure is logged once, with its reason.
    """
    failure = _trial(device, N, K, trained)
    if failure is not None:
        _log_failure(failure)
    return failure is None


# As torch.compiler.assume_constant_result, which would import the compiler: over a second
works._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _trial(device: torch.device, N: int, K: int, trained: bool) -> str | None:
    """Why the kernels do not work here, or None."""

    def run() -> None:
        x, kernels = torch.ones(1, CHANNELS, 4, 4, device=device), torch.ones(1, N, K, K, device=device)
        out = forward(x, kernels, x[:, :1])
        if trained:
            backward(out, x, kernels, x[:, :1], True)
        out.cpu()  # waits: a launch fails asynchronously

    # A new thread has none of the modes (tracing, autocast, no gradients) in which this may be called
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(run).result()
        except torch.OutOfMemoryError:
            raise  # does not mean that Triton fails
        except Exception as error:  # anything that a compiler or driver, or their absence, raises
            return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


@cache
def _log_failure(failure: str) -> None:
    log.warning("Triton does not work here (%s): position adaptive convolution runs without it, slower", failure)


@pac_forward.register_kernel("cuda")
def forward(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9: arguments and result as of `pac_cpu.pac_forward`."""
    from fdikp.network.ops import pac_triton

    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    out = x.new_empty(B, H, W, N, CHANNELS)
    small = max(N, K) <= MAX_UNROLLED
    rows = ROWS if small else ROWS // 2
    with torch.cuda.device_of(x):
        pac_triton.forward[(B * _blocks(H, W, rows),)](
            x, kernels.contiguous(), dilation.contiguous(), out, H, W, *x.stride(),
            N=N, K=K, ROWS=rows, COLUMNS=COLUMNS, UNROLLED=small, **OPTIONS,
        )  # fmt: skip
    return out.permute(0, 3, 4, 1, 2)


@pac_backward.register_kernel("cuda")
def backward(
    grad_out: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, needs_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (empty unless needed), kernels and dilation; grad_out: [B, N, 3, H, W].

    That of x differs in rounding from run to run (`is_eligible`); the others are reproducible.
    """
    from fdikp.network.ops import pac_triton

    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    rows = ROWS // 2
    blocks = _blocks(H, W, rows)
    grad_x = x.new_zeros(x.shape if needs_x else (0,))
    partial = x.new_empty(B, blocks, N, K, K)
    grad_dilation = x.new_empty(B, 1, H, W)
    with torch.cuda.device_of(x):
        pac_triton.backward[(B * blocks,)](
            x, kernels.contiguous(), dilation.contiguous(), grad_out, grad_x, partial, grad_dilation, H, W, *x.stride(),
            *grad_out.stride(), N=N, K=K, ROWS=rows, COLUMNS=COLUMNS, NEEDS_X=needs_x, **OPTIONS,
        )  # fmt: skip
    return grad_x, partial.sum(1), grad_dilation


def _blocks(height: int, width: int, rows: int) -> int:
    """Programs that compute one image."""
    return -(-height // rows) * -(-width // COLUMNS)
