"""Keeping freed memory: as the system counts page faults, and malloc its arenas."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
if sys.argv[1] == "keep":
    from fdikp.allocator import keep_freed_memory
    keep_freed_memory()
for n in range(20):
    torch.ones(2**24)  # 64 MiB, made and dropped
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""

ARENAS = """
import ctypes, sys, tempfile, threading
if sys.argv[1] == "keep":
    from fdikp.allocator import keep_freed_memory
    keep_freed_memory()
together = threading.Barrier(4)
def work():
    kept = [bytes(1000 + n) for n in range(1000)]  # above what Python's own allocator hands out
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is asked to keep memory"
)


@needs_glibc
def test_threads_share_what_is_kept() -> None:
    arenas = [
        int(subprocess.run([sys.executable, "-c", ARENAS, how], capture_output=True, check=True, text=True).stdout)
        for how in ("plain", "keep")
    ]
    assert arenas[1] == 1 < arenas[0]


@needs_glibc
def test_memory_that_was_freed_is_taken_again_without_faults() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True).stdout)
        for how in ("plain", "keep")
    ]
    assert faults[1] < faults[0] - 10 * 64 * 2**20 // (2 * 2**20)  # pages may be huge ones, of 2 MiB
