"""The native kernels: a C library, from a wheel or compiled at installation, and called through ctypes.

The kernels are the headers in `kernels/`, written with vectors of a width that is fixed at compile time. `generic.c`,
`avx2.c` and `avx512.c` compile all of them for one instruction set each; `isa` chooses between these builds when the
program runs. `signatures` describes the arguments of each function. Without the library torch's operations run instead,
which the tests compare the kernels with, and one warning says so.
"""

import ctypes
import os
import warnings
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import record_function

from fdikp.errors import FdikpError, MissingKernelsWarning
from fdikp.network.ops.native.signatures import ISAS, checked, declare
from fdikp.network.ops.native.threads import run_in_threads

FILE = Path(__file__).with_name("_native.so")
"""The library has this name on every system (setup.py): it is not a module of one version of Python."""

ISA_VARIABLE = "FDIKP_ISA"
"""Environment variable that limits the instruction set: one of `ISAS`, or `auto`."""

DTYPES = (torch.float32, torch.bfloat16)
"""The types of maps that kernels read and write."""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or cannot be loaded."""
    try:
        return declare(ctypes.CDLL(str(FILE)))
    except OSError:
        return None


def is_available() -> bool:
    """Whether there is a library. Where there is none, the first call in a process emits `MissingKernelsWarning`."""
    if library() is None:
        _warn()
        return False
    return True


@cache
def _warn() -> None:
    reason = "cannot be loaded on this system" if FILE.is_file() else "were not compiled at installation"
    warnings.warn(
        f"fdikp's native kernels {reason}: photos take about twice as long; install a C compiler (gcc or clang) and "
        "reinstall fdikp (pip install --force-reinstall --no-deps --no-cache-dir), or install a wheel for this system",
        MissingKernelsWarning,
        stacklevel=3,
    )


@cache
def isa_limit() -> str:
    """The best instruction set that FDIKP_ISA allows, one of `ISAS`.

    Raises:
        FdikpError: FDIKP_ISA has an unknown value.
    """
    value = os.environ.get(ISA_VARIABLE, "") or "auto"
    if value != "auto" and value not in ISAS:
        raise FdikpError(f"{ISA_VARIABLE}={value}: not known; set it to auto, {', '.join(ISAS[:-1])} or {ISAS[-1]}")
    return ISAS[0] if value == "auto" else value


def supported_isas(library: ctypes.CDLL) -> list[str]:
    """The instruction sets that the library was built for and this processor has, best first."""
    return [isa for isa in ISAS if isa == "generic" or getattr(library, f"fdikp_has_{isa}")()]


@cache
def isa() -> str:
    """The instruction set whose build of the kernels runs: the best that is supported and that FDIKP_ISA allows.

    Raises:
        RuntimeError: there is no library.
        FdikpError: FDIKP_ISA has an unknown value.
    """
    loaded = library()
    if loaded is None:
        raise RuntimeError("native kernels were not built")
    allowed = ISAS[ISAS.index(isa_limit()) :]
    return next(name for name in supported_isas(loaded) if name in allowed)


def is_eligible(*tensors: Tensor) -> bool:
    """Whether kernels without a gradient support these tensors: float32 or bfloat16, on the CPU, autograd off."""
    return (
        not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and all(t.device.type == "cpu" and t.dtype in DTYPES and type(t) is Tensor for t in tensors)
        and is_available()
    )


def launch(name: str, *arguments: Tensor | int | float | None, items: int, pixels: int) -> None:
    """Run a kernel over `items` of `pixels` each, in as many threads as torch has.

    The kernel's own last two arguments are the range of items of one call. The result does not depend on the threads.
    torch's profiler shows the launch by the kernel's name.

    Args:
        name: a key of `SIGNATURES`.
        arguments: as the signature describes them.
        items: the unit that threads divide between them; the signature names it.
        pixels: of an item.

    Raises:
        TypeError, ValueError: an argument does not match the signature (`signatures.checked`).
    """
    function = getattr(library(), f"{name}_{isa()}")
    values = checked(name, arguments, items)

    def work(first: int, last: int) -> None:
        function(*values, first, last)

    with record_function(name):
        run_in_threads(work, items, pixels)
