"""The one place that finds, verifies and loads weights.

A weights file is a safetensors file whose header says, under `fdikp`, which network it belongs to; nothing in it can
run code. Shipped files lie beside this module and are named by their model; their sha256 is checked at every load.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdikp.errors import WeightsError
from fdikp.files import atomic_write

if TYPE_CHECKING:
    from fdikp.network import FDIKP

DEFAULT = "fdikp-lite"
"""The model that is used when none is named."""

SHIPPED: dict[str, str] = {
    "fdikp-lite": "b2d6fccf0b9f01edc75b3c0e773049dc4b7d5c493044957f76acc80f7b1e8aa3",
    "fdikp-base": "5db4fa99b3bfb1969d31fe1407f9cfcddc6ee383b5898411067ef5c6761818a1",
}
"""The sha256 of each shipped model's file, `<name>.safetensors` in this folder. A model without trained weights is
not offered."""


@dataclass(frozen=True)
class Weights:
    """Where a model's weights are and how to tell them apart."""

    name: str
    path: Path
    sha256: str
    """Of the file as it is on disk."""
    parameters: int
    """How many numbers are learned."""


def available() -> list[str]:
    """The names of the models that ship with trained weights."""
    return list(SHIPPED)


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The weights file of a shipped model, or of a path.

    Raises:
        WeightsError: neither a shipped model nor a file.
    """
    if str(name_or_path) in SHIPPED:
        return Path(__file__).with_name(f"{name_or_path}.safetensors")
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise WeightsError(
        f"{name_or_path}: no model of this name and no such file; models that ship: {', '.join(available())}"
    )


def sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot read the weights: {error.strerror}; reinstall fdikp or check the path"
        ) from None


def info(name_or_path: str | os.PathLike[str]) -> Weights:
    """What is known of a model's weights, verified against the sha256 they shipped with.

    Raises:
        WeightsError: unknown, unreadable, damaged, or no weights of an fdikp network.
    """
    return load(name_or_path)[1]


def load(name_or_path: str | os.PathLike[str]) -> "tuple[FDIKP, Weights]":
    """The network that the weights belong to, in float32 on the CPU, ready for inference, with what is known of them.

    Raises:
        WeightsError: unknown, unreadable, damaged, or not of the shape that the file itself declares.
    """
    from safetensors import SafetensorError, safe_open

    from fdikp.network import FDIKP, NetworkConfig

    path = find(name_or_path)
    digest = sha256(path)
    if SHIPPED.get(str(name_or_path), digest) != digest:
        raise WeightsError(
            f"{path}: the weights are damaged (sha256 {digest[:12]}… is not the shipped one); reinstall fdikp"
        )
    try:
        with safe_open(path, framework="pt") as file:
            declared = (file.metadata() or {}).get("fdikp")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({_one_line(error)}); fetch it again") from None
    if declared is None:
        raise WeightsError(f"{path}: not weights of an fdikp network (its header names no network); use another file")
    try:
        about = json.loads(declared)
        network = FDIKP(NetworkConfig.from_dict(about["network"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: the weights do not fit the network they declare ({_one_line(error)}); use a file of this version"
        ) from None
    network.eval().requires_grad_(False)
    count = sum(p.numel() for p in network.parameters())
    return network, Weights(about.get("name", path.stem), path, digest, count)


def save(network: "FDIKP", path: str | os.PathLike[str], *, name: str, half: bool = True, **about: Any) -> None:
    """Write a network's weights with a header that `load` understands; the file appears whole or not at all.

    Args:
        network: whose weights to write.
        path: a `.safetensors` file to be.
        name: the model's name.
        half: store floats in 16 bit (running variances in 32: they can exceed the range).
        about: anything else for the header that JSON can hold, such as how the weights were trained.
    """
    import torch
    from safetensors.torch import save as serialise

    def stored(key: str, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach().cpu().contiguous()
        return tensor.half() if half and tensor.is_floating_point() and "running" not in key else tensor

    tensors = {key: stored(key, tensor) for key, tensor in network.state_dict().items()}
    header = {"fdikp": json.dumps({"name": name, "network": network.config.to_dict(), **about})}
    data = serialise(tensors, metadata=header)
    with atomic_write(path) as file:
        file.write(data)


def _one_line(error: Exception) -> str:
    """The gist of a message that may run over many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:160]
