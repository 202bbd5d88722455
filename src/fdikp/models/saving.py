"""From a network to a weights file, and from a weights file to one with a calibration."""

import json
import os
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialise

from fdikp.files import atomic_write
from fdikp.models.descriptor import BLUR_CALIBRATION, describe
from fdikp.network import FDIKP
from fdikp.network.blur_calibration import BlurCalibration


def save(
    network: FDIKP,
    path: str | os.PathLike[str],
    *,
    name: str,
    half: bool = True,
    blur_calibration: BlurCalibration | None = None,
    **provenance: Any,
) -> None:
    """Write a network's weights with a header that `load` understands; the file appears whole or not at all.

    Args:
        network: whose weights to write.
        path: the `.safetensors` file to write.
        name: the model's name.
        half: store floats in 16 bits, but BatchNorm's statistics in 32: variances can exceed the range of 16.
        blur_calibration: what turns the network's blur map into a radius. New weights have none until
            `fdikp calibrate` fits one: a calibration of other weights does not fit.
        provenance: anything else for the header that JSON can hold, such as how the weights were trained.

    Raises:
        OSError: the file cannot be written.
    """

    def stored(key: str, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach().cpu().contiguous()
        return tensor.half() if half and tensor.is_floating_point() and "running" not in key else tensor

    tensors = {key: stored(key, tensor) for key, tensor in network.state_dict().items()}
    header = {"name": name, "network": network.config.to_dict(), **provenance}
    if blur_calibration is not None:
        header[BLUR_CALIBRATION] = blur_calibration.to_dict()
    _write(tensors, header, path)


def save_calibrated(
    name_or_path: str | os.PathLike[str], path: str | os.PathLike[str], calibration: BlurCalibration
) -> None:
    """Write the weights of a file with a calibration of the blur map; its tensors and other fields stay as they are.

    Args:
        name_or_path: the weights: a shipped model, or a file.
        path: the `.safetensors` file to write, which may be the same.
        calibration: replaces the one that the weights have.

    Raises:
        WeightsError: the weights cannot be read.
        OSError: the file cannot be written.
    """
    source = describe(name_or_path).path
    with safe_open(source, framework="pt") as file:
        header = json.loads(file.metadata()["fdikp"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    _write(tensors, header | {BLUR_CALIBRATION: calibration.to_dict()}, path)


def _write(tensors: dict[str, torch.Tensor], header: dict[str, Any], path: str | os.PathLike[str]) -> None:
    data = serialise(tensors, metadata={"fdikp": json.dumps(header)})
    with atomic_write(path) as file:
        file.write(data)
