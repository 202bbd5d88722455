"""`research/colour.py`, which made the shipped weights from the trained ones."""

import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from fdikp import models

SCRIPT = Path(__file__).parents[2] / "research" / "colour.py"


def test_what_the_first_stage_changes_keeps_its_luma_and_a_share_of_its_colour(tmp_path: Path) -> None:
    """Later stages see another result of the stage before, and are the same only nearly."""
    calm = tmp_path / "calm.safetensors"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "fdikp-lite", "0.5", "-o", str(calm)], capture_output=True, text=True, check=True
    )
    assert models.describe(calm).sha256 in done.stdout
    sharp = torch.from_numpy(data.astronaut()[:256, :256].copy()).permute(2, 0, 1)[None] / 255
    x = F.avg_pool2d(sharp, 17, stride=1, padding=8)[..., :240, :240]

    def change(model: str) -> tuple[Tensor, Tensor]:
        network, _ = models.load(model)
        with torch.no_grad():
            first = network.stages(x)[0].image - F.avg_pool2d(x, 4)
        luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), first)[:, None]
        return luma, first - luma

    (luma, colour), (kept, calmed) = change("fdikp-lite"), change(str(calm))
    assert colour.abs().max() > 1e-3
    torch.testing.assert_close(kept, luma, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(calmed, 0.5 * colour, atol=1e-6, rtol=1e-5)
