"""The eight orientations, and what their mean gains."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fdikp import load_model
from fdikp.inference.deblurrer import Deblurrer
from fdikp.inference.ensemble import ORIENTATIONS, orient, undo_orient


@pytest.fixture(scope="module")
def ensemble(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, "cpu", "float32", tile=128, ensemble=True)


@pytest.fixture(scope="module")
def plain(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, "cpu", "float32", tile=128)


def test_orientations_differ_and_can_be_undone() -> None:
    x = torch.rand(2, 3, 5, 7)
    views = [orient(x, orientation) for orientation in range(ORIENTATIONS)]
    assert torch.equal(views[0], x)
    for i, a in enumerate(views):
        assert torch.equal(undo_orient(a, i), x)
        assert not any(a.shape == b.shape and torch.equal(a, b) for b in views[:i])


def test_the_result_is_the_mean_of_eight_restorations(ensemble: Deblurrer, plain: Deblurrer) -> None:
    x = torch.rand(3, 64, 96)
    views = [undo_orient(plain.predict(orient(x, orientation)), orientation) for orientation in range(ORIENTATIONS)]
    torch.testing.assert_close(ensemble.predict(x), torch.stack(views).mean(0), atol=1e-5, rtol=0)


def test_a_turned_image_gets_the_turned_result_only_with_the_ensemble(ensemble: Deblurrer, plain: Deblurrer) -> None:
    x = torch.rand(3, 64, 96)
    for orientation in (1, 2, 6):

        def change(model: Deblurrer, orientation: int = orientation) -> float:
            turned_result = model.predict(orient(x, orientation))
            return float((undo_orient(turned_result, orientation) - model.predict(x)).abs().max())

        assert change(ensemble) < 1e-5 < 1e-3 < change(plain)


def test_images_of_any_size_and_in_tiles(ensemble: Deblurrer, plain: Deblurrer) -> None:
    generator = np.random.default_rng(0)
    for shape in ((1, 1, 3), (33, 70, 3), (150, 200)):
        image = generator.integers(0, 256, shape, np.uint8)
        restored = ensemble(image)
        assert restored.shape == image.shape and restored.dtype == np.uint8
    assert not np.array_equal(restored, plain(image))


def test_an_analysis_averages_image_and_dilation_map_but_not_kernels(ensemble: Deblurrer, plain: Deblurrer) -> None:
    image = torch.rand(3, 64, 64)
    analysis, upright = ensemble.analyse(image), plain.analyse(image)
    torch.testing.assert_close(analysis.image, ensemble.predict(image).clamp(0, 1))
    np.testing.assert_array_equal(analysis.kernels, upright.kernels)
    maps = [plain.analyse(orient(image, p)).dilation_map for p in range(ORIENTATIONS)]
    mean = np.mean([undo_orient(torch.from_numpy(m.copy()), p).numpy() for p, m in enumerate(maps)], axis=0)
    np.testing.assert_allclose(analysis.dilation_map, mean, atol=1e-5)
