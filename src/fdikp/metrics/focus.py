"""What a model did to one picture: not only how much better, but also what it did to what was good already."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import torch
from torch import Tensor

from fdikp.metrics.lpips import LPIPS
from fdikp.metrics.overshoot import overshoot
from fdikp.metrics.psnr import psnr
from fdikp.metrics.registry import MOST_PSNR
from fdikp.metrics.ssim import ssim
from fdikp.network import NetworkConfig
from fdikp.network.dilation import DilationMap

IN_FOCUS = 0.01
"""A pixel is in focus where no channel of input and target differs by as much as this."""

SHARP = 0.5
"""A place shows detail in focus where the dilation an untrained `DilationMap` gives it is below this, pixels: it is
then blurred by less than a radius of about one pixel, and is not flat."""


@dataclass(frozen=True)
class Scores:
    """One picture, before (the input) and after (the output), each against the target."""

    name: str
    psnr_before: float
    psnr_after: float
    ssim_before: float
    ssim_after: float
    lpips_before: float | None
    lpips_after: float | None
    overshoot_before: float
    overshoot_after: float
    focus_pixels: int
    """Pixels in focus already."""
    focus_before: float
    """Squared error on those pixels, summed over them, mean of the channels."""
    focus_after: float
    sharp_pixels: int
    """Those of them where the target shows detail in focus. Elsewhere input and target may be blurred alike, as real
    "all-in-focus" pictures are in places, and bringing that into focus counts as an error."""
    sharp_before: float
    sharp_after: float
    shift: float
    """Change of the picture's mean from input to output, absolute, mean of the channels."""

    @property
    def gain(self) -> float:
        """PSNR gained, dB."""
        return self.psnr_after - self.psnr_before


@dataclass(frozen=True)
class Summary:
    """A set: means of its pictures."""

    pictures: int
    psnr_before: float
    psnr_after: float
    gain: float
    worst_gain: float
    worst_name: str
    ssim_before: float
    ssim_after: float
    lpips_before: float | None
    lpips_after: float | None
    overshoot_before: float
    overshoot_after: float
    focus_ratio: float | None
    """Squared error after over before on all pixels of the set that are in focus; None where there are none."""
    focus_error: float | None
    """Mean squared error after, on those pixels."""
    sharp_ratio: float | None
    """As `focus_ratio`, where the target shows detail in focus."""
    sharp_error: float | None
    shift: float


def score(name: str, blurred: Tensor, output: Tensor, target: Tensor, lpips: LPIPS | None = None) -> Scores:
    """Compare [3, H, W] pictures, 0..1; the output is clamped to that first."""
    before, after, truth = (image[None].float().clamp(0.0, 1.0) for image in (blurred, output, target))
    in_focus = focus_pixels(blurred, target)[None]
    sharp = sharp_pixels(blurred, target)[None]
    errors = [(image - truth).square().mean(dim=1).double() for image in (before, after)]
    return Scores(
        name=name,
        psnr_before=_number(psnr(before, truth).clamp_max(MOST_PSNR)),
        psnr_after=_number(psnr(after, truth).clamp_max(MOST_PSNR)),
        ssim_before=_number(ssim(before, truth)),
        ssim_after=_number(ssim(after, truth)),
        lpips_before=_number(lpips(before, truth)) if lpips else None,
        lpips_after=_number(lpips(after, truth)) if lpips else None,
        overshoot_before=_number(overshoot(before, truth)),
        overshoot_after=_number(overshoot(after, truth)),
        focus_pixels=int(in_focus.sum()),
        focus_before=_number(errors[0][in_focus].sum()),
        focus_after=_number(errors[1][in_focus].sum()),
        sharp_pixels=int(sharp.sum()),
        sharp_before=_number(errors[0][sharp].sum()),
        sharp_after=_number(errors[1][sharp].sum()),
        shift=_number((after - before).double().mean(dim=(0, 2, 3)).abs().mean()),
    )


def focus_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where a picture is in focus already: two [3, H, W] in 0..1 to a mask [H, W]."""
    return ((blurred.float().clamp(0, 1) - target.float().clamp(0, 1)).abs() < IN_FOCUS).all(dim=0)


def sharp_pixels(blurred: Tensor, target: Tensor) -> Tensor:
    """Where it is, and the target shows detail in focus: two [3, H, W] in 0..1 to a mask [H, W]."""
    truth = target.float().clamp(0, 1)[None]
    return focus_pixels(blurred, target) & (_blur_map(truth.device)(truth)[0, 0] < SHARP)


def summarise(scores: Sequence[Scores]) -> Summary:
    """The set that `scores` are the pictures of; at least one."""
    worst = min(scores, key=lambda s: s.gain)
    focus_ratio, focus_error = _region(scores, "focus")
    sharp_ratio, sharp_error = _region(scores, "sharp")
    return Summary(
        pictures=len(scores),
        psnr_before=fmean(s.psnr_before for s in scores),
        psnr_after=fmean(s.psnr_after for s in scores),
        gain=fmean(s.gain for s in scores),
        worst_gain=worst.gain,
        worst_name=worst.name,
        ssim_before=fmean(s.ssim_before for s in scores),
        ssim_after=fmean(s.ssim_after for s in scores),
        lpips_before=_mean([s.lpips_before for s in scores]),
        lpips_after=_mean([s.lpips_after for s in scores]),
        overshoot_before=fmean(s.overshoot_before for s in scores),
        overshoot_after=fmean(s.overshoot_after for s in scores),
        focus_ratio=focus_ratio,
        focus_error=focus_error,
        sharp_ratio=sharp_ratio,
        sharp_error=sharp_error,
        shift=fmean(s.shift for s in scores),
    )


def _region(scores: Sequence[Scores], name: str) -> tuple[float | None, float | None]:
    """How much the squared error grew on some pixels of the set, and their mean squared error after."""
    pixels, before, after = (
        sum(getattr(s, f"{name}_{part}") for s in scores) for part in ("pixels", "before", "after")
    )
    return after / before if before else None, after / pixels if pixels else None


@cache
def _blur_map(device: torch.device) -> DilationMap:
    return DilationMap(NetworkConfig()).requires_grad_(False).to(device)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def _number(value: Tensor) -> float:
    return float(value.detach())
