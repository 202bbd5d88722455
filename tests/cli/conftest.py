"""A tiny untrained network, which returns what it is given, and a way to run a command line in this process."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    import torch

    from fdikp import models
    from fdikp.network import FDIKP, NetworkConfig
    from fdikp.network.blur_calibration import FEATURES, BlurCalibration

    torch.manual_seed(0)
    config = NetworkConfig(
        widths=(4, 4, 8),
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 1),
        bottleneck_depth=1,
        heads=2,
        predictor_width=4,
        kernel_size=3,
        kernels=2,
    )
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    calibration = BlurCalibration(((0.1,) * FEATURES,), (0.0,), ((1.0,), (1.0,)), (0.0, 0.0), max_radius=12.0)
    models.save(FDIKP(config), path, name="tiny", blur_calibration=calibration)
    return path


@pytest.fixture
def run(capfd, weights_file, tmp_path, monkeypatch):
    """Run `fdikp ...` in tmp_path with the tiny network; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args, model=True) -> Result:
        from fdikp.cli import main

        subcommand, *rest = map(str, args)
        chosen = ["--model", str(weights_file), "--precision", "float32", "--device", "cpu"] if model else []
        capfd.readouterr()
        code = main([subcommand, *chosen, *rest])
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture
def deblur(run):
    return lambda *args, **options: run("deblur", *args, **options)


def noise(height: int = 20, width: int = 30, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth random picture [H, W, C] uint8: JPEG keeps it closely."""
    coarse = np.random.default_rng(seed).integers(30, 226, (3, 4, channels), np.uint8)
    layers = [Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC) for c in range(channels)]
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


@pytest.fixture
def picture(tmp_path):
    """Write a small photograph below tmp_path; returns its path."""

    def picture(name: str, size: tuple[int, int] = (20, 30), format: str | None = None, **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*size)).save(path, format=format, **options)
        return path

    return picture


@pytest.fixture
def encoded():
    """Encode a small photograph; returns its bytes."""

    def encoded(format: str, size: tuple[int, int] = (20, 30), **options) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(noise(*size)).save(buffer, format=format, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture
def tree(tmp_path):
    """Every file below tmp_path, as sorted relative names; temporary ones too."""
    return lambda folder="": sorted(
        path.relative_to(tmp_path / folder).as_posix() for path in (tmp_path / folder).rglob("*") if path.is_file()
    )
