"""Each protocol against a slow one written from the words that describe it, with numpy and scikit-image."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fdikp.errors import DataError, WeightsError
from fdikp.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from fdikp.metrics.lpips import LPIPS

NAMES = ["defocus", "ifan", "drbnet", "p2ikt-half", "nrknet", "gkmnet", "iniknet", "dpdnet", "basicsr"]


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))[None]


def array(image: torch.Tensor) -> np.ndarray:
    return image[0].numpy().transpose(1, 2, 0).astype(float)


def pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A blurred picture and its target, [H, W, 3] in 0..1."""
    target = (data.astronaut()[20 : 20 + height, 60 : 60 + width] / 255).astype(np.float32)
    return gaussian_filter(target, (1.5, 1.5, 0)), target


class FakeLPIPS:
    """Tells apart channels, ranges, and what was clamped."""

    backbone = "alex"

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return fake_lpips(array(x) * 2 - 1, array(y) * 2 - 1) * torch.ones(1)  # the real one maps 0..1 to -1..1 too


def fake_lpips(x: np.ndarray, y: np.ndarray) -> float:
    """x, y: [H, W, 3] as LPIPS' network would be fed them."""
    return float((np.abs(x**3 - y**3) * [1, 10, 100]).mean())


def uniform(x: np.ndarray, y: np.ndarray) -> float:
    return structural_similarity(x, y, channel_axis=-1, data_range=1)


