"""State on disk: everything to go on exactly from where a run was."""

from pathlib import Path
from typing import Any

import torch

from fdikp.files import replacing


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; a run stopped while writing leaves the file before it."""
    with replacing(file) as written:
        torch.save(state, written)


def load_checkpoint(file: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU. Reads tensors and plain values only, no code."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
