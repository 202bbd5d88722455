"""What docs/how-it-works.md states about the blur map of the shipped model."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from fdikp import load_model
from fdikp.inference.results import Analysis
from fdikp.synthesis import Aperture, aperture_kernels
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

HEIGHT, WIDTH = 384, 512


def analysed(image: np.ndarray) -> Analysis[np.ndarray]:
    samples = image.clip(0, 255).round().astype(np.uint8)
    return load_model("fdikp-lite", device="cpu", precision="float32").analyse(samples)


def sky() -> np.ndarray:
    """A smooth gradient with a little noise, [HEIGHT, WIDTH, 3] in 0..255."""
    brightness = np.linspace(120, 180, HEIGHT)[:, None, None] + np.array([0.0, 0.0, 50.0])
    return brightness + np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH, 3))


@pytest.mark.parametrize(("radius", "least", "most"), [(5, 6, 7), (12, 11, 12), (15, 11, 12)])
def test_soft_content_adds_and_large_radii_saturate(radius: int, least: int, most: int) -> None:
    light = srgb_to_linear(torch.from_numpy(data.coffee()).permute(2, 0, 1)[:, None] / 255)
    kernel = aperture_kernels(torch.tensor([float(radius)]), Aperture(), 20)[0]
    light = F.conv2d(F.pad(light, (20,) * 4, mode="reflect"), kernel[None, None])
    blur_map = analysed(255 * linear_to_srgb(light)[:, 0].permute(1, 2, 0).numpy()).blur_map
    assert blur_map is not None
    assert least <= np.median(blur_map) <= most


def test_a_subject_in_focus_pulls_a_flat_background_to_0() -> None:
    image, distance = sky(), np.hypot(*np.ogrid[-192:192, -256:256])
    inside = distance < 90
    image[inside] = np.random.default_rng(1).uniform(20, 220, (inside.sum(), 1))
    analysis = analysed(image)
    assert analysis.blur_map is not None and analysis.confidence_map is not None
    near, far = ((distance > 90 + low) & (distance < 90 + high) for low, high in ((60, 90), (150, 200)))
    assert np.median(analysis.blur_map[inside]) < 0.1
    assert np.median(analysis.blur_map[near]) < 1.5
    assert np.median(analysis.blur_map[far]) > 3
    assert np.median(analysis.confidence_map[near | far]) < 0.1


def test_an_outline_against_the_sky_has_a_rim() -> None:
    image = sky()
    image[150:, 150:360] -= 100
    analysis = analysed(image)
    assert analysis.blur_map is not None and analysis.confidence_map is not None
    across, confidence = analysis.blur_map[250, :150], analysis.confidence_map[250, :150]
    rim = int(across.argmax())
    assert across[rim] > 12 and 30 < 150 - rim < 50 and confidence[rim] < 0.7
    assert across[145:].max() < 0.5 and confidence[145:].min() > 0.8
