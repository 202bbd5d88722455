"""Every precision that a user can choose restores an image, on the CPU too, close to float32."""

from pathlib import Path

import numpy as np
import pytest

from fdikp import load_model
from fdikp.inference.devices import PRECISIONS


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_precision_restores_an_image_on_the_cpu(tiny_weights: Path, precision: str) -> None:
    image = np.random.default_rng(0).random((50, 70, 3), dtype=np.float32)
    exact = load_model(tiny_weights, device="cpu", precision="float32")(image)
    result = load_model(tiny_weights, device="cpu", precision=precision)(image)
    assert result.dtype == np.float32 and result.shape == image.shape
    change, error = np.square(exact - image).mean(), np.square(result - exact).mean()
    assert change > 0 and error < 0.01 * change
