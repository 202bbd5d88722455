"""Every number that an evaluation may hold for an image: its title, which way is better, and how it is printed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A kind of number that tells how good a picture is."""

    title: str
    better: Literal["higher", "lower"]
    digits: int
    """Decimals that tables print."""
    everywhere: bool = True
    """Whether every picture has it; others are means over those pictures that do."""


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR", "higher", 2),
    "ssim": Metric("SSIM", "higher", 4),
    "mae": Metric("MAE", "lower", 4),
    "lpips": Metric("LPIPS", "lower", 4),
    "lpips-alex": Metric("LPIPS (AlexNet)", "lower", 4),
    "lpips-squeeze": Metric("LPIPS (SqueezeNet)", "lower", 4),
    "lpips-vgg": Metric("LPIPS (VGG)", "lower", 4),
    "blur": Metric("blur effect", "lower", 4),
    "focus": Metric("error in focus", "lower", 6, everywhere=False),
    "overshoot": Metric("overshoot", "lower", 3, everywhere=False),
    "shift": Metric("colour shift", "lower", 5),
}
"""Every number that an evaluation may hold for an image, in the order of tables. `lpips` is that of the protocol's
own backbone, `blur` that of `no_reference`, which needs no target. `focus` is the mean squared error on pixels that
show detail in focus already, where an image has such; `overshoot` is for sets whose targets are aligned to the pixel;
`shift` the change of the picture's mean."""

MOST_PSNR = 100.0
"""Equal pictures count as this many dB in means and in JSON, which knows no infinity."""
