"""What every test shares."""

import os
import shutil

# Small networks are quicker on one thread, and two test runs side by side do not spin against each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests also pass where the kernels could not be compiled; pyproject.toml says the same for this process
os.environ.setdefault("PYTHONWARNINGS", "ignore:fdikp's native kernels:UserWarning")

import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code
settings.register_profile("fdikp", deadline=None)
settings.load_profile("fdikp")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from fdikp.network import FDIKP, NetworkConfig


def enlivened(network: "FDIKP") -> "FDIKP":
    """An untrained network, which would return its input, with coefficients that differ visibly from zero."""
    import torch

    gates = network.dsrm.apu.gates
    torch.nn.init.normal_(gates.weight, std=0.05 * gates.weight[0].numel() ** -0.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def lively() -> "FDIKP":
    """`fdikp-lite`, enlivened: everything before its last convolution shows."""
    import torch

    from fdikp.network import FDIKP, PRESETS

    torch.manual_seed(0)
    return enlivened(FDIKP(PRESETS["fdikp-lite"]))


@pytest.fixture(scope="session")
def tiny_config() -> "NetworkConfig":
    """A real network's shape, narrow enough to be quick."""
    from fdikp.network import PRESETS

    return replace(
        PRESETS["fdikp-lite"],
        widths=(8, 8, 16),
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 1),
        bottleneck_depth=1,
        predictor_width=4,
    )


@pytest.fixture(scope="session")
def tiny_weights(tiny_config: "NetworkConfig", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a real network, narrow and untrained, but whose result differs visibly from its input."""
    import torch

    from fdikp import models
    from fdikp.network import FDIKP

    torch.manual_seed(0)
    network = enlivened(FDIKP(tiny_config))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    models.save(network, path, name="tiny", half=False)
    return path


@pytest.fixture(scope="session")
def calibrated_weights(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_weights` with a random calibration, with which blur radius and confidence vary from pixel to pixel."""
    import numpy as np

    from fdikp import models
    from fdikp.network.blur_calibration import FEATURES, BlurCalibration

    random = np.random.default_rng(0)
    hidden, output = random.normal(size=(4, FEATURES)), random.normal(size=(2, 4))
    calibration = BlurCalibration(hidden.tolist(), (0.0,) * 4, output.tolist(), (0.0, 0.0), max_radius=12.0)
    path = tmp_path_factory.mktemp("calibrated") / "tiny.safetensors"
    models.save_calibrated(tiny_weights, path, calibration)
    return path


SLOWEST = (
    "test_readme.py",
    "test_page.py",
    "test_pac_triton.py",
    "test_api.py",
    "test_served.py",
    "test_loop.py",
    "test_killed.py",
    "test_supervisor.py",
    "test_shipped.py",
    "test_wheel.py",
    "test_plain.py",
    "test_many.py",
    "test_deblurrer.py",
    "test_image_types.py",
    "test_blur_map.py",
    "test_typing.py",
)
"""Files of tests that take longer than 15 s in all, slowest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files come first: one that starts last would leave all processes but its own without work."""
    items.sort(key=lambda item: SLOWEST.index(item.path.name) if item.path.name in SLOWEST else len(SLOWEST))


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium. One for all tests of a process: Playwright starts only once in it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of whoever runs the tests do not reach them."""
    monkeypatch.delenv("FDIKP_DEBUG", raising=False)
    yield


@pytest.fixture(scope="session")
def shown() -> Callable[..., str]:
    """What a pseudo-terminal of a given width shows of some work: `shown(80, work)`."""
    return _shown


def _shown(width: int, work: Callable[[], object], *, encoding: str = "utf-8") -> str:
    """What a terminal of `width` columns gets from `work`, without its codes for colours and cursor."""
    if not hasattr(os, "openpty"):
        pytest.skip("no pseudo-terminals on this system")
    master, slave = os.openpty()
    received = []

    def read() -> None:
        try:
            while data := os.read(master, 4096):
                received.append(data)
        except OSError:  # how Linux reports that the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    with (
        mock.patch.dict(os.environ, {"TERM": "xterm-256color", "COLUMNS": str(width)}),
        os.fdopen(slave, "w", encoding=encoding) as screen,
        mock.patch.object(sys, "stdout", screen),
    ):
        work()
    reader.join()
    os.close(master)
    text = b"".join(received).decode(encoding).replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
