"""State on disk: everything to go on exactly from where a run was."""

import os
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; a run stopped while writing leaves the file before it."""
    part = file.with_name(file.name + ".part")
    torch.save(state, part)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(file)


def load_checkpoint(file: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU. Reads tensors and plain values only, no code."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
