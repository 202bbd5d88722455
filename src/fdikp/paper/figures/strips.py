"""Fig. 4: images side by side, a row for each, with enlarged parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fdikp.plots.canvas import (
    FRAMES,
    WIDTH,
    Box,
    height_of,
    most_changed,
    remove_ticks,
    render,
    to_rgb,
    to_uint8,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

INSETS = 2
"""Default number of enlarged parts."""

INSET_DIVISOR = 5
"""The side of an enlarged part is the shorter side of the image divided by this."""

HEAD, LINE, MARGIN, GAP = 0.65, 0.28, 0.35, 0.07
"""Inches: height of the titles, height of a line of text, left margin, and gap between two images."""


@dataclass(frozen=True)
class FigureImage:
    """An image to show in a figure, with its target if there is one."""

    name: str
    source: np.ndarray
    """[H, W, 3], uint8, uint16, or floats in 0..1."""
    target: np.ndarray | None = None
    """The same shape and type as the source."""


@dataclass(frozen=True)
class Strip:
    """A row of images of one size; the first is the input."""

    name: str
    images: Sequence[np.ndarray]
    """[H, W, 3] each, uint8, uint16, or floats in 0..1."""
    notes: Sequence[str] = ()
    """A caption below each image, or none."""
    boxes: Sequence[Box] | None = None
    """The parts to enlarge, at most four; by default those in which the first and last image differ most."""

    def enlarged(self) -> list[Box]:
        """The parts to enlarge."""
        if self.boxes is not None:
            return list(self.boxes)
        first, last = (to_uint8(image, max(image.shape)) for image in (self.images[0], self.images[-1]))
        return most_changed(first, last, max(1, min(first.shape[:2]) // INSET_DIVISOR), INSETS)


def draw(strips: Sequence[Strip], columns: Sequence[str], title: str) -> np.ndarray:
    """Rows of images with their enlarged parts below, in frames of the colour that marks the part in the image.

    Args:
        strips: one for each row, with an image for each column.
        columns: titles of the columns, such as `("input", "fdikp-lite", "target")`.
        title: heading.

    Returns:
        [h, 900, 3] uint8.
    """
    return render(compose(strips, columns, title))


def compose(strips: Sequence[Strip], columns: Sequence[str], title: str) -> "Figure":
    """The figure that `draw` draws: for each strip and column the axes of the image, then those of its insets."""
    from matplotlib.figure import Figure

    rows = [_Row(strip, (WIDTH - MARGIN - GAP * len(columns)) / len(columns)) for strip in strips]
    height = HEAD + sum(row.height for row in rows)
    figure = Figure(figsize=(WIDTH, height), dpi=100)  # placed by hand, so that insets are as wide as their image
    figure.suptitle(title, y=1 - 0.08 / height, va="top")
    top = height - HEAD
    for row in rows:
        row.draw(figure, top)
        top -= row.height
    for axes, name in zip(figure.axes[:: 1 + len(rows[0].boxes)], columns, strict=False):
        axes.set_title(name, fontsize=10)
    return figure


class _Row:
    """The layout of a strip, in inches."""

    def __init__(self, strip: Strip, width: float) -> None:
        self.strip = strip
        self.boxes = strip.enlarged()
        self.width = width
        self.whole = height_of(strip.images[0].shape, width)
        self.inset = (width - GAP * (len(self.boxes) - 1)) / max(1, len(self.boxes))
        self.part = max((height_of(_shape(box), self.inset) for box in self.boxes), default=0.0)
        self.note = LINE if strip.notes else GAP
        self.height = self.whole + self.note + self.part + 3 * GAP

    def draw(self, figure: "Figure", top: float) -> None:
        """Draw the row below `top`, in inches from the lower edge of the figure."""
        for column, image in enumerate(self.strip.images):
            left = MARGIN + column * (self.width + GAP)
            axes = _axes(figure, left, top - self.whole, self.width, self.whole)
            _show(axes, image, (slice(0, image.shape[0]), slice(0, image.shape[1])))
            if column == 0:
                axes.set_ylabel(self.strip.name, fontsize=9)
            if self.strip.notes:
                axes.set_xlabel(self.strip.notes[column], fontsize=9)
            bottom = top - self.whole - self.note - self.part
            for n, (box, colour) in enumerate(zip(self.boxes, FRAMES, strict=False)):
                _mark(axes, box, colour)
                inset = _axes(figure, left + n * (self.inset + GAP), bottom, self.inset, self.part)
                _show(inset, image, box)
                for side in inset.spines.values():
                    side.set(color=colour, linewidth=2)


def _axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Axes at a position in inches."""
    high = figure.get_figheight()
    return figure.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))


def _show(axes: "Axes", image: np.ndarray, box: Box) -> None:
    """Draw a part of an image; the axes count the pixels of the whole image."""
    y, x = box
    part = to_rgb(to_uint8(image[y, x], 600))
    axes.imshow(part, extent=(x.start, x.stop, y.stop, y.start))
    remove_ticks(axes)


def _mark(axes: "Axes", box: Box, colour: str) -> None:
    from matplotlib.patches import Rectangle

    y, x = box
    side = x.stop - x.start, y.stop - y.start
    axes.add_patch(Rectangle((x.start, y.start), *side, fill=False, color=colour, linewidth=1.5))


def _shape(box: Box) -> tuple[int, int]:
    y, x = box
    return y.stop - y.start, x.stop - x.start


def from_models(models: "Mapping[str, Deblurrer]", images: Sequence[FigureImage], title: str) -> np.ndarray:
    """The figure for models on images, with their targets if all have one."""
    targets = all(image.target is not None for image in images)
    strips = []
    for image in images:
        row = [image.source, *(model(image.source) for model in models.values())]
        strips.append(Strip(image.name, [*row, image.target] if targets else row))  # type: ignore[list-item]
    return draw(strips, ["input", *models, *["target"] * targets], title)
