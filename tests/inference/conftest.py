"""A model with a tiny untrained network, and an image that it cuts into six tiles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from fdikp import Deblurrer, load_model
from fdikp.network.blur_calibration import FEATURES, BlurCalibration


@pytest.fixture(scope="session")
def uncalibrated(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, device="cpu", precision="float32", tile=128)


@pytest.fixture(scope="session")
def calibration() -> BlurCalibration:
    """Of random weights, with which radius and confidence vary from pixel to pixel."""
    random = np.random.default_rng(0)
    hidden, output = random.normal(size=(4, FEATURES)), random.normal(size=(2, 4))
    return BlurCalibration(hidden.tolist(), (0.0,) * 4, output.tolist(), (0.0, 0.0), max_radius=12.0)


@pytest.fixture(scope="session")
def model(uncalibrated: Deblurrer, calibration: BlurCalibration) -> Deblurrer:
    return with_tile(uncalibrated, 128, calibration)


@pytest.fixture(scope="session")
def untiled(uncalibrated: Deblurrer, calibration: BlurCalibration) -> Deblurrer:
    return with_tile(uncalibrated, 0, calibration)


def with_tile(model: Deblurrer, tile: int, calibration: BlurCalibration | None, ensemble: bool = False) -> Deblurrer:
    descriptor = replace(model.descriptor, blur_calibration=calibration)
    cpu = torch.device("cpu")
    return Deblurrer(model.network, descriptor, device=cpu, precision=torch.float32, tile=tile, ensemble=ensemble)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    return data.coffee()[40:240, 100:391]  # 200 × 291: neither side a multiple of 16, both longer than a tile
