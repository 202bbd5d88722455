"""What all figures are drawn with. Colours are told apart by colour-blind readers too.

Matplotlib is used through its objects, never pyplot: no global state, no window.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdikp.imaging import as_unit
from fdikp.imaging.limits import white_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

UNSIGNED, SIGNED = "cividis", "PuOr_r"
"""Colour maps: for amounts, and for values around 0, which is white."""

FRAMES = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7")
"""Colours of lines and frames, from the palette of Okabe and Ito."""

WIDTH = 9.0
"""Width of every figure in inches, at 100 pixels an inch."""

STAGES = ("coarse, 1/4 size", "middle, 1/2 size", "fine, full size")
"""The network's three stages."""

Box: TypeAlias = tuple[slice, slice]
"""A part of a picture: its rows and columns."""


def shrunk(array: np.ndarray, longest: int) -> np.ndarray:
    """[H, W, ...] as float32 means over blocks, so that no side is longer than `longest`; small arrays as they are."""
    factor = math.ceil(max(array.shape[:2]) / longest)
    if factor <= 1:
        return array.astype(np.float32)
    columns = np.arange(0, array.shape[1], factor)
    widths = np.diff(columns, append=array.shape[1]).reshape(-1, *[1] * (array.ndim - 2))
    bands = (array[y : y + factor].mean(axis=0, dtype=np.float32) for y in range(0, array.shape[0], factor))
    return np.stack([np.add.reduceat(band, columns, axis=0) / widths for band in bands])


def in_8_bits(picture: np.ndarray, longest: int = 1200) -> np.ndarray:
    """A picture [H, W, C] (uint8, uint16, or floats in 0..1) as uint8, no side longer than `longest`."""
    white = 255 / white_level(picture.dtype.name)
    return np.rint(shrunk(picture, longest) * white).clip(0, 255).astype(np.uint8)


def in_three_channels(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, 1 or 3] as [H, W, 3]."""
    return picture.repeat(3, axis=2) if picture.shape[2] == 1 else picture


def luminance(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, C] (uint8, uint16, or floats in 0..1) as the mean of its channels, [H, W] float64 in 0..1."""
    grey: np.ndarray = as_unit(picture).mean(axis=2, dtype=np.float64)
    return grey


def most_changed(before: np.ndarray, after: np.ndarray, side: int, count: int = 1) -> list[Box]:
    """The squares of `side` pixels in which two pictures [H, W, C] differ most in detail, the most first.

    They lie a side apart, and are fewer than `count` where the picture has no room for more.
    """
    change = (after.astype(np.float32) - before).mean(axis=2)
    difference = np.hypot(np.diff(change, axis=0, append=change[-1:]), np.diff(change, axis=1, append=change[:, -1:]))
    sums = np.pad(difference.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    boxes: list[Box] = []
    while len(boxes) < count and np.isfinite(inside).any():
        y, x = (int(i) for i in np.unravel_index(inside.argmax(), inside.shape))
        boxes.append((slice(y, y + side), slice(x, x + side)))
        inside[max(0, y - 2 * side + 1) : y + 2 * side, max(0, x - 2 * side + 1) : x + 2 * side] = -np.inf
    return boxes


def new_figure(height: float) -> "Figure":
    """An empty figure, `height` inches high."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), dpi=100, layout="constrained")


def grid_figure(rows: int, columns: int, height: float) -> "tuple[Figure, np.ndarray]":
    """A figure with a grid of axes; `height` is that of the grid, title and colour bar come on top."""
    figure = new_figure(height + 1.2)
    return figure, figure.subplots(rows, columns, squeeze=False)


def height_of(shape: tuple[int, ...], width: float) -> float:
    """Height in inches of a picture drawn `width` wide, within what a page can show."""
    return min(max(width * shape[0] / shape[1], 0.6), 1.5 * width)


def root_scale(limit: float) -> "Normalize":
    """Colours for -limit..limit that tell small values apart: a middle tap near 1 would drown the others."""
    from matplotlib.colors import FuncNorm

    root = (lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: np.sign(v) * v**2)
    return FuncNorm(root, vmin=-limit, vmax=limit)


def root_ticks(limit: float) -> list[float]:
    """Where a colour bar of `root_scale` has room for labels."""
    return [part * limit for part in (-1, -0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5, 1)]


def show_map(axes: "Axes", values: np.ndarray, **colours: Any) -> Any:
    """Draw a map [H, W] without ticks; one so long that true proportions would leave a line is stretched."""
    height, width = values.shape
    picture = axes.imshow(values, interpolation="nearest", **colours)
    if max(height, width) > 8 * min(height, width):
        axes.set_aspect("auto")
    without_ticks(axes)
    return picture


def show_picture(axes: "Axes", picture: np.ndarray, title: str = "") -> Any:
    """Draw a picture [H, W, 3 or 1] uint8 without ticks."""
    shown = axes.imshow(in_three_channels(picture), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    without_ticks(axes)
    return shown


def without_ticks(axes: "Axes") -> None:
    """Take away the ticks of a picture, whose pixels nobody counts."""
    axes.set_xticks([])
    axes.set_yticks([])


def colour_bar_below(figure: "Figure", picture: Any, scale: str, ticks: Sequence[float] | None = None) -> None:
    """Add a colour bar below all axes; `scale` says what the colours mean."""
    thickness = 0.25 / figure.get_figheight()
    place: dict[str, Any] = {"location": "bottom", "fraction": thickness, "aspect": 40, "shrink": 0.7}
    bar = figure.colorbar(picture, ax=figure.axes, label=scale, **place)
    if ticks:
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])


def drawn(figure: "Figure") -> np.ndarray:
    """The figure drawn: [H, W, 3] uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
