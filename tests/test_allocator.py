"""Reuse of freed memory, counted in page faults by the kernel and in arenas by malloc."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
if sys.argv[1] == "configured":
    from fdikp.allocator import configure_malloc
    configure_malloc()
for n in range(20):
    torch.ones(2**24)  # 64 MiB, allocated and freed
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""

ARENAS = """
import ctypes, sys, tempfile, threading
if sys.argv[1] == "configured":
    from fdikp.allocator import configure_malloc
    configure_malloc()
together = threading.Barrier(4)
def work():
    kept = [bytes(1000 + n) for n in range(1000)]  # larger than what Python allocates by itself
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

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")


@needs_glibc
def test_threads_share_one_arena() -> None:
    arenas = [
        int(subprocess.run([sys.executable, "-c", ARENAS, how], capture_output=True, check=True, text=True).stdout)
        for how in ("default", "configured")
    ]
    assert arenas[1] == 1 < arenas[0]


@needs_glibc
def test_freed_memory_is_reused_without_page_faults() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True).stdout)
        for how in ("default", "configured")
    ]
    assert faults[1] < faults[0] - 10 * 64 * 2**20 // (2 * 2**20)  # in case of huge pages, of 2 MiB
