"""The shipped models on photos: these bounds hold for trained weights, and need not hold for random ones."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from fdikp import load_model, models
from fdikp.imaging.tiles import spans
from fdikp.inference.results import Analysis
from fdikp.network import SIZE_MULTIPLE
from fdikp.synthesis.aperture import Aperture, aperture_kernels
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

pytestmark = pytest.mark.parametrize("name", list(models.SHIPPED))


RADIUS = 3.0


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a.astype(np.float64) - b).mean()))


@pytest.fixture(scope="module")
def target() -> np.ndarray:
    """A photo in focus, [288, 400, 3] in 0..1. (In `astronaut` flag and shuttle are out of focus.)"""
    return data.coffee()[:288, 100:500].astype(np.float32) / 255


@pytest.fixture(scope="module")
def blurred(target: np.ndarray) -> np.ndarray:
    """The same with its right half out of focus: convolved with a disc in linear light, as by a lens."""
    light = srgb_to_linear(torch.from_numpy(target).permute(2, 0, 1)[:, None])
    kernel = aperture_kernels(torch.tensor([RADIUS]), Aperture(), 4)[:, None]
    out_of_focus = F.conv2d(F.pad(light, (4,) * 4, mode="reflect"), kernel)
    weight = ((torch.arange(target.shape[1]) - 190) / 20).clamp(0, 1)
    image = linear_to_srgb(torch.lerp(light, out_of_focus, weight))[:, 0].permute(1, 2, 0).numpy()
    return np.round(image * 255).astype(np.float32) / 255


@pytest.fixture(scope="module")
def analysis_of(blurred: np.ndarray) -> Callable[[str], Analysis[np.ndarray]]:
    """The analysis of `blurred` by a model, in one tile; computed once."""
    return cache(lambda name: load_model(name, device="cpu", precision="float32").analyse(blurred))


def test_it_restores_what_is_blurred_and_leaves_the_rest_alone(
    name: str, blurred: np.ndarray, target: np.ndarray, analysis_of: Callable[[str], Analysis[np.ndarray]]
) -> None:
    restored = analysis_of(name).image
    right, left = slice(220, None), slice(0, 170)
    assert psnr(restored[:, right], target[:, right]) > psnr(blurred[:, right], target[:, right]) + 1
    assert psnr(restored[:, left], target[:, left]) > 35


def test_the_dilation_map_separates_the_halves(name: str, analysis_of: Callable[[str], Analysis[np.ndarray]]) -> None:
    map = analysis_of(name).dilation_map
    assert np.median(map[:, :170]) < 0.3 and np.median(map[:, 230:]) > 1


def test_a_batch_gives_the_results_of_its_images_alone(name: str, blurred: np.ndarray) -> None:
    network, _ = models.load(name)
    image = torch.from_numpy(blurred).permute(2, 0, 1)
    x = torch.stack([image[:, :128, k : k + 96] for k in (0, 150, 300)])
    with torch.inference_mode():
        alone = torch.cat([network(one[None]) for one in x])
        together = network(x)
    assert psnr(together.numpy(), alone.numpy()) > 80
    assert (together - alone).abs().max() < 0.5 / 255


def test_tiles_give_the_whole_image_without_a_seam(
    name: str, blurred: np.ndarray, target: np.ndarray, analysis_of: Callable[[str], Analysis[np.ndarray]]
) -> None:
    whole = analysis_of(name).image
    tiled = load_model(name, device="cpu", precision="float32", tile=256)(blurred)
    assert psnr(tiled, target) > psnr(whole, target) - 0.1
    cut_up = spans(blurred.shape[1], 256, 64, SIZE_MULTIPLE)
    borders = sorted({edge - 1 for s in cut_up for edge in (s.start, s.stop)} - {-1, blurred.shape[1] - 1})
    assert len(borders) == 2
    steps_whole, steps_tiled = (np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))[borders] for image in (whole, tiled))
    assert (steps_tiled < 1.05 * steps_whole).all()


def test_bfloat16_is_close_to_float32(name: str, blurred: np.ndarray) -> None:
    crop = blurred[:128, :160]  # bfloat16 is emulated on many processors
    single, half = (load_model(name, device="cpu", precision=p)(crop) for p in ("float32", "bfloat16"))
    assert psnr(half, single) > 45


def test_a_portrait_keeps_its_face_and_gains_its_background(name: str) -> None:
    """A real photo: the astronaut is in focus, the shuttle behind her is not."""
    portrait = data.astronaut()[:288, 50:450].astype(np.float32) / 255
    analysis = load_model(name, device="cpu", precision="float32").analyse(portrait)
    face, shuttle = (slice(60, 200), slice(110, 240)), (slice(60, 280), slice(310, 390))
    assert np.median(analysis.dilation_map[face]) < 0.3 and np.median(analysis.dilation_map[shuttle]) > 0.6
    assert psnr(analysis.image[face], portrait[face]) > 45
    sharpness = [np.abs(np.diff(image[shuttle], axis=1)).max(axis=1).mean() for image in (portrait, analysis.image)]
    assert sharpness[1] > 1.2 * sharpness[0]
