"""Pictures of what the network saw and did. Colours are told apart by colour-blind readers too.

Matplotlib is used through its objects, never pyplot: no global state, no window.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

UNSIGNED, SIGNED = "cividis", "PuOr_r"
"""Colour maps: for amounts, and for values around 0, which is white."""

WIDTH = 9.0
"""Width of every figure in inches, at 100 pixels an inch."""

STAGES = ("coarse, 1/4 size", "middle, 1/2 size", "fine, full size")
"""The network's three stages."""


def shrunk(array: np.ndarray, longest: int) -> np.ndarray:
    """[H, W, ...] as float32 means over blocks, so that no side is longer than `longest`; small arrays as they are."""
    factor = math.ceil(max(array.shape[:2]) / longest)
    if factor <= 1:
        return array.astype(np.float32)
    columns = np.arange(0, array.shape[1], factor)
    widths = np.diff(columns, append=array.shape[1]).reshape(-1, *[1] * (array.ndim - 2))
    bands = (array[y : y + factor].mean(axis=0, dtype=np.float32) for y in range(0, array.shape[0], factor))
    return np.stack([np.add.reduceat(band, columns, axis=0) / widths for band in bands])


def side_by_side(before: np.ndarray, after: np.ndarray, longest: int = 1600) -> np.ndarray:
    """Both pictures [H, W, C] (uint8, uint16, or floats in 0..1) as one in uint8, with a thin white line between."""
    left, right = (_in_8_bits(picture, longest) for picture in (before, after))
    line = np.full((len(left), max(1, left.shape[1] // 200), left.shape[2]), 255, np.uint8)
    return np.concatenate((left, line, right), axis=1)


def _in_8_bits(picture: np.ndarray, longest: int) -> np.ndarray:
    white = 255 / {"uint8": 255, "uint16": 65535}.get(picture.dtype.name, 1)
    return np.rint(shrunk(picture, longest) * white).clip(0, 255).astype(np.uint8)


def blur_map(values: np.ndarray, title: str) -> np.ndarray:
    """The dilated map [H, W], 0..2, as a picture with its scale."""
    figure, grid = _figure(1, 1, _height(values.shape, WIDTH))
    picture = _show(grid[0, 0], shrunk(values, 1200), cmap=UNSIGNED, vmin=0, vmax=max(2.0, float(values.max())))
    scale = "dilation D(p), pixels between the taps of the inverse kernels (1 is plain convolution)"
    return _drawn(figure, picture, scale, title)


def kernels(values: np.ndarray, title: str) -> np.ndarray:
    """The inverse kernels [3, 2, N, K, K] of one tile as a picture: a row for each stage and image."""
    # At the coarsest stage there is no stage before: both images are the same, and so are the kernels
    rows = [(0, 0, "photograph"), *((s, i, ("photograph", "result before")[i]) for s in (1, 2) for i in (0, 1))]
    count = values.shape[2]
    figure, grid = _figure(len(rows), count, len(rows) * min((WIDTH - 1.3) / count, 1.8) + 0.3)
    limit = float(np.abs(values).max()) or 1.0
    for axes_row, (stage, image, what) in zip(grid, rows, strict=True):
        for n, axes in enumerate(axes_row):
            picture = _show(axes, values[stage, image, n], cmap=SIGNED, norm=_root_scale(limit))
            if stage == 0:
                axes.set_title(f"kernel {n + 1}" if count < 8 else str(n + 1), fontsize=10)
        axes_row[0].set_ylabel(f"{STAGES[stage]}:\n{what}", rotation=0, ha="right", va="center", fontsize=9)
    ticks = [part * limit for part in (-1, -0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5, 1)]
    return _drawn(figure, picture, "weight of the tap (white is 0; colours on a square-root scale)", title, ticks)


def coefficients(values: np.ndarray, names: tuple[str, ...], title: str) -> np.ndarray:
    """The coefficient maps [2(N + 1), H, W], -1..1, as a picture: a small map for each candidate image."""
    columns = 3
    rows = math.ceil(len(values) / columns)
    figure, grid = _figure(rows, columns, rows * (_height(values.shape[1:], WIDTH / columns) + 0.28))
    places = grid.ravel()
    limit = max(float(values.max()), -float(values.min())) or 1.0
    for axes, name, value in zip(places, names, values, strict=False):
        picture = _show(axes, shrunk(value, 500), cmap=SIGNED, vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize=10)
    for axes in places[len(values) :]:
        axes.set_axis_off()
    return _drawn(figure, picture, "weight of the candidate image (white is 0)", title)


def overview(
    before: np.ndarray, after: np.ndarray, dilation: np.ndarray, kernels: np.ndarray, title: str
) -> np.ndarray:
    """One picture of everything: before and after, where they differ most enlarged, blur map and kernels.

    Args:
        before, after: [H, W, 3], uint8, uint16, or floats in 0..1.
        dilation: [H, W], the dilated map.
        kernels: [N, K, K], the inverse kernels of the finest stage.
        title: what to write above.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    y, x = most_changed(before, after, max(1, min(160, *(side // 3 for side in before.shape[:2]))))
    whole, part = _height(before.shape, WIDTH / 2), WIDTH / 2
    heights = [whole + part + 0.7, whole + 0.5]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=100, layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=heights)
    pictures, below = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    columns = below.add_gridspec(1, 2)
    left, right = below.add_subfigure(columns[0]), below.add_subfigure(columns[1])
    grid = pictures.subplots(2, 2, height_ratios=[whole, part], squeeze=False)
    for column, name, image in ((0, "before", before), (1, "after", after)):
        small = _in_8_bits(image, 1200)
        scale = len(small) / len(image)
        corner, side = (x.start * scale, y.start * scale), (y.stop - y.start) * scale
        _image(grid[0, column], small, name)
        grid[0, column].add_patch(Rectangle(corner, side, side, fill=False, color="white", linewidth=1.5))
        _image(grid[1, column], _in_8_bits(image[y, x], 1200), f"{name}, the frame enlarged")
    axes = left.subplots()
    _show(axes, shrunk(dilation, 1200), cmap=UNSIGNED, vmin=0, vmax=max(2.0, float(dilation.max())))
    axes.set_title("blur map: the yellower, the more out of focus", fontsize=10)
    height = max(1, math.isqrt(len(kernels)))
    places = right.subplots(height, math.ceil(len(kernels) / height), squeeze=False).ravel()
    limit = float(np.abs(kernels).max()) or 1.0
    for place, kernel in zip(places, kernels, strict=False):
        _show(place, kernel, cmap=SIGNED, norm=_root_scale(limit))
    for place in places[len(kernels) :]:
        place.set_axis_off()
    right.suptitle("inverse kernels: brown adds, purple takes away", fontsize=10)
    figure.suptitle(title)
    return _pixels(figure)


def most_changed(before: np.ndarray, after: np.ndarray, side: int) -> tuple[slice, slice]:
    """The square of `side` pixels in which two pictures [H, W, C] differ most in detail, as rows and columns."""
    change = (after.astype(np.float32) - before).mean(axis=2)
    difference = np.hypot(np.diff(change, axis=0, append=change[-1:]), np.diff(change, axis=1, append=change[:, -1:]))
    sums = np.pad(difference.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = (int(i) for i in np.unravel_index(inside.argmax(), inside.shape))
    return slice(y, y + side), slice(x, x + side)


def _figure(rows: int, columns: int, height: float) -> "tuple[Figure, np.ndarray]":
    """A figure with a grid of axes; `height` is that of the grid, title and colour bar come on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height + 1.2), dpi=100, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _height(shape: tuple[int, ...], width: float) -> float:
    """Height in inches of a picture drawn `width` wide, within what a page can show."""
    return min(max(width * shape[0] / shape[1], 0.6), 1.5 * width)


def _root_scale(limit: float) -> "Normalize":
    """Colours for -limit..limit that tell small values apart: a middle tap near 1 would drown the others."""
    from matplotlib.colors import FuncNorm

    root = (lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: np.sign(v) * v**2)
    return FuncNorm(root, vmin=-limit, vmax=limit)


def _show(axes: "Axes", values: np.ndarray, **colours: Any) -> Any:
    """Draw a map without ticks; one so long that true proportions would leave a line is stretched."""
    height, width = values.shape
    picture = axes.imshow(values, interpolation="nearest", **colours)
    if max(height, width) > 8 * min(height, width):
        axes.set_aspect("auto")
    axes.set_xticks([])
    axes.set_yticks([])
    return picture


def _image(axes: "Axes", picture: np.ndarray, title: str) -> None:
    """Draw a picture [H, W, 3 or 1] uint8 without ticks."""
    axes.imshow(picture.repeat(3, axis=2) if picture.shape[2] == 1 else picture, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def _drawn(figure: "Figure", picture: Any, scale: str, title: str, ticks: Sequence[float] | None = None) -> np.ndarray:
    """Add title and colour bar, and draw: [H, W, 3] uint8."""
    thickness = 0.25 / figure.get_figheight()
    place: dict[str, Any] = {"location": "bottom", "fraction": thickness, "aspect": 40, "shrink": 0.7}
    bar = figure.colorbar(picture, ax=figure.axes, label=scale, **place)
    if ticks:
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    figure.suptitle(title)
    return _pixels(figure)


def _pixels(figure: "Figure") -> np.ndarray:
    """The figure drawn: [H, W, 3] uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
