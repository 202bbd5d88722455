import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fdikp.evaluation import mae, psnr, ssim


@pytest.fixture(scope="module", params=[0.003, 0.05, 0.4])
def pair(request) -> tuple[np.ndarray, np.ndarray]:
    target = (data.astronaut()[30:161, 50:250] / 255).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, request.param, target.shape)
    return np.clip(target + noise, 0, 1).astype(np.float32), target


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def test_psnr_is_that_of_scikit_image(pair):
    output, target = pair
    expected = peak_signal_noise_ratio(target.astype(float), output.astype(float), data_range=1)
    assert float(psnr(tensor(output), tensor(target))) == pytest.approx(expected, abs=1e-6)


def test_ssim_is_that_of_scikit_image(pair):
    output, target = pair
    expected = structural_similarity(target.astype(float), output.astype(float), channel_axis=-1, data_range=1)
    assert float(ssim(tensor(output), tensor(target))) == pytest.approx(expected, abs=1e-6)


def test_mae_is_the_mean_difference(pair):
    output, target = pair
    assert float(mae(tensor(output), tensor(target))) == pytest.approx(float(np.abs(output - target).mean()), abs=1e-6)


@pytest.mark.parametrize("metric", [psnr, ssim, mae])
def test_each_picture_of_a_batch_has_its_own_number(metric):
    x, y = torch.rand(3, 3, 9, 12), torch.rand(3, 3, 9, 12)
    together = metric(x, y)
    assert together.shape == (3,)
    assert torch.allclose(together[1], metric(x[1:2], y[1:2])[0])


def test_equal_pictures():
    x = torch.rand(1, 3, 16, 16)
    assert float(psnr(x, x)) == float("inf")
    assert float(ssim(x, x)) == pytest.approx(1)
    assert float(mae(x, x)) == 0


@pytest.mark.parametrize("metric", [psnr, ssim, mae])
def test_other_shapes_are_refused_not_broadcast(metric):
    with pytest.raises(ValueError, match=r"\(1, 3, 8, 9\)"):
        metric(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
    with pytest.raises(ValueError, match="alike"):
        metric(torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 8))


def test_ssim_of_a_picture_smaller_than_its_window():
    with pytest.raises(ValueError, match="7x7"):
        ssim(torch.rand(1, 3, 6, 20), torch.rand(1, 3, 6, 20))
