"""Training pairs: sharp photographs in memory, a crop of one of them turned at random, rendered out of focus."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fdikp.synthesis import Rendered, RenderSettings, render_pair
from fdikp.synthesis.draws import Draws

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


def load_pictures(folders: Sequence[Path]) -> list[Tensor]:
    """All pictures below the folders, in the order of their paths, as uint8 [3, H, W].

    Raises:
        FileNotFoundError: a folder holds no picture.
    """
    files: list[Path] = []
    for folder in folders:
        found = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
        if not found:
            raise FileNotFoundError(f"no pictures in {folder}")
        files += found

    def load(file: Path) -> Tensor:
        with Image.open(file) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(load, files))


@dataclass
class PairStream:
    """An endless stream of rendered pairs. Pair n is a function of (pictures, seed, n), so that a stream continues
    exactly from any step with nothing to remember, and does not depend on the batch size."""

    pictures: Sequence[Tensor]
    """uint8 [3, H, W]; those smaller than a crop with its margins are enlarged."""
    crop: int
    margin: int
    seed: int
    settings: RenderSettings

    def batch(self, step: int, size: int, device: torch.device) -> Rendered:
        """Pairs step*size .. step*size + size - 1, with maps of crop x crop pixels, on the device."""
        numbers = range(step * size, (step + 1) * size)
        seeds = [_mix(self.seed, n) for n in numbers]
        sharp = torch.stack([self._sharp(n, seed) for n, seed in zip(numbers, seeds, strict=True)])
        pair = render_pair(sharp.to(device), seeds, self.settings)
        if not self.margin:
            return pair
        inner = slice(self.margin, -self.margin)
        return Rendered(*(part[..., inner, inner] for part in (pair.blurred, pair.target, pair.radius)))

    def _sharp(self, number: int, seed: int) -> Tensor:
        """[3, S, S] float32 0..1 with S = crop + 2 margin: a random piece of a picture, scaled, flipped, turned.

        Reduced, soft photographs become sharp. Enlarged, sharp ones become soft, as most are at full size: what is in
        focus there is not blurred, and a network that has seen crisp targets only sharpens it all the same.
        """
        draws = Draws(seed + 1)
        picture = self.pictures[self._pick(number)]
        size = self.crop + 2 * self.margin
        reduction = 1.0 if draws.chance(0.3) else draws.log_uniform(0.6, 2.0)
        side = min(round(size * reduction), *picture.shape[-2:])
        top = draws.integer(0, picture.shape[-2] - side)
        left = draws.integer(0, picture.shape[-1] - side)
        piece = picture[:, top : top + side, left : left + side].float() / 255.0
        if side != size:
            piece = F.interpolate(piece[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0.0, 1.0)
        if draws.chance(0.5):
            piece = piece.flip(-1)
        return torch.rot90(piece, draws.integer(0, 3), (-2, -1)).contiguous()

    def _pick(self, number: int) -> int:
        """Each picture once before any comes again, in another order each time."""
        epoch, place = divmod(number, len(self.pictures))
        if getattr(self, "_epoch", None) != epoch:
            generator = torch.Generator().manual_seed(_mix(self.seed + 1, epoch))
            self._epoch, self._order = epoch, torch.randperm(len(self.pictures), generator=generator).tolist()
        return int(self._order[place])


def _mix(seed: int, number: int) -> int:
    """A seed below 2**62 for the number-th draw, far from those of its neighbours (splitmix64)."""
    z = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) >> 2
