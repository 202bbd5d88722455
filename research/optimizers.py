"""Compare optimisers of `fdikp train` at equal steps, from random initialisation and from the shipped weights.

    python research/optimizers.py --data SHARP --lpips FILE --runs runs/optimizers \\
        -o research/results/optimizers/optimizers

Each run has a constant learning rate and is validated on the held-out pairs at the start, after half of its steps and
at the end; the table has the running average with the lowest loss. Finished runs are not repeated, so several processes
can share the work (`--part 1/2`, `--part 2/2`) before one writes the table.
"""

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdikp.allocator import configure_malloc
from fdikp.evaluation.tables import grid
from fdikp.training import Recipe
from fdikp.training.loop import train
from fdikp.training.recipes import LITE


@dataclass(frozen=True)
class Trial:
    """One setting of a comparison."""

    start: str | None
    optimizer: str
    lr: float
    crop: int

    @property
    def label(self) -> str:
        return f"{'shipped' if self.start else 'random'}-{self.optimizer}-{self.lr:g}"


TRIALS = (
    *(Trial(None, optimizer, lr, 96) for optimizer, lr in [("adam", 5e-4), ("adam", 1e-3)]),
    *(Trial(None, optimizer, lr, 96) for optimizer, lr in [("muon", 1e-3), ("soap", 5e-4)]),
    *(Trial("fdikp-lite", optimizer, lr, 128) for optimizer, lr in [("adam", 2e-4), ("muon", 3e-4)]),
    *(Trial("fdikp-lite", optimizer, lr, 128) for optimizer, lr in [("muon", 1e-3), ("soap", 2e-4)]),
)


def recipe_of(trial: Trial, seed: int, options: argparse.Namespace) -> Recipe:
    return LITE.override(
        start=trial.start,
        paths=tuple(options.data),
        output=options.runs / f"{trial.label}-{seed}",
        resume=True,
        optimizer=trial.optimizer,
        lr=trial.lr,
        crop=(trial.crop,),
        batch=(4,),
        schedule="constant",
        warmup=20,
        radius_hint=0.0,
        seed=seed,
        ema_decay=(0.99, 0.998),
        threads=1,
        lpips=str(options.lpips),
        validate=("held-out",),
        validate_every=1e9,
    )


def run(trial: Trial, seed: int, options: argparse.Namespace) -> None:
    """Train in two halves, with a validation after each; a finished run is not repeated."""
    recipe = recipe_of(trial, seed, options)
    log = recipe.runtime.output / "log.jsonl"
    for steps in (options.steps // 2, options.steps):
        if not log.exists() or _reached(log) < steps:
            outcome = train(recipe.override(steps=steps), printed=False)
            if outcome.signal:
                sys.exit(f"stopped at step {outcome.step} of {trial.label}")


def rows_of(trial: Trial, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table for the start, the middle and the end of a run; none if it is not finished."""
    log = recipe_of(trial, seed, options).runtime.output / "log.jsonl"
    if not log.exists() or _reached(log) < options.steps:
        return []
    rows = []
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in (line for line in lines if "validations" in line):
        decay, facts = min(line["validations"]["held-out"].items(), key=lambda item: item[1]["loss"])
        rows.append(
            {
                "from": "random initialisation" if trial.start is None else "fdikp-lite",
                "optimizer": trial.optimizer,
                "rate": f"{trial.lr:g}",
                "crop": trial.crop,
                "seed": seed,
                "step": line["step"],
                "average": decay,
                "loss": f"{facts['loss']:.5f}",
                "PSNR gained, dB": f"{facts['gain']:.3f}",
                "LPIPS": f"{facts['lpips_after']:.4f}",
                "overshoot": f"{facts['overshoot_after']:.3f}",
            }
        )
    return rows


def _reached(log: Path) -> int:
    return max((json.loads(line)["step"] for line in log.read_text().splitlines() if "validation" in line), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp photos")
    parser.add_argument("--lpips", type=Path, required=True, help="LPIPS weights")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the training runs")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", help="trials to run, such as shipped-muon-0.0003 (default: all)")
    parser.add_argument("--part", default="1/1", help="i/n: run the i-th of n parts of the work")
    parser.add_argument("-o", "--output", type=Path, help="path of the table, without .md and .csv")
    options = parser.parse_args()
    configure_malloc()
    part, parts = map(int, options.part.split("/"))
    trials = [trial for trial in TRIALS if not options.only or trial.label in options.only]
    jobs = [(trial, seed) for seed in options.seeds for trial in trials][part - 1 :: parts]
    for trial, seed in jobs:
        run(trial, seed, options)
        print(rows_of(trial, seed, options)[-1], flush=True)
    if options.output:
        rows = [row for trial in TRIALS for seed in options.seeds for row in rows_of(trial, seed, options)]
        rows.sort(key=lambda row: (row["from"], row["step"], row["seed"]))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.with_suffix(".md").write_text(
            grid(list(rows[0]), [map(str, row.values()) for row in rows]) + "\n"
        )
        with options.output.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
