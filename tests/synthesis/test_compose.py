"""Scenes whose image is known from optics."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from fdikp.synthesis import Aperture, Field, Scene, Surface, ThinLens, aperture_kernels, render_scene

H, W = 64, 96
DISC = Aperture()
LENS = ThinLens(focal_length=50, f_number=2, focus_distance=2, pixel_pitch=0.02)


def flat(radius: float, matte: torch.Tensor | None = None, **more) -> Surface:
    """A surface at the distance where the lens blurs it by `radius`."""
    matte = torch.ones(1, H, W) if matte is None else matte
    return Surface(matte, (LENS.inverse_distance(radius),) * 2, torch.zeros_like(matte), **more)


def slanted(low: float, high: float) -> Surface:
    """A surface whose blur radius goes from `low` at the left border to `high` at the right."""
    ends = LENS.inverse_distance(low), LENS.inverse_distance(high)
    return Surface(torch.ones(1, H, W), ends, torch.linspace(0, 1, W).expand(1, H, W), levels=7)


def left_half() -> torch.Tensor:
    matte = torch.zeros(1, H, W)
    matte[..., : W // 2] = 1
    return matte


def render(light: torch.Tensor, *surfaces: Surface, lens=LENS, aperture=DISC, max_radius=8.0, field=None):
    return render_scene(light, Scene(surfaces, lens), aperture, max_radius, field)


def point(row: int, column: int, height: int = H, width: int = W) -> torch.Tensor:
    """The light of one point."""
    light = torch.zeros(3, height, width)
    light[:, row, column] = 100.0
    return light


def diameter(blurred: torch.Tensor, row: int, column: int) -> float:
    """Diameter of the disc around a pixel, from its second moment: <d^2> is r^2 / 2, and 1/6 more for the pixels.

    The latter holds where pixels are small beside the disc: for diameters above 4.
    """
    image = blurred[0].double()
    y, x = torch.arange(image.shape[0])[:, None] - row, torch.arange(image.shape[1]) - column
    return 2 * math.sqrt(2 * (float((image * (x * x + y * y)).sum() / image.sum()) - 1 / 6))


def test_in_focus_is_the_identity():
    light = torch.rand(3, H, W)
    blurred, sharp, radius = render(light, flat(0.0), flat(0.0, left_half()))
    assert torch.allclose(blurred, light, atol=1e-6)
    assert torch.allclose(sharp, light, atol=1e-6)
    assert not radius.any()


@pytest.mark.parametrize("radius", [1.3, 1.7, 2.3, 3.0, 4.6, 6.5, -6.5])
def test_a_point_becomes_a_disc_of_its_diameter(radius):
    blurred = render(point(30, 40), flat(radius))[0].double()
    assert float(blurred[0].sum()) == pytest.approx(100.0, rel=1e-4)
    assert 2 * math.sqrt(100 / float(blurred[0].max()) / math.pi) == pytest.approx(2 * abs(radius), abs=0.1)
    if abs(radius) > 2:
        assert diameter(blurred, 30, 40) == pytest.approx(2 * abs(radius), abs=0.1)
    y, x = torch.arange(H)[:, None] - 30.0, torch.arange(W) - 40.0
    inside = torch.hypot(y.expand(H, W), x.expand(H, W)) < abs(radius) - 1
    assert float(blurred[0][inside].max()) == pytest.approx(100 / (math.pi * radius**2), rel=0.05)
    assert float(blurred[0][inside].std(correction=0)) < 1e-3 * float(blurred[0].max())  # evenly bright


@pytest.mark.parametrize("radius", [2.1, 3.1, -3.6])
def test_an_aperture_twice_as_wide_makes_discs_twice_as_large(radius):
    wide = replace(LENS, f_number=LENS.f_number / 2)
    for lens, expected in ((LENS, abs(radius)), (wide, 2 * abs(radius))):
        blurred, _, map_ = render(point(30, 40), flat(radius), lens=lens)
        assert diameter(blurred, 30, 40) == pytest.approx(2 * expected, abs=0.1)
        assert torch.allclose(map_, torch.tensor(expected))


def test_a_scene_focused_elsewhere_is_sharp_there():
    light = torch.rand(3, H, W)
    surface = flat(4.0)
    there = replace(LENS, focus_distance=1 / surface.ends[0])
    assert not torch.allclose(render(light, surface)[0], light, atol=0.1)
    assert torch.allclose(render(light, surface, lens=there)[0], light, atol=1e-6)


def test_energy_is_conserved_away_from_the_borders():
    light = torch.zeros(3, H, W)
    light[:, 20:44, 30:66] = torch.rand(3, 24, 36)
    assert torch.allclose(render(light, flat(5.0))[0].sum(), light.sum(), rtol=1e-4)
    # where neighbouring kernels differ what overlaps is normalised, which moves little
    assert torch.allclose(render(light, slanted(-4, 4))[0].sum(), light.sum(), rtol=0.03)
    eyes = render(light, flat(5.0), aperture=Aperture(cats_eye=0.9))[0]
    assert torch.allclose(eyes.sum(), light.sum(), rtol=0.03)


def test_an_even_surface_stays_even_up_to_the_borders_and_over_layers():
    light = torch.full((3, H, W), 0.3)
    blurred = render(light, slanted(0, 8), flat(-6.0, left_half()))[0]
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
    blurred, _, radius = render(light, slanted(0, 6))
    contrast = blurred.std(dim=(0, 1))
    assert contrast[2] > 0.8 * light.std()
    assert contrast[20] > contrast[50] > contrast[90]
    assert radius[0, 0, 0] == 0
    assert radius[0, 0, -1] == 6


@pytest.mark.parametrize(("height", "width"), [(5, 3), (1, 1), (2, 2), (1, 40), (3, 200)])
@pytest.mark.parametrize("aperture", [DISC, Aperture(cats_eye=1.0)])
def test_images_smaller_than_a_kernel(height, width, aperture):
    light = torch.full((3, height, width), 0.4)
    blurred = render(light, flat(8.0, torch.ones(1, height, width)), aperture=aperture)[0]
    assert torch.allclose(blurred, light, atol=1e-5)


def moments(blurred: torch.Tensor, row: int, column: int) -> tuple[float, float]:
    """Variance of a point's image along the line to the middle of the image, and across it."""
    image = blurred[0].double()
    height, width = image.shape
    window = image[max(0, row - 9) : row + 10, max(0, column - 9) : column + 10]
    y, x = torch.arange(height)[max(0, row - 9) : row + 10], torch.arange(width)[max(0, column - 9) : column + 10]
    dy, dx = (height - 1) / 2 - row, (width - 1) / 2 - column
    dy, dx = dy / math.hypot(dy, dx), dx / math.hypot(dy, dx)
    along = (y - row)[:, None] * dy + (x - column)[None] * dx
    across = (y - row)[:, None] * dx - (x - column)[None] * dy
    return tuple(float((window * d * d).sum() / window.sum()) for d in (along, across))


