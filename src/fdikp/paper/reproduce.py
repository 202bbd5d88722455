"""Train the variants of one of the paper's tables, score them alike, and put them beside the paper's numbers."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdikp import load_model
from fdikp.data import EvaluationSet
from fdikp.errors import DataError
from fdikp.evaluation.evaluate import Evaluator
from fdikp.evaluation.results import ImageResult, SummaryRow
from fdikp.evaluation.tables import grid
from fdikp.files import atomic_write, cannot_be_written
from fdikp.metrics.registry import METRICS
from fdikp.paper.ablations import ABLATIONS, Variant, ordering_rows, orderings
from fdikp.training.loop import train
from fdikp.training.recipe import Recipe

SHOWN = ("psnr", "ssim", "mae", "lpips")
"""What tables of variants print, as the paper's do."""


@dataclass(frozen=True)
class Job:
    """One variant to train with one seed."""

    variant: Variant
    seed: int
    recipe: Recipe

    @property
    def weights(self) -> Path:
        """What its run leaves."""
        return self.recipe.runtime.output / "weights.safetensors"


@dataclass(frozen=True)
class Score:
    """What one trained variant reached on one set."""

    job: Job
    parameters: int
    row: SummaryRow


def trained(job: Job) -> bool:
    """Whether the run is finished, by this recipe. Where it lies and on how many threads it ran do not matter."""
    try:
        summary = json.loads((job.recipe.runtime.output / "summary.json").read_text())
        before = Recipe.from_dict(summary["recipe"]).options()
    except (OSError, ValueError):
        return False
    other = {name for name, value in job.recipe.options().items() if before[name] != value}
    return bool(summary["budget_used"] >= 1.0 and other <= {"output", "resume", "threads", "log_every"})


def run(
    jobs: Sequence[Job],
    sets: Sequence[EvaluationSet],
    evaluator: Evaluator,
    *,
    device: str = "auto",
    limit: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Score]:
    """Train what is not trained yet, then score each on each set; what was done before a stop is not done again.

    Raises:
        FdikpError: a run cannot begin or go on, or it was stopped before its end.
    """
    for number, job in enumerate(jobs, 1):
        if not trained(job):
            folder = job.recipe.runtime.output
            say(f"{number} of {len(jobs)}: training {job.variant.label}, seed {job.seed}, in {folder}")
            outcome = train(job.recipe, printed=False)
            if outcome.done < 1.0:
                raise KeyboardInterrupt  # the run has kept what it needs to go on
        model = load_model(job.weights, device, "float32")
        for data in sets:
            say(f"{number} of {len(jobs)}: scoring {job.variant.label}, seed {job.seed}, on {data.name}")
            yield Score(
                job, model.weights.parameters, _scored(job, model.weights.sha256, data, evaluator, model, limit)
            )


def _scored(
    job: Job, sha256: str, data: EvaluationSet, evaluator: Evaluator, model: Any, limit: int | None
) -> SummaryRow:
    """Scores of one model on one set, kept beside its weights."""
    names = [sample.name for sample in data.samples[:limit]]
    kept = job.recipe.runtime.output / "scores.json"
    key = f"{data.name} {evaluator.protocol.name} {len(names)} {evaluator.lpips is not None} {sha256}"
    try:
        known = json.loads(kept.read_text())
    except (OSError, ValueError):
        known = {}
    if key not in known:
        known[key] = [vars(restored.result) for restored in evaluator.results(model, data, (), limit)]
        try:
            with atomic_write(kept) as file:
                file.write(json.dumps(known).encode())
        except OSError as error:
            raise DataError(cannot_be_written(kept, error)) from error
    results = [ImageResult(**fields) for fields in known[key]]
    return SummaryRow.of((data.name, job.variant.label, None), results)


def table(name: str, scores: Sequence[Score], kind: str, about: dict[str, str]) -> str:
    """Markdown: each variant with the mean over seeds and their range, the paper's PSNR, and the orders that came out.

    kind: what the numbers are, such as `proxy: 600 steps ...`; it stands in the heading of each part.
    """
    parts = [f"# {name}, {kind}"]
    for data in dict.fromkeys(score.row.data for score in scores):
        of_set = [score for score in scores if score.row.data == data]
        metrics = [metric for metric in SHOWN if all(metric in score.row.after for score in of_set)]
        before = of_set[0].row
        head = ("variant", "parameters", *(METRICS[m].title for m in metrics), "seeds", "paper's PSNR on DPDD")
        inputs = ("input", "", *(_number(m, [before.before[m]]) for m in metrics), "", "")
        rows = [inputs]
        for variant in ABLATIONS[name]:
            mine = [score for score in of_set if score.job.variant == variant]
            if mine:
                means = (_number(m, [score.row.after[m] for score in mine]) for m in metrics)
                paper = "" if variant.psnr is None else f"{variant.psnr:.2f}"
                rows.append((variant.label, f"{mine[0].parameters:,}", *means, str(len(mine)), paper))
        parts += [f"## {data}, {before.images} pictures of {before.sizes} ({kind})", grid(head, rows)]
        psnr = {
            variant.label: [score.row.after["psnr"] for score in of_set if score.job.variant == variant]
            for variant in ABLATIONS[name]
        }
        found = ordering_rows(orderings(ABLATIONS[name], psnr)) if "psnr" in metrics else []
        if found:
            parts += ["Which of the paper's orderings came out:", grid(list(found[0]), [r.values() for r in found])]
    parts.append("\n".join(f"- {key}: {value}" for key, value in about.items()))
    return "\n\n".join(parts) + "\n"


def rows(name: str, scores: Sequence[Score], kind: str) -> str:
    """CSV: a line for each variant, seed and set."""
    text = io.StringIO(newline="")
    fields = ["table", "kind", "variant", "recipe", "parameters", "seed", "data", "images", "sizes"]
    fields += [f"{metric}{when}" for metric in SHOWN for when in (" in", "")] + ["paper psnr on DPDD"]
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    for score in scores:
        variant, row = score.job.variant, score.row
        line = {
            "table": name,
            "kind": kind,
            "variant": variant.label,
            "recipe": variant.recipe,
            "parameters": score.parameters,
            "seed": score.job.seed,
            "data": row.data,
            "images": row.images,
            "sizes": row.sizes,
            "paper psnr on DPDD": variant.psnr,
        }
        line |= {f"{m} in": f"{row.before[m]:.5f}" for m in SHOWN if m in row.before}
        line |= {m: f"{row.after[m]:.5f}" for m in SHOWN if m in row.after}
        writer.writerow(line)
    return text.getvalue()


def _number(metric: str, values: Sequence[float]) -> str:
    """The mean, and where there are several how far the farthest is from it."""
    mean = sum(values) / len(values)
    off = max(abs(value - mean) for value in values)
    digits = METRICS[metric].digits
    return f"{mean:.{digits}f}" + (f" ± {off:.{digits}f}" if len(values) > 1 else "")
