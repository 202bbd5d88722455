"""From a weights file to its network."""

import os

from safetensors.torch import load_file

from fdikp.models.descriptor import ModelDescriptor, describe, unfit
from fdikp.network import FDIKP


def load(name_or_path: str | os.PathLike[str]) -> tuple[FDIKP, ModelDescriptor]:
    """A model's network, in float32 on the CPU and ready for inference, and its descriptor.

    Args:
        name_or_path: a shipped model, or the path of a weights file.

    Raises:
        WeightsError: unknown, unreadable, damaged, or not of the network that the file declares.
    """
    descriptor = describe(name_or_path)
    network = FDIKP(descriptor.config)
    try:
        network.load_state_dict(load_file(descriptor.path))
    except RuntimeError as error:
        raise unfit(descriptor.path, error) from None
    return network.eval().requires_grad_(False), descriptor
