"""Measured values as data: each table cell holds the values of all images, and is printed as mean and spread."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Measurement:
    """One quantity, measured on each image of a set."""

    table: str
    """Heading of the table, with the unit."""
    row: str
    column: str
    values: tuple[float, ...]
    """In the order of the images, without those that could not be measured."""

    @property
    def mean(self) -> float:
        """Mean over images; NaN without any."""
        return fmean(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over images; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


def measurement(table: str, row: str, column: str, values: Iterable[float]) -> Measurement:
    """A measurement of the finite values; an image without texture, for example, has no correlation."""
    return Measurement(table, row, column, tuple(value for value in values if math.isfinite(value)))


def markdown(measurements: Sequence[Measurement]) -> str:
    """All tables: mean ± standard deviation over images, and in brackets their number if some are missing."""
    parts = []
    for table in dict.fromkeys(c.table for c in measurements):
        here = {(c.row, c.column): c for c in measurements if c.table == table}
        rows, columns = (list(dict.fromkeys(key[axis] for key in here)) for axis in (0, 1))
        count = max(len(c.values) for c in here.values())
        lines = [["", *columns], ["---"] * (len(columns) + 1)]
        lines += [[row, *(_printed(here.get((row, column)), count) for column in columns)] for row in rows]
        parts.append("\n".join((f"**{table}** ({count} images)", "", *(f"| {' | '.join(line)} |" for line in lines))))
    return "\n\n".join(parts) + "\n"


def _printed(c: Measurement | None, count: int) -> str:
    if c is None or not c.values:
        return "–"
    spread = f" ± {c.spread:.3f}" if len(c.values) > 1 else ""
    return f"{c.mean:.3f}{spread}" + (f" ({len(c.values)})" if len(c.values) < count else "")


def as_csv(measurements: Sequence[Measurement]) -> str:
    """A line for each measurement: table, row, column, mean, standard deviation, number of images."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("table", "row", "column", "mean", "spread", "images"))
    for c in measurements:
        numbers = ("" if math.isnan(number) else f"{number:.6g}" for number in (c.mean, c.spread))
        writer.writerow((c.table, c.row, c.column, *numbers, len(c.values)))
    return file.getvalue()


def as_json(measurements: Sequence[Measurement], about: dict[str, str]) -> str:
    """Each measurement with the values of all images, and what they depend on."""
    return json.dumps({"about": about, "cells": [asdict(c) for c in measurements]}, indent=1, allow_nan=False) + "\n"
