"""From a network to a weights file."""

import json
import os
from typing import Any

import torch
from safetensors.torch import save as serialise

from fdikp.files import atomic_write
from fdikp.network import FDIKP


def save(network: FDIKP, path: str | os.PathLike[str], *, name: str, half: bool = True, **provenance: Any) -> None:
    """Write a network's weights with a header that `load` understands; the file appears whole or not at all.

    Args:
        network: whose weights to write.
        path: the `.safetensors` file to write.
        name: the model's name.
        half: store floats in 16 bits, but BatchNorm's statistics in 32: variances can exceed the range of 16.
        provenance: anything else for the header that JSON can hold, such as how the weights were trained.

    Raises:
        OSError: the file cannot be written.
    """

    def stored(key: str, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach().cpu().contiguous()
        return tensor.half() if half and tensor.is_floating_point() and "running" not in key else tensor

    tensors = {key: stored(key, tensor) for key, tensor in network.state_dict().items()}
    header = {"fdikp": json.dumps({"name": name, "network": network.config.to_dict(), **provenance})}
    data = serialise(tensors, metadata=header)
    with atomic_write(path) as file:
        file.write(data)
