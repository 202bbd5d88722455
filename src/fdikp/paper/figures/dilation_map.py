"""Fig. 5: the dilated map over the picture it was read from."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.plots.canvas import (
    UNSIGNED,
    WIDTH,
    drawn,
    height_of,
    in_8_bits,
    luminance,
    new_figure,
    show_map,
    show_picture,
    shrunk,
    without_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

LARGEST = 2.0
"""Dilation at the upper end of the colours, unless one is larger."""

VEIL = 0.55
"""How much of the map is seen over the picture."""


def draw(picture: np.ndarray, dilation: np.ndarray, title: str, radius: np.ndarray | None = None) -> np.ndarray:
    """A picture, the dilated map, and the one over the other.

    Args:
        picture: [H, W, 3], uint8, uint16, or floats in 0..1.
        dilation: [H, W], the dilated map D in pixels.
        title: what to write above.
        radius: [H, W], the true blur radius in pixels, where the picture was rendered.

    Returns:
        [h, 900, 3] uint8.
    """
    return drawn(compose(picture, dilation, title, radius))


def compose(picture: np.ndarray, dilation: np.ndarray, title: str, radius: np.ndarray | None = None) -> "Figure":
    """The figure that `draw` draws: one row, or with the true radius two."""
    columns = 3 if radius is None else 2
    rows = 1 if radius is None else 2
    figure = new_figure(rows * (height_of(picture.shape, WIDTH / columns) + 0.9) + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    show_picture(axes[0], in_8_bits(picture, 900), "out of focus")
    colours: dict[str, Any] = {"cmap": UNSIGNED, "vmin": 0, "vmax": max(LARGEST, float(dilation.max()))}
    small = shrunk(dilation, 900)
    map_ = show_map(axes[-2], small, **colours)
    axes[-2].set_title("dilated map", fontsize=10)
    grey = shrunk(luminance(picture), 900)
    axes[-1].imshow(grey, cmap="gray", vmin=0, vmax=1)
    axes[-1].imshow(small, alpha=VEIL, interpolation="nearest", **colours)
    axes[-1].set_title("dilated map over the picture", fontsize=10)
    without_ticks(axes[-1])
    bar: dict[str, Any] = {"location": "bottom", "aspect": 40}
    figure.colorbar(map_, ax=list(axes[-columns:]), label="dilation D, pixels between taps", **bar)
    if radius is not None:
        true = show_map(axes[1], shrunk(radius, 900), cmap=UNSIGNED, vmin=0, vmax=max(1.0, float(radius.max())))
        axes[1].set_title("true blur radius", fontsize=10)
        figure.colorbar(true, ax=list(axes[:2]), label="blur radius, pixels", **bar)
    figure.suptitle(title)
    return figure


def of_model(model: "Deblurrer", picture: np.ndarray, title: str, radius: np.ndarray | None = None) -> np.ndarray:
    """The figure for a picture [H, W, 3], uint8 or uint16, as a model sees it."""
    from fdikp.imaging import Photo

    seen = model.restore(Photo(np.ascontiguousarray(picture)), blur_map=True)
    assert seen.blur_map is not None
    return draw(picture, seen.blur_map, title, radius)
