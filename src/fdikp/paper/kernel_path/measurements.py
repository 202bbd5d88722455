"""Measured numbers as data: a cell of a table is the values of all pictures, and is printed as mean and spread."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Cell:
    """One quantity, measured on each picture of a set."""

    table: str
    """Heading of the table, with the unit."""
    row: str
    column: str
    values: tuple[float, ...]
    """In the order of the pictures; those that could not be measured are left out."""

    @property
    def mean(self) -> float:
        """Mean over pictures; NaN without any."""
        return fmean(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over pictures; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


def cell(table: str, row: str, column: str, values: Iterable[float]) -> Cell:
    """A cell of those values that are numbers: a picture without texture, say, has no correlation."""
    return Cell(table, row, column, tuple(value for value in values if math.isfinite(value)))


def markdown(cells: Sequence[Cell]) -> str:
    """Every table: mean ± standard deviation over pictures, and in brackets their number where it is not the most."""
    parts = []
    for table in dict.fromkeys(c.table for c in cells):
        here = {(c.row, c.column): c for c in cells if c.table == table}
        rows, columns = (list(dict.fromkeys(key[axis] for key in here)) for axis in (0, 1))
        most = max(len(c.values) for c in here.values())
        lines = [["", *columns], ["---"] * (len(columns) + 1)]
        lines += [[row, *(_printed(here.get((row, column)), most) for column in columns)] for row in rows]
        parts.append("\n".join((f"**{table}** ({most} pictures)", "", *(f"| {' | '.join(line)} |" for line in lines))))
    return "\n\n".join(parts) + "\n"


def _printed(c: Cell | None, most: int) -> str:
    if c is None or not c.values:
        return "–"
    spread = f" ± {c.spread:.3f}" if len(c.values) > 1 else ""
    return f"{c.mean:.3f}{spread}" + (f" ({len(c.values)})" if len(c.values) < most else "")


def as_csv(cells: Sequence[Cell]) -> str:
    """A line for each cell: table, row, column, mean, standard deviation, number of pictures."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("table", "row", "column", "mean", "spread", "pictures"))
    for c in cells:
        numbers = ("" if math.isnan(number) else f"{number:.6g}" for number in (c.mean, c.spread))
        writer.writerow((c.table, c.row, c.column, *numbers, len(c.values)))
    return file.getvalue()


def as_json(cells: Sequence[Cell], about: dict[str, str]) -> str:
    """Everything: what the numbers depend on, and each cell with the values of all pictures."""
    return json.dumps({"about": about, "cells": [asdict(c) for c in cells]}, indent=1, allow_nan=False) + "\n"
