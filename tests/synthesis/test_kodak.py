from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp.synthesis import KODAK_SETTINGS, kodak_pairs, render_pair

KODAK = Path(__file__).parents[3] / "shared" / "data" / "eval" / "kodak24"


# Mean blur radius and difference between the two images, for seeds 1 to 24, of the renderer that the published
# figures were first measured with. A record and not an oracle, on purpose: the benchmark must not move.
FIRST = [
    (2.1865, 0.0763), (4.7770, 0.1815), (1.6311, 0.0622), (2.8566, 0.1035), (4.1826, 0.1807), (2.8605, 0.1720),
    (1.1070, 0.0412), (4.3347, 0.1749), (0.9802, 0.0748), (1.7412, 0.0812), (3.1544, 0.1452), (2.5483, 0.1529),
    (3.3085, 0.1369), (5.9348, 0.2046), (0.2530, 0.0347), (1.9258, 0.0895), (5.9175, 0.2092), (2.0658, 0.1237),
    (1.9966, 0.0641), (4.4960, 0.1847), (2.0009, 0.0808), (2.2428, 0.0970), (1.0908, 0.0530), (1.5149, 0.0915),
]  # fmt: skip


def test_the_benchmark_stays_what_it_was():
    generator = torch.Generator().manual_seed(24)
    coarse = torch.rand(1, 3, 12, 16, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (48, 64), mode="bicubic").clamp(0, 1)
    for seed, (radius, difference) in enumerate(FIRST, 1):
        pair = render_pair(image, [seed], KODAK_SETTINGS)
        assert float(pair.radius.mean()) == pytest.approx(radius, abs=2e-4)
        assert float((pair.blurred - pair.target).square().mean().sqrt()) == pytest.approx(difference, abs=5e-4)


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
