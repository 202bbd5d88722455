"""Every metric of an image before and after a model restored it, and the means of a set.

An image that equals its target has an infinite PSNR, which no mean can hold. Such images are counted, named and left
out of every mean, so that all means are over the same images.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor

from fdikp.metrics.focus import focus_pixels, sharp_pixels
from fdikp.metrics.lpips import LPIPS
from fdikp.metrics.overshoot import overshoot
from fdikp.metrics.psnr import psnr
from fdikp.metrics.ssim import ssim


@dataclass(frozen=True)
class Scores:
    """One image, before (the input) and after (the output), each against the target."""

    name: str
    psnr_before: float
    """dB, as `psnr_after`; infinite if the image equals the target."""
    psnr_after: float
    ssim_before: float
    ssim_after: float
    lpips_before: float | None
    lpips_after: float | None
    overshoot_before: float
    overshoot_after: float
    focus_pixels: int
    """Number of pixels that are in focus in the input (`focus.focus_pixels`)."""
    focus_before: float
    """Squared error summed over those pixels, mean of the channels."""
    focus_after: float
    sharp_pixels: int
    """Number of those pixels where the target shows detail in focus (`focus.sharp_pixels`)."""
    sharp_before: float
    sharp_after: float
    shift: float
    """Absolute change of the mean from input to output, mean of the channels."""

    @property
    def gain(self) -> float:
        """PSNR gained, dB."""
        return self.psnr_after - self.psnr_before

    @property
    def is_identical(self) -> bool:
        """Whether the input or the output equals the target."""
        return math.inf in (self.psnr_before, self.psnr_after)


@dataclass(frozen=True)
class Summary:
    """Means over the images of a set; None if no image has the score."""

    images: int
    """Number of images in the means."""
    identical: tuple[str, ...]
    """Names of the images that are left out, because the input or the output equals the target."""
    psnr_before: float | None
    psnr_after: float | None
    gain: float | None
    worst_gain: float | None
    worst_name: str | None
    ssim_before: float | None
    ssim_after: float | None
    lpips_before: float | None
    lpips_after: float | None
    overshoot_before: float | None
    overshoot_after: float | None
    focus_ratio: float | None
    """Squared error after over before, on all in-focus pixels of the set; None if there are none."""
    focus_error: float | None
    """Mean squared error after, on those pixels."""
    sharp_ratio: float | None
    """As `focus_ratio`, on the pixels where the target shows detail in focus."""
    sharp_error: float | None
    shift: float | None


def score(name: str, blurred: Tensor, output: Tensor, target: Tensor, lpips: LPIPS | None = None) -> Scores:
    """Score one image; all are [3, H, W] in 0..1, and the output is clamped to that first."""
    before, after, truth = (image[None].float().clamp(0.0, 1.0) for image in (blurred, output, target))
    in_focus = focus_pixels(blurred, target)[None]
    sharp = sharp_pixels(blurred, target)[None]
    errors = [(image - truth).square().mean(dim=1).double() for image in (before, after)]
    return Scores(
        name=name,
        psnr_before=_number(psnr(before, truth)),
        psnr_after=_number(psnr(after, truth)),
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


def summarise(scores: Sequence[Scores]) -> Summary:
    """The summary of a set from the scores of its images."""
    kept = [score for score in scores if not score.is_identical]
    worst = min(kept, key=lambda s: s.gain, default=None)
    focus_ratio, focus_error = _region(kept, "focus")
    sharp_ratio, sharp_error = _region(kept, "sharp")

    def mean(score_of: Callable[[Scores], float | None]) -> float | None:
        values = [value for value in map(score_of, kept) if value is not None]
        return fmean(values) if values else None

    return Summary(
        images=len(kept),
        identical=tuple(score.name for score in scores if score.is_identical),
        psnr_before=mean(lambda s: s.psnr_before),
        psnr_after=mean(lambda s: s.psnr_after),
        gain=mean(lambda s: s.gain),
        worst_gain=worst.gain if worst else None,
        worst_name=worst.name if worst else None,
        ssim_before=mean(lambda s: s.ssim_before),
        ssim_after=mean(lambda s: s.ssim_after),
        lpips_before=mean(lambda s: s.lpips_before),
        lpips_after=mean(lambda s: s.lpips_after),
        overshoot_before=mean(lambda s: s.overshoot_before),
        overshoot_after=mean(lambda s: s.overshoot_after),
        focus_ratio=focus_ratio,
        focus_error=focus_error,
        sharp_ratio=sharp_ratio,
        sharp_error=sharp_error,
        shift=mean(lambda s: s.shift),
    )


def _region(scores: Sequence[Scores], name: str) -> tuple[float | None, float | None]:
    """Squared error after over before on the masked pixels of the set, and the mean squared error after."""
    pixels, before, after = (
        sum(getattr(s, f"{name}_{part}") for s in scores) for part in ("pixels", "before", "after")
    )
    return after / before if before else None, after / pixels if pixels else None


def _number(value: Tensor) -> float:
    return float(value.detach())
