"""How the C library hands out memory. Only commands set this; a library has no business to."""

import ctypes
from contextlib import suppress

MMAP_THRESHOLD, TRIM_THRESHOLD, MOST_ARENAS = -3, -1, -8
"""Names of the three settings, from glibc's malloc.h."""

LARGEST_KEPT = 2**30
"""Bytes. Blocks above this, and freed memory above it, go back to the system at once."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees and take it again, where the C library is glibc.

    By default each large block is mapped anew, and the system clears its pages as they are touched: a network that
    makes and drops hundreds of them a second spends a good part of its time on that. The price is at most 1 GiB that
    stays with the process.

    All threads share one arena. With one for each, what the thread that reads photographs has freed is kept for it
    alone, beside what the network keeps.
    """
    with suppress(OSError, AttributeError):  # another C library, or none that is found so
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(TRIM_THRESHOLD, LARGEST_KEPT)
        mallopt(MOST_ARENAS, 1)
