import math

import pytest
import torch

from fdikp.synthesis.aperture import Aperture, aperture_kernels, kernel_reach

SHAPES = [
    Aperture(),
    Aperture(edge=0.7, ring=0.4),
    Aperture(blades=5, angle=0.3),
    Aperture(blades=7, roundness=0.6, diffraction=0.5),
]


def kernel(radius: float, aperture: Aperture, reach: int = 16, field=(0.0, 0.0)) -> torch.Tensor:
    return aperture_kernels(torch.tensor([radius]), aperture, reach, field)[0].double()


def mean_square_distance(k: torch.Tensor) -> float:
    axis = torch.arange(k.shape[-1], dtype=k.dtype) - k.shape[-1] // 2
    return float((k * (axis[:, None] ** 2 + axis**2)).sum())


@pytest.mark.parametrize("aperture", SHAPES)
@pytest.mark.parametrize("radius", [0.0, 0.4, 0.7, 2.3, 8.0])
def test_light_is_neither_lost_nor_made_nor_moved(aperture, radius):
    k = kernel(radius, aperture)
    axis = torch.arange(k.shape[-1], dtype=k.dtype) - k.shape[-1] // 2
    assert float(k.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(k.min()) >= 0
    assert abs(float((k.sum(0) * axis).sum())) < 0.05 * radius + 1e-6  # odd polygons are not point-symmetric
    assert abs(float((k.sum(1) * axis).sum())) < 0.05 * radius + 1e-6


@pytest.mark.parametrize("aperture", SHAPES)
def test_radius_zero_is_the_identity(aperture):
    k = kernel(0.0, aperture)
    k[16, 16] -= 1.0
    assert float(k.abs().max()) < 1e-6


@pytest.mark.parametrize("radius", [0.8, 1.0, 1.5, 2.25, 3.7, 5.5, 8.0])
def test_a_disc_has_its_area(radius):
    measured = math.sqrt(1 / float(kernel(radius, Aperture()).max()) / math.pi)
    assert 2 * measured == pytest.approx(2 * radius, abs=0.1)


@pytest.mark.parametrize("radius", [2.25, 3.7, 5.5, 8.0])
def test_a_disc_has_its_diameter(radius):
    # <d^2> of a disc is r^2 / 2; rounding to pixels adds 1/12 on either axis, where they are small beside it
    measured = math.sqrt(2 * (mean_square_distance(kernel(radius, Aperture())) - 1 / 6))
    assert 2 * measured == pytest.approx(2 * radius, abs=0.1)


def test_a_disc_covers_pixels_by_area():
    radius, fine = 2.3, 101
    axis = (torch.arange(9 * fine, dtype=torch.float64) - (9 * fine - 1) / 2) / fine
    inside = (torch.hypot(axis[:, None], axis) <= radius).double()
    exact = inside.view(9, fine, 9, fine).mean(dim=(1, 3)) / (math.pi * radius**2)
    assert float((kernel(radius, Aperture(), 4) - exact).abs().max()) < 0.02 / (math.pi * radius**2)


@pytest.mark.parametrize("blades", [5, 6, 8])
def test_a_polygon_has_the_area_of_the_disc_and_turns_onto_itself(blades):
    k = kernel(8.0, Aperture(blades=blades, angle=0.2))
    assert 1 / float(k.max()) == pytest.approx(math.pi * 64, rel=0.02)
    turned = kernel(8.0, Aperture(blades=blades, angle=0.2 + 2 * math.pi / blades))
    assert torch.allclose(k, turned, atol=1e-5)
    half = kernel(8.0, Aperture(blades=blades, angle=0.2 + math.pi / blades))
    assert not torch.allclose(k, half, atol=1e-4)


def test_a_round_polygon_is_a_disc():
    assert torch.allclose(kernel(5.0, Aperture(blades=6, roundness=1.0)), kernel(5.0, Aperture()))


def test_spherical_aberration_moves_light_to_the_rim_or_from_it():
    plain = mean_square_distance(kernel(6.0, Aperture()))
    assert mean_square_distance(kernel(6.0, Aperture(ring=0.5))) > plain + 0.5
    assert mean_square_distance(kernel(6.0, Aperture(ring=-0.5))) < plain - 0.5


def test_diffraction_adds_its_variance():
    wider = mean_square_distance(kernel(4.0, Aperture(diffraction=0.8)))
    assert wider - mean_square_distance(kernel(4.0, Aperture())) == pytest.approx(2 * 0.8**2, abs=0.02)


@pytest.mark.parametrize("aperture", [Aperture(edge=1.0), Aperture(blades=5, edge=1.0, diffraction=0.6)])
def test_the_reach_holds_the_widest_kernel(aperture):
    k = kernel(8.0, aperture, kernel_reach(8.0))
    assert max(float(k[0].max()), float(k[-1].max()), float(k[:, 0].max()), float(k[:, -1].max())) < 1e-6


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6, 1.0])
def test_a_cats_eye_has_the_area_of_two_discs_overlap(shift):
    k = kernel(8.0, Aperture(cats_eye=1.0), field=(shift, 0.0))
    overlap = 64 * (2 * math.acos(shift / 2) - shift / 2 * math.sqrt(4 - shift**2))  # radius 8, centres 8 * shift apart
    assert 1 / float(k.max()) == pytest.approx(overlap, rel=0.02)
    chords = [float(line.sum() / k.max()) for line in (k[16], k[:, 16])]
    assert chords[0] == pytest.approx(16 - 8 * shift, abs=0.2)  # narrow on the line to the centre
    assert chords[1] == pytest.approx(16 * math.sqrt(1 - shift**2 / 4), abs=0.4)  # its tips are narrower than a pixel


def test_a_cats_eye_points_at_the_centre_and_does_not_move():
    eye = Aperture(cats_eye=0.9, ring=0.4, edge=0.1)
    for x, y in ((0.6, 0.3), (-0.6, 0.3), (0.6, -0.3)):
        k = kernel(6.0, eye, field=(x, y))
        assert torch.allclose(k, k.flip(0, 1), atol=1e-6)
        assert torch.allclose(k, kernel(6.0, eye, field=(-x, -y)), atol=1e-6)
        assert torch.allclose(k.flip(1), kernel(6.0, eye, field=(-x, y)), atol=1e-6)
        assert torch.allclose(k.T, kernel(6.0, eye, field=(y, x)), atol=1e-6)
    assert torch.equal(kernel(6.0, eye), kernel(6.0, Aperture(ring=0.4, edge=0.1)))  # none at the centre
