import pytest
import torch

from fdikp.synthesis.highlights import boost_highlights


def test_boosted_highlights_are_brighter_and_clip_back_to_the_image():
    light = torch.rand(3, 16, 16)
    light[:, 4:8, 4:8] = 1.0
    lifted = boost_highlights(light, 5.0)
    assert torch.allclose(lifted[:, 4:8, 4:8], torch.tensor(5.0))
    dark = light.amax(0) < 0.9
    assert torch.equal(lifted[:, dark], light[:, dark])
    assert torch.equal(lifted.clamp(0, 1)[:, 4:8, 4:8], light[:, 4:8, 4:8])


def test_lamps_are_lifted_more_than_skies_and_their_edges():
    light = torch.full((3, 64, 64), 0.05)
    light[:, 10:13, 10:13] = 1.0  # a lamp
    light[:, 32:] = 1.0  # a sky
    light[:, :20, 32:] = 0.5
    light[:, 10:13, 42:45] = 1.0  # a white stone among grey ones
    lifted = boost_highlights(light, 2.0, 20.0)[0]
    assert float(lifted[11, 11]) > 20
    assert float(lifted[11, 13]) == pytest.approx(0.05)
    assert float(lifted[11, 43]) == pytest.approx(2.0)
    assert torch.allclose(lifted[32:], torch.tensor(2.0))
    assert torch.equal(lifted.clamp(0, 1), light[0])