def gaussian(x: np.ndarray, y: np.ndarray, peak: float = 1) -> float:
    return structural_similarity(
        x, y, channel_axis=-1, data_range=peak, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def reference(name: str, out: np.ndarray, gt: np.ndarray, rtf: bool) -> dict[str, float]:
    """The table's row, on [H, W, 3]: `out` is not clamped yet."""
    clipped = out.clip(0, 1)
    if name in ("defocus", "ifan", "drbnet", "p2ikt-half"):
        return {
            "psnr": peak_signal_noise_ratio(gt, clipped, data_range=1),
            "ssim": uniform(clipped, gt),
            "mae": np.abs(clipped - gt).mean(),
            "lpips": fake_lpips(clipped * 2 - 1, gt * 2 - 1),
        }
    if name == "iniknet":
        return {
            "psnr": peak_signal_noise_ratio(gt, clipped, data_range=1),
            "ssim": uniform(clipped, gt),
            "mae": np.abs(clipped - gt).mean(),
            "lpips": fake_lpips(out[..., ::-1] * 2 - 1, gt[..., ::-1] * 2 - 1),
        }
    if name in ("nrknet", "gkmnet"):
        if rtf and name == "nrknet":
            out, gt, clipped = (image[4:364, 4:364] for image in (out, gt, clipped))
        whole, target = np.round(out * 255), np.round(gt * 255)
        error = whole.clip(0, 255) - target
        fed = (whole / 255 * 2 - 1)[..., ::-1], (target / 255 * 2 - 1)[..., ::-1]
        return {
            "psnr": 10 * np.log10(255**2 / (error**2).mean()),
            "ssim": gaussian(whole, target, 255),
            "mae": np.abs(error).mean() / 255,
            "lpips": fake_lpips(*fed) if name == "nrknet" else fake_lpips(out, gt),
        }
    if name == "dpdnet":
        x, y = (np.round(image * 65535).astype(np.uint16) / 65535 for image in (clipped, gt))
        return {
            "psnr": peak_signal_noise_ratio(y, x, data_range=1),
            "ssim": uniform(x, y),
            "mae": np.abs(x - y).mean(),
        }
    x, y = (np.round(image * 255).astype(np.uint8).astype(float) for image in (clipped, gt))
    return {
        "psnr": 10 * np.log10(255**2 / ((x - y) ** 2).mean()),
        "ssim": gaussian(x, y, 255),
        "mae": np.abs(x - y).mean() / 255,
    }


@pytest.mark.parametrize("kind", ["dpdd", "rtf"])
@pytest.mark.parametrize("name", NAMES)
def test_scores(name, kind):
    side = 368 if kind == "rtf" else 57
    blurred, target = pictures(side, side + 6)
    noise = np.random.default_rng(0).normal(0, 0.05, blurred.shape)
    output = (2 * blurred - 0.6 + noise).astype(np.float32)
    target = 0.9987 * target  # not whole numbers of 8 bit
    assert output.min() < 0 < 1 < output.max()
    found = PROTOCOLS[name].score(tensor(output), tensor(target), FakeLPIPS(), kind)
    expected = reference(name, output.astype(float), target.astype(float), kind == "rtf")
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=2e-6, rel=2e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(57, 63), (64, 96)])
def test_frames(name, size):
    """What the network is given of a picture whose sides are no multiples, and of one whose sides are."""
    blurred, target = pictures(*size)
    height, width = size
    expected = {"ifan": blurred[: height // 8 * 8, : width // 8 * 8]}
    expected["drbnet"] = blurred[: height // 16 * 16, : width // 16 * 16]
    expected["iniknet"] = blurred[: height // 32 * 32, : width // 32 * 32]
    sides = [((more := -side % 16) // 2, more - more // 2) for side in size]
    expected["nrknet"] = np.pad(blurred, (*sides, (0, 0)), mode="reflect")
    expected["gkmnet"] = np.pad(blurred, (*sides, (0, 0)))
    expected["dpdnet"] = bilinear(blurred, 1120, 1680)
    given, beside = PROTOCOLS[name].prepare(tensor(blurred).double(), tensor(target).double(), "dpdd")
    assert given.dtype == beside.dtype == torch.float32
    assert given.shape == beside.shape
    assert np.allclose(array(given), expected.get(name, blurred), atol=1e-5)
    if name == "gkmnet" and size == (57, 63):
        assert given.shape == (1, 3, 64, 64)
        assert float(given[..., :3, :].max()) == float(beside[..., -4:, :].max()) == 0
    assert torch.equal(PROTOCOLS[name].prepare(tensor(blurred), None, "dpdd")[0], given)
    assert PROTOCOLS[name].prepare(tensor(blurred), None)[1] is None


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolation between pixel centres, the border's held: what OpenCV does by default."""
    for axis, side in enumerate((height, width)):
        place = (np.arange(side) + 0.5) * image.shape[axis] / side - 0.5
        place = place.clip(0, image.shape[axis] - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        image = (1 - share) * image.take(low, axis) + share * image.take(high, axis)
    return image


def test_rtf_is_cut_as_each_script_cuts_it():
    blurred, target = pictures(360, 360)
    sizes = {
        name: PROTOCOLS[name].scored(PROTOCOLS[name].prepare(tensor(blurred), tensor(target), "RTF")[1], "RTF")
        for name in NAMES
    }
    sides = {name: tuple(image.shape[-2:]) for name, image in sizes.items()}
    assert sides["defocus"] == sides["p2ikt-half"] == sides["drbnet"] == sides["iniknet"] == (352, 352)
    assert torch.equal(sizes["defocus"], tensor(target)[..., :352, :352])
    assert sides["nrknet"] == sides["ifan"] == (360, 360)
    assert torch.equal(sizes["nrknet"], tensor(target))  # the padding is off again
    assert sides["gkmnet"] == (368, 368)
    assert tuple(PROTOCOLS["nrknet"].prepare(tensor(blurred), None, "rtf")[0].shape[-2:]) == (368, 368)


def test_realdof_at_half_size():
    blurred, target = pictures(40, 61)
    given, _ = PROTOCOLS["p2ikt-half"].prepare(tensor(blurred), tensor(target), "RealDOF")
    assert np.allclose(array(given), blurred[:, :60].reshape(20, 2, 30, 2, 3).mean(axis=(1, 3)), atol=1e-6)
    assert PROTOCOLS["defocus"].prepare(tensor(blurred), None, "realdof")[0].shape[-2:] == (40, 61)


def test_an_upright_picture_stays_upright():
    """DPDNet's script turns it and back."""
    blurred, _ = pictures(63, 57)
    given, _ = PROTOCOLS["dpdnet"].prepare(tensor(blurred), None)
    assert np.allclose(array(given), bilinear(blurred, 1680, 1120), atol=1e-5)


def test_the_options_of_basicsr():
    blurred, target = pictures(57, 63)
    protocol = find_protocol("basicsr+y+crop4")
    assert protocol == replace(PROTOCOLS["basicsr"], name="basicsr+y+crop4", y_channel=True, crop_border=4)
    x, y = (np.round(image[4:-4, 4:-4].clip(0, 1) * 255) / 255 for image in (blurred, target))
    x, y = (rgb2ycbcr(image)[..., :1] for image in (x, y))
    found = protocol.score(tensor(blurred), tensor(target))
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / ((x - y) ** 2).mean()), abs=1e-4)
    assert found["ssim"] == pytest.approx(gaussian(x, y, 255), abs=1e-5)
    assert found["mae"] == pytest.approx(np.abs(x - y).mean() / 255, abs=1e-6)


@pytest.mark.parametrize("text", ["basicsr+z", "basicsr+cropx", "basicsr+", "defocus+y", "ours", ""])
def test_a_protocol_that_there_is_not(text):
    with pytest.raises(DataError, match="protocol"):
        find_protocol(text)


def test_what_the_choice_of_a_protocol_does_to_a_photograph():
    target = (data.chelsea() / 255).astype(np.float32)
    output = gaussian_filter(target, (1, 1, 0)) + np.random.default_rng(0).normal(0, 0.01, target.shape)
    score = {
        name: find_protocol(name).score(tensor(output), tensor(target)) for name in ("defocus", "basicsr", "basicsr+y")
    }
    assert 0 < abs(score["basicsr"]["psnr"] - score["defocus"]["psnr"]) < 0.02
    assert 0.001 < abs(score["basicsr"]["ssim"] - score["defocus"]["ssim"]) < 0.02
    assert 1.3 < score["basicsr+y"]["psnr"] - score["basicsr"]["psnr"] < 3  # 219/255 alone is 1.3 dB


def test_errors_are_not_pooled():
    """The mean of pictures' PSNR is not the PSNR of their mean squared error: one bad picture rules that."""
    target = torch.full((1, 3, 16, 16), 0.5)
    off = (0.001, 0.1)
    scores = [PROTOCOLS["defocus"].score(target + by, target)["psnr"] for by in off]
    pooled = -10 * np.log10(np.mean(np.square(off)))
    assert np.mean(scores) == pytest.approx(40, abs=0.01)
    assert pooled == pytest.approx(23, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_description_says_what_differs(name):
    protocol = PROTOCOLS[name]
    text = protocol.describe()
    assert text.startswith(f"{name} (")
    assert "\n" not in text
    assert len({p.describe().partition(")")[2] for p in PROTOCOLS.values()}) == len(PROTOCOLS)
    other = {
        "fit": "zero" if protocol.fit == "reflect" else "reflect",
        "multiple": 7,
        "resized": (99, 66),
        "halved": ("LFDOF",),
        "rtf_crop": 77,
        "rtf_region": (7, 77),
        "crop_border": 9,
        "y_channel": True,
        "clamped": (),
        "rounded": ("ssim",),
        "bits": 12,
        "ssim": "gaussian" if protocol.ssim == "uniform" else "uniform",
        "lpips": "vgg",
        "lpips_range": "0..1" if protocol.lpips_range == "-1..1" else "-1..1",
        "lpips_order": "BGR" if protocol.lpips_order == "RGB" else "RGB",
    }
    silent = {"multiple"} if protocol.fit == "whole" else set()  # what is not used is not said
    silent |= set() if protocol.rounded else {"bits"}
    silent |= set() if protocol.lpips else {"lpips_range", "lpips_order"}
    for field, value in other.items():
        assert (replace(protocol, **{field: value}).describe() == text) == (field in silent), field
    assert {"name", "whose", *other} == set(Protocol.__dataclass_fields__)


def test_the_psnr_of_equal_pictures_is_infinite():
    x = torch.rand(1, 3, 16, 16)
    assert PROTOCOLS["defocus"].score(x, x) == {"psnr": math.inf, "ssim": pytest.approx(1), "mae": 0}


def test_weights_of_another_backbone():
    lpips = FakeLPIPS()
    lpips.backbone = "squeeze"
    with pytest.raises(WeightsError, match="backbone alex"):
        PROTOCOLS["defocus"].score(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), lpips)


@pytest.mark.parametrize("name", [*NAMES, "basicsr+crop100"])
def test_a_picture_too_small_is_refused_in_one_line(name):
    protocol = find_protocol(name)
    for height, width in ((1, 1), (6, 300), (300, 6)):
        small = torch.rand(1, 3, height, width)
        if not protocol.resized:
            with pytest.raises(DataError, match=rf"{width}×{height} pixels .* remove the image"):
                protocol.prepare(small, small)
    with pytest.raises(DataError, match="remove the image"):
        protocol.score(torch.rand(1, 3, 6, 6), torch.rand(1, 3, 6, 6))


@pytest.mark.parametrize("name", [*NAMES, "basicsr+y+crop3"])
def test_the_smallest_picture_that_is_not_refused_can_be_scored(name):
    protocol = find_protocol(name)
    for side in range(1, 40):
        try:
            given, target = protocol.prepare(torch.rand(1, 3, side, 50), torch.rand(1, 3, side, 50))
        except DataError:
            continue
        assert set(protocol.score(given, target)) == {"psnr", "ssim", "mae"}
        break
    assert side <= 32


WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "lpips"


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="LPIPS weights are not beside the repository (../shared/data)")
def test_lpips_of_the_published_example():
    """0.722 where the script feeds LPIPS as it was made; other orders and ranges give other numbers."""
    lpips = LPIPS(WEIGHTS / "lpips-v0.1-alex.safetensors")
    output, target = (tensor(np.array(Image.open(WEIGHTS / "check" / f"{n}.png")) / 255) for n in ("ex_p0", "ex_ref"))
    found = {name: PROTOCOLS[name].score(output, target, lpips).get("lpips") for name in NAMES}
    assert found["dpdnet"] is found["basicsr"] is None
    for name in ("defocus", "ifan", "drbnet", "p2ikt-half"):
        assert found[name] == pytest.approx(0.722, abs=5e-4)
    assert found["nrknet"] == pytest.approx(found["iniknet"], abs=1e-6)  # 8 bit pictures: nothing to round
    assert len({round(found[name], 3) for name in ("defocus", "nrknet", "gkmnet")}) == 3


def test_lpips_needs_more_pixels():
    x = torch.rand(1, 3, 31, 40)
    with pytest.raises(DataError, match="32×32"):
        PROTOCOLS["defocus"].score(x, x, FakeLPIPS())


def test_pictures_that_do_not_belong_together():
    with pytest.raises(ValueError, match="one shape"):
        PROTOCOLS["defocus"].prepare(torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 41))
