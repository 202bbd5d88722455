"""State on disk: everything to go on exactly, and the weights alone to ship. Both replace the old file at once."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; a run stopped while writing leaves the file before it."""
    _replace(file, lambda part: torch.save(state, part))


def load_checkpoint(file: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU. Reads tensors and plain values only, no code."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def save_weights(file: Path, network: nn.Module, about: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Write a network's weights and statistics as safetensors; `about` goes into the header as JSON."""
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    header = {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
    _replace(file, lambda part: save_file(tensors, part, metadata=header))


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    write(part)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(file)
