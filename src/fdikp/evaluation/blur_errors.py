"""How far a calibrated blur map is from the known radius of rendered images, as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fdikp.evaluation.tables import Table
from fdikp.network.blur_calibration import LEAST_CONTRAST, RELATIVE_TOLERANCE, TOLERANCE

RADIUS_BORDERS = (0.0, 0.3, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, np.inf)
"""Of the rows by radius, in pixels."""

CONTRAST_BORDERS = (0.0, LEAST_CONTRAST, 3.0, 6.0, 12.0, np.inf)
"""Of the rows by texture, in steps of 8 bits."""

CONFIDENCE_BORDERS = (0.0, 0.2, 0.4, 0.6, 0.8, np.inf)
"""Of the rows by confidence."""

ERROR_HEAD = ("pixels", "median error, px", "mean error, px", "bias, px", "right", "mean confidence")


@dataclass(frozen=True, eq=False)
class BlurErrors:
    """Pixels with known and predicted blur radius, each [n]."""

    radius: np.ndarray
    """True radius in pixels."""
    predicted: np.ndarray
    """Predicted radius in pixels."""
    confidence: np.ndarray
    """0..1."""
    contrast: np.ndarray
    """Contrast of the sharp image around the pixel, in steps of 8 bits."""

    @property
    def error(self) -> np.ndarray:
        """Predicted minus true radius, in pixels."""
        return self.predicted - self.radius

    @property
    def right(self) -> np.ndarray:
        """Whether the radius is right within the tolerance."""
        return np.abs(self.error) <= np.maximum(TOLERANCE, RELATIVE_TOLERANCE * self.radius)

    @property
    def has_detail(self) -> np.ndarray:
        """Whether the sharp image has detail around the pixel."""
        return self.contrast >= LEAST_CONTRAST

    def tables(self) -> list[Table]:
        """The errors by radius and by texture, and the reliability of the confidence."""
        return [self.by_radius(), self.by_texture(), self.reliability()]

    def by_radius(self) -> Table:
        """Errors of pixels with detail, by true radius."""
        bins = _bins(self.radius, RADIUS_BORDERS, self.has_detail)
        rows = [self._errors(*each) for each in (*bins, ("all", self.has_detail))]
        return Table("By radius, where there is detail", ("radius, px", *ERROR_HEAD), rows)

    def by_texture(self) -> Table:
        """Errors of all pixels, by contrast of the sharp image."""
        rows = [self._errors(*each) for each in _bins(self.contrast, CONTRAST_BORDERS)]
        return Table("By texture of the sharp image", ("contrast, 1/255", *ERROR_HEAD), rows)

    def reliability(self) -> Table:
        """How often the radius is right, by confidence."""
        rows = []
        for label, inside in _bins(self.confidence, CONFIDENCE_BORDERS):
            fractions = (self.confidence[inside], (self.right & self.has_detail)[inside], self.right[inside])
            rows.append((label, _share(inside), *map(_mean, fractions)))
        head = ("confidence", "pixels", "mean confidence", "detail and right", "right")
        return Table("Reliability of the confidence", head, rows)

    def _errors(self, label: str, inside: np.ndarray) -> tuple[str, ...]:
        """The row of some pixels, with the columns of `ERROR_HEAD`."""
        error = self.error[inside]
        if not error.size:
            return (label, _share(inside), *[""] * 5)
        numbers = (f"{np.median(np.abs(error)):.2f}", f"{np.abs(error).mean():.2f}", f"{error.mean():+.2f}")
        return label, _share(inside), *numbers, _mean(self.right[inside]), _mean(self.confidence[inside])


def _bins(
    values: np.ndarray, borders: Sequence[float], among: np.ndarray | bool = True
) -> Iterator[tuple[str, np.ndarray]]:
    """The label and the members of each bin, lower border included."""
    for low, high in pairwise(borders):
        label = f"{low:g} and above" if np.isinf(high) else f"{low:g} to {high:g}"
        yield label, among & (values >= low) & (values < high)


def _share(inside: np.ndarray) -> str:
    return f"{100 * inside.mean():.1f} %"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.2f}" if values.size else ""
