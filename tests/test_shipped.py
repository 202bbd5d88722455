"""What ships, on photographs: the bounds here are those of the weights, which random ones need not keep."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from fdikp import load_model, weights
from fdikp.imaging.tiles import spans
from fdikp.network import GRID
from fdikp.synthesis.aperture import Aperture, aperture_kernels
from fdikp.synthesis.color import linear_to_srgb, srgb_to_linear

pytestmark = pytest.mark.parametrize("name", list(weights.SHIPPED))


RADIUS = 3.0


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a.astype(np.float64) - b).mean()))


@pytest.fixture(scope="module")
def target() -> np.ndarray:
    """A photograph in focus, [288, 400, 3] in 0..1."""
    return data.astronaut()[:288, 50:450].astype(np.float32) / 255


@pytest.fixture(scope="module")
def blurred(target: np.ndarray) -> np.ndarray:
    """The same with its right half out of focus, in linear light and by a disc, as a lens does it."""
    light = srgb_to_linear(torch.from_numpy(target).permute(2, 0, 1)[:, None])
    kernel = aperture_kernels(torch.tensor([RADIUS]), Aperture(), 4)[:, None]
    out_of_focus = F.conv2d(F.pad(light, (4,) * 4, mode="reflect"), kernel)
    share = ((torch.arange(target.shape[1]) - 190) / 20).clamp(0, 1)
    image = linear_to_srgb(torch.lerp(light, out_of_focus, share))[:, 0].permute(1, 2, 0).numpy()
    return np.round(image * 255).astype(np.float32) / 255


def test_it_restores_what_is_blurred_and_leaves_the_rest_alone(
    name: str, blurred: np.ndarray, target: np.ndarray
) -> None:
    restored = load_model(name, device="cpu", precision="float32")(blurred)
    right, left = slice(220, None), slice(0, 170)
    assert psnr(restored[:, right], target[:, right]) > psnr(blurred[:, right], target[:, right]) + 0.8
    assert psnr(restored[:, left], target[:, left]) > 35


def test_the_blur_map_tells_the_halves_apart(name: str, blurred: np.ndarray) -> None:
    map = load_model(name, device="cpu", precision="float32").analyse(blurred).blur_map
    assert np.median(map[:, :170]) < 0.3 and np.median(map[:, 230:]) > 1


def test_a_batch_gives_what_its_pictures_give_alone(name: str, blurred: np.ndarray) -> None:
    network, _ = weights.load(name)
    picture = torch.from_numpy(blurred).permute(2, 0, 1)
    x = torch.stack([picture[:, :128, k : k + 96] for k in (0, 150, 300)])
    with torch.inference_mode():
        alone = torch.cat([network(one[None]) for one in x])
        assert (network(x) - alone).abs().max() < 1e-4


def test_tiles_give_what_the_whole_gives_without_a_seam(name: str, blurred: np.ndarray, target: np.ndarray) -> None:
    whole, tiled = (load_model(name, device="cpu", precision="float32", tile=tile)(blurred) for tile in (0, 256))
    assert psnr(tiled, target) > psnr(whole, target) - 0.1
    cut_up = spans(blurred.shape[1], 256, 64, GRID)
    borders = sorted({edge - 1 for s in cut_up for edge in (s.start, s.stop)} - {-1, blurred.shape[1] - 1})
    assert len(borders) == 2
    steps_whole, steps_tiled = (np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))[borders] for image in (whole, tiled))
    assert (steps_tiled < 1.05 * steps_whole).all()


def test_bfloat16_is_close_to_float32(name: str, blurred: np.ndarray) -> None:
    single, half = (load_model(name, device="cpu", precision=p)(blurred) for p in ("float32", "bfloat16"))
    assert psnr(half, single) > 45
