from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp.synthesis import Field, RenderSettings, dataset
from fdikp.synthesis.dataset import RenderedSet


@pytest.fixture
def pairs(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for kind in ("source", "target"):
        (tmp_path / kind).mkdir()
    return RenderedSet([tmp_path / "a.png"], tmp_path, RenderSettings(max_radius=4.0), size=32)


def test_a_tile_is_rendered_with_its_surroundings_and_as_its_place_in_the_photo(pairs, monkeypatch):
    seen = []

    def render_pair(sharp, seeds, settings, fields):
        seen.append((sharp[0], fields[0]))
        return real(sharp, seeds, settings, fields)

    real = dataset.render_pair
    monkeypatch.setattr(dataset, "render_pair", render_pair)
    photo = torch.from_numpy(np.array(Image.open(pairs.photos[0]))).permute(2, 0, 1) / 255
    for number in range(5):
        x, y, width, height = pairs.render(number)["tile"]
        left, top, right, bottom = max(0, x - 8), max(0, y - 8), min(160, x + width + 8), min(90, y + height + 8)
        window, field = seen[-1]
        assert torch.equal(window, photo[:, top:bottom, left:right])
        assert field == Field.of_tile(left, top, right - left, bottom - top, 160, 90)
    assert len({(field.left, field.top) for _, field in seen}) == 5


def test_seeds_of_pairs_differ(pairs):
    seeds = {replace(pairs, seed=seed).render(number)["seed"] for seed in (0, 1, -1) for number in range(4)}
    assert len(seeds) == 12
