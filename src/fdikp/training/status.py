"""What a run has done and how it does, read from its folder: while it goes on, after it ended, or after a kill."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from fdikp.training.lock import holder
from fdikp.training.log import NAME, read_log
from fdikp.training.recipe_file import read_options

HOUR = 3600.0


@dataclass(frozen=True)
class Stretch:
    """One hour of a run's work; the last one may be unfinished."""

    hour: int
    """Counted from 1."""
    step: int
    """The last one in it."""
    steps: int
    crops: int
    crops_per_second: float
    lr: float
    loss: float
    """Mean of the logged ones."""


@dataclass(frozen=True)
class Validated:
    """One average on one set."""

    step: int
    hours: float
    data: str
    decay: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Status:
    """A run."""

    folder: Path
    config: str
    optimizer: str
    schedule: str
    process: int | None
    """The process that trains, if one does and the system tells."""
    step: int
    crops: int
    crops_128: float
    """In crops of 128², by their pixels."""
    hours: float
    """Of work: pauses of the process do not count."""
    silent: float
    """Seconds since the last line of the log."""
    skipped: int
    """Steps whose loss or gradient was not finite."""
    stretches: tuple[Stretch, ...]
    validations: tuple[Validated, ...]
    """The first of the run, and those of the hours that are shown."""


def read_status(run: Path, hours: int = 6) -> Status:
    """The state of a run and its last hours of work.

    Raises:
        TrainingError: there is no run in the folder.
    """
    options = read_options(run)
    lines = read_log(run / NAME)
    steps = [line for line in lines if "loss" in line]
    last = steps[-1] if steps else {}
    worked = max([float(line.get("seconds", 0.0)) for line in lines], default=0.0)
    since = max(0.0, int(worked / HOUR) + 1 - hours) * HOUR
    validations = [line for line in lines if "validations" in line]
    shown = validations[:1] + [line for line in validations[1:] if line["seconds"] >= since]
    return Status(
        folder=run,
        config=str(options.get("config", "")),
        optimizer=str(options.get("optimizer", "adam")),
        schedule=str(options.get("schedule", "")),
        process=holder(run),
        step=int(last.get("step", 0)),
        crops=int(last.get("crops", 0)),
        crops_128=float(last.get("crops_128", 0.0)),
        hours=worked / HOUR,
        silent=max(0.0, time.time() - lines[-1]["time"]) if lines and "time" in lines[-1] else float("nan"),
        skipped=int(last.get("skipped", 0)),
        stretches=tuple(_stretches(steps, hours)),
        validations=tuple(
            Validated(line["step"], line["seconds"] / HOUR, data, decay, facts)
            for line in shown
            for data, averages in line["validations"].items()
            for decay, facts in averages.items()
        ),
    )


def _stretches(steps: Sequence[dict[str, Any]], hours: int) -> list[Stretch]:
    by_hour: dict[int, list[dict[str, Any]]] = {}
    for line in steps:
        by_hour.setdefault(int(line["seconds"] / HOUR), []).append(line)
    found = []
    before: dict[str, Any] = {"step": 0, "crops": 0, "seconds": 0.0}
    for hour, lines in sorted(by_hour.items()):
        last = lines[-1]
        seconds = last["seconds"] - before["seconds"]
        crops = last.get("crops", 0) - before.get("crops", 0)
        found.append(
            Stretch(
                hour + 1,
                last["step"],
                last["step"] - before["step"],
                crops,
                crops / seconds if seconds > 0 else 0.0,
                last["lr"],
                fmean(line["loss"] for line in lines),
            )
        )
        before = last
    return found[-hours:]


def describe(status: Status) -> str:
    """The status as text of several lines, tables in Markdown."""
    state = f"running (process {status.process})" if status.process else "not running"
    told = f"last line {_ago(status.silent)} ago" if status.silent == status.silent else "no line yet"
    parts = [
        f"{status.folder}: {state}, {told}",
        f"{status.config}, {status.optimizer}, {status.schedule} rate: step {status.step}, {status.crops} crops "
        f"({status.crops_128:.0f} of 128²), {status.hours:.2f} hours of work"
        + (f", {status.skipped} steps skipped" if status.skipped else ""),
    ]
    rows: list[tuple[object, ...]]
    if status.stretches:
        rows = [
            (s.hour, s.step, s.steps, s.crops, f"{s.crops_per_second:.2f}", f"{s.lr:.3g}", f"{s.loss:.5f}")
            for s in status.stretches
        ]
        parts.append(_table(("hour of work", "step", "steps", "crops", "crops/s", "rate", "mean loss"), rows))
    if status.validations:
        rows = [
            (
                f"{v.hours:.1f}",
                v.step,
                v.data,
                v.decay,
                *(_number(v.facts, *column) for column in VALIDATION_COLUMNS.values()),
            )
            for v in status.validations
        ]
        parts.append(_table(("hours", "step", "set", "average", *VALIDATION_COLUMNS), rows))
    return "\n\n".join(parts)


VALIDATION_COLUMNS = {
    "loss": ("loss", 5),
    "PSNR": ("psnr_after", 3),
    "gain": ("gain", 3),
    "SSIM": ("ssim_after", 4),
    "LPIPS": ("lpips_after", 4),
    "overshoot": ("overshoot_after", 3),
}
"""Title, name among the facts of a validation, and decimals."""


def _number(facts: dict[str, Any], name: str, digits: int) -> str:
    return f"{facts[name]:.{digits}f}" if name in facts else ""


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns are aligned for a terminal."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)
