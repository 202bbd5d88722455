import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fdikp.evaluation.metrics import luma, mae, psnr, rounded, ssim


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


def test_gaussian_ssim_is_that_of_scikit_image(pair):
    output, target = pair
    expected = structural_similarity(
        target.astype(float),
        output.astype(float),
        channel_axis=-1,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(tensor(output), tensor(target), "gaussian")) == pytest.approx(expected, abs=1e-6)


def test_gaussian_ssim_is_that_of_the_published_matlab_code(pair):
    """Its 'valid' filter on 0..255, window by window, a channel at a time."""
    output, target = (255 * image[:24, :31].astype(float) for image in pair)
    place = np.arange(11) - 5
    window = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2, found = (0.01 * 255) ** 2, (0.03 * 255) ** 2, []
    for channel in range(3):
        for top in range(24 - 10):
            for left in range(31 - 10):
                x, y = (image[top : top + 11, left : left + 11, channel] for image in (output, target))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                found.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    ours = ssim(*(tensor(image / 255) for image in (output, target)), window="gaussian")
    assert float(ours) == pytest.approx(np.mean(found), abs=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_rounding_is_that_of_integers(bits):
    kind, most = {8: np.uint8, 16: np.uint16}[bits], 2**bits - 1
    image = np.random.default_rng(0).random((3, 5, 7))
    expected = np.rint(image * most).astype(kind) / most
    assert np.allclose(rounded(torch.from_numpy(image), bits).numpy(), expected, atol=1e-12)
    whole = torch.arange(most + 1).double() / most
    assert torch.equal(rounded(whole, bits), whole)


def test_luma_is_that_of_scikit_image(pair):
    from skimage.color import rgb2ycbcr

    assert np.allclose(255 * luma(tensor(pair[0]))[0, 0].numpy(), rgb2ycbcr(pair[0])[..., 0], atol=1e-4)


def test_mae_is_the_mean_difference(pair):
    output, target = pair
    assert float(mae(tensor(output), tensor(target))) == pytest.approx(float(np.abs(output - target).mean()), abs=1e-6)


def gaussian(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ssim(output, target, "gaussian")


@pytest.mark.parametrize("metric", [psnr, ssim, gaussian, mae])
def test_each_picture_of_a_batch_has_its_own_number(metric):
    x, y = torch.rand(3, 3, 12, 15), torch.rand(3, 3, 12, 15)
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
    with pytest.raises(ValueError, match="11x11"):
        ssim(torch.rand(1, 3, 20, 10), torch.rand(1, 3, 20, 10), "gaussian")
