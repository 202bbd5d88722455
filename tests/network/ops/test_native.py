"""The native library: which build of its kernels runs, and for which tensors."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image

from fdikp.cli import doctor, main
from fdikp.errors import FdikpError, MissingKernelsWarning
from fdikp.network import ops
from fdikp.network.ops import native

needs_library = pytest.mark.skipif(native.library() is None, reason="native kernels were not built")


@pytest.fixture
def chosen_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """The instruction set that a value of FDIKP_ISA gives; a process caches it."""

    def chosen_with(value: str) -> str:
        monkeypatch.setenv(native.ISA_VARIABLE, value)
        native.isa_limit.cache_clear()
        native.isa.cache_clear()
        return native.isa()

    yield chosen_with
    native.isa_limit.cache_clear()
    native.isa.cache_clear()


@needs_library
@pytest.mark.parametrize("value", ["auto", "", *native.ISAS])
def test_the_variable_limits_the_instruction_set(value: str, chosen_with: Callable[[str], str]) -> None:
    library = native.library()
    assert library is not None
    supported = native.supported_isas(library)
    allowed = native.ISAS[native.ISAS.index(value) :] if value in native.ISAS else native.ISAS
    assert chosen_with(value) == next(isa for isa in supported if isa in allowed)


@needs_library
def test_an_unknown_value_is_refused_in_one_line(chosen_with: Callable[[str], str]) -> None:
    with pytest.raises(FdikpError, match=r"^FDIKP_ISA=sse9: not known; set it to auto, avx512, avx2 or generic$"):
        chosen_with("sse9")


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


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A process in which nothing has looked for the library yet, and where it would be."""
    file = tmp_path / "_native.so"
    monkeypatch.setattr(native, "FILE", file)
    for cached in (native.library, native._warn):
        cached.cache_clear()
    yield file
    for cached in (native.library, native._warn):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "were not compiled at installation"), (b"\0", "cannot be loaded")]
)
def test_without_a_library_there_is_one_warning(no_library: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        no_library.write_bytes(content)
    x = torch.rand(1, 3, 8, 8)
    with warnings.catch_warnings(record=True) as seen, torch.no_grad():
        warnings.simplefilter("always")
        assert [native.is_eligible(x) for _ in range(3)] == [False] * 3
    (warning,) = seen
    assert warning.category is MissingKernelsWarning
    assert reason in str(warning.message) and "\n" not in str(warning.message)


@pytest.mark.parametrize(
    ("place", "dtype"), [("meta", torch.float32), ("cpu", torch.float64)], ids=["another device", "another type"]
)
def test_where_kernels_could_not_run_there_is_no_warning(no_library: Path, place: str, dtype: torch.dtype) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        assert not native.is_eligible(torch.empty(1, 3, 8, 8, dtype=dtype, device=place))


@pytest.mark.parametrize(
    ("arguments", "action", "notes"),
    [
        (["deblur", "a.png", "b.png"], "default", 1),
        (["deblur", "a.png", "b.png", "--quiet"], "default", 0),
        (["deblur", "a.png", "b.png"], "ignore", 0),
        (["deblur", "--help"], "default", 0),
    ],
    ids=["once", "quiet", "ignored", "help"],
)
def test_the_command_line_prints_one_note(
    no_library: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    action: Literal["default", "ignore"],
    notes: int,
) -> None:
    monkeypatch.chdir(no_library.parent)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64)).save(name)
    model = [] if "--help" in arguments else ["--model", str(tiny_weights), "--device", "cpu"]
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert main([*arguments, *model]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "kernels" in line]
    assert len(lines) == notes
    assert all(
        line.startswith("fdikp: note: fdikp's native kernels were not compiled at installation: ") for line in lines
    )


def test_doctor_reports_missing_kernels_without_the_note(
    no_library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def use_the_network(_: doctor.Options) -> int:
        with torch.no_grad():
            return int(native.is_eligible(torch.rand(1)))

    monkeypatch.setattr(doctor, "run", use_the_network)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().err == ""


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
