"""How the network does on real pairs while it trains: cheap, and the same crops each time."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

IN_FOCUS = 0.01
"""Where input and target differ by less than this, the picture is in focus already."""


@dataclass(frozen=True)
class RealPairs:
    """Centre crops of real pairs, each [3, H, W] in 0..1; sides are multiples of 16."""

    sources: list[Tensor]
    targets: list[Tensor]


@dataclass(frozen=True)
class Validation:
    """Means over pictures."""

    psnr_in: float
    psnr_out: float
    gain: float
    worst: float
    """The smallest gain of a picture, in dB."""
    focus_error: float
    """Squared error on the in-focus part, after over before, each summed over all pictures."""
    shift: float
    """Mean change of brightness against the input, signed."""

    def to_dict(self) -> dict[str, float]:
        """The fields, rounded for a log."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


def load_real_pairs(folder: Path, crop: int) -> RealPairs:
    """Pairs of equal stem from `folder`/source and `folder`/target; a single target belongs to all sources."""
    sources = sorted(f for f in (folder / "source").iterdir() if f.is_file())
    targets = {f.stem: f for f in (folder / "target").iterdir() if f.is_file()}
    only = next(iter(targets.values())) if len(targets) == 1 else None
    pairs = [(_crop(f, crop), _crop(only or targets[f.stem], crop)) for f in sources]
    return RealPairs([a for a, _ in pairs], [b for _, b in pairs])


def _crop(file: Path, crop: int) -> Tensor:
    with Image.open(file) as image:
        pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255.0
    height, width = (min(crop, side) // 16 * 16 for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return torch.from_numpy(pixels[top : top + height, left : left + width]).permute(2, 0, 1).contiguous()


@torch.inference_mode()
def validate(network: nn.Module, pairs: RealPairs, device: torch.device, bf16: bool) -> Validation:
    """Run the network on each crop, in evaluation mode, and compare."""
    training = network.training
    network.eval()
    before, after, shifts = [], [], []
    focus_before = focus_after = 0.0
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            output = network(source[None].to(device))[0].float().cpu().clamp(0.0, 1.0)
        error_in, error_out = (source - target).square(), (output - target).square()
        in_focus = (source - target).abs() < IN_FOCUS
        focus_before += float(error_in[in_focus].sum())
        focus_after += float(error_out[in_focus].sum())
        before.append(-10.0 * float(error_in.mean().clamp_min(1e-10).log10()))
        after.append(-10.0 * float(error_out.mean().clamp_min(1e-10).log10()))
        shifts.append(float((output - source).mean()))
    network.train(training)
    gains = [b - a for a, b in zip(before, after, strict=True)]
    count = len(gains)
    return Validation(
        psnr_in=sum(before) / count,
        psnr_out=sum(after) / count,
        gain=sum(gains) / count,
        worst=min(gains),
        focus_error=focus_after / max(focus_before, 1e-12),
        shift=sum(shifts) / count,
    )
