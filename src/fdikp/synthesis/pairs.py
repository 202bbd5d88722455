"""The benchmark "Kodak rendered with fixed seeds"."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fdikp.synthesis.render import render_pair
from fdikp.synthesis.settings import RenderSettings

KODAK_SETTINGS = RenderSettings(share_sharp=0.0, share_oversharpened=0.0)
"""Settings of the benchmark: those of training, less the pairs without blur, whose PSNR would have no bound."""


@dataclass(frozen=True)
class KodakPair:
    """One whole picture of the Kodak set and its rendering."""

    name: str
    blurred: Tensor
    """[3, H, W] sRGB 0..1, 8-bit values."""
    target: Tensor
    """[3, H, W] sRGB 0..1."""
    radius: Tensor
    """[1, H, W] blur radius in pixels."""


def kodak_pairs(folder: str | Path) -> Iterator[KodakPair]:
    """Render `kodim01.png` ... in `folder`, each whole (768x512 or 512x768) and with its number as the seed."""
    for file in sorted(Path(folder).glob("kodim*.png")):
        pixels = np.array(Image.open(file).convert("RGB"), dtype=np.float32) / 255.0
        picture = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        pair = render_pair(picture[None], [int(file.stem.removeprefix("kodim"))], KODAK_SETTINGS)
        yield KodakPair(file.stem, pair.blurred[0], pair.target[0], pair.radius[0])
