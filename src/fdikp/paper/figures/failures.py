"""Fig. 13: failure cases, the images that gained least."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdikp.evaluation.compare import signed
from fdikp.imaging import as_unit
from fdikp.metrics.registry import METRICS
from fdikp.paper.figures import strips
from fdikp.paper.figures.strips import FigureImage, Strip
from fdikp.plots.canvas import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

COUNT = 4
"""Default number of failures."""


def draw(images: Sequence[FigureImage], restored: Sequence[np.ndarray], title: str, count: int = COUNT) -> np.ndarray:
    """Strips of input, result and target of the images whose PSNR gained least, the smallest gain first.

    Images whose input or result equals the target come last: their gain is not a number.

    Args:
        images: images with targets.
        restored: the result of each, of the same shape and type.
        title: heading.
        count: maximum number of strips.

    Returns:
        [h, 900, 3] uint8.
    """
    return render(compose(images, restored, title, count))


def compose(images: Sequence[FigureImage], restored: Sequence[np.ndarray], title: str, count: int = COUNT) -> "Figure":
    """The figure that `draw` draws."""
    strips_by_gain = []
    for image, result in zip(images, restored, strict=True):
        assert image.target is not None
        before, after = psnr(image.source, image.target), psnr(result, image.target)
        finite = math.isfinite(before) and math.isfinite(after)
        text = METRICS["psnr"].text
        gain = f" ({signed('psnr', after - before)})" if finite else ""
        notes = (f"{text(before)} dB", f"{text(after)} dB{gain}", "")
        strip = Strip(image.name, (image.source, result, image.target), notes)
        strips_by_gain.append((after - before if finite else math.inf, strip))
    strips_by_gain.sort(key=lambda item: item[0])
    return strips.compose([strip for _, strip in strips_by_gain[:count]], ("input", "restored", "target"), title)


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    """PSNR of two images [H, W, 3], dB; infinite if they are equal."""
    import torch

    from fdikp.metrics import psnr as metric

    one, other = (torch.from_numpy(as_unit(p)).permute(2, 0, 1)[None].clamp(0.0, 1.0) for p in (image, target))
    return float(metric.psnr(one, other))


def from_model(model: "Deblurrer", images: Sequence[FigureImage], title: str, count: int = COUNT) -> np.ndarray:
    """The figure for a model on images with targets."""
    return draw(images, [model(image.source) for image in images], title, count)
