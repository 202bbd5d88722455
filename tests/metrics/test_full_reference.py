import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fdikp.metrics.overshoot import edge_pixels, overshoot
from fdikp.metrics.psnr import luma, mae, psnr, rounded
from fdikp.metrics.ssim import ssim


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
    with pytest.raises(ValueError, match="one shape"):
        metric(torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 8))


def test_ssim_of_a_picture_smaller_than_its_window():
    with pytest.raises(ValueError, match="7x7"):
        ssim(torch.rand(1, 3, 6, 20), torch.rand(1, 3, 6, 20))
    with pytest.raises(ValueError, match="11x11"):
        ssim(torch.rand(1, 3, 20, 10), torch.rand(1, 3, 20, 10), "gaussian")


def slow_overshoot(output: np.ndarray, target: np.ndarray) -> float:
    """The definition pixel by pixel, on [H, W, 3]."""
    H, W, _ = target.shape
    luma = target.astype(float) @ np.array([0.299, 0.587, 0.114])
    at = lambda y, x: luma[min(max(y, 0), H - 1), min(max(x, 0), W - 1)]  # noqa: E731
    gradient = np.array(
        [[np.hypot(at(y, x + 1) - at(y, x - 1), at(y + 1, x) - at(y - 1, x)) for x in range(W)] for y in range(H)]
    )
    edges = gradient > np.sort(gradient, axis=None)[H * W * 80 // 100 - 1]
    excess = []
    for y in range(H):
        for x in range(W):
            window = (slice(max(0, y - 2), y + 3), slice(max(0, x - 2), x + 3))
            if edges[window].any():
                low, high = target[window].min(axis=(0, 1)), target[window].max(axis=(0, 1))
                beyond = np.maximum(output[y, x] - high, low - output[y, x]) - 1 / 255
                excess += list(np.maximum(beyond, 0))
    return 255 * float(np.mean(excess)) if excess else 0.0


def test_overshoot_is_its_definition_pixel_by_pixel(pair):
    output, target = (image[20:61, 40:93] for image in pair)
    expected = slow_overshoot(output, target)
    assert float(overshoot(tensor(output), tensor(target))) == pytest.approx(expected, rel=1e-4, abs=1e-6)


class TestOvershoot:
    @pytest.fixture
    def photo(self) -> torch.Tensor:
        return tensor((data.astronaut()[40:168, 150:278] / 255).astype(np.float32)) * 0.8 + 0.1

    def test_blur_has_none_and_sharpening_beyond_the_target_has_more_the_stronger_it_is(self, photo):
        blurred = torch.nn.functional.avg_pool2d(photo, 3, 1, 1, count_include_pad=False)
        assert float(overshoot(blurred, photo)) == 0
        scores = [float(overshoot(photo + gain * (photo - blurred), photo)) for gain in (0.5, 1.0, 2.0)]
        assert 0 < scores[0] < scores[1] < scores[2]

    def test_rounding_to_8_bits_is_free(self, photo):
        assert float(overshoot((photo * 255).round() / 255, photo)) == 0

    def test_what_lies_far_from_edges_does_not_count(self):
        target = torch.zeros(1, 3, 40, 40)
        target[..., :20] = 0.5
        output = target.clone()
        output[..., 30:] = 0.3
        assert float(overshoot(output, target)) == 0

    def test_a_flat_target_has_no_edges(self):
        flat = torch.full((1, 3, 16, 16), 0.5)
        assert not edge_pixels(flat).any()
        assert float(overshoot(flat + 0.3, flat)) == 0

    def test_each_picture_has_its_own_edges(self, photo):
        other = photo.flip(-1) * 0.5
        output = torch.cat((photo + 0.1, other + 0.1))
        both = overshoot(output, torch.cat((photo, other)))
        assert both.tolist() == [float(overshoot(photo + 0.1, photo)), float(overshoot(other + 0.1, other))]
