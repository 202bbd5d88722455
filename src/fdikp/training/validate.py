"""How the network does on real pairs while it trains: cheap, and the same crops each time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fdikp.evaluation.quality import Summary, score, summarise
from fdikp.network import GRID


@dataclass(frozen=True)
class RealPair:
    """Centre crops of a real pair, each [3, H, W] in 0..1; sides are multiples of the network's grid."""

    name: str
    source: Tensor
    target: Tensor


def load_real_pairs(folder: Path, crop: int) -> list[RealPair]:
    """Pairs of equal stem from `folder`/source and `folder`/target; a single target belongs to all sources."""
    sources = sorted(f for f in (folder / "source").iterdir() if f.is_file())
    targets = {f.stem: f for f in (folder / "target").iterdir() if f.is_file()}
    only = next(iter(targets.values())) if len(targets) == 1 else None
    return [RealPair(f.stem, _crop(f, crop), _crop(only or targets[f.stem], crop)) for f in sources]


def _crop(file: Path, crop: int) -> Tensor:
    with Image.open(file) as image:
        pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255.0
    height, width = (min(crop, side) // GRID * GRID for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return torch.from_numpy(pixels[top : top + height, left : left + width]).permute(2, 0, 1).contiguous()


@torch.inference_mode()
def validate(network: nn.Module, pairs: list[RealPair], device: torch.device, bf16: bool) -> Summary:
    """Run the network on each crop, in evaluation mode, and compare."""
    training = network.training
    network.eval()
    scores = []
    for pair in pairs:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            output = network(pair.source[None].to(device))[0]
        scores.append(score(pair.name, pair.source, output.float().cpu(), pair.target))
    network.train(training)
    return summarise(scores)
