"""Choosing the device and the precision."""

import os
import subprocess
import sys

import pytest
import torch

from fdikp.errors import FdikpError
from fdikp.inference import devices


def test_auto_is_a_device_that_works() -> None:
    device = devices.choose_device()
    assert torch.ones(1, device=device).item() == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_precisions_by_name(dtype: str) -> None:
    assert devices.choose_precision(dtype, torch.device("cpu")) == getattr(torch, dtype)


def test_auto_precision_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(devices, "has_bfloat16", lambda device, has=has: has)
        assert devices.choose_precision("auto", cpu) == expected


def test_the_fourier_check_passes_here_and_fails_where_the_transform_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert devices.fft_error(cpu) < 1e-6
    real = torch.fft.irfft2
    monkeypatch.setattr(torch.fft, "irfft2", lambda *a, **k: real(*a, **k).flip(-1))
    assert devices.fft_error(cpu) > devices.FFT_TOLERANCE


def test_a_device_with_a_wrong_transform_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "fft_error", lambda device: 0.7)
    monkeypatch.setattr(torch, "device", lambda name: type("Device", (), {"type": "mps"})())
    monkeypatch.setattr(torch, "zeros", lambda *a, **k: None)
    with pytest.raises(
        FdikpError, match=r"^device='mps': its Fourier transform is off by 0\.7; update torch or use cpu$"
    ):
        devices.choose_device("mps")


class TestInstructions:
    """FDIKP_ISA and oneDNN's limit are read once by a process, so each case has a process of its own."""

    @staticmethod
    def ask(**environment: str) -> "subprocess.CompletedProcess[str]":
        code = (
            "import torch; from fdikp.inference import devices; from fdikp.network.ops import native;"
            "print(native.isa_limit(), devices.has_bfloat16(torch.device('cpu')))"
        )
        kept = {name: value for name, value in os.environ.items() if name not in ("FDIKP_ISA", "ONEDNN_MAX_CPU_ISA")}
        return subprocess.run(
            [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=False
        )

    def test_avx2_keeps_every_processor_to_what_most_have(self) -> None:
        assert self.ask(FDIKP_ISA="avx2").stdout.split() == ["avx2", "False"]

    def test_bfloat16_that_onednn_may_not_multiply_is_not_taken(self) -> None:
        assert self.ask(ONEDNN_MAX_CPU_ISA="AVX2").stdout.split()[-1] == "False"
