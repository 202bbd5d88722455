"""LPIPS weights: from a path, the environment, or the published files, downloaded once and verified."""

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
"""Environment variable with the path of an LPIPS weights file."""

DOWNLOAD = "download"
"""In place of a path: download the published files."""

BACKBONE = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
"""AlexNet trained on ImageNet, as torchvision publishes it; the name ends with the first digits of its sha256."""

HEADS = "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/alex.pth"
"""The linear heads of LPIPS v0.1, as its authors publish them."""

CONTENT = "007c110a0dcbff8843dfa68963415f6d8deed560e66a3ea549470afea73d7f3f"
"""sha256 over the names and values of the tensors of both files (`content`)."""


def find_lpips(choice: str | os.PathLike[str] | None = None) -> Path | None:
    """The LPIPS weights file to use, or None if there is none without a download.

    Args:
        choice: a path, or `download`; by default the file that FDIKP_LPIPS names, or the one downloaded before.

    Raises:
        WeightsError: the chosen file does not exist or cannot be downloaded.
    """
    if choice is not None and str(choice) == DOWNLOAD:
        return cached() if cached().is_file() else download()
    named = choice or os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            whose = "" if choice else f" (from {VARIABLE})"
            raise WeightsError(f"{named}{whose}: no such file of LPIPS weights; give an existing path, or '{DOWNLOAD}'")
        return Path(named)
    return cached() if cached().is_file() else None


def cached() -> Path:
    """The path of the downloaded weights."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fdikp" / "lpips-v0.1-alex.safetensors"


def download() -> Path:
    """Download the published weights (233 MB, of which 10 MB are kept), verify and store them; returns the file.

    Raises:
        WeightsError: they cannot be downloaded or stored, or are not the published files.
    """
    from safetensors.torch import save

    backbone = _unpickled(BACKBONE, hashlib.sha256(fetched := _fetch(BACKBONE)).hexdigest()[:8] in BACKBONE, fetched)
    heads = _unpickled(HEADS, True, _fetch(HEADS))
    tensors = {name: t for name, t in backbone.items() if name.startswith("features.")} | dict(heads)
    if content(tensors) != CONTENT:
        raise WeightsError(f"{HEADS}: not the LPIPS weights published as v0.1; give a weights file instead")
    file = cached()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as written:
            written.write(save({name: t.contiguous() for name, t in tensors.items()}))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be written: {error.strerror or error}; set XDG_CACHE_HOME") from error
    return file


def content(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the name and values of each tensor, in the order of the names."""
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
            f"{url}: cannot be downloaded ({reason}); check the network, or give a weights file instead"
        ) from error


def _unpickled(url: str, verified: bool, data: bytes) -> Mapping[str, Tensor]:
    """The tensors of a published file; torch's restricted unpickler runs no code from it."""
    try:
        if not verified:
            raise ValueError("its sha256 differs")
        tensors: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {name: t for name, t in tensors.items() if isinstance(t, Tensor)}
    except (ValueError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise WeightsError(f"{url}: not the published file ({reason}); give a weights file instead") from error
