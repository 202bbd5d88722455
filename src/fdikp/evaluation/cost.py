"""The cost of a network: operations, and peak memory while it runs."""

import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.ops.pac_cpu import operations

SIDE = 256
"""Default side of the image that operations are counted for, pixels."""


def counter() -> FlopCounterMode:
    """torch's operation counter, extended by position adaptive convolution; a context manager."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.fdikp.pac: operations})


def gflop(config: NetworkConfig, height: int = SIDE, width: int = SIDE) -> float:
    """Billions of operations of one forward pass over [1, 3, height, width]; a multiply-add counts as two.

    Like other counters of the field it counts convolutions, matrix products and the weighted sums of position adaptive
    convolution, but not Fourier transforms, sampling and elementwise operations. Nothing is computed.
    """
    # With gradients enabled, attention is matrix products that torch counts, and no fused kernel hides operations
    with FakeTensorMode(), counter() as counted:
        FDIKP(config).eval()(torch.empty(1, 3, height, width))
    return counted.get_total_flops() / 1e9


class PeakMemory:
    """The peak memory since this object was made: of the device for a GPU, of the process for the CPU.

    On Linux the system's high-water mark is reset; where that is not possible, the peak is that of the process so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")

    def mib(self) -> float | None:
        """The peak in MiB, or None if the system does not report it."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        with suppress(OSError, IndexError, ValueError):
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) / 2**10
        with suppress(ImportError):
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak / (2**20 if sys.platform == "darwin" else 2**10)
        return None
