"""Names that others rely on: nothing in `frozen.json` may be removed or renamed; additions are made there.

Old weights files load because their header's fields and their tensors' names still mean the same.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import fdikp
from fdikp import models
from fdikp.network import FDIKP, PRESETS, NetworkConfig
from fdikp.network.encoded_config import encode

FROZEN = json.loads((Path(__file__).parent / "frozen.json").read_text())


def test_public_names() -> None:
    assert set(FROZEN["fdikp.__all__"]) <= set(fdikp.__all__)
    assert all(getattr(fdikp, name) is not None for name in fdikp.__all__)


@pytest.mark.parametrize("name", FROZEN["state_dict"])
def test_tensors(name: str) -> None:
    with torch.device("meta"):
        network = FDIKP(PRESETS[name])
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    missing = {key: shape for key, shape in FROZEN["state_dict"][name].items() if shapes.get(key) != shape}
    assert not missing


@pytest.mark.parametrize("name", FROZEN["encoded_config"])
def test_encoded_configurations(name: str) -> None:
    assert encode(PRESETS[name]) == FROZEN["encoded_config"][name]


def test_the_header_of_weights(tmp_path: Path, tiny_config: NetworkConfig) -> None:
    models.save(FDIKP(tiny_config), tmp_path / "a.safetensors", name="a", step=3)
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["fdikp"])
    assert set(FROZEN["header"]) <= set(header)
    assert set(FROZEN["header.network"]) <= set(header["network"])


def test_a_header_of_the_first_fields_alone_is_read() -> None:
    """Fields that were added later have to have defaults."""
    assert NetworkConfig.from_dict(FROZEN["header.network"]) == PRESETS["fdikp-lite"]


@pytest.mark.parametrize("name", models.SHIPPED)
def test_what_ships_has_the_frozen_tensors(name: str) -> None:
    with safe_open(models.weights_path(name), framework="pt") as file:
        assert set(FROZEN["state_dict"][name]) == set(file.keys())