def test_cats_eyes_narrow_toward_the_corner_on_the_line_to_the_centre():
    light, ratios = torch.zeros(3, 96, 144), []
    places = [(48, 72), (36, 53), (24, 34), (12, 15)]  # from the centre to the corner
    for row, column in places:
        light[:, row, column] = 1.0
    blurred = render(light, flat(6.0, torch.ones(1, 96, 144)), aperture=Aperture(cats_eye=1.0))[0]
    for row, column in places:
        along, across = moments(blurred, row, column)
        ratios.append(along / across)
    assert ratios[0] == pytest.approx(1.0, abs=0.05)
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 0.6


def test_cats_eyes_are_symmetric_about_the_centre_of_the_photo():
    light, eyes = torch.rand(3, H, W), Aperture(cats_eye=1.0)
    blurred = render(light, flat(6.0), aperture=eyes)[0]
    for axes in ((1,), (2,), (1, 2)):
        assert torch.allclose(render(light.flip(axes), flat(6.0), aperture=eyes)[0], blurred.flip(axes), atol=1e-5)
    assert not torch.allclose(render(light, flat(6.0))[0], blurred, atol=0.01)


def test_cats_eyes_equal_convolutions_of_the_whole_image_at_each_place():
    light, eyes = torch.rand(3, H, W), Aperture(cats_eye=1.0, edge=0.2)
    total = torch.zeros(4, H, W)
    for place, rows, columns in Field.of_tile(0, 0, W, H, W, H).places(H, W):
        k = aperture_kernels(torch.tensor([5.3]), eyes, 16, place).flip(1, 2)  # conv2d correlates
        part = torch.cat([light, torch.ones(1, H, W)]) * rows[:, None] * columns
        total += F.conv2d(F.pad(part[:, None], (16,) * 4, mode="reflect"), k[None])[:, 0]
    assert torch.allclose(render(light, flat(5.3), aperture=eyes)[0], total[:3] / total[3:], atol=1e-5)


def test_a_tile_is_blurred_as_its_place_in_the_photo():
    eyes, centre, corner = Aperture(cats_eye=1.0), (900, 600), (1700, 1120)
    for (x, y), narrow in ((centre, False), (corner, True)):
        field = Field.of_tile(x - W // 2, y - H // 2, W, H, 1800, 1200)
        blurred = render(point(32, 48), flat(6.0), aperture=eyes, field=field)[0]
        expected = aperture_kernels(
            torch.tensor([6.0]), eyes, 16, ((x - 900) / math.hypot(900, 600), (y - 600) / math.hypot(900, 600))
        )[0]
        assert torch.allclose(blurred[0, 16:49, 32:65], 100 * expected, atol=1e-3)
        assert (float(expected.max()) > 1.2 / (math.pi * 36)) == narrow


class TestWithoutLayers:
    """The crude renderer that training is compared with."""

    def test_one_flat_surface_is_the_same(self):
        light = torch.rand(3, H, W)
        scene = Scene((flat(3.0),), LENS)
        layered, mixed = (render_scene(light, scene, DISC, 8.0, None, way)[0] for way in (True, False))
        inner = (..., slice(8, -8), slice(8, -8))
        torch.testing.assert_close(mixed[inner], layered[inner], atol=1e-4, rtol=0)

    def test_nothing_spreads_over_what_is_in_focus(self):
        light = torch.zeros(3, H, W)
        light[..., : W // 2] = 1.0
        scene = Scene((flat(0.0), flat(-4.0, left_half())), LENS)
        layered, mixed = (render_scene(light, scene, DISC, 8.0, None, way)[0] for way in (True, False))
        beside = (..., slice(W // 2, W // 2 + 3))
        assert float(layered[beside].min()) > 0.05
        assert not mixed[beside].any()

    def test_target_and_radius_are_the_same(self):
        light = torch.rand(3, H, W)
        scene = Scene((flat(3.0), flat(-4.0, left_half(), flip=(-1,))), LENS)
        layered, mixed = (render_scene(light, scene, DISC, 8.0, None, way)[1:] for way in (True, False))
        for a, b in zip(layered, mixed, strict=True):
            assert torch.equal(a, b)
