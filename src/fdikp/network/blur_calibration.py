"""What the calibrated blur map is computed with: the numbers that `fdikp calibrate` fits, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

FEATURES = 12
"""Values at each pixel that the radius is predicted from: three dilation maps, and three detail energies of each of the
three scales."""

LARGEST_RADIUS = 1000.0
"""Upper bound of `BlurCalibration.max_radius`, in pixels."""

LARGEST_NUMBER = 1e38
"""Upper bound of all numbers of a calibration, which become float32."""

TOLERANCE, RELATIVE_TOLERANCE = 1.0, 0.25
"""A radius is right if its error is at most this many pixels, or at most this fraction of the true radius."""

LEAST_CONTRAST = 1.5
"""Contrast of the sharp image around a pixel, in steps of 8 bits, from which on there is detail to measure blur by."""

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


@dataclass(frozen=True)
class BlurCalibration:
    """A perceptron with one hidden layer, from the features of a pixel to its blur radius and confidence.

    Raises:
        ValueError: a value is not as stated; the message names the field.
    """

    hidden_weight: Matrix
    """[hidden units, FEATURES]."""

    hidden_bias: Vector
    """[hidden units]."""

    output_weight: Matrix
    """[2, hidden units]: for the radius and for the logit of the confidence."""

    output_bias: Vector
    """[2]."""

    max_radius: float
    """Largest radius that the fit has seen, in pixels; larger ones are reported as this."""

    pairs: int = 0
    """Number of rendered pairs of the fit."""

    seed: int = 0
    """Seed of the rendered pairs."""

    def __post_init__(self) -> None:
        hidden = len(self.hidden_weight) if isinstance(self.hidden_weight, tuple | list) else 0
        if not hidden:
            raise ValueError("hidden_weight must be a list of rows, one for each hidden unit")
        shapes = {"hidden_weight": (hidden, FEATURES), "output_weight": (2, hidden)}
        for name, (rows, columns) in shapes.items():
            object.__setattr__(self, name, _matrix(name, getattr(self, name), rows, columns))
        for name, length in {"hidden_bias": hidden, "output_bias": 2}.items():
            object.__setattr__(self, name, _vector(name, getattr(self, name), length))
        if not _is_number(self.max_radius) or not 0.0 < self.max_radius <= LARGEST_RADIUS:
            raise ValueError(f"max_radius must be above 0 and at most {LARGEST_RADIUS:g}, not {self.max_radius!r}")
        for name in ("pairs", "seed"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 0:
                raise ValueError(f"{name} must be a whole number, at least 0, not {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BlurCalibration":
        """The calibration that `to_dict` returned the fields of.

        Raises:
            ValueError: a field is missing or unknown, or its value is not allowed.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"must be an object with fields, not {values!r:.40}")
        names = {field.name for field in fields(cls)}
        for problem, wrong in (("is missing", names - values.keys()), ("is unknown", values.keys() - names)):
            if wrong:
                raise ValueError(f"{', '.join(sorted(map(str, wrong)))} {problem}")
        return cls(**values)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER  # type: ignore[arg-type]  # not NaN


def _vector(name: str, values: Any, length: int) -> Vector:
    """Check that values are `length` finite numbers."""
    if not isinstance(values, tuple | list) or len(values) != length or not all(map(_is_number, values)):
        raise ValueError(f"{name} must have {length} finite numbers in each row")
    return tuple(map(float, values))


def _matrix(name: str, rows: Any, count: int, length: int) -> Matrix:
    """Check that there are `count` rows of `length` finite numbers."""
    if not isinstance(rows, tuple | list) or len(rows) != count:
        raise ValueError(f"{name} must have {count} rows")
    return tuple(_vector(name, row, length) for row in rows)
