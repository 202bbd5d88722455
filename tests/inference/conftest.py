"""A model with a tiny untrained network, and an image that it cuts into six tiles."""

from pathlib import Path

import numpy as np
import pytest
from skimage import data

from fdikp import Deblurrer, load_model


@pytest.fixture(scope="session")
def model(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, device="cpu", precision="float32", tile=128)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    return data.coffee()[40:240, 100:391]  # 200 × 291: neither side a multiple of 16, both longer than a tile
