"""The compiled library: plain C, built at installation where there is a compiler, and called through ctypes.

`pac.c`, `spectrum.c`, `detail.c`, `recurrence.c` and `blend.c` are each one pass over memory where torch's own
operations take many; the two of `winograd.h` are convolutions with less to multiply than torch's, `attention.c` keeps
its weights in registers, and `numbers.h` is what they share. `signatures` says what each function takes. Everything
here has a slower path in torch, which is taken where the library is not, and which the tests hold it against.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import record_function

from fdikp.errors import FdikpError
from fdikp.network.ops.native.signatures import checked, declare

log = logging.getLogger(__name__)

ISA_VARIABLE = "FDIKP_ISA"
"""Environment variable that limits the instructions of kernels; see `limited_to_avx2`."""

SMALL = 2**14
"""Pixels below which a thread of its own costs more than it saves."""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None where there was no compiler; that is said once."""
    for suffix in EXTENSION_SUFFIXES:
        file = Path(__file__).with_name("_native" + suffix)
        try:
            if file.is_file():
                return declare(ctypes.CDLL(str(file)))
        except OSError as error:
            log.warning("%s cannot be loaded (%s): the network takes slower paths", file, error)
            return None
    log.info("no compiled library here, for want of a C compiler: the network takes slower paths")
    return None


def applies(*tensors: Tensor) -> bool:
    """Whether the passes that have no gradient can take these: on the CPU, in float32 or bfloat16, nothing recorded."""
    return (
        not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and all(
            t.device.type == "cpu" and t.dtype in (torch.float32, torch.bfloat16) and type(t) is Tensor for t in tensors
        )
        and library() is not None
    )


@cache
def limited_to_avx2() -> bool:
    """Whether the environment variable FDIKP_ISA is `avx2`: then every processor is used like one with AVX2 alone.

    Kernels written for AVX-512 and AMX are not used, and `--precision auto` is float32. What the compiler made of
    kernels for any processor still follows the processor.

    Raises:
        FdikpError: FDIKP_ISA has another value than `avx2`, `auto` or none.
    """
    value = os.environ.get(ISA_VARIABLE, "")
    if value not in ("", "auto", "avx2"):
        raise FdikpError(f"{ISA_VARIABLE}={value}: not known; set it to avx2 or auto, or unset it")
    return value == "avx2"


def _has(instructions: str) -> bool:
    """Whether the library has kernels for these instructions, this processor has them, and they may be used."""
    found = library()
    return found is not None and not limited_to_avx2() and bool(found[f"fdikp_{instructions}"]())


@cache
def products() -> bool:
    """Whether this processor multiplies bfloat16 (AVX-512 BF16), and the library was compiled for such."""
    return _has("products")


@cache
def wide() -> bool:
    """Whether this processor has vectors of sixteen floats (AVX-512), and the library was compiled for such."""
    return _has("wide")


@cache
def tiles() -> bool:
    """Whether this processor multiplies bfloat16 in tiles (AMX), and oneDNN may: its convolutions are then fastest."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported() and torch.ops.mkldnn._is_mkldnn_bf16_supported()) and not limited_to_avx2()


def call(name: str, *arguments: Tensor | int | float | None, items: int, pixels: int) -> None:
    """Call a function of the library over `items`, in as many threads as torch has; an item has so many pixels.

    Its last two arguments are the stretch of items that a call is for. The calls leave Python, so that threads run side
    by side; which does which stretch changes no result. torch's profiler shows the call by its name.

    Raises:
        TypeError, ValueError: an argument is not what the function's signature says (`signatures.checked`).
    """
    found = library()
    assert found is not None
    function = getattr(found, name)
    given = checked(name, arguments, items)

    def work(first: int, last: int) -> None:
        function(*given, first, last)

    with record_function(name):
        _shared(work, items, pixels)


def _shared(work: Callable[[int, int], None], items: int, pixels: int) -> None:
    threads = max(1, min(torch.get_num_threads(), items, items * pixels // SMALL))
    stretches = pairwise([items * n // threads for n in range(threads + 1)])
    if threads == 1:
        work(0, items)
    elif team := _team():
        failed: list[BaseException] = []

        def take(_: None) -> None:
            try:
                for stretch in stretches:  # however many threads there are in the end
                    work(*stretch)
            except BaseException as error:  # an interrupt too: C would drop it, and the result would have a hole
                failed.append(error)

        team(_TAKE(take), None, threads, 0)
        if failed:
            raise failed[0]
    else:
        first, *rest = stretches
        others = [_helpers(threads - 1).submit(work, *stretch) for stretch in rest]
        work(*first)
        for other in others:
            other.result()


_TAKE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _team() -> Callable[..., None] | None:
    """GOMP_parallel of the OpenMP library whose threads torch uses, or None where that is another or not found.

    After torch's own operations those threads look out for more work for a few milliseconds. Threads of ours would
    share the processors with them: on two cores the network took a fifth longer.
    """
    file = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    try:
        # No second copy: only what is loaded is torch's
        return ctypes.CDLL(str(file), mode=os.RTLD_NOLOAD).GOMP_parallel
    except (OSError, AttributeError):
        return None


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: to start them costs as much as some of the work does."""
    return ThreadPoolExecutor(max(1, threads), "fdikp")


def _forked() -> None:
    """Threads do not come along into a child, and OpenMP does not know."""
    global _team
    _helpers.cache_clear()
    _team = cache(lambda: None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
