"""Where the weights of LPIPS come from: a path, the environment, or the published files, fetched once and verified."""

import hashlib
import io
import os
import pickle
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fdikp.errors import WeightsError
from fdikp.files import atomic_write

VARIABLE = "FDIKP_LPIPS"
"""Environment variable that names a file of LPIPS weights."""

DOWNLOAD = "download"
"""Given in place of a path: fetch the published files."""

BACKBONE = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
"""AlexNet trained on ImageNet, as torchvision has it; the name ends with the first digits of its sha256."""

HEADS = "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/alex.pth"
"""The linear heads of LPIPS v0.1, as its authors publish them."""

CONTENT = "007c110a0dcbff8843dfa68963415f6d8deed560e66a3ea549470afea73d7f3f"
"""sha256 of the names and numbers (`content`) that the two files must make together."""


def find_lpips(choice: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of LPIPS weights to use, or None if there is none to be had without a download.

    `choice` is a path or `download`; without one the file that FDIKP_LPIPS names is taken, or what was downloaded
    before.

    Raises:
        WeightsError: the file that was chosen is not there, or cannot be fetched.
    """
    if choice is not None and str(choice) == DOWNLOAD:
        return cached() if cached().is_file() else download()
    named = choice or os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            whose = "" if choice else f" (from {VARIABLE})"
            raise WeightsError(f"{named}{whose}: no such file of LPIPS weights; give a path, or --lpips {DOWNLOAD}")
        return Path(named)
    return cached() if cached().is_file() else None


def cached() -> Path:
    """Where downloaded weights are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fdikp" / "lpips-v0.1-alex.safetensors"


def download() -> Path:
    """Fetch the published weights (233 MB, of which 10 are kept), verify them, and keep them; returns the file.

    Raises:
        WeightsError: they cannot be fetched, kept, or are not what was published.
    """
    from safetensors.torch import save

    backbone = _unpickled(BACKBONE, hashlib.sha256(fetched := _fetch(BACKBONE)).hexdigest()[:8] in BACKBONE, fetched)
    heads = _unpickled(HEADS, True, _fetch(HEADS))
    tensors = {name: t for name, t in backbone.items() if name.startswith("features.")} | dict(heads)
    if content(tensors) != CONTENT:
        raise WeightsError(f"{HEADS}: not the LPIPS weights that were published as v0.1; give a file with --lpips")
    file = cached()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as written:
            written.write(save({name: t.contiguous() for name, t in tensors.items()}))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be written: {error.strerror or error}; set XDG_CACHE_HOME") from error
    return file


def content(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over each tensor's name and its numbers, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data: bytes = answer.read()
            return data
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(
            f"{url}: cannot be fetched ({reason}); check the network, or give a file with --lpips"
        ) from error


def _unpickled(url: str, known: bool, data: bytes) -> Mapping[str, Tensor]:
    """The tensors of a published file; torch's restricted reader runs no code of it."""
    try:
        if not known:
            raise ValueError("its sha256 is another")
        tensors: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {name: t for name, t in tensors.items() if isinstance(t, Tensor)}
    except (ValueError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise WeightsError(f"{url}: not the file that was published ({reason}); give one with --lpips") from error
