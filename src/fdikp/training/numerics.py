"""Precision and memory layout of training, chosen by the device."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from fdikp.inference.devices import has_bfloat16
from fdikp.training.recipe import Recipe


@dataclass(frozen=True)
class Numerics:
    """How the network computes while it trains."""

    device: torch.device
    bf16: bool
    """Whether its convolutions and products are computed in bfloat16; else in float32."""
    memory_format: torch.memory_format

    @classmethod
    def of(cls, recipe: Recipe, device: torch.device) -> "Numerics":
        """Those of a recipe. `auto` is bfloat16 where the device multiplies it.

        In float32 on processors without AVX-512, oneDNN computes the weight gradient of a 3×3 convolution about twice
        as fast from contiguous maps as from channels-last ones; everything else prefers channels-last
        (benchmarks/results, `training-speed`).
        """
        bf16 = has_bfloat16(device) if recipe.precision == "auto" else recipe.precision == "bf16"
        contiguous = recipe.memory_format == "contiguous"
        if recipe.memory_format == "auto":
            contiguous = device.type == "cpu" and not bf16 and torch.backends.cpu.get_cpu_capability() != "AVX512"
        return cls(device, bf16, torch.contiguous_format if contiguous else torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """A context in which the network computes in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def describe(self) -> str:
        """One line."""
        layout = "channels last" if self.memory_format == torch.channels_last else "contiguous"
        return f"{self.device.type}, {'bfloat16' if self.bf16 else 'float32'}, {layout}"
