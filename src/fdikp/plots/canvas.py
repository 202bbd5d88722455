"""Drawing helpers that all figures share. Their colours are safe for colour-blind readers.

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
"""Colour maps for amounts, and for signed values, where 0 is white."""

FRAMES = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7")
"""Colours of lines and frames, from the palette of Okabe and Ito."""

WIDTH = 9.0
"""Width of every figure in inches, at 100 pixels per inch."""

STAGES = ("coarse", "middle", "fine")
"""Names of the network's three stages."""

STAGE_TITLES = tuple(f"{name}, {size} size" for name, size in zip(STAGES, ("1/4", "1/2", "full"), strict=True))

KERNEL_INPUTS = ("photo", "previous result")
"""The two images that a stage deconvolves."""

Box: TypeAlias = tuple[slice, slice]
"""A part of an image: its rows and columns."""


def shrink(array: np.ndarray, longest: int) -> np.ndarray:
    """[H, W, ...] averaged over blocks to float32, so that no side exceeds `longest`; small arrays keep their size."""
    factor = math.ceil(max(array.shape[:2]) / longest)
    if factor <= 1:
        return array.astype(np.float32)
    columns = np.arange(0, array.shape[1], factor)
    widths = np.diff(columns, append=array.shape[1]).reshape(-1, *[1] * (array.ndim - 2))
    bands = (array[y : y + factor].mean(axis=0, dtype=np.float32) for y in range(0, array.shape[0], factor))
    return np.stack([np.add.reduceat(band, columns, axis=0) / widths for band in bands])


def to_uint8(image: np.ndarray, longest: int = 1200) -> np.ndarray:
    """An image [H, W, C] (uint8, uint16, or floats in 0..1) as uint8, with no side longer than `longest`."""
    white = 255 / white_level(image.dtype.name)
    return np.rint(shrink(image, longest) * white).clip(0, 255).astype(np.uint8)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """An image [H, W, 1 or 3] as [H, W, 3]."""
    return image.repeat(3, axis=2) if image.shape[2] == 1 else image


def luminance(image: np.ndarray) -> np.ndarray:
    """The mean over channels of an image [H, W, C] (uint8, uint16, or floats in 0..1), [H, W] float64 in 0..1."""
    grey: np.ndarray = as_unit(image).mean(axis=2, dtype=np.float64)
    return grey


def most_changed(before: np.ndarray, after: np.ndarray, side: int, count: int = 1) -> list[Box]:
    """The squares of `side` pixels in which two images [H, W, C] differ most in detail, the largest difference first.

    The squares are at least `side` apart; there are fewer than `count` if the image has no room for more.
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
    """A figure with a grid of axes `height` inches high, and room for a title and a colour bar."""
    figure = new_figure(height + 1.2)
    return figure, figure.subplots(rows, columns, squeeze=False)


def height_of(shape: tuple[int, ...], width: float) -> float:
    """Height in inches of an image drawn `width` wide, limited to a readable range."""
    return min(max(width * shape[0] / shape[1], 0.6), 1.5 * width)


def root_scale(limit: float) -> "Normalize":
    """A square-root colour scale for -limit..limit, because a middle tap near 1 would hide the other taps."""
    from matplotlib.colors import FuncNorm

    root = (lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: np.sign(v) * v**2)
    return FuncNorm(root, vmin=-limit, vmax=limit)


def root_ticks(limit: float) -> list[float]:
    """Ticks of a colour bar of `root_scale` that leave room for labels."""
    return [part * limit for part in (-1, -0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5, 1)]


def show_map(axes: "Axes", values: np.ndarray, **colours: Any) -> Any:
    """Draw a map [H, W] without ticks; extreme aspect ratios are stretched to stay visible."""
    height, width = values.shape
    image = axes.imshow(values, interpolation="nearest", **colours)
    if max(height, width) > 8 * min(height, width):
        axes.set_aspect("auto")
    remove_ticks(axes)
    return image


def show_image(axes: "Axes", image: np.ndarray, title: str = "") -> Any:
    """Draw an image [H, W, 3 or 1] uint8 without ticks."""
    drawn_image = axes.imshow(to_rgb(image), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    remove_ticks(axes)
    return drawn_image


def remove_ticks(axes: "Axes") -> None:
    """Remove the ticks of both axes."""
    axes.set_xticks([])
    axes.set_yticks([])


def colour_bar_below(figure: "Figure", image: Any, scale: str, ticks: Sequence[float] | None = None) -> None:
    """Add a colour bar below all axes; `scale` is its label."""
    thickness = 0.25 / figure.get_figheight()
    place: dict[str, Any] = {"location": "bottom", "fraction": thickness, "aspect": 40, "shrink": 0.7}
    bar = figure.colorbar(image, ax=figure.axes, label=scale, **place)
    if ticks:
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])


def render(figure: "Figure") -> np.ndarray:
    """Render a figure to [H, W, 3] uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
