"""Draw how fdikp fails, with a photo from scikit-image: `python examples/failures.py failures.png`."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage import data
from torch import Tensor

from fdikp import load_model
from fdikp.synthesis import Aperture, aperture_kernels
from fdikp.transfer_functions import linear_to_srgb, srgb_to_linear

REACH = 16
"""Largest distance from the centre of a kernel to its edge, in pixels."""

TOP_RADIUS = 12
"""Blur radius at the upper end of the colour scale, in pixels."""


def blurred(sharp: np.ndarray, kernel: Tensor, noise: float = 0.0) -> np.ndarray:
    """Blur an image [H, W, 3] in 0..1 with a kernel [k, k] in linear light, add Gaussian noise, and round to 8 bits."""
    light = srgb_to_linear(torch.from_numpy(sharp).permute(2, 0, 1)[:, None])
    reach = kernel.shape[-1] // 2
    light = F.conv2d(F.pad(light, (reach,) * 4, mode="reflect"), kernel[None, None])
    image = linear_to_srgb(light)[:, 0].permute(1, 2, 0).numpy()
    image = image + np.random.default_rng(0).normal(0.0, noise, image.shape)
    return (np.rint(image.clip(0, 1) * 255) / 255).astype(np.float32)


def disc(radius: float) -> Tensor:
    """The kernel [k, k] of a lens that is out of focus; radius in pixels."""
    return aperture_kernels(torch.tensor([radius]), Aperture(), REACH)[0]


def motion(length: int) -> Tensor:
    """The kernel [length, length] of a camera that moves along a diagonal line."""
    return torch.eye(length) / length


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """PSNR of images in 0..1, in dB."""
    return float(-10 * np.log10(np.square(image.clip(0, 1) - truth).mean()))


def main() -> None:
    """Blur a sharp photo in four ways, restore it, and draw both with the blur map."""
    coffee = data.coffee()[60:300, 120:440].astype(np.float32) / 255
    cases = {
        "radius of 2 pixels, for comparison": blurred(coffee, disc(2.0)),
        "radius of 7 pixels": blurred(coffee, disc(7.0)),
        "radius of 2 pixels, noise of 10/255": blurred(coffee, disc(2.0), noise=10 / 255),
        "camera shake of 11 pixels": blurred(coffee, motion(11)),
    }
    model = load_model(device="cpu", precision="float32")
    figure = Figure(figsize=(9, 9.6), dpi=100, layout="constrained")
    for row, (name, before) in zip(figure.subplots(len(cases), 3), cases.items(), strict=True):
        analysis = model.analyse(before)
        for axes, title, image in (
            (row[0], f"{name}\n{psnr(before, coffee):.1f} dB", before),
            (row[1], f"restored\n{psnr(analysis.image, coffee):.1f} dB", analysis.image),
            (row[2], f"blur map\nmedian {np.median(analysis.blur_map):.1f} pixels", analysis.blur_map),
        ):
            axes.imshow(image.clip(0, TOP_RADIUS if image.ndim == 2 else 1), cmap="cividis", vmin=0, vmax=TOP_RADIUS)
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    FigureCanvasAgg(figure)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "failures.png")


if __name__ == "__main__":
    main()
