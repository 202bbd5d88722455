"""Precision and memory layout of training, by device."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from fdikp.inference.devices import has_bfloat16
from fdikp.training.option_groups import RuntimeGroup


@dataclass(frozen=True)
class Numerics:
    """How the network computes while it trains."""

    device: torch.device
    bf16: bool
    """Whether convolutions and matrix products are in bfloat16; else in float32."""
    memory_format: torch.memory_format

    @classmethod
    def of(cls, options: RuntimeGroup, device: torch.device) -> "Numerics":
        """The numerics of a recipe's options. `auto` is bfloat16 where the device multiplies it in hardware.

        In float32 on processors without AVX-512, oneDNN computes the weight gradient of a 3x3 convolution about twice
        as fast from contiguous maps as from channels-last ones; everything else is faster in channels-last
        (benchmarks/results, `training-speed`).
        """
        bf16 = has_bfloat16(device) if options.precision == "auto" else options.precision == "bfloat16"
        contiguous = options.memory_format == "contiguous"
        if options.memory_format == "auto":
            contiguous = device.type == "cpu" and not bf16 and torch.backends.cpu.get_cpu_capability() != "AVX512"
        return cls(device, bf16, torch.contiguous_format if contiguous else torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """A context in which the network computes in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def describe(self) -> str:
        """One line."""
        layout = "channels last" if self.memory_format == torch.channels_last else "contiguous"
        return f"{self.device.type}, {'bfloat16' if self.bf16 else 'float32'}, {layout}"
