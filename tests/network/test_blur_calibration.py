"""The numbers of a calibration: they survive JSON exactly, and malformed ones are rejected with one line."""

import json
import math

import pytest

from fdikp.network.blur_calibration import FEATURES, BlurCalibration


def calibration(**changes) -> BlurCalibration:
    values = {
        "hidden_weight": [[0.1 * (row + column) / 3 for column in range(FEATURES)] for row in range(4)],
        "hidden_bias": [1e-7, -1 / 3, 2.0, 3],
        "output_weight": [[1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 0.25, 1e30]],
        "output_bias": [0.0, -2.0],
        "max_radius": 16.0,
        "pairs": 600,
        "seed": 3,
    }
    return BlurCalibration.from_dict(values | changes)


def test_it_survives_json_exactly() -> None:
    first = calibration()
    second = BlurCalibration.from_dict(json.loads(json.dumps(first.to_dict())))
    assert second == first and hash(second) == hash(first)
    assert second.hidden_bias == (1e-7, -1 / 3, 2.0, 3.0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_weight", None, "hidden_weight must be a list of rows"),
        ("hidden_weight", [], "hidden_weight must be a list of rows"),
        ("hidden_weight", [[1.0] * FEATURES] * 3 + [[1.0]], "hidden_weight must have 12 finite numbers"),
        ("hidden_weight", [[1.0] * FEATURES] * 3, "output_weight must have 3 finite numbers"),
        ("hidden_weight", ["abcdefghijkl"] * 4, "hidden_weight must have 12 finite numbers"),
        ("hidden_bias", [1.0], "hidden_bias must have 4 finite numbers"),
        ("hidden_bias", [1.0, 2.0, math.nan, 4.0], "hidden_bias must have 4 finite numbers"),
        ("hidden_bias", [1.0, 2.0, True, 4.0], "hidden_bias must have 4 finite numbers"),
        ("output_weight", [[1.0] * 4], "output_weight must have 2 rows"),
        ("output_bias", {"radius": 1}, "output_bias must have 2 finite numbers"),
        ("output_bias", [math.inf, 1.0], "output_bias must have 2 finite numbers"),
        ("output_bias", [1e39, 1.0], "output_bias must have 2 finite numbers"),  # infinite in float32
        ("output_bias", [10**400, 1.0], "output_bias must have 2 finite numbers"),
        ("max_radius", 0, "max_radius must be above 0"),
        ("max_radius", "16", "max_radius must be above 0"),
        ("max_radius", math.nan, "max_radius must be above 0"),
        ("pairs", 1.5, "pairs must be a whole number"),
        ("seed", -1, "seed must be a whole number"),
        ("more", 1, "more is unknown"),
    ],
)
def test_malformed_values(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        calibration(**{field: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("values", [None, [], 3, "text"])
def test_not_an_object(values: object) -> None:
    with pytest.raises(ValueError, match="must be an object"):
        BlurCalibration.from_dict(values)  # type: ignore[arg-type]


def test_a_missing_field() -> None:
    values = calibration().to_dict()
    del values["hidden_bias"]
    with pytest.raises(ValueError, match="hidden_bias is missing"):
        BlurCalibration.from_dict(values)
