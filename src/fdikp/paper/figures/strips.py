"""Fig. 4: pictures side by side, a row for each, with parts of them enlarged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fdikp.plots.canvas import (
    FRAMES,
    WIDTH,
    Box,
    drawn,
    height_of,
    in_8_bits,
    in_three_channels,
    most_changed,
    without_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fdikp.inference.deblurrer import Deblurrer

INSETS = 2
"""Parts that are enlarged, where none are chosen."""

SHARE = 5
"""Their side, as a share of the picture's shorter side: one in so many."""

HEAD, LINE, MARGIN, GAP = 0.65, 0.28, 0.35, 0.07
"""Inches: for the titles, for a line of text, to the left of the first column, and between two pictures."""


@dataclass(frozen=True)
class Case:
    """A picture, with what it should have been where that is known."""

    name: str
    source: np.ndarray
    """[H, W, 3], uint8, uint16, or floats in 0..1."""
    target: np.ndarray | None = None
    """Of the same shape and type."""


@dataclass(frozen=True)
class Strip:
    """A row of pictures of one size, the first the input."""

    name: str
    pictures: Sequence[np.ndarray]
    """[H, W, 3] each, uint8, uint16, or floats in 0..1."""
    notes: Sequence[str] = ()
    """What to write below each picture; or nothing."""
    boxes: Sequence[Box] | None = None
    """Which parts to enlarge, at most four; None: those in which first and last picture differ most."""

    def enlarged(self) -> list[Box]:
        """The parts to enlarge."""
        if self.boxes is not None:
            return list(self.boxes)
        first, last = (in_8_bits(picture, max(picture.shape)) for picture in (self.pictures[0], self.pictures[-1]))
        return most_changed(first, last, max(1, min(first.shape[:2]) // SHARE), INSETS)


def draw(strips: Sequence[Strip], columns: Sequence[str], title: str) -> np.ndarray:
    """Rows of pictures, below each picture its enlarged parts in frames of the colours that mark them in it.

    Args:
        strips: one for each row, of as many pictures as there are columns.
        columns: what each column shows, such as `("input", "fdikp-lite", "target")`.
        title: what to write above.

    Returns:
        [h, 900, 3] uint8.
    """
    return drawn(compose(strips, columns, title))


def compose(strips: Sequence[Strip], columns: Sequence[str], title: str) -> "Figure":
    """The figure that `draw` draws: for each strip and column a picture's axes, then those of its insets."""
    from matplotlib.figure import Figure

    rows = [_Row(strip, (WIDTH - MARGIN - GAP * len(columns)) / len(columns)) for strip in strips]
    height = HEAD + sum(row.height for row in rows)
    figure = Figure(figsize=(WIDTH, height), dpi=100)  # placed by hand: insets are as wide as their picture
    figure.suptitle(title, y=1 - 0.08 / height, va="top")
    top = height - HEAD
    for row in rows:
        row.draw(figure, top)
        top -= row.height
    for axes, name in zip(figure.axes[:: 1 + len(rows[0].boxes)], columns, strict=False):
        axes.set_title(name, fontsize=10)
    return figure


class _Row:
    """A strip's place in the figure, in inches."""

    def __init__(self, strip: Strip, width: float) -> None:
        self.strip = strip
        self.boxes = strip.enlarged()
        self.width = width
        self.whole = height_of(strip.pictures[0].shape, width)
        self.inset = (width - GAP * (len(self.boxes) - 1)) / max(1, len(self.boxes))
        self.part = max((height_of(_shape(box), self.inset) for box in self.boxes), default=0.0)
        self.note = LINE if strip.notes else GAP
        self.height = self.whole + self.note + self.part + 3 * GAP

    def draw(self, figure: "Figure", top: float) -> None:
        """Draw the row below `top`, inches from the figure's lower edge."""
        for column, picture in enumerate(self.strip.pictures):
            left = MARGIN + column * (self.width + GAP)
            axes = _axes(figure, left, top - self.whole, self.width, self.whole)
            _show(axes, picture, (slice(0, picture.shape[0]), slice(0, picture.shape[1])))
            if column == 0:
                axes.set_ylabel(self.strip.name, fontsize=9)
            if self.strip.notes:
                axes.set_xlabel(self.strip.notes[column], fontsize=9)
            bottom = top - self.whole - self.note - self.part
            for n, (box, colour) in enumerate(zip(self.boxes, FRAMES, strict=False)):
                _mark(axes, box, colour)
                inset = _axes(figure, left + n * (self.inset + GAP), bottom, self.inset, self.part)
                _show(inset, picture, box)
                for side in inset.spines.values():
                    side.set(color=colour, linewidth=2)


def _axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Axes at a place in inches."""
    high = figure.get_figheight()
    return figure.add_axes((left / WIDTH, bottom / high, width / WIDTH, height / high))


def _show(axes: "Axes", picture: np.ndarray, box: Box) -> None:
    """Draw a part of a picture, its axes counting the picture's pixels."""
    y, x = box
    part = in_three_channels(in_8_bits(picture[y, x], 600))
    axes.imshow(part, extent=(x.start, x.stop, y.stop, y.start))
    without_ticks(axes)


def _mark(axes: "Axes", box: Box, colour: str) -> None:
    from matplotlib.patches import Rectangle

    y, x = box
    side = x.stop - x.start, y.stop - y.start
    axes.add_patch(Rectangle((x.start, y.start), *side, fill=False, color=colour, linewidth=1.5))


def _shape(box: Box) -> tuple[int, int]:
    y, x = box
    return y.stop - y.start, x.stop - x.start


def of_models(models: "Mapping[str, Deblurrer]", cases: Sequence[Case], title: str) -> np.ndarray:
    """The figure for what models make of pictures, each with its target where all have one."""
    targets = all(case.target is not None for case in cases)
    strips = []
    for case in cases:
        pictures = [case.source, *(model(case.source) for model in models.values())]
        strips.append(Strip(case.name, [*pictures, case.target] if targets else pictures))  # type: ignore[list-item]
    return draw(strips, ["input", *models, *["target"] * targets], title)
