"""Finding, verifying and loading weights: valid files load, others are rejected with one line."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fdikp import models
from fdikp.errors import WeightsError
from fdikp.network import PRESETS


def rejected(path: Path | str) -> str:
    with pytest.raises(WeightsError) as error:
        models.load(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message


def test_saved_and_loaded_is_the_same_network(tiny_weights: Path) -> None:
    network, descriptor = models.load(tiny_weights)
    assert descriptor.name == "tiny" and descriptor.path == tiny_weights
    assert descriptor.sha256 == hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert descriptor.parameters == sum(p.numel() for p in network.parameters())
    stored = load_file(tiny_weights)
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, stored[key])
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_unknown_names_list_the_shipped_models() -> None:
    message = rejected("fdikp-huge")
    assert all(name in message for name in models.available())


def test_damaged_files(tiny_weights: Path, tmp_path: Path) -> None:
    whole = tiny_weights.read_bytes()
    for name, content in {
        "empty": b"",
        "text": b"these are not weights",
        "truncated": whole[: len(whole) // 2],
        "header only": whole[:200],
        "a pickle": b"\x80\x02}q\x00.",
    }.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        assert "not a readable safetensors file" in rejected(path)


def test_weights_of_another_shape(tiny_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    header = {"fdikp": json.dumps({"name": "other", "network": PRESETS["fdikp-lite"].to_dict()})}
    save_file(load_file(tiny_weights), path, metadata=header)
    assert "do not fit the network they declare" in rejected(path)


def test_weights_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, path)
    assert "not weights of an fdikp network" in rejected(path)


@pytest.mark.parametrize(
    "declared", ["not json", "{}", '{"network": {"unknown": 1}}', '{"network": {"kernels": 0}}', "[]"]
)
def test_headers_that_describe_no_network(tmp_path: Path, declared: str) -> None:
    path = tmp_path / "header.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, path, metadata={"fdikp": declared})
    assert "do not fit the network they declare" in rejected(path)


class TestShipped:
    def test_the_default_ships(self) -> None:
        assert models.DEFAULT in models.available()

    @pytest.mark.parametrize("name", list(models.SHIPPED))
    def test_each_is_its_own_preset(self, name: str) -> None:
        assert models.load(name)[0].config == PRESETS[name]

    def test_every_shipped_file_is_listed(self) -> None:
        folder = models.descriptor.FOLDER
        assert {p.stem for p in folder.glob("*.safetensors")} == set(models.SHIPPED)

    @pytest.mark.parametrize("name", list(models.SHIPPED))
    def test_one_changed_bit_is_detected(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        damaged = tmp_path / f"{name}.safetensors"
        shutil.copy(models.weights_path(name), damaged)
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
        monkeypatch.setattr(models.descriptor, "FOLDER", tmp_path)
        with pytest.raises(WeightsError, match="damaged"):
            models.load(name)
