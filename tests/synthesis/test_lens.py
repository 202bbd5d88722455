import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdikp.synthesis import ThinLens
from fdikp.synthesis.lens import draw_lens
from fdikp.synthesis.rng import RandomStream

LENS = ThinLens(focal_length=50, f_number=2, focus_distance=2, pixel_pitch=0.02)

lenses = st.builds(
    ThinLens,
    focal_length=st.floats(10, 300),
    f_number=st.floats(1, 22),
    focus_distance=st.floats(0.5, 100),
    pixel_pitch=st.floats(0.002, 0.1),
)


def traced(lens: ThinLens, distance: float) -> float:
    """Blur radius in pixels by following the outermost ray from the point through the lens to the sensor."""
    behind = 1 / (1 / lens.focal_length - 1 / (1000 * distance))  # where the point's image lies, 1/f = 1/d + 1/v
    sensor = 1 / (1 / lens.focal_length - 1 / (1000 * lens.focus_distance))
    rim = lens.focal_length / lens.f_number / 2
    height = rim * (1 - sensor / behind)  # of the ray from the rim to the image point, where it meets the sensor
    return -height / lens.pixel_pitch  # behind the focal plane, the image lies before the sensor


@given(lenses, st.floats(0.4, 1e6))
def test_the_blur_radius_is_that_of_traced_rays(lens, distance):
    expected = traced(lens, distance)
    assert lens.blur_radius(1 / distance) == pytest.approx(expected, rel=1e-6, abs=1e-6 * lens.radius_at_infinity)


def test_signs_and_limits():
    assert LENS.blur_radius(1 / 2) == 0
    assert LENS.blur_radius(1 / 3) > 0 > LENS.blur_radius(1 / 1)
    assert LENS.blur_radius(0) == pytest.approx(LENS.radius_at_infinity)
    assert all(LENS.blur_radius(1 / d) < LENS.radius_at_infinity for d in (3, 30, 300))


@given(lenses, st.floats(0, 2))
def test_an_aperture_twice_as_wide_blurs_twice_as_much(lens, inverse_distance):
    wide = replace(lens, f_number=lens.f_number / 2)
    assert wide.blur_radius(inverse_distance) == pytest.approx(2 * lens.blur_radius(inverse_distance))


@given(lenses, st.floats(-50, 50))
def test_distance_and_radius_are_one_anothers_inverse(lens, radius):
    back = lens.blur_radius(lens.inverse_distance(radius))
    assert back == pytest.approx(radius, abs=1e-9 * (1 + lens.radius_at_infinity))
    assert lens.blur_radius(lens.inverse_distance(0.0)) == 0.0  # exactly: what is in focus is not touched


def test_drawn_lenses_are_ones_that_exist_and_can_blur_enough():
    drawn = [draw_lens(RandomStream(seed), 1680, 8.0) for seed in range(300)]
    assert all(24 <= lens.focal_length <= 135 and 1.4 <= lens.f_number <= 5.6 for lens in drawn)
    assert all(8 < lens.radius_at_infinity < 30 for lens in drawn)
    distances = sorted(lens.focus_distance for lens in drawn)
    assert distances[0] > 0.1
    assert 0.5 < distances[150] < 10
    assert math.isclose(drawn[0].pixel_pitch * 1680, 36)
