"""Position of a tile in its photo: away from the optical axis, the lens barrel cuts off part of the aperture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fdikp.synthesis.rng import RandomStream

SPACING = 0.4
"""Distance in field heights between positions that have kernels of their own; blur is interpolated between them."""


@dataclass(frozen=True)
class Field:
    """The rectangle of a photo that is rendered, in field heights: 0 is the centre, 1 the corner."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of_tile(cls, x: int, y: int, width: int, height: int, frame_width: int, frame_height: int) -> "Field":
        """The field of a tile (x, y, width, height) of a photo, all in pixels.

        >>> Field.of_tile(0, 0, 60, 80, 60, 80)
        Field(left=-0.6, top=-0.8, right=0.6, bottom=0.8)
        """
        corner = math.hypot(frame_width, frame_height) / 2
        left, top = (x - frame_width / 2) / corner, (y - frame_height / 2) / corner
        return cls(left, top, left + width / corner, top + height / corner)

    def places(self, height: int, width: int) -> Iterator[tuple[tuple[float, float], Tensor, Tensor]]:
        """Grid positions (x, y) in the field, each with its weight for each row [H] and for each column [W].

        The weights are those of bilinear interpolation: at each pixel, the products of row and column weight sum to 1
        over all positions. A small tile has a single position.
        """
        for y, rows in _hats(self.top, self.bottom, height):
            for x, columns in _hats(self.left, self.right, width):
                yield (x, y), rows, columns


def _hats(low: float, high: float, length: int) -> list[tuple[float, Tensor]]:
    """Hat functions between low and high: the position of each, and its values at the centres of `length` pixels."""
    gaps = math.ceil((high - low) / SPACING)
    if gaps <= 1:
        return [((low + high) / 2, torch.ones(length))]
    step = (high - low) / gaps
    position = (torch.arange(length) + 0.5) / length * gaps
    hats = [(low + n * step, (1.0 - (position - n).abs()).clamp_min(0.0)) for n in range(gaps + 1)]
    return [(place, weight) for place, weight in hats if weight.any()]  # in a tiny image, some have no pixel near them


def draw_field(rng: RandomStream, height: int, width: int, frame: int) -> Field:
    """The field of a tile of height x width pixels at a random position in a photo of aspect ratio 3:2.

    The photo has `frame` pixels along its long side, but is never smaller than the tile; with 0 the tile is the whole
    photo.
    """
    frame_width, frame_height = max(frame, width), max(round(frame * 2 / 3), height)
    x, y = rng.integer(0, frame_width - width), rng.integer(0, frame_height - height)
    return Field.of_tile(x, y, width, height, frame_width, frame_height)
