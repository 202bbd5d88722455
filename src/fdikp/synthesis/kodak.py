"""The benchmark "Kodak, rendered": the Kodak images rendered out of focus with fixed seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fdikp.synthesis.render import render_pair
from fdikp.synthesis.settings import RenderSettings

KODAK_SETTINGS = RenderSettings(
    max_radius=8.0,
    min_radius=0.6,
    radius_exponent=1.5,
    levels=7,
    p_sharp=0.0,
    p_uniform=0.15,
    p_single=0.25,
    p_foreign=0.6,
    p_highlight_boost=0.4,
    max_highlight_boost=6.0,
    max_spot_boost=1.0,
    p_cats_eye=0.0,
    frame=1680,
    p_tone_curve=0.0,
    p_noise=0.5,
    p_mosaic=0.0,
    p_luminance_noise=0.0,
    p_sharpened=0.2,
    p_oversharpened=0.0,
    p_jpeg=0.15,
    min_quality=70,
    keep_grain=False,
    rounded=True,
)
"""Settings of the benchmark. They are frozen, since published figures depend on them. Pairs without blur are left out:
their PSNR is unbounded."""


@dataclass(frozen=True)
class KodakPair:
    """One whole image of the Kodak set and its rendering."""

    name: str
    blurred: Tensor
    """[3, H, W] sRGB 0..1, 8-bit values."""
    target: Tensor
    """[3, H, W] sRGB 0..1."""
    radius: Tensor
    """[1, H, W] blur radius in pixels."""


def kodak_pairs(folder: str | Path) -> Iterator[KodakPair]:
    """Render `kodim01.png` ... in `folder`, each whole (768x512 or 512x768), with its number as the seed."""
    for file in sorted(Path(folder).glob("kodim*.png")):
        yield kodak_pair(file)


def kodak_pair(file: Path) -> KodakPair:
    """Render one image of the set. The number in its name, `kodimNN.png`, is the seed."""
    pixels = np.array(Image.open(file).convert("RGB"), dtype=np.float32) / 255.0
    sharp = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    pair = render_pair(sharp[None], [int(file.stem.removeprefix("kodim"))], KODAK_SETTINGS)
    return KodakPair(file.stem, pair.blurred[0], pair.target[0], pair.radius[0])
