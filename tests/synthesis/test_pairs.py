from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp.synthesis import kodak_pairs

KODAK = Path(__file__).parents[3] / "shared" / "data" / "eval" / "kodak24"


def test_the_number_in_the_name_is_the_seed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for name in ("kodim03.png", "kodim20.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    three, twenty = kodak_pairs(tmp_path)
    assert (three.name, twenty.name) == ("kodim03", "kodim20")
    assert three.blurred.shape == three.target.shape == (3, 48, 64)
    assert not torch.equal(three.blurred, twenty.blurred)
    (tmp_path / "kodim03.png").unlink()
    assert torch.equal(next(kodak_pairs(tmp_path)).blurred, twenty.blurred)  # whatever else is in the folder


@pytest.mark.skipif(not KODAK.is_dir(), reason="the Kodak set is not beside the repository (../shared/data)")
def test_kodak_pairs_are_blurred_but_not_everywhere():
    pair = next(kodak_pairs(KODAK))
    assert pair.name == "kodim01"
    assert max(pair.blurred.shape[1:]) == 768
    error = float((pair.blurred - pair.target).square().mean())
    assert 1e-5 < error < 0.05
