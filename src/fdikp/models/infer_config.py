"""A network's configuration from the names and shapes of its tensors, for whoever has a state dict and no header."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fdikp.network.config import NetworkConfig
from fdikp.network.encoded_config import KEY, decode, encode


def config_from_state_dict(state: Mapping[str, Any]) -> NetworkConfig:
    """The configuration of the network that a state dict belongs to.

    Weights that were written before state dicts had an encoded configuration are taken for a network that has the
    defaults of `NetworkConfig`, as all that ship have, in the fields that tensors do not show.

    Args:
        state: of a whole `FDIKP`: tensors by name, of torch or NumPy.

    Raises:
        ValueError: it is of no FDIKP network, or of one from a later version.
    """
    encoded = state[KEY].tolist() if KEY in state else None
    return infer_config({key: tuple(tensor.shape) for key, tensor in state.items()}, encoded)


def infer_config(
    shapes: Mapping[str, Sequence[int]], encoded: Sequence[int] | None, otherwise: NetworkConfig | None = None
) -> NetworkConfig:
    """The configuration of a network.

    Args:
        shapes: of its tensors, by name.
        encoded: what its encoded configuration holds, if it has one.
        otherwise: whose fields it has where neither of these says anything; None for the defaults.

    Raises:
        ValueError: the tensors are of no FDIKP network, or `encoded` is not readable.
    """
    fields = decode(encoded) if encoded is not None else {}
    try:
        fields |= {
            "widths": tuple(shapes[f"dsrm.encoder.to_{level}.weight"][0] for level in ("full", "half", "quarter")),
            "encoder_blocks": tuple(_count(shapes, f"dsrm.encoder.{level}_blocks") for level in ("full", "half")),
            "decoder_blocks": tuple(_count(shapes, f"dsrm.decoder.{level}_blocks") for level in ("full", "half")),
            "kernels": shapes["output.weight"][1] // 6 - 1,  # 2 images · (N + 1) candidates · 3 channels
            **_bottleneck(shapes),
            **_predictor(shapes),
        }
    except (KeyError, IndexError) as error:
        raise ValueError(f"not the tensors of an FDIKP network ({error.args[0]})") from None
    config = replace(otherwise or NetworkConfig(), **fields)
    if encoded is not None and encode(config) != list(encoded):
        raise ValueError(f"{KEY} is {list(encoded)}, and of a network with these tensors {encode(config)}")
    return config


def _count(shapes: Mapping[str, Sequence[int]], module: str) -> int:
    """How many children of a module have tensors; they are numbered."""
    prefix = f"{module}."
    return len({key.removeprefix(prefix).partition(".")[0] for key in shapes if key.startswith(prefix)})


def _bottleneck(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The fields of the bottleneck; without any block, all kinds of it are the same."""
    at = "dsrm.bottleneck"
    if f"{at}.gate.weight" in shapes:
        return {"bottleneck": "parallel", "bottleneck_depth": _count(shapes, f"{at}.frequency")}
    if f"{at}.1.0.fuse.weight" in shapes:
        return {"bottleneck": "sequential", "bottleneck_depth": _count(shapes, f"{at}.1")}
    blocks = _count(shapes, at)
    if f"{at}.0.split.weight" in shapes:
        return {"bottleneck": "spatial", "bottleneck_depth": blocks // 2}
    if f"{at}.0.spectral.0.weight" in shapes:
        return {"bottleneck": "frequency", "bottleneck_depth": blocks}
    if f"{at}.0.first.weight" in shapes:
        return {"bottleneck": "residual", "bottleneck_depth": blocks}
    return {"bottleneck_depth": 0}


def _predictor(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The fields of the predictor of kernels; that of fixed kernels has no tensors."""
    kinds = {"frequency": "fikp.predict.amplitude", "spatial": "fikp.predict.predict"}
    for kind, module in kinds.items():
        if f"{module}.read.weight" in shapes:
            width, squared = shapes[f"{module}.read.weight"][0], shapes[f"{module}.last.weight"][0]
            return {
                "predictor": kind,
                "predictor_width": width,
                "kernel_size": round(squared**0.5),
                "position_adaptive": "fikp.blur.weigh.weight" in shapes,
            }
    return {"predictor": "fixed"}
