"""The fit of the blur map: samples are what they claim to be, and a fit finds what is there to find."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from fdikp import models
from fdikp.errors import TrainingError
from fdikp.network import FDIKP, NetworkConfig
from fdikp.network.blur_calibration import FEATURES, LEAST_CONTRAST
from fdikp.network.blur_radius import BlurRadius
from fdikp.training import calibration as fitting
from fdikp.training.calibration import SETTINGS, Samples, contrast, dilation_maps, draw_samples, fit, measure

IMAGES = [data.coffee()[:200, :300], data.astronaut()[:256, :256]]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "ITERATIONS", 60)


@pytest.fixture(scope="module")
def lite() -> FDIKP:
    return models.load("fdikp-lite")[0]


@pytest.fixture(scope="module")
def samples(lite: FDIKP) -> Samples:
    return draw_samples(lite, IMAGES, pairs=12, crop=128, seed=3)


@pytest.mark.parametrize("changes", [{}, {"position_adaptive": False}, {"predictor": "fixed"}], ids=str)
@torch.inference_mode()
def test_the_dilation_maps_are_those_of_the_stages(tiny_config: NetworkConfig, changes: dict[str, Any]) -> None:
    network, x = FDIKP(replace(tiny_config, **changes)).eval(), torch.rand(2, 3, 64, 48)
    for ours, stage in zip(dilation_maps(network, x), network.stages(x), strict=True):
        torch.testing.assert_close(ours, stage.dilation[:, :1], atol=1e-5, rtol=1e-5)


def test_contrast_is_in_steps_of_8_bits() -> None:
    flat = torch.full((1, 3, 48, 48), 0.5)
    assert contrast(flat).max() < 0.01 < LEAST_CONTRAST
    checks = 0.5 + (5 / 255) * (1 - 2 * ((torch.arange(48)[:, None] + torch.arange(48)) % 2))
    measured = contrast(checks.expand(1, 3, 48, 48)).median().item()
    assert measured == pytest.approx(5, rel=0.1)  # the bands overlap


def test_samples(lite: FDIKP, samples: Samples) -> None:
    """They are a function of the seed, and their radii are those of the renderer."""
    assert samples.features.shape == (12 * fitting.SAMPLES, FEATURES)
    assert samples.radius.shape == samples.contrast.shape == (len(samples.features),)
    assert samples.radius.min() >= 0 and samples.radius.max() <= SETTINGS.max_radius + 1e-4
    assert samples.radius.max() > 2 and (samples.contrast > LEAST_CONTRAST).float().mean() > 0.2
    again = draw_samples(lite, IMAGES, pairs=2, crop=128, seed=3)
    assert again.features.equal(samples.features[: len(again.features)])
    other = draw_samples(lite, IMAGES, pairs=2, crop=128, seed=4)
    assert not other.radius.equal(again.radius)


def synthetic(count: int) -> Samples:
    """Features of which the first tells the radius where the last is high, and nothing where it is low."""
    draws = torch.Generator().manual_seed(0)
    features = torch.rand(count, FEATURES, generator=draws)
    has_detail = features[:, -1] > 0.5
    radius = torch.where(has_detail, 12 * features[:, 0], 12 * torch.rand(count, generator=draws))
    return Samples(features, radius, torch.where(has_detail, 10.0, 0.0))


def test_it_finds_a_radius_that_is_there() -> None:
    samples = synthetic(8000)
    module = BlurRadius(fit(samples, pairs=8, seed=0))
    values = module.output(F.relu(module.hidden(samples.features.T[None, :, :, None])))[0, :, :, 0]
    radius, confidence = F.softplus(values[0]), values[1].sigmoid()
    certain = samples.features[:, -1] > 0.6
    assert (radius - samples.radius)[certain].abs().median() < 0.7
    assert confidence[certain].mean() > 0.8
    assert confidence[samples.features[:, -1] < 0.4].mean() < 0.1


def test_the_fit_is_a_function_of_samples_and_seed(samples: Samples) -> None:
    state = torch.get_rng_state()
    first = fit(samples, pairs=12, seed=0)
    assert torch.get_rng_state().equal(state)
    assert fit(samples, pairs=12, seed=0) == first != fit(samples, pairs=12, seed=1)
    assert (first.max_radius, first.pairs, first.seed) == (SETTINGS.max_radius, 12, 0)


def test_a_fit_that_diverges_is_an_error() -> None:
    samples = synthetic(100)
    samples.features[3, 3] = torch.nan
    with pytest.raises(TrainingError, match="the fit of the blur map diverged") as error:
        fit(samples, pairs=1, seed=0)
    assert "\n" not in str(error.value)


def test_measuring(lite: FDIKP, samples: Samples) -> None:
    """Whole images, of sides that are no multiples of 16; better than the best constant."""
    calibration = fit(samples, pairs=12, seed=0)
    done = []
    errors = measure(
        lite, calibration, [data.coffee()[200:301, 300:421]], renderings=2, seed=1, done=lambda: done.append(1)
    )
    assert errors.shape == (4, 2 * 26 * 31) and errors.dtype == np.float32 and len(done) == 2
    radius, predicted, confidence, _ = errors
    assert predicted.min() >= 0 and predicted.max() <= SETTINGS.max_radius
    assert confidence.min() >= 0 and confidence.max() <= 1
    again = measure(lite, calibration, [data.coffee()[200:301, 300:421]], renderings=2, seed=1)
    np.testing.assert_array_equal(errors, again)
    shifted = measure(lite, calibration, [data.coffee()[200:301, 300:421]], renderings=1, seed=2)
    assert not np.array_equal(shifted[0], radius[: shifted.shape[1]])


def test_large_images_are_cut_to_their_middle(lite: FDIKP, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "LARGEST_SIDE", 64)
    calibration = fit(samples, pairs=12, seed=0)
    image = data.coffee()[:100, :80]
    cut = measure(lite, calibration, [image], renderings=1, seed=0)
    np.testing.assert_array_equal(cut, measure(lite, calibration, [image[18:82, 8:72]], renderings=1, seed=0))
