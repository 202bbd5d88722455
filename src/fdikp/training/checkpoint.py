"""State on disk: everything to go on exactly from where a run was, whenever it was killed.

There is no random state in it: what is random is a function of the seed and of a number that is counted.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fdikp.errors import TrainingError
from fdikp.files import atomic_write

NAME, NEW, BEFORE = "checkpoint.pt", "checkpoint-new.pt", "checkpoint-before.pt"
"""The newest state; one that is whole but was not yet given its name; the one before, should the newest be damaged."""

DIGEST = hashlib.sha256().digest_size


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; at every moment the folder holds a whole checkpoint.

    Raises:
        OSError: it cannot be written; the checkpoints that were there are untouched.
    """
    memory = io.BytesIO()
    torch.save(state, memory)
    with atomic_write(folder / NEW) as file:
        file.write(memory.getbuffer())
        file.write(hashlib.sha256(memory.getbuffer()).digest())
    if (folder / NAME).exists():
        (folder / NAME).replace(folder / BEFORE)
    (folder / NEW).replace(folder / NAME)


def load_checkpoint(folder: Path, say: Callable[[str], None] = lambda message: None) -> dict[str, Any] | None:
    """The newest state that is whole, on the CPU, or None if the folder has no checkpoint.

    Reads tensors and plain values only, no code. `say` is told of one that is damaged.

    Raises:
        TrainingError: there are checkpoints, but all are damaged.
    """
    files = [folder / name for name in (NAME, NEW, BEFORE) if (folder / name).exists()]
    for file in files:
        state = _read(file)
        if state is not None:
            return state
        say(f"{file}: is damaged; going on from the checkpoint before it")
    if files:
        raise TrainingError(f"{folder}: every checkpoint is damaged; start again with another --out")
    return None


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a run in the folder to go on from."""
    return any((folder / name).exists() for name in (NAME, NEW, BEFORE))


def _read(file: Path) -> dict[str, Any] | None:
    """The state in the file, or None if it is not as it was written. torch itself would not notice flipped bits."""
    data = file.read_bytes()
    content, digest = data[:-DIGEST], data[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
