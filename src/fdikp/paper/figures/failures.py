"""Fig. 13: failure cases, the pictures that gained least."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdikp.evaluation.results import finite
from fdikp.imaging import as_unit
from fdikp.paper.figures import strips
from fdikp.paper.figures.strips import Case, Strip
from fdikp.plots.canvas import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

COUNT = 4
"""Failures that are shown."""


def draw(cases: Sequence[Case], restored: Sequence[np.ndarray], title: str, count: int = COUNT) -> np.ndarray:
    """Strips of input, result and target of the pictures whose PSNR gained least, the least first.

    Args:
        cases: pictures with their targets.
        restored: what was made of each, of the same shape and type.
        title: what to write above.
        count: so many at most.

    Returns:
        [h, 900, 3] uint8.
    """
    return drawn(compose(cases, restored, title, count))


def compose(cases: Sequence[Case], restored: Sequence[np.ndarray], title: str, count: int = COUNT) -> "Figure":
    """The figure that `draw` draws."""
    found = []
    for case, result in zip(cases, restored, strict=True):
        assert case.target is not None
        before, after = psnr(case.source, case.target), psnr(result, case.target)
        gain = f"{after - before:+.2f}".replace("-", "−")
        notes = (f"{before:.2f} dB", f"{after:.2f} dB ({gain})", "")
        found.append((after - before, Strip(case.name, (case.source, result, case.target), notes)))
    found.sort(key=lambda one: one[0])
    return strips.compose([strip for _, strip in found[:count]], ("input", "restored", "target"), title)


def psnr(picture: np.ndarray, target: np.ndarray) -> float:
    """PSNR of two pictures [H, W, 3] in dB as `fdikp.metrics.psnr` has it; of equal ones `MOST_PSNR`."""
    import torch

    from fdikp.metrics.psnr import psnr

    one, other = (torch.from_numpy(as_unit(p)).permute(2, 0, 1)[None].clamp(0.0, 1.0) for p in (picture, target))
    return finite(float(psnr(one, other)))


def of_model(model: "Deblurrer", cases: Sequence[Case], title: str, count: int = COUNT) -> np.ndarray:
    """The figure for what a model makes of pictures with targets."""
    return draw(cases, [model(case.source) for case in cases], title, count)
