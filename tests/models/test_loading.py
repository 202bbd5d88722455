"""Finding, verifying and loading weights: what is right loads, what is wrong is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fdikp import models
from fdikp.errors import WeightsError
from fdikp.network import FDIKP, PRESETS


def refused(path: Path | str) -> str:
    with pytest.raises(WeightsError) as error:
        models.load(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message


def test_saved_and_loaded_is_the_same_network(tiny_weights: Path) -> None:
    network, about = models.load(tiny_weights)
    assert about.name == "tiny" and about.path == tiny_weights and about.sha256 == models.sha256(tiny_weights)
    assert about.parameters == sum(p.numel() for p in network.parameters())
    stored = load_file(tiny_weights)
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, stored[key])
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_half_precision_storage_keeps_running_statistics_exact(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FDIKP(PRESETS["fdikp-lite"])
    network.dsrm.apu.norm.running_var.fill_(1e6)  # more than float16 holds
    models.save(network, tmp_path / "w.safetensors", name="w")
    loaded, _ = models.load(tmp_path / "w.safetensors")
    assert loaded.dsrm.apu.norm.running_var.eq(1e6).all()
    for a, b in zip(network.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
        assert b.dtype == torch.float32


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tiny_weights: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    network, _ = models.load(tiny_weights)
    target = tmp_path / "w.safetensors"
    target.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        models.save(network, target, name="w")
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_unknown_names_list_what_ships() -> None:
    message = refused("fdikp-huge")
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
        assert "not a readable safetensors file" in refused(path)


def test_weights_of_another_shape(tiny_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    about = {"fdikp": json.dumps({"name": "other", "network": PRESETS["fdikp-lite"].to_dict()})}
    save_file(load_file(tiny_weights), path, metadata=about)
    assert "do not fit the network they declare" in refused(path)


def test_weights_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, path)
    assert "not weights of an fdikp network" in refused(path)


@pytest.mark.parametrize(
    "declared", ["not json", "{}", '{"network": {"unknown": 1}}', '{"network": {"kernels": 0}}', "[]"]
)
def test_headers_that_describe_no_network(tmp_path: Path, declared: str) -> None:
    path = tmp_path / "header.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, path, metadata={"fdikp": declared})
    assert "do not fit the network they declare" in refused(path)


class TestShipped:
    def test_the_default_ships(self) -> None:
        assert models.DEFAULT in models.available()

    @pytest.mark.parametrize("name", list(models.SHIPPED))
    def test_each_is_what_it_says_and_its_own_preset(self, name: str) -> None:
        about = models.describe(name)
        assert about.name == name
        assert models.load(name)[0].config == PRESETS[name]

    def test_every_file_that_ships_is_listed(self) -> None:
        folder = models.descriptor.FOLDER
        assert {p.stem for p in folder.glob("*.safetensors")} == set(models.SHIPPED)

    @pytest.mark.parametrize("name", list(models.SHIPPED))
    def test_one_changed_bit_is_noticed(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        damaged = tmp_path / f"{name}.safetensors"
        shutil.copy(models.find(name), damaged)
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
        monkeypatch.setattr(models.descriptor, "FOLDER", tmp_path)
        with pytest.raises(WeightsError, match="damaged"):
            models.load(name)
