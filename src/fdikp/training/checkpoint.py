"""Checkpoints: everything that a run needs to continue exactly, whenever it was killed.

A checkpoint holds no random state: everything random is a function of the seed and a counter.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fdikp.errors import TrainingError
from fdikp.files import atomic_write

CHECKPOINT_FILE = "checkpoint.pt"
"""The newest checkpoint."""

NEW_FILE = "checkpoint-new.pt"
"""A complete checkpoint that is not renamed to `CHECKPOINT_FILE` yet."""

PREVIOUS_FILE = "checkpoint-before.pt"
"""The checkpoint before, in case that the newest is damaged."""

FILES = (CHECKPOINT_FILE, NEW_FILE, PREVIOUS_FILE)
"""In the order in which they are tried."""

DIGEST_SIZE = hashlib.sha256().digest_size


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values. At every moment the folder holds a complete checkpoint.

    Raises:
        OSError: it cannot be written; existing checkpoints are unchanged.
    """
    memory = io.BytesIO()
    torch.save(state, memory)
    with atomic_write(folder / NEW_FILE) as file:
        file.write(memory.getbuffer())
        file.write(hashlib.sha256(memory.getbuffer()).digest())
    if (folder / CHECKPOINT_FILE).exists():
        (folder / CHECKPOINT_FILE).replace(folder / PREVIOUS_FILE)
    (folder / NEW_FILE).replace(folder / CHECKPOINT_FILE)


def load_checkpoint(folder: Path, warn: Callable[[str], None] = lambda message: None) -> dict[str, Any] | None:
    """The newest undamaged checkpoint, on the CPU, or None if the folder has no checkpoint.

    Reads tensors and plain values only, no code. `warn` receives a message for each damaged checkpoint.

    Raises:
        TrainingError: there are checkpoints, but all are damaged.
    """
    files = [folder / name for name in FILES if (folder / name).exists()]
    for file in files:
        state = _read(file)
        if state is not None:
            return state
        warn(f"{file}: is damaged; trying the previous checkpoint")
    if files:
        raise TrainingError(f"{folder}: every checkpoint is damaged; start again with another output=")
    return None


def has_checkpoint(folder: Path) -> bool:
    """Whether the folder has a run to continue."""
    return any((folder / name).exists() for name in FILES)


def _read(file: Path) -> dict[str, Any] | None:
    """The content of a file, or None if it is damaged. torch itself would not notice flipped bits."""
    data = file.read_bytes()
    content, digest = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
