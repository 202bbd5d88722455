"""The eight positions, and what their mean is for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fdikp import load_model
from fdikp.inference.deblurrer import Deblurrer
from fdikp.inference.ensemble import POSITIONS, turned, turned_back


@pytest.fixture(scope="module")
def ensemble(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, "cpu", "float32", tile=128, ensemble=True)


@pytest.fixture(scope="module")
def plain(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, "cpu", "float32", tile=128)


def test_positions_differ_and_can_be_taken_back() -> None:
    x = torch.rand(2, 3, 5, 7)
    positions = [turned(x, position) for position in range(POSITIONS)]
    assert torch.equal(positions[0], x)
    for i, a in enumerate(positions):
        assert torch.equal(turned_back(a, i), x)
        assert not any(a.shape == b.shape and torch.equal(a, b) for b in positions[:i])


def test_it_is_the_mean_of_eight_restorations(ensemble: Deblurrer, plain: Deblurrer) -> None:
    x = torch.rand(3, 64, 96)
    views = [turned_back(plain.predict(turned(x, position)), position) for position in range(POSITIONS)]
    torch.testing.assert_close(ensemble.predict(x), torch.stack(views).mean(0), atol=1e-5, rtol=0)


def test_a_turned_picture_is_restored_alike_which_it_is_not_without(ensemble: Deblurrer, plain: Deblurrer) -> None:
    x = torch.rand(3, 64, 96)
    for position in (1, 2, 6):

        def change(model: Deblurrer, position: int = position) -> float:
            return float((turned_back(model.predict(turned(x, position)), position) - model.predict(x)).abs().max())

        assert change(ensemble) < 1e-5 < 1e-3 < change(plain)


def test_pictures_of_any_size_and_in_tiles(ensemble: Deblurrer, plain: Deblurrer) -> None:
    generator = np.random.default_rng(0)
    for shape in ((1, 1, 3), (33, 70, 3), (150, 200)):
        picture = generator.integers(0, 256, shape, np.uint8)
        restored = ensemble(picture)
        assert restored.shape == picture.shape and restored.dtype == np.uint8
    assert not np.array_equal(restored, plain(picture))


def test_the_parts_of_an_analysis_belong_to_it(ensemble: Deblurrer, plain: Deblurrer) -> None:
    picture = torch.rand(3, 64, 64)
    seen, upright = ensemble.analyse(picture), plain.analyse(picture)
    torch.testing.assert_close(seen.image, ensemble.predict(picture).clamp(0, 1))
    np.testing.assert_array_equal(seen.kernels, upright.kernels)
    maps = [plain.analyse(turned(picture, p)).blur_map for p in range(POSITIONS)]
    mean = np.mean([turned_back(torch.from_numpy(m.copy()), p).numpy() for p, m in enumerate(maps)], axis=0)
    np.testing.assert_allclose(seen.blur_map, mean, atol=1e-5)
