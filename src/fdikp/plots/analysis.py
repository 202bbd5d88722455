"""Figures of one restored photo: before and after, blur map, inverse kernels and coefficient maps."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fdikp.plots.canvas import (
    KERNEL_INPUTS,
    SIGNED,
    STAGE_TITLES,
    UNSIGNED,
    WIDTH,
    colour_bar_below,
    grid_figure,
    height_of,
    most_changed,
    new_figure,
    render,
    root_scale,
    root_ticks,
    show_image,
    show_map,
    shrink,
    to_uint8,
)
from fdikp.plots.caption import with_captions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW_CONFIDENCE = 0.5
"""Confidence below which a blur map is hatched."""

LEAST_TOP_RADIUS = 4.0
"""Least blur radius at the upper end of the colour scale, in pixels."""


def side_by_side(before: np.ndarray, after: np.ndarray, longest: int = 1600) -> np.ndarray:
    """Two images [H, W, C] (uint8, uint16, or floats in 0..1) as one in uint8, with captions and a white line."""
    left, right = with_captions([to_uint8(image, longest) for image in (before, after)], ("before", "after"))
    line = np.full((len(left), max(1, left.shape[1] // 200), left.shape[2]), 255, np.uint8)
    return np.concatenate((left, line, right), axis=1)


def blur_map(radius: np.ndarray, title: str, confidence: np.ndarray | None = None) -> np.ndarray:
    """A blur map as an image with a colour bar.

    Args:
        radius: [H, W], the radius of the circle of confusion, in pixels.
        title: heading.
        confidence: [H, W] in 0..1; the map is hatched where it is below `LOW_CONFIDENCE`.

    Returns:
        [h, 900, 3] uint8.
    """
    figure, grid = grid_figure(1, 1, height_of(radius.shape, WIDTH))
    mapped = _show_blur_map(grid[0, 0], radius, confidence)
    hatched = "" if confidence is None else f"; hatched: confidence below {LOW_CONFIDENCE:g}"
    return _finished(figure, mapped, f"blur radius (circle of confusion), pixels{hatched}", title)


def dilation_map(values: np.ndarray, title: str) -> np.ndarray:
    """The dilation map [H, W], in pixels, as an image with a colour bar."""
    figure, grid = grid_figure(1, 1, height_of(values.shape, WIDTH))
    mapped = show_map(grid[0, 0], shrink(values, 1200), cmap=UNSIGNED, vmin=0, vmax=max(2.0, float(values.max())))
    return _finished(figure, mapped, "distance of the inverse kernels' taps, pixels", title)


def _show_blur_map(axes: "Axes", radius: np.ndarray, confidence: np.ndarray | None) -> Any:
    """Draw a blur map, hatched where it is not to be trusted."""
    small = shrink(radius, 1200)
    mapped = show_map(axes, small, cmap=UNSIGNED, vmin=0, vmax=max(LEAST_TOP_RADIUS, float(small.max())))
    low = None if confidence is None else shrink(confidence, 300)  # contours of larger maps take much memory
    if low is not None and min(low.shape) > 1:  # contours need two pixels each way
        y, x = ((np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(low.shape, small.shape, strict=True))
        filled = axes.contourf(x, y, low, levels=[-1, LOW_CONFIDENCE], colors="none", hatches=["////"])
        filled.set_edgecolor((1, 1, 1, 0.6))
        filled.set_linewidth(0)
    return mapped


def kernels(values: np.ndarray, title: str) -> np.ndarray:
    """The inverse kernels [3, 2, N, K, K] of one tile, a row for each stage and input."""
    # The coarsest stage has no previous result: both of its inputs are the same, and so are the kernels
    rows = [(0, 0, KERNEL_INPUTS[0]), *((s, i, KERNEL_INPUTS[i]) for s in (1, 2) for i in (0, 1))]
    count = values.shape[2]
    figure, grid = grid_figure(len(rows), count, len(rows) * min((WIDTH - 1.3) / count, 1.8) + 0.3)
    limit = float(np.abs(values).max()) or 1.0
    for axes_row, (stage, image, what) in zip(grid, rows, strict=True):
        for n, axes in enumerate(axes_row):
            mapped = show_map(axes, values[stage, image, n], cmap=SIGNED, norm=root_scale(limit))
            if stage == 0:
                axes.set_title(f"kernel {n + 1}" if count < 8 else str(n + 1), fontsize=10)
        axes_row[0].set_ylabel(f"{STAGE_TITLES[stage]}:\n{what}", rotation=0, ha="right", va="center", fontsize=9)
    scale = "weight of the tap (white is 0; colours on a square-root scale)"
    return _finished(figure, mapped, scale, title, root_ticks(limit))


def coefficients(values: np.ndarray, names: tuple[str, ...], title: str) -> np.ndarray:
    """The coefficient maps [2(N + 1), H, W], in -1..1, a small map for each candidate image."""
    columns = 3
    rows = math.ceil(len(values) / columns)
    figure, grid = grid_figure(rows, columns, rows * (height_of(values.shape[1:], WIDTH / columns) + 0.28))
    places = grid.ravel()
    limit = max(float(values.max()), -float(values.min())) or 1.0
    for axes, name, value in zip(places, names, values, strict=False):
        mapped = show_map(axes, shrink(value, 500), cmap=SIGNED, vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize=10)
    for axes in places[len(values) :]:
        axes.set_axis_off()
    return _finished(figure, mapped, "weight of the candidate image (white is 0)", title)


def overview(
    before: np.ndarray,
    after: np.ndarray,
    dilation: np.ndarray,
    kernels: np.ndarray,
    title: str,
    radius: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
) -> np.ndarray:
    """One figure: before and after, the part that changed most enlarged, the blur map, and kernels.

    Args:
        before, after: [H, W, 3], uint8, uint16, or floats in 0..1.
        dilation: [H, W], the dilation map, pixels; it is drawn where there is no blur map.
        kernels: [N, K, K], the inverse kernels of the finest stage.
        title: heading.
        radius: [H, W], the blur map: the radius of the circle of confusion, pixels.
        confidence: [H, W] in 0..1, of the blur map.
    """
    from matplotlib.patches import Rectangle

    ((y, x),) = most_changed(before, after, max(1, min(160, *(side // 3 for side in before.shape[:2]))))
    whole, part = height_of(before.shape, WIDTH / 2), WIDTH / 2
    heights = [whole + part + 0.7, whole + 0.5]
    figure = new_figure(sum(heights))
    rows = figure.add_gridspec(2, 1, height_ratios=heights)
    images, below = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    columns = below.add_gridspec(1, 2)
    left, right = below.add_subfigure(columns[0]), below.add_subfigure(columns[1])
    grid = images.subplots(2, 2, height_ratios=[whole, part], squeeze=False)
    for column, name, image in ((0, "before", before), (1, "after", after)):
        small = to_uint8(image, 1200)
        scale = len(small) / len(image)
        corner, side = (x.start * scale, y.start * scale), (y.stop - y.start) * scale
        show_image(grid[0, column], small, name)
        grid[0, column].add_patch(Rectangle(corner, side, side, fill=False, color="white", linewidth=1.5))
        show_image(grid[1, column], to_uint8(image[y, x], 1200), f"{name}, the frame enlarged")
    axes = left.subplots()
    if radius is not None:
        mapped = _show_blur_map(axes, radius, confidence)
        hatched = "" if confidence is None else "; hatched: uncertain"
        axes.set_title(f"blur map: blur radius in pixels{hatched}", fontsize=10)
    else:
        mapped = show_map(axes, shrink(dilation, 1200), cmap=UNSIGNED, vmin=0, vmax=max(2.0, float(dilation.max())))
        axes.set_title("dilation map: yellow is out of focus, blue in focus", fontsize=10)
    left.colorbar(mapped, ax=axes, location="bottom", fraction=0.06, aspect=30)
    height = max(1, math.isqrt(len(kernels)))
    places = right.subplots(height, math.ceil(len(kernels) / height), squeeze=False).ravel()
    limit = float(np.abs(kernels).max()) or 1.0
    for place, kernel in zip(places, kernels, strict=False):
        show_map(place, kernel, cmap=SIGNED, norm=root_scale(limit))
    for place in places[len(kernels) :]:
        place.set_axis_off()
    right.suptitle("inverse kernels: brown is positive, purple negative", fontsize=10)
    figure.suptitle(title)
    return render(figure)


def _finished(
    figure: "Figure", mapped: Any, scale: str, title: str, ticks: Sequence[float] | None = None
) -> np.ndarray:
    """Add title and colour bar, and render to [H, W, 3] uint8."""
    colour_bar_below(figure, mapped, scale, ticks)
    figure.suptitle(title)
    return render(figure)
