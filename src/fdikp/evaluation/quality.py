"""What a model did to one picture: not only how much better, but also what it did to what was good already."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor

from fdikp.evaluation.lpips import LPIPS
from fdikp.evaluation.metrics import psnr, ssim

IN_FOCUS = 0.01
"""A pixel is in focus where no channel of input and target differs by as much as this."""

MOST_PSNR = 100.0
"""Equal pictures count as this many dB, so that means stay finite."""


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
    focus_pixels: int
    """Pixels in focus already."""
    focus_before: float
    """Squared error on those pixels, summed over them, mean of the channels."""
    focus_after: float
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
    focus_ratio: float | None
    """Squared error after over before on all pixels of the set that are in focus; None where there are none."""
    focus_error: float | None
    """Mean squared error after, on those pixels."""
    shift: float


def score(name: str, blurred: Tensor, output: Tensor, target: Tensor, lpips: LPIPS | None = None) -> Scores:
    """Compare [3, H, W] pictures, 0..1; the output is clamped to that first."""
    before, after, truth = (image[None].float().clamp(0.0, 1.0) for image in (blurred, output, target))
    in_focus = ((before - truth).abs() < IN_FOCUS).all(dim=1)  # [1, H, W]
    error_before, error_after = ((image - truth).square().mean(dim=1)[in_focus].double() for image in (before, after))
    return Scores(
        name=name,
        psnr_before=_number(psnr(before, truth).clamp_max(MOST_PSNR)),
        psnr_after=_number(psnr(after, truth).clamp_max(MOST_PSNR)),
        ssim_before=_number(ssim(before, truth)),
        ssim_after=_number(ssim(after, truth)),
        lpips_before=_number(lpips(before, truth)) if lpips else None,
        lpips_after=_number(lpips(after, truth)) if lpips else None,
        focus_pixels=int(in_focus.sum()),
        focus_before=_number(error_before.sum()),
        focus_after=_number(error_after.sum()),
        shift=_number((after - before).double().mean(dim=(0, 2, 3)).abs().mean()),
    )


def summarise(scores: Sequence[Scores]) -> Summary:
    """The set that `scores` are the pictures of; at least one."""
    worst = min(scores, key=lambda s: s.gain)
    focus_pixels, focus_before, focus_after = (
        sum(getattr(s, field) for s in scores) for field in ("focus_pixels", "focus_before", "focus_after")
    )
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
        focus_ratio=focus_after / focus_before if focus_before else None,
        focus_error=focus_after / focus_pixels if focus_pixels else None,
        shift=fmean(s.shift for s in scores),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def _number(value: Tensor) -> float:
    return float(value.detach())
