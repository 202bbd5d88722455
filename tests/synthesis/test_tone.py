from dataclasses import replace

import pytest
import torch
from tests.synthesis.test_render import CLEAN

from fdikp.synthesis import render_pair
from fdikp.synthesis.rng import RandomStream
from fdikp.synthesis.tone import SRGB, ToneCurve, draw_tone
from fdikp.transfer_functions import linear_to_srgb

CODES = torch.arange(256) / 255
CURVES = [SRGB, ToneCurve(1.4), ToneCurve(0.9, 1.2), ToneCurve(1.5, 0.87), ToneCurve(0.95, 1.25)]


@pytest.mark.parametrize("tone", CURVES)
def test_decoding_undoes_encoding(tone):
    assert torch.allclose(tone.encode(tone.decode(CODES)), CODES, atol=1e-5)


@pytest.mark.parametrize("tone", CURVES)
def test_black_and_white_stay_and_more_light_is_brighter(tone):
    codes = tone.encode(torch.linspace(0, 1, 4096))
    assert codes[0] == 0
    assert abs(float(codes[-1]) - 1) < 1e-6
    assert (codes.diff() > 0).all()


def test_light_that_no_sensor_holds_is_clipped():
    assert torch.equal(ToneCurve(1.3, 1.1).encode(torch.tensor([-0.5, 1.5])), torch.tensor([0.0, 1.0]))


def test_contrast_is_the_slope_in_the_middle():
    middle = torch.tensor([0.499, 0.501], dtype=torch.float64)
    grey = (middle + 0.055).div(1.055).pow(2.4)
    slope = ToneCurve(1.4).encode(grey).diff() / linear_to_srgb(grey).diff()
    assert float(slope) == pytest.approx(1.4, rel=1e-3)


def test_drawn_curves_give_contrast_more_often_than_they_take_it():
    drawn = [draw_tone(RandomStream(seed)) for seed in range(200)]
    assert sum(tone.contrast > 1 for tone in drawn) > 150
    assert min(tone.power for tone in drawn) < 1 < max(tone.power for tone in drawn)


def test_a_lens_blurs_the_light_under_the_curve_that_the_pair_was_seen_through():
    """The mean of light is kept by a blur, whatever curve encodes it; that of another curve's light is not."""
    generator = torch.Generator().manual_seed(1)
    picture = (torch.rand(1, 3, 96, 96, generator=generator) > 0.5) * 0.8 + 0.1
    settings = replace(CLEAN, p_tone_curve=1.0, p_sharp=0.0, p_uniform=1.0, min_radius=2.0)
    for seed in range(8):
        pair = render_pair(picture, [seed], settings)
        toned = RandomStream(seed).fork("tone")
        assert toned.chance(1.0)
        tone = draw_tone(toned)

        def change(tone: ToneCurve, pair=pair) -> float:
            inner = (..., slice(16, -16), slice(16, -16))
            before, after = (float(tone.decode(x)[inner].mean()) for x in (pair.target, pair.blurred))
            return abs(after / before - 1)

        assert change(tone) < 0.02
        assert change(replace(tone, contrast=tone.contrast * 2)) > 0.03


def test_a_sharp_pair_stays_the_picture_itself_under_any_curve():
    picture = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    pair = render_pair(picture, range(4), replace(CLEAN, p_tone_curve=1.0, p_sharp=1.0))
    assert torch.equal(pair.target, picture)
    assert torch.allclose(pair.blurred, picture, atol=1e-5)
