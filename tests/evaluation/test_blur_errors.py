"""The tables of a calibration, of pixels whose errors are known."""

import numpy as np

from fdikp.evaluation.blur_errors import BlurErrors
from fdikp.evaluation.tables import Table


def row(table: Table, label: str) -> dict[str, str]:
    return next(dict(zip(table.head, cells, strict=True)) for cells in table.rows if cells[0] == label)


ERRORS = BlurErrors(
    radius=np.array([0.0, 0.0, 1.5, 8.0, 8.0, 10.0, 10.0, 20.0]),
    predicted=np.array([0.0, 1.5, 2.0, 10.0, 10.1, 7.0, 8.0, 8.0]),
    confidence=np.array([0.9, 0.9, 0.7, 0.5, 0.1, 0.5, 0.9, 1.0]),
    contrast=np.array([9.0, 9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 9.0]),
)


def test_right_is_within_one_pixel_or_a_quarter() -> None:
    assert ERRORS.right.tolist() == [True, False, True, True, False, False, True, False]


def test_by_radius() -> None:
    """Pixels without detail are left out; the last row has all others."""
    table = ERRORS.by_radius()
    assert row(table, "8 to 12") == {
        "radius, px": "8 to 12", "pixels": "37.5 %", "median error, px": "2.00", "mean error, px": "2.03",
        "bias, px": "+0.70", "right": "0.67", "mean confidence": "0.50",
    }  # fmt: skip
    assert row(table, "0 to 0.3")["right"] == "0.50"
    assert row(table, "12 and above")["bias, px"] == "-12.00"
    assert row(table, "3 to 4")["pixels"] == "0.0 %" and row(table, "3 to 4")["right"] == ""
    assert row(table, "all")["pixels"] == "87.5 %"


def test_by_texture() -> None:
    table = ERRORS.by_texture()
    assert row(table, "0 to 1.5")["mean error, px"] == "3.00"
    assert row(table, "1.5 to 3")["right"] == "1.00"
    assert sum(float(cells[1].removesuffix(" %")) for cells in table.rows) == 100


def test_reliability() -> None:
    """Where there is no detail, a right radius is chance and does not count as measured."""
    table = ERRORS.reliability()
    assert row(table, "0.8 and above") == {
        "confidence": "0.8 and above", "pixels": "50.0 %", "mean confidence": "0.93", "detail and right": "0.50",
        "right": "0.50",
    }  # fmt: skip
    lucky = BlurErrors(np.zeros(4), np.zeros(4), np.full(4, 0.1), np.array([0.0, 0.0, 0.0, 5.0]))
    assert row(lucky.reliability(), "0 to 0.2")["detail and right"] == "0.25"
    assert row(lucky.reliability(), "0 to 0.2")["right"] == "1.00"
