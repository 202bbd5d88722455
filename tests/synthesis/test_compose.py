"""Scenes whose picture is known from optics."""

import math

import pytest
import torch
from torch.nn import functional as F

from fdikp.synthesis import Aperture, Surface, aperture_kernels, render_scene

H, W = 64, 96
DISC = Aperture()


def flat(radius: float, matte: torch.Tensor | None = None, **more) -> Surface:
    matte = torch.ones(1, H, W) if matte is None else matte
    return Surface(matte, torch.tensor([radius]), torch.zeros(1, H, W), **more)


def left_half() -> torch.Tensor:
    matte = torch.zeros(1, H, W)
    matte[..., : W // 2] = 1
    return matte


def render(light: torch.Tensor, *surfaces: Surface, aperture: Aperture = DISC, max_radius: float = 8.0):
    return render_scene(light, surfaces, aperture, max_radius)


def test_in_focus_is_the_identity():
    light = torch.rand(3, H, W)
    blurred, sharp, radius = render(light, flat(0.0), flat(0.0, left_half()))
    assert torch.allclose(blurred, light, atol=1e-6)
    assert torch.allclose(sharp, light, atol=1e-6)
    assert not radius.any()


@pytest.mark.parametrize("radius", [2.3, 3.0, 6.5, -6.5])
def test_a_point_becomes_a_disc_of_its_diameter(radius):
    light = torch.zeros(3, H, W)
    light[:, 30, 40] = 100.0
    blurred = render(light, flat(radius))[0].double()
    y, x = torch.arange(H)[:, None] - 30.0, torch.arange(W) - 40.0
    assert float(blurred[0].sum()) == pytest.approx(100.0, rel=1e-4)
    spread = float((blurred[0] * (x * x + y * y)).sum() / blurred[0].sum())
    assert 2 * math.sqrt(2 * (spread - 1 / 6)) == pytest.approx(2 * abs(radius), abs=0.1)
    inside = torch.hypot(y.expand(H, W), x.expand(H, W)) < abs(radius) - 1
    assert float(blurred[0][inside].std(correction=0)) < 1e-3 * float(blurred[0].max())  # evenly bright


def test_energy_is_conserved_away_from_the_borders():
    light = torch.zeros(3, H, W)
    light[:, 20:44, 30:66] = torch.rand(3, 24, 36)
    ramp = torch.linspace(0, 6, W).expand(1, H, W)
    slanted = Surface(torch.ones(1, H, W), torch.linspace(-4, 4, 7), ramp)
    assert torch.allclose(render(light, flat(5.0))[0].sum(), light.sum(), rtol=1e-4)
    # a slanted plane is normalised where neighbouring radii overlap, which moves little
    assert torch.allclose(render(light, slanted)[0].sum(), light.sum(), rtol=0.03)


def test_an_even_surface_stays_even_up_to_the_borders_and_over_layers():
    light = torch.full((3, H, W), 0.3)
    ramp = torch.linspace(0, 6, W).expand(1, H, W)
    slanted = Surface(torch.ones(1, H, W), torch.linspace(0, 8, 7), ramp)
    blurred = render(light, slanted, flat(-6.0, left_half()))[0]
    assert torch.allclose(blurred, light, atol=1e-4)


def test_it_equals_convolution_with_mirrored_borders():
    light = torch.rand(3, H, W)
    aperture = Aperture(blades=6, angle=0.4, edge=0.3, ring=0.3)
    k = aperture_kernels(torch.tensor([4.3]), aperture, 16).flip(1, 2)  # conv2d correlates
    expected = F.conv2d(F.pad(light[:, None], (16,) * 4, mode="reflect"), k[None])[:, 0]
    assert torch.allclose(render(light, flat(4.3), aperture=aperture)[0], expected, atol=1e-5)


def test_a_sharp_foreground_keeps_its_edge_before_a_blurred_background():
    light = torch.zeros(3, H, W)
    light[..., W // 2 :] = 0.2
    light[..., : W // 2] = 0.9
    blurred = render(light, flat(7.0), flat(0.0, left_half()))[0]
    assert torch.allclose(blurred, light, atol=0.02)  # no glow of the foreground on what is behind, edge as it was


def test_a_sharp_cut_out_of_other_content_keeps_its_edge():
    light = torch.rand(3, H, W)
    front = flat(0.0, left_half(), flip=(-1,), gain=(0.5, 0.5, 0.5))
    blurred, sharp, _ = render(light, flat(6.0), front)
    assert torch.allclose(blurred[..., : W // 2], 0.5 * light.flip(-1)[..., : W // 2], atol=1e-5)
    assert torch.allclose(blurred[..., W // 2 :], render(light, flat(6.0))[0][..., W // 2 :], atol=1e-5)
    assert torch.equal(sharp[..., W // 2 :], light[..., W // 2 :])


def test_a_blurred_foreground_spreads_over_what_is_behind():
    light = torch.full((3, H, W), 0.8)
    front = flat(-6.0, left_half(), gain=(0.25, 0.25, 0.25))
    blurred = render(light, flat(0.0), front)[0][0, H // 2]
    edge = W // 2
    assert float(blurred[edge - 9]) == pytest.approx(0.2, abs=1e-4)
    assert float(blurred[edge + 8]) == pytest.approx(0.8, abs=1e-4)
    assert 0.25 < float(blurred[edge + 3]) < 0.75  # half transparent beyond its own outline
    assert float(blurred[edge - 1] + blurred[edge]) == pytest.approx(1.0, abs=1e-3)  # half covered at the edge
    assert bool((blurred.diff() > -1e-5).all())


def test_the_radius_map_is_that_of_the_surface_in_front():
    radius = render(torch.rand(3, H, W), flat(5.0), flat(-2.0, left_half()))[2]
    assert torch.allclose(radius[..., : W // 2], torch.tensor(2.0))
    assert torch.allclose(radius[..., W // 2 :], torch.tensor(5.0))


def test_blur_follows_depth_on_a_slanted_plane():
    light = torch.rand(3, H, W)
    ramp = torch.linspace(0, 6, W).expand(1, H, W)
    blurred, _, radius = render(light, Surface(torch.ones(1, H, W), torch.linspace(0, 6, 7), ramp))
    contrast = blurred.std(dim=(0, 1))
    assert contrast[2] > 0.8 * light.std()
    assert contrast[20] > contrast[50] > contrast[90]
    assert radius[0, 0, 0] == 0
    assert radius[0, 0, -1] == 6


def test_pictures_smaller_than_a_kernel():
    light = torch.rand(3, 5, 3)
    surface = Surface(torch.ones(1, 5, 3), torch.tensor([8.0]), torch.zeros(1, 5, 3))
    blurred = render_scene(light, [surface], DISC, 8.0)[0]
    assert blurred.shape == light.shape
    assert blurred.isfinite().all()
