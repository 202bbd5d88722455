"""The status of a run, read from its folder: while it trains, after its end, or after a kill."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from fdikp.training.lock import holder
from fdikp.training.log import LOG_FILE, read_log
from fdikp.training.recipe_file import read_options

HOUR = 3600.0


@dataclass(frozen=True)
class HourOfWork:
    """One hour of a run's work; the last one may be incomplete."""

    hour: int
    """Counted from 1."""
    step: int
    """The last step."""
    steps: int
    crops: int
    crops_per_second: float
    lr: float
    loss: float
    """Mean of the logged losses."""


@dataclass(frozen=True)
class ValidationScores:
    """The scores of one average on one set."""

    step: int
    hours: float
    data: str
    decay: str
    scores: dict[str, Any]


@dataclass(frozen=True)
class Status:
    """The status of a run."""

    folder: Path
    config: str
    optimizer: str
    schedule: str
    process: int | None
    """ID of the process that trains; None if there is none, or if the system cannot tell."""
    step: int
    crops: int
    crops_128: float
    """The same pixels as a number of 128² crops."""
    hours: float
    """Hours of work, without the time in which the process was suspended."""
    idle_seconds: float
    """Seconds since the last line of the log; NaN without a line."""
    skipped: int
    """Steps that changed nothing because loss or gradient was not finite."""
    recent: tuple[HourOfWork, ...]
    validations: tuple[ValidationScores, ...]
    """The first validation of the run, and those of the reported hours."""


def read_status(run: Path, hours: int = 6) -> Status:
    """The status of a run and its last hours of work. Logs of older versions have no crops, which then count as 0.

    Raises:
        TrainingError: there is no run in the folder.
    """
    options = read_options(run)
    lines = read_log(run / LOG_FILE)
    steps = [line for line in lines if "loss" in line]
    last = steps[-1] if steps else {}
    worked = max([float(line.get("seconds", 0.0)) for line in lines], default=0.0)
    since = max(0.0, int(worked / HOUR) + 1 - hours) * HOUR
    validations = [line for line in lines if "validations" in line]
    reported = validations[:1] + [line for line in validations[1:] if line["seconds"] >= since]
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
        idle_seconds=max(0.0, time.time() - lines[-1]["time"]) if lines and "time" in lines[-1] else float("nan"),
        skipped=int(last.get("skipped", 0)),
        recent=tuple(_hours_of_work(steps, hours)),
        validations=tuple(
            ValidationScores(line["step"], line["seconds"] / HOUR, data, decay, scores)
            for line in reported
            for data, averages in line["validations"].items()
            for decay, scores in averages.items()
        ),
    )


def _hours_of_work(steps: Sequence[dict[str, Any]], hours: int) -> list[HourOfWork]:
    by_hour: dict[int, list[dict[str, Any]]] = {}
    for line in steps:
        by_hour.setdefault(int(line["seconds"] / HOUR), []).append(line)
    result = []
    before: dict[str, Any] = {"step": 0, "crops": 0, "seconds": 0.0}
    for hour, lines in sorted(by_hour.items()):
        last = lines[-1]
        seconds = last["seconds"] - before["seconds"]
        crops = last.get("crops", 0) - before.get("crops", 0)
        result.append(
            HourOfWork(
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
    return result[-hours:]


def describe(status: Status) -> str:
    """The status as text, with tables in Markdown."""
    state = f"running (process {status.process})" if status.process else "not running"
    log_age = "no log line yet"
    if not math.isnan(status.idle_seconds):
        log_age = f"last log line {_duration(status.idle_seconds)} ago"
    parts = [
        f"{status.folder}: {state}, {log_age}",
        f"{status.config}, {status.optimizer}, {status.schedule} schedule: step {status.step}, {status.crops} crops "
        f"({status.crops_128:.0f} of 128²), {status.hours:.2f} hours of work"
        + (f", {status.skipped} steps skipped" if status.skipped else ""),
    ]
    rows: list[tuple[object, ...]]
    if status.recent:
        rows = [
            (s.hour, s.step, s.steps, s.crops, f"{s.crops_per_second:.2f}", f"{s.lr:.3g}", f"{s.loss:.5f}")
            for s in status.recent
        ]
        parts.append(_table(("hour of work", "step", "steps", "crops", "crops/s", "lr", "mean loss"), rows))
    if status.validations:
        identical = ("identical",) if any("identical" in v.scores for v in status.validations) else ()
        rows = [
            (
                f"{v.hours:.1f}",
                v.step,
                v.data,
                v.decay,
                *(_number(v.scores, *column) for column in VALIDATION_COLUMNS.values()),
                *(len(v.scores.get("identical", ())) for _ in identical),
            )
            for v in status.validations
        ]
        parts.append(_table(("hours", "step", "set", "average", *VALIDATION_COLUMNS, *identical), rows))
    return "\n\n".join(parts)


VALIDATION_COLUMNS = {
    "loss": ("loss", 5),
    "PSNR": ("psnr_after", 3),
    "gain": ("gain", 3),
    "SSIM": ("ssim_after", 4),
    "LPIPS": ("lpips_after", 4),
    "overshoot": ("overshoot_after", 3),
}
"""Column title: the score's name in the log, and its decimals."""


def _number(scores: dict[str, Any], name: str, digits: int) -> str:
    return f"{scores[name]:.{digits}f}" if name in scores else "–"


def _duration(seconds: float) -> str:
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
