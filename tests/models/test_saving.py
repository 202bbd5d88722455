"""Saving weights: precision, and what happens where it fails."""

from pathlib import Path

import pytest
import torch

from fdikp import models
from fdikp.network import FDIKP, PRESETS


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
