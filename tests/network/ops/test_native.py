"""The native library: which build of its kernels runs, and for which tensors."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from fdikp.network import ops
from fdikp.network.ops import native

needs_library = pytest.mark.skipif(native.library() is None, reason="native kernels were not built")


def run_with(value: str) -> "subprocess.CompletedProcess[str]":
    """The instruction set in a process of its own, because it is cached."""
    code = "from fdikp.network.ops import native; print(native.isa())"
    environment = os.environ | {native.ISA_VARIABLE: value}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@needs_library
@pytest.mark.parametrize("value", ["auto", *native.ISAS])
def test_the_variable_limits_the_instruction_set(value: str) -> None:
    library = native.library()
    assert library is not None
    supported = native.supported_isas(library)
    allowed = native.ISAS if value == "auto" else native.ISAS[native.ISAS.index(value) :]
    assert run_with(value).stdout.strip() == next(isa for isa in supported if isa in allowed)


@needs_library
def test_an_unknown_value_is_refused_in_one_line() -> None:
    last = run_with("sse9").stderr.splitlines()[-1]
    assert last.endswith("FdikpError: FDIKP_ISA=sse9: not known; set it to auto, avx512, avx2 or generic")


@needs_library
def test_a_launch_runs_the_build_of_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = []

    class Library:
        def __getattr__(self, name: str) -> object:
            return lambda *_: launched.append(name)

    monkeypatch.setattr(native, "library", Library)
    for isa in native.ISAS:
        monkeypatch.setattr(native, "isa", lambda isa=isa: isa)
        x = torch.zeros(1, 3, 4, 4)
        native.launch("fdikp_band_energy", x, x.clone(), 1.0, 4, 4, items=4, pixels=4)
    assert launched == [f"fdikp_band_energy_{isa}" for isa in native.ISAS]


def test_a_library_that_is_not_there_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(native, "EXTENSION_SUFFIXES", [".not-there"])
    native.library.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            assert native.library() is None
    finally:
        native.library.cache_clear()
    assert "native kernels were not built" in caplog.text


@needs_library
def test_kernels_are_for_inference_alone() -> None:
    x = torch.rand(1, 3, 8, 8)
    assert not native.is_eligible(x)
    with torch.no_grad():
        assert native.is_eligible(x)
        assert not native.is_eligible(x, x.double())
        assert not native.is_eligible(x, x.half())


@needs_library
def test_the_profiler_shows_a_launch_by_its_name() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, torch.no_grad():
        ops.band_energy(torch.rand(2, 3, 8, 8), 1e-3)
    assert [event.count for event in profile.key_averages() if event.key == "fdikp_band_energy"] == [1]
