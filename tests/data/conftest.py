"""Small trees of images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise(height: int = 16, width: int = 24) -> np.ndarray:
    """An image that JPEG and PNG cannot make nothing of, [H, W, 3] uint8."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def files(tmp_path) -> Callable[..., Path]:
    """Images under the given names below tmp_path; returns that."""

    def files(*names: str, size=(16, 24), **options) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise(*size)).save(path, **options)
        return tmp_path

    return files
