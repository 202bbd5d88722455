"""Every metric that an evaluation may hold for an image: its title, which way is better, and how it is printed."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A metric as tables show it."""

    title: str
    better: Literal["higher", "lower"]
    digits: int
    """Decimals in tables."""
    everywhere: bool = True
    """Whether every image must have it for a mean; the mean of other metrics is over the images that have it."""

    def text(self, value: float | None) -> str:
        """A score as tables show it; a dash if there is none.

        >>> METRICS["psnr"].text(23.456), METRICS["psnr"].text(float("inf")), METRICS["ssim"].text(None)
        ('23.46', '∞', '–')
        """
        if value is None:
            return "–"
        return "∞" if value == math.inf else f"{value:.{self.digits}f}"


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR", "higher", 2),
    "ssim": Metric("SSIM", "higher", 4),
    "mae": Metric("MAE", "lower", 4),
    "lpips": Metric("LPIPS", "lower", 4),
    "lpips-alex": Metric("LPIPS (AlexNet)", "lower", 4),
    "lpips-squeeze": Metric("LPIPS (SqueezeNet)", "lower", 4),
    "lpips-vgg": Metric("LPIPS (VGG)", "lower", 4),
    "blur": Metric("blur effect", "lower", 4),
    "focus": Metric("in-focus error", "lower", 6, everywhere=False),
    "overshoot": Metric("overshoot", "lower", 3, everywhere=False),
    "shift": Metric("colour shift", "lower", 5),
}
"""In the order of tables. `lpips` uses the protocol's backbone; `blur` is that of `no_reference`, without a target.
`focus` is the mean squared error on pixels that show detail in focus (`focus.sharp_pixels`), for images that have such
pixels. `overshoot` is for sets whose targets are aligned to the pixel. `shift` is the change of the image's mean."""
