"""What a network costs: arithmetic, and memory while it runs."""

import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.ops.pac_cpu import operations

SIDE = 256
"""Side of the picture that arithmetic is quoted for."""


def counter() -> FlopCounterMode:
    """torch's counter of operations, which knows of position adaptive convolution; a context."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.fdikp.pac: operations})


def gflop(config: NetworkConfig, height: int = SIDE, width: int = SIDE) -> float:
    """Billions of operations of one forward pass over [1, 3, height, width], a multiplication and an addition two.

    Convolutions, matrix products and the weighing of position adaptive convolution are counted, as the field's
    counters do; Fourier transforms, sampling and what works on single values are not. Nothing is computed.
    """
    # With gradients, which cost nothing here: attention is then products that torch counts, and no pass goes unseen
    with FakeTensorMode(), counter() as counted:
        FDIKP(config).eval()(torch.empty(1, 3, height, width))
    return counted.get_total_flops() / 1e9


class PeakMemory:
    """The most memory in use since this was made: of the device for a GPU, of the process for the CPU.

    On Linux the system's own mark is set back; where it cannot be, the peak is that of the process so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")

    def mib(self) -> float | None:
        """MiB, or None where the system does not tell."""
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
