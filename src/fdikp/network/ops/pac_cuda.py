"""The fused path of position adaptive convolution on GPUs: `pac_triton`, where Triton is there and works.

It is the same operator as on CPUs (`pac_cpu.compiled`), with the same gradients, shapes and count of operations, given
a second implementation: what was traced or exported on the one runs on the other.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from fdikp.network.ops.pac_cpu import CHANNELS, LARGEST_KERNEL, compiled, compiled_backward

log = logging.getLogger(__name__)

ROWS, COLUMNS = 8, 32
"""Pixels of one picture that a program takes; half as many rows where a pixel needs many registers."""

UNROLLED = 5
"""Kernels up to this size and number have the loop over their rows unrolled; beyond, compiling would take minutes."""

WARPS = 4

OPTIONS = {"num_warps": WARPS, "enable_fp_fusion": True}
"""How Triton compiles; newer versions do not fuse multiplications with additions unless told to."""

OFFSETS = 2**31
"""What 32-bit offsets end at."""

LONGEST = 2**24
"""The longest side whose pixels float32 can all tell apart."""


def applies(x: Tensor, kernels: Tensor) -> bool:
    """Whether the fused path can do this, and does it as torch was told to.

    It can where x is float32 on a CUDA device, with three channels and within reach of 32-bit numbers, where
    kernels are not too many nor too large, and Triton works. Its gradient of x is a sum of atomic additions, whose
    order is the GPU's: where that gradient may be wanted after `torch.use_deterministic_algorithms(True)`, the answer
    is no.
    """
    N, K = kernels.shape[1], kernels.shape[-1]
    if x.device.type != "cuda" or x.dtype != torch.float32 or x.shape[1] != CHANNELS or max(N, K) > LARGEST_KERNEL:
        return False
    reach = sum((side - 1) * stride for side, stride in zip(x.shape[1:], x.stride()[1:], strict=True))
    if max(x.shape[-2:]) > LONGEST or max(reach, x.shape[1:].numel(), ROWS * x.shape[-1] * N * CHANNELS) >= OFFSETS:
        return False
    trained = torch.is_grad_enabled()
    if trained and x.requires_grad and torch.are_deterministic_algorithms_enabled():
        return False
    return works(x.device, N, K, trained)


def works(device: torch.device, N: int, K: int, trained: bool) -> bool:
    """Whether Triton compiles and runs the kernels for this N and K here, gradients included where trained.

    Found out once, by a trial; where it fails, that and why is said once.
    """
    failure = _trial(device, N, K, trained)
    if failure is not None:
        _say(failure)
    return failure is None


# What torch.compiler.assume_constant_result does, which itself would import the compiler: over a second
works._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _trial(device: torch.device, N: int, K: int, trained: bool) -> str | None:
    """Why the kernels do not work here, or None."""

    def run() -> None:
        x, kernels = torch.ones(1, CHANNELS, 4, 4, device=device), torch.ones(1, N, K, K, device=device)
        out = forward(x, kernels, x[:, :1])
        if trained:
            backward(out, x, kernels, x[:, :1], True)
        out.cpu()  # waits: a launch that fails says so late

    # A thread of its own has none of the modes (tracing, autocast, gradients) that this call may stand in
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(run).result()
        except torch.OutOfMemoryError:
            raise  # says nothing about Triton
        except Exception as error:  # whatever a compiler, a driver or their absence raises
            return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


@cache
def _say(failure: str) -> None:
    log.warning("Triton does not work here (%s): position adaptive convolution takes the slower path", failure)


@compiled.register_kernel("cuda")
def forward(x: Tensor, kernels: Tensor, dilation: Tensor) -> Tensor:
    """Eq. 9: arguments and result as of `pac_cpu.compiled`."""
    from fdikp.network.ops import pac_triton

    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    out = x.new_empty(B, H, W, N, CHANNELS)
    small = max(N, K) <= UNROLLED
    rows = ROWS if small else ROWS // 2
    with torch.cuda.device_of(x):
        pac_triton.forward[(B * _blocks(H, W, rows),)](
            x, kernels.contiguous(), dilation.contiguous(), out, H, W, *x.stride(),
            N=N, K=K, ROWS=rows, COLUMNS=COLUMNS, UNROLLED=small, **OPTIONS,
        )  # fmt: skip
    return out.permute(0, 3, 4, 1, 2)


@compiled_backward.register_kernel("cuda")
def backward(
    gradient: Tensor, x: Tensor, kernels: Tensor, dilation: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (empty unless wanted), kernels and dilation; gradient: [B, N, 3, H, W].

    That of x is not the same bit for bit from run to run (`applies`); the others are.
    """
    from fdikp.network.ops import pac_triton

    B, _, H, W = x.shape
    N, K = kernels.shape[1], kernels.shape[-1]
    rows = ROWS // 2
    blocks = _blocks(H, W, rows)
    to_x = x.new_zeros(x.shape if wants_x else (0,))
    shares = x.new_empty(B, blocks, N, K, K)
    to_dilation = x.new_empty(B, 1, H, W)
    with torch.cuda.device_of(x):
        pac_triton.backward[(B * blocks,)](
            x, kernels.contiguous(), dilation.contiguous(), gradient, to_x, shares, to_dilation, H, W, *x.stride(),
            *gradient.stride(), N=N, K=K, ROWS=rows, COLUMNS=COLUMNS, WANTS_X=wants_x, **OPTIONS,
        )  # fmt: skip
    return to_x, shares.sum(1), to_dilation


def _blocks(height: int, width: int, rows: int) -> int:
    """Programs that a picture takes."""
    return -(-height // rows) * -(-width // COLUMNS)
