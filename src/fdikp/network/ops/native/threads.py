"""Work of native kernels on the threads that torch has."""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch

MIN_PIXELS = 2**14
"""Pixels below which another thread costs more than it saves."""


def run_in_threads(work: Callable[[int, int], None], items: int, pixels: int) -> None:
    """Call `work(first, last)` for ranges that together are 0 .. items, in up to `torch.get_num_threads()` threads.

    Args:
        work: computes items first .. last - 1; it is called from several threads at once.
        items: how many there are.
        pixels: of an item; little work is left to one thread.
    """
    threads = max(1, min(torch.get_num_threads(), items, items * pixels // MIN_PIXELS))
    ranges = pairwise([items * n // threads for n in range(threads + 1)])
    if threads == 1:
        work(0, items)
    elif parallel := _openmp_parallel():
        errors: list[BaseException] = []

        def take(_: None) -> None:
            try:
                for range_ in ranges:  # OpenMP may start fewer threads than there are ranges
                    work(*range_)
            except BaseException as error:  # an interrupt too: C would drop it, and leave a hole in the result
                errors.append(error)

        parallel(_CALLBACK(take), None, threads, 0)
        if errors:
            raise errors[0]
    else:
        first, *rest = ranges
        others = [_pool(threads - 1).submit(work, *range_) for range_ in rest]
        work(*first)
        for other in others:
            other.result()


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _openmp_parallel() -> Callable[..., None] | None:
    """GOMP_parallel of the OpenMP library that torch uses; None where torch uses another, or it is not found.

    After torch's own operations its OpenMP threads wait actively for a few milliseconds. Other threads would compete
    with them: on two cores that made the network 20 % slower.
    """
    file = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    try:
        # RTLD_NOLOAD: only the copy that torch has loaded has torch's threads
        return ctypes.CDLL(str(file), mode=os.RTLD_NOLOAD).GOMP_parallel
    except (OSError, AttributeError):
        return None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: starting them takes as long as some of the work."""
    return ThreadPoolExecutor(max(1, threads), "fdikp")


def _forget_threads() -> None:
    """A forked child has none of its parent's threads, and OpenMP does not notice."""
    global _openmp_parallel
    _pool.cache_clear()
    _openmp_parallel = cache(lambda: None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
