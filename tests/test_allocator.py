"""Keeping freed memory: seen from outside, as the system counts page faults."""

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is asked to keep memory")
def test_memory_that_was_freed_is_taken_again_without_faults() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True).stdout)
        for how in ("plain", "keep")
    ]
    assert faults[1] < faults[0] - 10 * 64 * 2**20 // (2 * 2**20)  # pages may be huge ones, of 2 MiB
