"""Fig. 5: the dilation map over the image that it was predicted from."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.plots.canvas import (
    UNSIGNED,
    WIDTH,
    height_of,
    luminance,
    new_figure,
    remove_ticks,
    render,
    show_image,
    show_map,
    shrink,
    to_uint8,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

MAX_DILATION = 2.0
"""Dilation at the upper end of the colour scale, pixels, unless the map exceeds it."""

MAP_ALPHA = 0.55
"""Opacity of the map over the image."""


def draw(image: np.ndarray, dilation: np.ndarray, title: str, radius: np.ndarray | None = None) -> np.ndarray:
    """An image, its dilation map, and the map over the image.

    Args:
        image: [H, W, 3], uint8, uint16, or floats in 0..1.
        dilation: [H, W], the dilation map D, pixels.
        title: heading.
        radius: [H, W], the true blur radius, pixels, of a rendered image.

    Returns:
        [h, 900, 3] uint8.
    """
    return render(compose(image, dilation, title, radius))


def compose(image: np.ndarray, dilation: np.ndarray, title: str, radius: np.ndarray | None = None) -> "Figure":
    """The figure that `draw` draws: one row, or two with the true radius."""
    columns = 3 if radius is None else 2
    rows = 1 if radius is None else 2
    figure = new_figure(rows * (height_of(image.shape, WIDTH / columns) + 0.9) + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    show_image(axes[0], to_uint8(image, 900), "out of focus")
    colours: dict[str, Any] = {"cmap": UNSIGNED, "vmin": 0, "vmax": max(MAX_DILATION, float(dilation.max()))}
    small = shrink(dilation, 900)
    map_ = show_map(axes[-2], small, **colours)
    axes[-2].set_title("dilation map", fontsize=10)
    grey = shrink(luminance(image), 900)
    axes[-1].imshow(grey, cmap="gray", vmin=0, vmax=1)
    axes[-1].imshow(small, alpha=MAP_ALPHA, interpolation="nearest", **colours)
    axes[-1].set_title("dilation map over the image", fontsize=10)
    remove_ticks(axes[-1])
    bar: dict[str, Any] = {"location": "bottom", "aspect": 40}
    figure.colorbar(map_, ax=list(axes[-columns:]), label="dilation D, pixels between taps", **bar)
    if radius is not None:
        true = show_map(axes[1], shrink(radius, 900), cmap=UNSIGNED, vmin=0, vmax=max(1.0, float(radius.max())))
        axes[1].set_title("true blur radius", fontsize=10)
        figure.colorbar(true, ax=list(axes[:2]), label="blur radius, pixels", **bar)
    figure.suptitle(title)
    return figure


def from_model(model: "Deblurrer", image: np.ndarray, title: str, radius: np.ndarray | None = None) -> np.ndarray:
    """The figure for an image [H, W, 3], uint8 or uint16, with the map that a model predicts."""
    return draw(image, model.analyse(np.ascontiguousarray(image)).dilation_map, title, radius)
