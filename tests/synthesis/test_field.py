import math

import pytest
import torch

from fdikp.synthesis import Field
from fdikp.synthesis.field import draw_field
from fdikp.synthesis.rng import RandomStream


def test_the_corner_of_the_photo_has_height_1():
    field = Field.of_tile(0, 0, 1680, 1120, 1680, 1120)
    assert math.hypot(field.left, field.top) == pytest.approx(1)
    assert (field.left, field.top) == (-field.right, -field.bottom)


def test_a_small_tile_is_one_place_at_its_middle():
    ((place, rows, columns),) = Field.of_tile(1568, 1008, 112, 112, 1680, 1120).places(112, 112)
    corner = math.hypot(840, 560)
    assert place == pytest.approx(((1624 - 840) / corner, (1064 - 560) / corner))
    assert bool((rows == 1).all() and (columns == 1).all())


@pytest.mark.parametrize(("height", "width"), [(1120, 1680), (512, 512), (1, 1680), (7, 5)])
def test_weights_sum_to_1_and_meet_at_their_places(height, width):
    field = Field.of_tile(0, 0, width, height, 1680, 1120)
    places = [(place, rows[:, None] * columns) for place, rows, columns in field.places(height, width)]
    assert torch.allclose(sum(weight for _, weight in places), torch.ones(height, width), atol=1e-5)
    # interpolation by the weights gives a place's own coordinates back, but for tiles with one place to a side
    centres = torch.linspace(field.top, field.bottom, 2 * height + 1)[1::2]
    if len({y for (_, y), _ in places}) > 1:
        assert torch.allclose(sum(y * weight for (_, y), weight in places)[:, 0], centres, atol=1e-5)


def test_tiles_lie_anywhere_in_their_photo():
    fields = [draw_field(RandomStream(seed), 112, 112, 1680) for seed in range(400)]
    centres = torch.tensor([((f.left + f.right) / 2, (f.top + f.bottom) / 2) for f in fields])
    assert float(centres.norm(dim=1).max()) > 0.85
    assert float(centres.norm(dim=1).min()) < 0.1
    assert float(centres.mean(dim=0).abs().max()) < 0.05
    assert draw_field(RandomStream(1), 40, 60, 0) == Field.of_tile(0, 0, 60, 40, 60, 40)
    assert draw_field(RandomStream(1), 2000, 60, 1680).top < -0.75  # larger than the photo: from border to border
