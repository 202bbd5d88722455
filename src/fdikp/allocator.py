"""Configure the C library's memory allocator. Commands call this; a library must not change its host's allocator."""

import ctypes
from contextlib import suppress

# Parameters of mallopt, from glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

MAX_KEPT_BYTES = 2**30
"""Larger blocks, and freed memory beyond this, go back to the system at once."""


def configure_malloc() -> None:
    """Make glibc's malloc reuse freed memory; does nothing with other C libraries.

    By default each large block is mapped anew, and the kernel zeroes its pages when they are touched. A network that
    allocates and frees hundreds of such blocks per second spends much of its time on that. In return the process keeps
    up to 1 GiB of freed memory.

    All threads share one arena. With an arena per thread, memory that the thread reading photos has freed would stay
    reserved for that thread, on top of what the network keeps.
    """
    with suppress(OSError, AttributeError):  # the C library has no mallopt, or cannot be loaded
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, MAX_KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, MAX_KEPT_BYTES)
        mallopt(M_ARENA_MAX, 1)
