"""The summary of a run: summary.json, summary.md and curve.png."""

import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

import fdikp
from fdikp import models
from fdikp.files import atomic_write
from fdikp.metrics.registry import METRICS
from fdikp.training.log import LOG_FILE, read_log
from fdikp.training.options import flag_of
from fdikp.training.recipe import Recipe
from fdikp.training.state import TrainingState


def write_summary(
    recipe: Recipe, state: TrainingState, done: float, environment: dict[str, Any], warn: Callable[[str], None]
) -> str:
    """Write the three files to the output folder; returns the summary in one line.

    Args:
        recipe: of the run.
        state: the run at its end.
        done: fraction of the budget that is used.
        environment: facts to add, on the machine and the validation sets.
        warn: receives a message if a file is left out.
    """
    output = recipe.runtime.output
    lines = read_log(output / LOG_FILE)
    facts = _facts(output, state, done, lines) | environment
    try:
        with atomic_write(output / "summary.json") as file:
            file.write(json.dumps(facts | {"recipe": recipe.to_dict()}, indent=2).encode() + b"\n")
        with atomic_write(output / "summary.md") as file:
            file.write(_markdown(facts, recipe).encode())
        _plot(lines, output / "curve.png", f"{facts['model']}, {facts['steps']} steps")
    except ImportError:
        warn("no curve.png: matplotlib is not installed")
    except OSError as error:
        warn(f"{output}: the summary cannot be written: {error.strerror or error}; the weights are complete")
    gained = ""
    if "validation" in facts:
        scores = facts["validation"]
        gained = f", PSNR {_number(scores, 'psnr_before')} -> {_number(scores, 'psnr_after')} dB"
        gained += f" on {environment['validated_on']}{_left_out(scores)}"
    return f"{output / 'weights.safetensors'}: {state.step} steps, {state.clock.seconds / 60:.1f} minutes{gained}"


def _facts(output: Path, state: TrainingState, done: float, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of summary.json, without the recipe."""
    steps = [line for line in lines if "loss" in line]
    validations = [line["validation"] | {"step": line["step"]} for line in lines if "validation" in line]
    facts: dict[str, Any] = {
        "model": state.name,
        "parameters": sum(p.numel() for p in state.network.parameters()),
        "weights_sha256": models.describe(output / "weights.safetensors").sha256,
        "budget_used": round(done, 4),
        "steps": state.step,
        "steps_skipped": state.skipped,
        "pairs_seen": state.seen,
        "minutes": round(state.clock.seconds / 60, 3),
        "images_per_second": round(state.seen / state.clock.seconds, 3) if state.clock.seconds else None,
        "versions": {"fdikp": fdikp.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    if steps:
        facts["epochs"] = steps[-1]["epoch"]
        facts["terms"] = {"first": steps[0]["terms"], "last": steps[-1]["terms"]}
    if validations:
        facts["validation"] = validations[-1]
        facts["validation_best"] = max(validations, key=lambda v: float(v.get("psnr_after", -math.inf)))
    return facts


def _markdown(facts: dict[str, Any], recipe: Recipe) -> str:
    """The summary as a page: results, then every option that differs from a plain recipe."""
    plain = Recipe().options()
    changed = {name: value for name, value in recipe.options().items() if value != plain[name]}
    rows = {name.replace("_", " "): value for name, value in facts.items() if not isinstance(value, dict)}
    if "validation" in facts:
        for name, v in (("validation", facts["validation"]), ("best validation", facts["validation_best"])):
            pairs = v.get("images", v.get("pictures"))  # a run may go on from a log with the older key
            rows[name] = (
                f"PSNR {_number(v, 'psnr_before')} → {_number(v, 'psnr_after')} dB, "
                f"SSIM {_number(v, 'ssim_before')} → {_number(v, 'ssim_after')}, "
                f"{pairs} pairs{_left_out(v)}, step {v['step']}"
            )
    if "terms" in facts:
        last = facts["terms"]["last"]
        rows["loss terms"] = ", ".join(f"{name} {first} → {last[name]}" for name, first in _first_terms(facts))
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    rows["options"] = " ".join(f"`{_argument(name, value)}`" for name, value in changed.items())
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"# {facts['model']}\n\n| | |\n| --- | --- |\n{table}\n\n![losses, PSNR and learning rate](curve.png)\n"


def _number(scores: dict[str, Any], name: str) -> str:
    """A mean as tables show it; a dash if no image has the score."""
    return METRICS[name.partition("_")[0]].text(scores.get(name))


def _left_out(scores: dict[str, Any]) -> str:
    """Which pairs the means leave out."""
    names = scores.get("identical", ())
    return f" ({len(names)} identical left out: {', '.join(names)})" if names else ""


def _first_terms(facts: dict[str, Any]) -> list[tuple[str, float]]:
    """The loss terms of the first log line that the last line has too."""
    terms = facts["terms"]
    return [(name, value) for name, value in terms["first"].items() if name in terms["last"]]


def _argument(option: str, value: Any) -> str:
    """An option as on the command line."""
    if value is True:
        return flag_of(option)
    return f"{flag_of(option)} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"


def _plot(lines: list[dict[str, Any]], file: Path, title: str) -> None:
    """Plot loss terms, PSNR gain and learning rate over the steps."""
    from matplotlib.figure import Figure

    steps = [line for line in lines if "loss" in line]
    validations = [line for line in lines if "validation" in line]
    if not steps:
        return
    figure = Figure(figsize=(9, 9), layout="constrained")
    losses, quality, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
    at = [line["step"] for line in steps]
    marker = "." if len(steps) < 30 else ""

    def curve(axes: Any, values: list[float], label: str, color: str) -> None:
        """Plot the values faintly, and their running mean."""
        mean = _running_mean(values, max(1, len(values) // 40))
        axes.plot(at, values, color=color, linewidth=0.6, alpha=0.35)
        axes.plot(at, mean, color=color, marker=marker, linewidth=1.5, label=label)

    curve(losses, [line["loss"] for line in steps], "loss", "black")
    for n, name in enumerate(sorted({name for line in steps for name in line["terms"]})):
        values = [line["terms"].get(name, float("nan")) for line in steps]
        curve(losses, values, f"{name}, unweighted", f"C{n}")
    losses.set_yscale("log")
    losses.set_ylabel("loss and its terms")
    quality.axhline(0, color="grey", linewidth=0.8)
    gains = [line.get("psnr_out", math.nan) - line.get("psnr_in", math.nan) for line in steps]
    curve(quality, gains, "training batches", "C0")
    if validations:
        where = [line["step"] for line in validations]
        gains = [line["validation"].get("gain", math.nan) for line in validations]
        quality.plot(where, gains, "o-", color="C3", label="validation")
    quality.set_ylabel("PSNR gain, dB")
    for axes in (losses, quality):  # above the axes, where no curve is
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=7, fontsize="small", frameon=False, borderpad=0.2)
    rate.plot(at, [line["lr"] for line in steps], marker=marker, color="C2")
    rate.set_ylim(bottom=0)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    figure.suptitle(title)
    with atomic_write(file) as written:
        figure.savefig(written, format="png", dpi=110)


def _running_mean(values: list[float], width: int) -> list[float]:
    """The mean of each value and up to `width` - 1 values before it, without those that are not numbers.

    >>> _running_mean([1.0, 3.0, 5.0], 2)
    [1.0, 2.0, 4.0]
    """
    pieces = (values[max(0, n + 1 - width) : n + 1] for n in range(len(values)))
    numbers = ([value for value in piece if not math.isnan(value)] for piece in pieces)
    return [fmean(piece) if piece else math.nan for piece in numbers]
