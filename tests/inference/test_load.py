"""Loading a model: what is refused, and what importing costs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fdikp
from fdikp import FdikpError, WeightsError, load_model
from fdikp.errors import ArgumentError


class TestRefused:
    @pytest.mark.parametrize("tile", [63, 100, 32, -16])
    def test_tiles_off_the_grid(self, tiny_weights: Path, tile: int) -> None:
        with pytest.raises(FdikpError, match=rf"^tile={tile}: must be a multiple of 16 and at least 64, or 0"):
            load_model(tiny_weights, tile=tile)

    @pytest.mark.parametrize("tile", [512.0, "512"])
    def test_tiles_that_are_no_integer(self, tiny_weights: Path, tile: Any) -> None:
        with pytest.raises(ArgumentError, match=f"^tile={tile!r}: must be an integer$"):
            load_model(tiny_weights, tile=tile)

    @pytest.mark.parametrize("device", ["cuda:99"])
    def test_devices_that_are_not_there(self, tiny_weights: Path, device: str) -> None:
        with pytest.raises(ValueError, match=rf"^device='{device}': not usable here .*; use auto or cpu$") as caught:
            load_model(tiny_weights, device=device)
        assert isinstance(caught.value, FdikpError) and caught.value.code == "device_unusable"

    @pytest.mark.parametrize("device", ["nonsense", ""])
    def test_unknown_devices(self, tiny_weights: Path, device: str) -> None:
        line = f"device='{device}': there is no such device; use auto, cpu, cuda or mps"
        with pytest.raises(ValueError, match=f"^{line}$") as caught:
            load_model(tiny_weights, device=device)
        assert isinstance(caught.value, FdikpError) and caught.value.code == "device_unusable"

    def test_unknown_precisions(self, tiny_weights: Path) -> None:
        line = "precision='float8': not a known precision; use auto, float32, bfloat16, float16"
        with pytest.raises(ArgumentError, match=f"^{line}$"):
            load_model(tiny_weights, precision="float8")


@pytest.mark.parametrize("kind", [WeightsError, FileNotFoundError])
def test_a_missing_file_is_an_error_of_both_kinds(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^no/such\.safetensors: no model of this name and no such file") as caught:
        load_model("no/such.safetensors")
    assert caught.value.code == "model_unknown"


def test_the_package_is_imported_without_torch_and_libvips() -> None:
    code = "import sys, fdikp; assert 'torch' not in sys.modules and 'pyvips' not in sys.modules; fdikp.load_model"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_results_and_callbacks_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import fdikp.inference.results, fdikp.inference.callbacks, fdikp"
    subprocess.run([sys.executable, "-c", f"{code}; fdikp.Analysis"], check=True)


def test_public_names_are_there() -> None:
    assert all(getattr(fdikp, name) is not None for name in fdikp.__all__)
    assert set(fdikp.__all__) <= set(dir(fdikp))


def test_an_image_is_restored_without_torch_s_compiler_or_triton(tiny_weights: Path) -> None:
    """Importing them takes over a second, which every `fdikp deblur` would wait for."""
    script = f"""
import sys, fdikp, numpy
fdikp.load_model({str(tiny_weights)!r}, "cpu")(numpy.full((64, 64, 3), 90, numpy.uint8))
print({{"torch._dynamo", "triton"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "set()"
